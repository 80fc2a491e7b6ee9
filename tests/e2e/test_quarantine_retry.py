"""From exit 3 to 0: refused deliveries and rows in quarantine, corrected or accepted, are as if it had been so from the start."""

from __future__ import annotations

import shutil
from datetime import date
from pathlib import Path

import pytest

from data_quality.contract import DOMAINS
from orchestration import cli
from orchestration.lib import acceptances, dbt_build, ingest, quarantine, release, rereading, verify, warehouse
from orchestration.lib.dbt_manifest import models_on
from orchestration.partitions import Window
from orchestration.settings import Settings
from tests.company import run

CONFIG = """
[[feed]]
feed = "stock_prices"
pattern = "prices_{day}.csv"
format = "csv"
expected = "daily"
[[feed]]
feed = "products"
pattern = "products_{day}.csv"
format = "csv"
[[feed]]
feed = "agents"
pattern = "agents_{day}.csv"
format = "csv"
"""
COMMA = CONFIG.replace('format = "csv"', 'format = "csv"\ndecimal = ","', 1)
HEADER = "symbol,trading_day,close,currency\n"
DAYS = date(2026, 1, 5), date(2026, 1, 7)


def _prices(day: int, prices: tuple[str, ...]) -> str:
    return HEADER + "".join(f'S{n},2026-01-0{day},"{price}",EUR\n' for n, price in enumerate(prices))


WHOLE, CENTS = ("20",) * 60, ("20",) * 59 + ("12,50",)
RIGHT = {
    "prices_2026-01-05.csv": _prices(5, CENTS),
    "prices_2026-01-06.csv": _prices(6, WHOLE),
    "prices_2026-01-07.csv": _prices(7, WHOLE),
    "products_2026-01-05.csv": "product_id,name\np1,Lamp\n",
    "agents_2026-01-05.csv": "agent_id,team\na1,blue\n,green\n,red\n",
}
WRONG = RIGHT | {
    "prices_2026-01-06.csv": _prices(6, ("twenty", *WHOLE[1:])),
    "prices_2026-01-07.csv": _prices(7, ("lots",) * 60),
}


def _home(folder: Path, files: dict[str, str], config: str) -> Path:
    (folder / "landing").mkdir(parents=True)
    for name, text in {**files, "cx.toml": config}.items():
        (folder / "landing" / name).write_text(text, encoding="utf-8")
    return folder


def _build(home: Path) -> None:
    """What a run does up to the gates, without Dagster around it."""
    settings = Settings(home)
    feeds = {source.feed for source in settings.config.feed}
    settings.make_folders()
    with warehouse.connect(settings) as con:
        warehouse.prepare(con, settings.config)
        acceptances.sync(con, settings)
        for domain in DOMAINS:
            ingest.take_deliveries(con, settings, domain, Window.of_days(*DAYS), "built")
        warehouse.advance_clock(con, DAYS[1])
        if anew := ingest.changed_reading(con, settings, sorted(feeds)):
            rereading.reset_feeds(con, settings, anew)
        for feed in sorted(feeds):
            ingest.load_feed(con, settings, feed, "built")
    assert set(dbt_build.build(settings, models_on(feeds), full_refresh=True).models) == models_on(feeds)


def _cx(*arguments: str) -> int:
    return int(cli.app(list(arguments), standalone_mode=False) or 0)


def _differ(left: Path, right: Path) -> dict[str, tuple[int, int]]:
    """Raw tables, staging, intermediate, marts, quarantine and ledger that are not the same row for row."""
    compared = verify._compare(Settings(left), Settings(right))
    assert {"raw.stock_prices", "staging.stg_stock_prices", "marts.stock_daily", "ops.quarantine"} <= {t.table for t in compared}
    return {table.table: (table.only_in_warehouse, table.only_in_rebuild) for table in compared if not table.equal}


def _taken(home: Path) -> dict[str, int]:
    """How many runs have loaded which feed."""
    with warehouse.connect(Settings(home), read_only=True) as con:
        return dict(con.execute("select feed, count(distinct run_id) from ops.deliveries group by feed").fetchall())


def test_what_is_retried_lands_as_if_it_had_been_right_the_first_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A word for a price, a file of them, a price in a notation that cx.toml did not say; and agents nobody can correct."""
    home, right = _home(tmp_path / "home", WRONG, CONFIG), _home(tmp_path / "right", RIGHT, COMMA)
    monkeypatch.setenv("CX_HOME", str(home))
    assert run(home, "backfill", *DAYS) == 3
    held = [(row["file"], row["status"], row["rows"]) for row in quarantine.counts(Settings(home))]
    assert held == [
        ("agents_2026-01-05.csv", "refused", None),
        ("agents_2026-01-05.csv", "refused", 2),
        ("prices_2026-01-05.csv", "quarantined", 1),
        ("prices_2026-01-06.csv", "quarantined", 1),
        ("prices_2026-01-07.csv", "refused", None),
        ("prices_2026-01-07.csv", "refused", 60),
    ]

    # the files of prices are corrected, that of the agents is accepted as it is
    for name, text in RIGHT.items():
        (home / "landing" / name).write_text(text, encoding="utf-8")
    assert _cx("accept", "row_rules", "--delivery", "agents_2026-01-05.csv", "--reason", "the old system is gone") == 0
    assert _cx("quarantine", "retry") == 0
    assert [(row["file"], row["rows"]) for row in quarantine.counts(Settings(home), "stock_prices")] == [
        ("prices_2026-01-05.csv", 1)
    ]
    manifest = release.manifest_of(Settings(home), str(release.current(Settings(home))))
    assert not any(state["is_stale"] for state in manifest["feeds"])
    (accepted,) = manifest["acceptances"]
    assert (accepted["gate"], accepted["reason"], accepted["state"]) == ("row_rules", "the old system is gone", "used")
    (sentence,) = manifest["gates"]["not_passed"]
    assert sentence.startswith("ACCEPTED: row_rules on agents") and sentence.endswith("the old system is gone")
    assert _taken(home)["products"] == 1, "the feed that had nothing wrong was not loaded again"

    # and the mapping
    (home / "landing" / "cx.toml").write_text(COMMA, encoding="utf-8")
    quarantine.retake(Settings(home), "stock_prices")
    _build(home)
    assert list(quarantine.rows(Settings(home), "stock_prices")) == []

    # a home in which all was right from the start; the acceptance comes with it
    shutil.copy(home / acceptances.FILE, right / acceptances.FILE)
    _build(right)
    assert _differ(home, right) == {}
