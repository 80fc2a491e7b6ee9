"""What a release says otherwise than those before it: every changed cell, its cause, and what was said when."""

from __future__ import annotations

import json
from datetime import date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.company import release_of, run

# The log is held to what every release said, in every run, by tests/property (replay.py); causes and deliveries are here.
pytestmark = pytest.mark.minutes

CONFIG = """
[business]
timezone = "Europe/Amsterdam"
[[feed]]
feed = "order_lines"
pattern = "lines_{day}.csv"
format = "csv"
[feed.constants]
currency = "EUR"
[[feed]]
feed = "persons"
pattern = "persons_{day}.csv"
format = "csv"
"""
LINES = "order_id,line_id,person_id,ordered_at,quantity,unit_price\n"
PERSONS = "person_id,merged_into_id,updated_at\n"
Cell = tuple[str, date, str]


def _put(home: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (home / "landing" / name).write_text(text, encoding="utf-8")


def _query(home: Path, sql: str, *values: Any) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(release_of(home)), read_only=True) as con:
        return con.execute(sql, list(values)).fetchall()


def _said(home: Path, relation: str = "marts.metric_values", *values: Any) -> dict[Cell, tuple[Any, ...]]:
    rows = _query(home, f"select metric, metric_date, dimensions, parts, value, is_final, final_on from {relation}", *values)
    said = {row[:3]: row[3:] for row in rows}
    assert len(said) == len(rows), "two rows for one cell"
    return said


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[tuple[datetime, dict[Cell, tuple[Any, ...]]]]]:
    """A home after eight publications, and what each release said when it came."""
    home = tmp_path_factory.mktemp("restatements")
    (home / "landing").mkdir()
    _put(home, {"cx.toml": CONFIG})
    nights = [
        (6, {"lines_2025-10-06.csv": LINES + "O1,1,P1,2025-10-06T12:00:00Z,1,10.00\n"}),
        (7, {"lines_2025-10-07.csv": LINES + "O2,1,P2,2025-10-07T12:00:00Z,1,20.00\n"}),
        # nothing is delivered, and time makes 6 and 7 October final
        (12, {}),
        # late by nine days; and an order of its own day
        (15, {"lines_2025-10-15.csv": LINES + "O3,1,P1,2025-10-06T13:00:00Z,1,5.00\nO4,1,P3,2025-10-15T12:00:00Z,1,7.00\n"}),
        # late by a day: 15 October is not final yet
        (16, {"lines_2025-10-16.csv": LINES + "O5,1,P4,2025-10-15T13:00:00Z,1,3.00\n"}),
        # a correction of the price of O2
        (20, {"lines_2025-10-20.csv": LINES + "O2,1,P2,2025-10-07T12:00:00Z,1,25.00\n"}),
        # the file of the sixth is taken back; P4 turns out to be P3
        (21, {"lines_2025-10-06.csv": LINES, "persons_2025-10-21.csv": PERSONS + "P4,P3,2025-10-21T08:00:00Z\n"}),
        # the same file once more under another name, and nothing else
        (22, {"lines_2025-10-22.csv": LINES + "O2,1,P2,2025-10-07T12:00:00Z,1,25.00\n"}),
    ]
    told = []
    for day, files in nights:
        _put(home, files)
        first = 6 if day == 21 else day  # the night would find the changed file of the sixth by itself
        assert run(home, "backfill", date(2025, 10, first), date(2025, 10, day)) == 0
        ((published_at,),) = _query(home, "select max(published_at) from marts.releases")
        told.append((published_at, _said(home)))
    return home, told


def _changes(home: Path, metric: str) -> list[tuple[Any, ...]]:
    rows = _query(
        home,
        "select metric_date, kind, cause, old_parts, new_parts, deliveries, final_on from marts.restatements "
        "where metric = ? order by published_at, metric_date",
        metric,
    )
    return [(day.day, kind, cause, *(p and json.loads(p) for p in (old, new)), files, final_on.day)
            for day, kind, cause, old, new, files, final_on in rows]  # fmt: skip


