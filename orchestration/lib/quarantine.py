"""What is in quarantine, for people: bad rows of loaded deliveries, and whole deliveries that were refused.

Belongs here: listing, exporting, and marking deliveries to be taken again. Does not: how rows get there or out of it again;
that is `ingest`, the same for a night and for a retry.

Bad rows of loaded deliveries are in `ops.quarantine`. Of a refused delivery no row is loaded: its bad rows are in the copy
under `CX_HOME/quarantine/` that its run wrote.
"""

from __future__ import annotations

import csv
import json
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from orchestration.lib import ingest, readers, warehouse
from orchestration.lib.run_lock import holder, run_lock
from orchestration.lib.warehouse import tx
from orchestration.partitions import Window

if TYPE_CHECKING:
    from orchestration.settings import Settings

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_EXPORTED = ("feed", "delivery", "delivery_day", "file", "line", "status", "reasons", "raw")


class QuarantineError(Exception):
    """Nothing is there that was asked for, or it cannot be written; the message says what to do."""


@dataclass(frozen=True)
class BadRow:
    """A row in quarantine; `line` is None for what is wrong with a whole file."""

    feed: str
    delivery: str
    delivery_day: date
    file: str
    line: int | None
    status: str
    """`quarantined`: the rest of its delivery is loaded; `refused`: nothing of it is."""
    reasons: list[str]
    raw: str | None


def counts(settings: Settings, feed: str | None = None, delivery: str | None = None) -> list[dict[str, Any]]:
    """Rows by feed, delivery, status and reason; values within a reason are left out, so that alike ones count together.

    A row counts for each of its reasons; what is wrong with a whole file has no `rows`.
    """
    found: Counter[tuple[Any, ...]] = Counter()
    for row in rows(settings, feed, delivery):
        for reason in dict.fromkeys(_kind(reason, row.line) for reason in row.reasons):
            found[row.feed, row.delivery_day, row.file, row.status, reason, row.line is None] += 1
    columns = ("feed", "delivery_day", "file", "status", "reason")
    return [dict(zip(columns, key, strict=True)) | {"rows": None if is_of_file else n} for (*key, is_of_file), n in found.items()]


def _kind(reason: str, line: int | None) -> str:
    """`amount: "1,50" is not a number` and `amount: "x" is not a number` are one kind of reason."""
    column, _, rest = reason.partition(": ")
    if line is None or not rest.startswith('"'):
        return reason
    return f"{column}: {rest.rpartition(chr(34))[2].strip()}"


def rows(settings: Settings, feed: str | None = None, delivery: str | None = None) -> Iterator[BadRow]:
    """Everything in quarantine, by feed, delivery day, file and line.

    Args:
        settings: whose warehouse and copies.
        feed: only of this feed.
        delivery: only of this delivery; its file will do.

    Raises:
        QuarantineError: no run has taken such a delivery.
    """
    with _open(settings) as con:
        _require_known(con, feed, delivery)
        of_loaded = con.execute(
            "select feed, delivery, delivery_day, file, line, 'quarantined', reasons, raw_text from ops.quarantine "
            f"where {_CHOSEN} order by feed, delivery_day, file, line",
            [feed, delivery],
        ).fetchall()
        refused = con.execute(
            "select feed, delivery, delivery_day, file, reason, run_id from ops.deliveries "
            f"where status = 'refused' and {_CHOSEN} order by feed, delivery_day, file",
            [feed, delivery],
        ).fetchall()
    found = [BadRow(*row) for row in of_loaded]
    for name, run in dict.fromkeys((row[0], row[5]) for row in refused):
        of_run = {row[3]: row for row in refused if (row[0], row[5]) == (name, run)}
        told = set()
        for bad in _copy(settings.quarantine / f"{run}.{name}.ndjson"):
            if bad["file"] in of_run:
                told.add(bad["file"])
                *where, _, _ = of_run[bad["file"]]
                found.append(BadRow(*where, bad["line"], "refused", bad["reasons"], bad["raw"]))
        # The copy may have been cleared away; why it was refused is in the ledger.
        found += [
            BadRow(*row[:4], None, "refused", [row[4] or "unknown: run `cx nightly` again"], None)
            for file, row in of_run.items()
            if file not in told
        ]
    yield from sorted(found, key=lambda row: (row.feed, row.delivery_day, row.file, row.line or 0))


_CHOSEN = "($1 is null or feed = $1) and ($2 is null or delivery = $2 or file = $2 or parse_filename(file) = $2)"


def _copy(path: Path) -> Iterator[dict[str, Any]]:
    try:
        with path.open(encoding="utf-8") as handle:
            for line in handle:
                try:
                    yield json.loads(line)
                except ValueError:
                    continue  # cut off by a kill
    except FileNotFoundError:
        return


