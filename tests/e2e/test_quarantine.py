"""From a refused delivery and rows in quarantine to what would be there had all been right from the start."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from orchestration import cli
from orchestration.lib import quarantine, release, verify, warehouse
from orchestration.settings import Settings
from tests.company import run

CONFIG = """
[[feed]]
feed = "order_lines"
pattern = "lines_{day}.csv"
format = "csv"
expected = "daily"
[feed.constants]
currency = "EUR"
[[feed]]
feed = "products"
pattern = "products_{day}.csv"
format = "csv"
"""
COMMA = CONFIG.replace('format = "csv"', 'format = "csv"\ndecimal = ","', 1)
HEADER = "order_id,line_id,person_id,ordered_at,quantity,unit_price\n"
DAYS = date(2026, 1, 5), date(2026, 1, 7)


def _lines(day: int, prices: tuple[str, ...], quantity: str = "1") -> str:
    return HEADER + "".join(f'{day}-{n},1,p{n},2026-01-0{day} 10:00:00,{quantity},"{p}"\n' for n, p in enumerate(prices))


WHOLE, CENTS = ("20",) * 60, ("20",) * 59 + ("12,50",)
RIGHT = {
    "lines_2026-01-05.csv": _lines(5, CENTS),
    "lines_2026-01-06.csv": _lines(6, WHOLE),
    "lines_2026-01-07.csv": _lines(7, WHOLE),
    "products_2026-01-05.csv": "product_id,name\np1,Lamp\n",
}
WRONG = RIGHT | {
    "lines_2026-01-06.csv": _lines(6, WHOLE).replace("6-0,1,p0,2026-01-06 10:00:00,1", "6-0,1,p0,2026-01-06 10:00:00,one"),
    "lines_2026-01-07.csv": _lines(7, WHOLE, "lots"),
}


def _home(folder: Path, files: dict[str, str], config: str) -> Path:
    (folder / "landing").mkdir(parents=True)
    for name, text in {**files, "cx.toml": config}.items():
        (folder / "landing" / name).write_text(text, encoding="utf-8")
    return folder


def _retry(home: Path) -> int:
    window, _ = quarantine.retake(Settings(home))
    return cli._run(Settings(home), "retry", window, as_json=False)


def _differ(left: Path, right: Path) -> dict[str, tuple[int, int]]:
    """Raw tables, staging, intermediate, marts, quarantine and ledger that are not the same row for row."""
    compared = verify._compare(Settings(left), Settings(right))
    assert {"raw.order_lines", "staging.stg_order_lines", "marts.sales_daily", "ops.quarantine"} <= {t.table for t in compared}
    return {table.table: (table.only_in_warehouse, table.only_in_rebuild) for table in compared if not table.equal}


def _taken(home: Path) -> dict[str, int]:
    """How many runs have loaded which feed."""
    with warehouse.connect(Settings(home), read_only=True) as con:
        return dict(con.execute("select feed, count(distinct run_id) from ops.deliveries group by feed").fetchall())


@pytest.mark.slow
def test_what_is_retried_lands_as_if_it_had_been_right_the_first_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A row with a word for a number, a file of them, and prices in a notation that cx.toml did not say."""
    home, right = _home(tmp_path / "home", WRONG, CONFIG), _home(tmp_path / "right", RIGHT, COMMA)
    assert run(right, "backfill", *DAYS) == 0
    assert run(home, "backfill", *DAYS) == 3
    monkeypatch.setenv("CX_HOME", str(home))
    held = [(row["file"], row["status"], row["rows"]) for row in quarantine.counts(Settings(home))]
    assert held == [
        ("lines_2026-01-05.csv", "quarantined", 1),
        ("lines_2026-01-06.csv", "quarantined", 1),
        ("lines_2026-01-07.csv", "refused", 1),
        ("lines_2026-01-07.csv", "refused", 60),
    ]
    assert _differ(home, right)

    # the files are corrected
    for name, text in RIGHT.items():
        (home / "landing" / name).write_text(text, encoding="utf-8")
    assert _retry(home) == 0
    assert [(row["file"], row["rows"]) for row in quarantine.counts(Settings(home))] == [("lines_2026-01-05.csv", 1)]
    with pytest.raises(quarantine.QuarantineError, match="nothing of that is in quarantine"):
        quarantine.retake(Settings(home), "products")

    # and the mapping
    (home / "landing" / "cx.toml").write_text(COMMA, encoding="utf-8")
    assert _retry(home) == 0
    assert _differ(home, right) == {}
    assert list(quarantine.rows(Settings(home))) == []
    assert _taken(home)["products"] == 1, "the other feed was never loaded again"
    assert not any(
        state["is_stale"] for state in release.manifest_of(Settings(home), str(release.current(Settings(home))))["feeds"]
    )
