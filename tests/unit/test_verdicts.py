"""Gates fail closed: no verdict is a no, an expectation that could not judge is an error, a failure names its rows."""

from __future__ import annotations

from datetime import date
from typing import Any

import duckdb
import great_expectations.expectations as gxe
import pandas as pd
import pytest

from data_quality.suites.delivery import (
    DRIFT,
    FRESHNESS,
    KEYS,
    READABLE,
    REFERENCES,
    REPEAT,
    ROW_RULES,
    VOLUME,
    WARNINGS,
    arrival_checks,
    hold_checks,
    reference_checks,
    warn_checks,
)
from data_quality.suites.judge import Check, CheckDidNotRun, judge
from data_quality.suites.marts import METRIC_MOVED, MOVED, PLAUSIBLE, mart_checks
from data_quality.verdict import Verdict, of_run, record, refusals
from orchestration.lib.warehouse import OPS_DDL

GOOD_DELIVERY: dict[str, Any] = {
    "feed": "orders", "delivery": "orders:a.csv", "day": date(2026, 1, 5), "problem": "", "problems": 0,
    "rows_read": 100, "rows_bad": 5,
    "bad_share": 0.05, "bad_limit": 0.05, "volume": 100.0, "volume_low": 50.0, "volume_high": 200.0, "repeats": 0,
    "drifts": 0, "drift": "", "repeated_keys": "0", "repeated_share": 0.1, "repeated_limit": 0.1, "rows_warned": 0, "warned": "0",
    "days_old": 3, "days_old_limit": 3,
}  # fmt: skip
GOOD_MART: dict[str, Any] = {
    "mart": "sales_daily", "label": "sales_daily", "rows": 10, "late_rows": 0, "not_finite": 0, "volume": 5.0, "volume_low": 5.0,
    "volume_high": 5.0, "move": 3.0, "move_limit": 3.0, "moves": "",
}  # fmt: skip


def profile(good: dict[str, Any], *rows: dict[str, Any]) -> pd.DataFrame:
    return pd.DataFrame([{**good, **row} for row in rows])


def test_refusals_fail_closed() -> None:
    passed = Verdict("readable", "orders", "block", True)
    failed = Verdict("mart_plausible", "sales_daily", "block", False, message="no")
    held, warned = Verdict("row_rules", "orders", "hold", False), Verdict("volume", "orders", "warn", False)
    expected = [("readable", "orders"), ("mart_plausible", "sales_daily")]
    assert refusals([passed, failed, held, warned], expected) == [failed]
    assert refusals([passed, held, warned], expected[:1]) == []
    assert [(v.gate, v.subject, v.severity, v.passed) for v in refusals([], expected)] == [
        ("readable", "orders", "block", False),
        ("mart_plausible", "sales_daily", "block", False),
    ]
    # the right gate on another subject, or another gate on the subject, is not the verdict
    assert len(refusals([Verdict("readable", "refunds", "block", True)], expected[:1])) == 1
    assert len(refusals([Verdict("arrival", "orders", "block", True)], expected[:1])) == 1


def test_a_pass_does_not_hide_a_failure_of_the_same_gate() -> None:
    failed = Verdict("readable", "orders", "block", False)
    assert refusals([failed, Verdict("readable", "orders", "block", True)], [("readable", "orders")]) == [failed]


def test_verdicts_come_back_from_the_ledger_of_their_run_only() -> None:
    told = Verdict("g", "s", "hold", False, "1", "0", 'it\'s "bad"', [{"line": 3}])
    with duckdb.connect() as con:
        con.execute(OPS_DDL)
        record(con, "one", [told])
        record(con, "two", [Verdict("g", "s", "hold", True)])
        record(con, "none", [])
        assert of_run(con, "one") == [told]
        assert of_run(con, "none") == []


def test_sentences() -> None:
    assert Verdict("g", "s", "block", True).sentence() == "passed: g on s"
    assert Verdict("g", "s", "hold", False, "7", "5", "too many").sentence() == "HELD: g on s: 7 (bound: 5) too many"
    assert Verdict("g", "s", "warn", False, message="hm").sentence() == "warning: g on s: hm"


def test_a_good_delivery_passes_every_gate_on_its_bounds() -> None:
    rows = [{}, {"delivery": "b", "volume": 50.0}, {"delivery": "c", "volume": 200.0}]
    verdicts, failed = judge(profile(GOOD_DELIVERY, *rows), "feed", hold_checks() + warn_checks(), "delivery")
    assert [(v.gate, v.passed) for v in verdicts] == [
        (gate, True) for gate in (READABLE, ROW_RULES, VOLUME, VOLUME, REPEAT, DRIFT, KEYS, WARNINGS, FRESHNESS)
    ]
    assert failed == {
        READABLE: set(),
        ROW_RULES: set(),
        VOLUME: set(),
        REPEAT: set(),
        DRIFT: set(),
        KEYS: set(),
        WARNINGS: set(),
        FRESHNESS: set(),
    }


