"""Hand-made deliveries: files in a landing folder, the settings that map them, one load of a feed.

Belongs here: what unit and property tests share. Does not: any expected value.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb

from data_quality.contract import load_contracts
from orchestration.lib import ingest, warehouse
from orchestration.lib.readers import LandingFile
from orchestration.partitions import Window
from orchestration.settings import FeedSource, Settings

DAY = date(2026, 1, 5)
REFUNDS_HEADER = "refund_id,order_id,refunded_at,amount,currency\n"


def refunds(*ids: str, amount: str = "5") -> str:
    """A file of refunds with a row for each id."""
    return REFUNDS_HEADER + "".join(f"{key},o{key},2026-01-05 10:00:00,{amount},EUR\n" for key in ids)


def landing_file(path: Path, source: FeedSource, day: date = DAY) -> LandingFile:
    """The file as `discover` would hand it over."""
    return LandingFile(path, path.name, source, day)


class Home:
    """One CX_HOME with its warehouse open, and the steps of a night on it."""

    def __init__(self, home: Path, config: str) -> None:
        self.home = home
        Settings(home).make_folders()
        self.configure(config)
        self.runs = 0
        self.con: duckdb.DuckDBPyConnection = None  # type: ignore[assignment]

    def configure(self, config: str) -> None:
        """Write cx.toml and read it."""
        (self.home / "landing" / "cx.toml").write_text(config, encoding="utf-8")
        self.settings = Settings(self.home)

    @contextmanager
    def open(self) -> Iterator[Home]:
        """The home with its warehouse open."""
        with warehouse.connect(self.settings) as con:
            warehouse.prepare(con, self.settings.config)
            self.con = con
            yield self

    def put(self, name: str, content: str | bytes, mtime: float | None = None) -> Path:
        """Write a file into the landing folder."""
        path = self.home / "landing" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        if mtime is not None:
            os.utime(path, (mtime, mtime))
        return path

    def take(self, feed: str, first: date = date(2026, 1, 1), last: date | None = None) -> ingest.Taken:
        """Note what is new in the landing folder; without a window, everything up to now."""
        last = last or max(datetime.now(UTC).date(), date(2030, 1, 1))
        domain = load_contracts()[feed].domain
        return ingest.take_deliveries(self.con, self.settings, domain, Window.of_days(first, last), "run")

    def load(self, feed: str) -> ingest.Loaded:
        """Take and load what is new."""
        self.take(feed)
        self.runs += 1
        return ingest.load_feed(self.con, self.settings, feed, f"run{self.runs}")

    def rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """All rows of a query."""
        return self.con.execute(sql, list(values)).fetchall()

    def statuses(self) -> dict[str, list[str]]:
        """File -> statuses in the ledger, in order of their rows."""
        found: dict[str, list[str]] = {}
        for file, status in self.rows("select file, status from ops.deliveries order by file, taken_at, rowid"):
            found.setdefault(file, []).append(status)
        return found
