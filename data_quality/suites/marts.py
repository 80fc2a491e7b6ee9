"""The mart gate: is a mart plausible as a whole? Judged on one profile row per mart.

Profile columns: mart, rows, late_rows (dated after the last complete day), not_finite (values), volume (the mart's
leading count on the last complete day), volume_low and volume_high (0.3 and 3 times the median of the last 8
same weekdays, and at least 4 standard deviations of a Poisson count away from it; without limits where fewer than 4 are known),
move (the largest move of its metrics in standard errors, `orchestration/lib/moves.py`), move_limit, moves (those beyond it).
"""

from __future__ import annotations

from data_quality.suites.judge import Check

PLAUSIBLE, MOVED, METRIC_MOVED = "mart_plausible", "mart_moved", "metric_moved"


def mart_checks() -> list[Check]:
    """Only the impossible blocks; an unusual move is a warning."""
    import great_expectations.expectations as gxe

    return [
        Check(
            PLAUSIBLE, "block", gxe.ExpectColumnValuesToBeBetween(column="late_rows", max_value=0),
            "late_rows", "0", "rows are dated after the last complete day",
        ),
        Check(
            PLAUSIBLE, "block", gxe.ExpectColumnValuesToBeBetween(column="not_finite", max_value=0),
            "not_finite", "0", "values are infinite or not a number",
        ),
        Check(
            MOVED, "warn",
            gxe.ExpectColumnPairValuesAToBeGreaterThanB(column_A="volume", column_B="volume_low", or_equal=True),
            "volume", "volume_low", "on the last day, far less than usual for this weekday", ("volume_high",),
        ),
        Check(
            MOVED, "warn",
            gxe.ExpectColumnPairValuesAToBeGreaterThanB(column_A="volume_high", column_B="volume", or_equal=True),
            "volume", "volume_high", "on the last day, far more than usual for this weekday", ("volume_low",),
        ),
        Check(
            METRIC_MOVED, "warn",
            gxe.ExpectColumnPairValuesAToBeGreaterThanB(column_A="move_limit", column_B="move", or_equal=True),
            "moves", "move_limit", "standard errors from the same weekdays before",
        ),
    ]  # fmt: skip