@pytest.mark.parametrize(
    ("change", "gate", "severity", "figure", "bound"),
    [
        ({"problems": 1, "problem": "line 3"}, READABLE, "hold", "line 3", "a file its contract can be read from"),
        ({"bad_share": 0.0501}, ROW_RULES, "hold", "0.0501", "0.05"),
        ({"volume": 49.0}, VOLUME, "warn", "49", "50"),
        ({"volume": 201.0}, VOLUME, "warn", "201", "200"),
        ({"repeats": 1}, REPEAT, "warn", "1", "0"),
        ({"drifts": 1, "drift": "new: a"}, DRIFT, "warn", "new: a", "the columns of earlier deliveries"),
        ({"repeated_share": 0.11, "repeated_keys": "2 (a, b)"}, KEYS, "warn", "2 (a, b)", "0.1"),
        ({"rows_warned": 1, "warned": "1: r"}, WARNINGS, "warn", "1: r", "0"),
        ({"days_old": 4}, FRESHNESS, "warn", "4", "3"),
    ],
)  # fmt: skip
def test_a_failing_delivery_fails_its_gate_only(
    change: dict[str, Any], gate: str, severity: str, figure: str, bound: str
) -> None:
    other = {"feed": "refunds", "delivery": "refunds:r.csv"}
    frame = profile(GOOD_DELIVERY, {"delivery": "good"}, {**change, "delivery": "bad"}, other)
    verdicts, failed = judge(frame, "feed", hold_checks() + warn_checks(), "delivery")
    (verdict,) = [v for v in verdicts if not v.passed]
    assert (verdict.gate, verdict.subject, verdict.severity) == (gate, "orders", severity)
    assert (verdict.figure, verdict.bound) == (figure, bound)
    assert verdict.message.endswith("(1 of 2, first: bad)") and [row["delivery"] for row in verdict.sample] == ["bad"]
    assert {name: rows for name, rows in failed.items() if rows} == {gate: {"bad"}}
    assert len(verdicts) == 18, "each check judges each of both feeds"


def test_a_sample_row_has_what_its_gate_is_about_and_numbers_are_numbers() -> None:
    frame = profile(GOOD_DELIVERY, {"delivery": "bad", "volume": 201.0, "volume_low": 33.33333})
    (verdict,) = [v for v in judge(frame, "feed", warn_checks(), "delivery")[0] if not v.passed]
    (row,) = verdict.sample
    expected = {"delivery": "bad", "volume": 201, "volume_low": 33.33, "volume_high": 200}
    assert {name: value for name, value in row.items() if name != "day"} == expected


def test_arrival() -> None:
    frame = pd.DataFrame(
        [{"feed": "orders", "expectation": f"orders {n}", "missing": int(n == 2)} for n in range(3)]
        + [{"feed": "refunds", "expectation": "refunds 0", "missing": 0}]
    )
    verdicts, _ = judge(frame, "feed", arrival_checks(), "expectation")
    assert [(v.subject, v.severity, v.passed) for v in verdicts] == [("orders", "hold", False), ("refunds", "hold", True)]
    assert "orders 2" in verdicts[0].message


def test_references() -> None:
    frame = pd.DataFrame(
        [
            {"feed": "orders", "label": f"orders.{n}", "orphans": f"{n} of 9", "orphan_count": n, "orphan_limit": 2.5}
            for n in (2, 3)
        ]
    )
    (verdict,) = judge(frame, "feed", reference_checks(), "label")[0]
    assert (verdict.gate, verdict.severity, verdict.passed, verdict.figure) == (REFERENCES, "warn", False, "3 of 9")
    assert "first: orders.3" in verdict.message
    assert all(v.passed for v in judge(frame[:1], "feed", reference_checks(), "label")[0])


@pytest.mark.parametrize(
    ("change", "gate", "severity"),
    [
        ({"late_rows": 1}, PLAUSIBLE, "block"),
        ({"not_finite": 1}, PLAUSIBLE, "block"),
        ({"volume": 4.9}, MOVED, "warn"),
        ({"volume": 5.1}, MOVED, "warn"),
        ({"move": 3.1}, METRIC_MOVED, "warn"),
    ],
)
def test_marts(change: dict[str, Any], gate: str, severity: str) -> None:
    verdicts, _ = judge(profile(GOOD_MART, change), "mart", mart_checks(), "label")
    assert [(v.gate, v.severity) for v in verdicts if not v.passed] == [(gate, severity)]
    assert all(v.passed for v in judge(profile(GOOD_MART, {}), "mart", mart_checks(), "label")[0])


def test_an_expectation_that_raises_is_an_error_and_no_verdict() -> None:
    check = Check("gate", "block", gxe.ExpectColumnValuesToBeBetween(column="no_such_column", max_value=0), "x", "0", "m")
    with pytest.raises(CheckDidNotRun, match="gate gate: "):
        judge(profile(GOOD_MART, {}), "mart", [*mart_checks(), check], "label")


@pytest.mark.parametrize("column", ["late_rows", "not_finite", "volume", "volume_low"])
def test_a_figure_nobody_computed_is_an_error_and_no_pass(column: str) -> None:
    """Great Expectations passes over missing values."""
    with pytest.raises(CheckDidNotRun, match=f"{column} is missing"):
        judge(profile(GOOD_MART, {"label": "a"}, {"label": "b", column: None}), "mart", mart_checks(), "label")


def test_two_rows_of_one_name_are_an_error() -> None:
    with pytest.raises(CheckDidNotRun, match="alike"):
        judge(profile(GOOD_MART, {}, {"mart": "other"}), "mart", mart_checks(), "label")


def test_an_empty_profile_has_no_verdicts_and_no_failed_rows() -> None:
    assert judge(profile(GOOD_MART).reindex(columns=list(GOOD_MART)), "mart", mart_checks(), "label") == (
        [], {PLAUSIBLE: set(), MOVED: set(), METRIC_MOVED: set()},
    )  # fmt: skip