def export(settings: Settings, out: Path, feed: str | None = None, delivery: str | None = None) -> int:
    """Write what is in quarantine to a file, CSV or NDJSON by its ending; return how many rows.

    It holds personal data as delivered: only its owner can read it. In CSV a text that a spreadsheet would compute has an
    apostrophe before it; NDJSON has every text as it is.

    Raises:
        QuarantineError: the file is there already, or its ending says no format.
    """
    if out.suffix not in (".csv", ".ndjson", ".jsonl"):
        raise QuarantineError(f"{out}: write a name that ends in .csv, .ndjson or .jsonl")
    found = list(rows(settings, feed, delivery))
    try:
        handle = os.fdopen(os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8", newline="")
    except FileExistsError:
        raise QuarantineError(f"{out} is there already: name another file, or move it away") from None
    except OSError as error:
        raise QuarantineError(f"{out}: {error.strerror}") from None
    with handle:
        if out.suffix == ".csv":
            table = csv.writer(handle, quoting=csv.QUOTE_ALL)
            table.writerow(_EXPORTED)
            for row in found:
                values = {**vars(row), "reasons": "; ".join(row.reasons)}
                table.writerow([_harmless(values[name]) for name in _EXPORTED])
        else:
            for row in found:
                handle.write(json.dumps({name: vars(row)[name] for name in _EXPORTED}, default=str) + "\n")
    return len(found)


def _harmless(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def retake(settings: Settings, feed: str | None = None, delivery: str | None = None) -> tuple[Window, list[str]]:
    """Mark the deliveries that have bad rows, or were refused, to be taken again by the next run of the window returned.

    What is loaded of them stays until that run has read them again, and all is as if it had been read so the first time.
    Where a contract or mapping changed, that run reads the whole feed anew by itself, and nothing need be marked.

    Raises:
        QuarantineError: nothing of what was asked for is in quarantine, or its files are gone.
        RunLocked: a run is working on this CX_HOME.
    """
    with _open(settings) as con:
        _require_known(con, feed, delivery)
    with run_lock(settings, "cx quarantine retry"), warehouse.connect(settings) as con:
        warehouse.prepare(con, settings.config)
        held = con.execute(
            "select delivery, feed, delivery_day, status from ops.deliveries where (status = 'refused' or status = 'accepted' "
            f"and rows_quarantined > 0) and {_CHOSEN} order by delivery_day, file",
            [feed, delivery],
        ).fetchall()
        if not held:
            raise QuarantineError("nothing of that is in quarantine: there is nothing to retry")
        feeds = {name for _, name, _, _ in held}
        there = {f.delivery: f for s in settings.config.sources_of(feeds) for f in readers.discover(settings, s)}
        again = [row for row in held if row[0] in there]
        if not again:
            raise QuarantineError(
                f"{held[0][0]} is no longer in the landing folder, or no longer matches cx.toml: put its file back, corrected"
            )
        anew = set(ingest.changed_reading(con, settings, sorted(feeds)))
        with tx(con):
            for name, feed_of, _, status in again:
                if status == "refused":
                    con.execute(
                        "update ops.deliveries set status = 'pending', reason = null, gate = null "
                        "where delivery = ? and status = 'refused'",
                        [name],
                    )
                elif feed_of not in anew and not any(row[0] == name and row[3] == "refused" for row in again):
                    _mark_pending(con, name)
    return Window.of_days(min(row[2] for row in again), max(row[2] for row in again)), list(dict.fromkeys(r[0] for r in again))


def _mark_pending(con: duckdb.DuckDBPyConnection, delivery: str) -> None:
    """One more row of the ledger beside the loaded one, as where a file has new content; loading replaces the old one."""
    con.execute("delete from ops.deliveries where delivery = ? and status = 'pending'", [delivery])
    con.execute(
        "insert into ops.deliveries by name select * replace ('pending' as status, null as rows_read, null as rows_accepted, "
        "null as rows_quarantined, null as rows_bad, null as reason, null as gate, $2 as taken_at) from ops.deliveries "
        "where delivery = $1 and status = 'accepted'",
        [delivery, datetime.now(UTC).replace(tzinfo=None)],
    )


def _open(settings: Settings) -> Any:
    if not settings.warehouse.exists():
        raise QuarantineError(f"there is no warehouse at {settings.warehouse} yet: run `cx nightly` or `cx backfill` first")
    if at_work := holder(settings):
        raise QuarantineError(f"a run is at work ({at_work['purpose']}): ask again after it")
    return warehouse.connect(settings, read_only=True)


def _require_known(con: duckdb.DuckDBPyConnection, feed: str | None, delivery: str | None) -> None:
    if (feed or delivery) and not con.execute(f"from ops.deliveries where {_CHOSEN}", [feed, delivery]).fetchone():
        what = " ".join(text for text in (f"of the feed '{feed}'" * bool(feed), f"named '{delivery}'" * bool(delivery)) if text)
        known = ", ".join(name for (name,) in con.execute("select distinct feed from ops.deliveries order by 1").fetchall())
        raise QuarantineError(f"no run has taken a delivery {what}; feeds with deliveries are: {known or 'none'}")