def test_each_changed_cell_has_a_row_with_its_cause_and_its_deliveries(history: tuple[Path, Any]) -> None:
    home, _ = history
    assert _changes(home, "net_sales") == [
        (
            6,
            "restatement",
            "late_rows",
            {"net_amount_reporting": 10.0},
            {"net_amount_reporting": 15.0},
            ["order_lines:lines_2025-10-15.csv"],
            9,
        ),
        (
            15,
            "provisional",
            "late_rows",
            {"net_amount_reporting": 7.0},
            {"net_amount_reporting": 10.0},
            ["order_lines:lines_2025-10-16.csv"],
            18,
        ),
        (
            7,
            "restatement",
            "correction",
            {"net_amount_reporting": 20.0},
            {"net_amount_reporting": 25.0},
            ["order_lines:lines_2025-10-20.csv"],
            10,
        ),
        (
            6,
            "restatement",
            "deletion",
            {"net_amount_reporting": 15.0},
            {"net_amount_reporting": 5.0},
            ["order_lines:lines_2025-10-06.csv"],
            9,
        ),
    ]
    # The orders of the fifteenth were of two people until one of them was merged away; on the same night O1 is taken back.
    assert _changes(home, "clv_historic")[-6] == (
        15, "restatement", "deletion, merge",
        {"net_amount_to_date": 50.0, "customers_to_date": 4}, {"net_amount_to_date": 40.0, "customers_to_date": 3},
        ["order_lines:lines_2025-10-06.csv", "persons:persons_2025-10-21.csv"], 18,
    )  # fmt: skip


def test_the_log_is_what_differs_between_releases_and_nothing_else(history: tuple[Path, Any]) -> None:
    """Compared in Python: published cells whose parts or value differ in the next release, on days it had reached."""
    home, told = history
    for n in range(1, len(told)):
        (_, before), (published_at, after) = told[n - 1 : n + 1]
        through = _query(home, "select data_through from marts.releases where published_at = ?", told[n - 1][0])[0][0]
        expected = {
            cell: (before.get(cell, (None, None))[:2], after.get(cell, (None, None))[:2])
            for cell in before.keys() | after.keys()
            if before.get(cell, (None, None))[:2] != after.get(cell, (None, None))[:2] and cell[1] <= through
        }
        logged = {
            row[:3]: (row[3:5], row[5:7])
            for row in _query(
                home,
                "select metric, metric_date, dimensions, old_parts, old_value, new_parts, new_value from marts.restatements "
                "where published_at = ?",
                published_at,
            )
        }
        assert logged == expected, f"publication {n}"
    assert not _query(home, "from marts.restatements where published_at = ?", told[-1][0]), "the same rows again say nothing new"


def test_what_was_said_at_any_time_can_be_read_from_the_newest_release(history: tuple[Path, Any]) -> None:
    home, told = history
    for published_at, said in told:
        assert _said(home, "marts.metric_as_published(?)", published_at) == said
    assert _said(home, "marts.metric_as_published(timestamp '2020-01-01')") == {}


def test_a_definition_that_changes_is_the_cause(history: tuple[Path, Any]) -> None:
    """Another business time zone moves orders to other days; the restatements say configuration, not late rows."""
    home, told = history
    _put(home, {"cx.toml": CONFIG.replace("Europe/Amsterdam", "Pacific/Kiritimati")})
    assert run(home, "nightly", date(2025, 10, 22)) == 0
    causes = _query(
        home,
        "select distinct cause, kind, final_on <= date '2025-10-22' from marts.restatements where published_at > ? order by all",
        told[-1][0],
    )
    assert causes == [("configuration_change", "provisional", False), ("configuration_change", "restatement", True)]
    moved = _changes(home, "net_sales")[4:]
    assert [(day, old, new) for day, _, _, old, new, _, _ in moved] == [
        (6, {"net_amount_reporting": 5.0}, None),
        (7, {"net_amount_reporting": 25.0}, {"net_amount_reporting": 5.0}),
        (8, None, {"net_amount_reporting": 25.0}),
        (15, {"net_amount_reporting": 10.0}, None),
        (16, None, {"net_amount_reporting": 10.0}),
    ]
