"""The intervals of `dbt_project/macros/intervals.sql`, as SQL in DuckDB, against published figures and figures by hand.

Belongs here: the macros alone. Does not: which metric has which interval (`test_registry`), or `metric_daily`, which uses
them (`test_metric_daily`).
"""

from __future__ import annotations

from typing import Any

import duckdb
import jinja2
import pytest

from orchestration.settings import DBT_PROJECT_DIR

MACROS: Any = jinja2.Template((DBT_PROJECT_DIR / "macros" / "intervals.sql").read_text(encoding="utf-8")).module


def _ends(macro: str, columns: dict[str, Any], *more: str) -> tuple[float | None, float | None]:
    """Low and high end of the interval of one row with these columns."""
    low, high = (getattr(MACROS, macro)(*columns, *more, sign) for sign in "-+")
    row = ", ".join(f"cast({value} as double) as {name}" for name, value in columns.items())
    found = duckdb.sql(f"select {low}, {high} from (select {row})").fetchone()
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("k", "n", "low", "high"),
    [
        # R. G. Newcombe, "Two-sided confidence intervals for the single proportion", Statistics in Medicine 17 (1998), table I
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
        # as many successes are as many failures seen from the other side
        (182, 263, 1 - 0.3662, 1 - 0.2553),
        (20, 20, 1 - 0.1611, 1.0),
        (28, 29, 1 - 0.1718, 1 - 0.0061),
    ],
)
def test_wilson_is_the_published_interval(k: int, n: int, low: float, high: float) -> None:
    ends = _ends("wilson", {"k": k, "n": n})
    assert ends == pytest.approx((low, high), abs=0.00006)
    assert ends[0] is not None and ends[1] is not None
    assert 0 <= ends[0] <= k / n + 1e-12 and k / n - 1e-12 <= ends[1] <= 1, "a share, around the value"


def test_wilson_of_one_half_by_hand() -> None:
    """5 of 10: z^2 = 3.8416; centre 0.5; half width 1.96 sqrt(0.025 + 3.8416 / 400) / 1.38416,
    which is 1.96 * 0.1860215 / 1.38416 = 0.2634104."""
    assert _ends("wilson", {"k": 5, "n": 10}) == pytest.approx((0.5 - 0.2634104, 0.5 + 0.2634104), abs=1e-7)


def test_a_score_s_interval_by_hand() -> None:
    """50 promoters, 30 passives, 20 detractors: 30; the variance is 0.7 - 0.09 = 0.61, the error sqrt(0.61 / 100) = 0.0781025."""
    counts = {"above": 50, "below": 20, "n": 100}
    assert _ends("difference_interval", counts, "100") == pytest.approx((30 - 15.308090, 30 + 15.308090), abs=1e-5)
    # answers that are 1, 0 and -1 have the mean 0.3 and, over n, the same variance, worked out from squares
    scores = [1] * 50 + [0] * 30 + [-1] * 20
    error = (sum((score - 0.3) ** 2 for score in scores) / 100 / 100) ** 0.5
    assert error == pytest.approx(0.0781025, abs=1e-7)
    assert _ends("difference_interval", counts, "1") == pytest.approx((0.3 - 1.96 * error, 0.3 + 1.96 * error), abs=1e-12)


@pytest.mark.parametrize(
    ("above", "below", "n", "low", "high"),
    [
        # all alike have no variance
        (10, 0, 10, 100, 100),
        (0, 10, 10, -100, -100),
        (0, 0, 10, 0, 0),
        # one of each: the score is 0, the error sqrt(1 / 2) = 0.7071, and 139 is no score
        (1, 1, 2, -100, 100),
        # 9 and 1 of 10: 80; sqrt((1 - 0.64) / 10) = 0.1897367, so 37.18806 below, and 100 above
        (9, 1, 10, 80 - 37.188385, 100),
    ],
)
def test_a_score_s_interval_keeps_within_its_bounds(above: int, below: int, n: int, low: float, high: float) -> None:
    ends = _ends("difference_interval", {"above": above, "below": below, "n": n}, "100")
    assert ends == pytest.approx((low, high), abs=1e-5)


def test_a_mean_s_interval_by_hand() -> None:
    """2, 4, 4, 4, 5, 5, 7, 9: sum 40, squares 232; s^2 = (232 - 200) / 7 = 4.571429, the error sqrt(4.571429 / 8) = 0.7559289."""
    values = {"total": 40, "squares": 232, "n": 8}
    assert _ends("mean_interval", values, "1") == pytest.approx((5 - 1.4816207, 5 + 1.4816207), abs=1e-6)
    assert _ends("mean_interval", values, "10") == pytest.approx((50 - 14.816207, 50 + 14.816207), abs=1e-5)
    # all alike; that the parts are rounded does not make a variance less than nothing
    assert _ends("mean_interval", {"total": 0.3, "squares": 0.0299999, "n": 3}, "1") == pytest.approx((0.1, 0.1), abs=1e-12)


def test_nothing_observed_has_no_interval() -> None:
    assert _ends("wilson", {"k": 0, "n": 0}) == (None, None)
    assert _ends("difference_interval", {"above": 0, "below": 0, "n": 0}, "100") == (None, None)
    assert _ends("mean_interval", {"total": 0, "squares": 0, "n": 0}, "1") == (None, None)
    assert _ends("mean_interval", {"total": 7, "squares": 49, "n": 1}, "1") == (None, None), "one value has no spread"
