"""The delivery gate: is a delivery plausible as a whole? Judged on one profile row per delivery.

Profile columns: feed, delivery, day, problem, problems (0 or 1), rows_read, rows_bad, bad_share, bad_limit, volume,
volume_low, volume_high (not for `hold_checks`), repeats; and for arrival: feed, expectation, missing (0 or 1).
"""

from __future__ import annotations

from data_quality.suites.judge import Check

ARRIVAL, READABLE, ROW_RULES, VOLUME, REPEAT = "arrival", "readable", "row_rules", "volume", "repeated_content"


def hold_checks() -> list[Check]:
    """Checks on a profile of deliveries that decide whether a delivery is loaded."""
    import great_expectations.expectations as gxe

    return [
        Check(
            READABLE, "hold", gxe.ExpectColumnValuesToBeBetween(column="problems", max_value=0),
            "problem", "a file its contract can be read from", "the delivery was refused",
        ),
        Check(
            ROW_RULES, "hold",
            gxe.ExpectColumnPairValuesAToBeGreaterThanB(column_A="bad_limit", column_B="bad_share", or_equal=True),
            "bad_share", "bad_limit", "share of bad rows; the delivery was refused",
        ),
    ]  # fmt: skip


def warn_checks() -> list[Check]:
    """Checks on a profile of all deliveries of a run, with the volumes of their days."""
    import great_expectations.expectations as gxe

    return [
        Check(
            VOLUME, "warn",
            gxe.ExpectColumnPairValuesAToBeGreaterThanB(column_A="volume", column_B="volume_low", or_equal=True),
            "volume", "volume_low", "rows, fewer than usual for this weekday",
        ),
        Check(
            VOLUME, "warn",
            gxe.ExpectColumnPairValuesAToBeGreaterThanB(column_A="volume_high", column_B="volume", or_equal=True),
            "volume", "volume_high", "rows, more than usual for this weekday",
        ),
        Check(
            REPEAT, "warn", gxe.ExpectColumnValuesToBeBetween(column="repeats", max_value=0),
            "repeats", "0", "the same content was delivered under another name; nothing of it was loaded again",
        ),
    ]  # fmt: skip


def arrival_checks() -> list[Check]:
    """Checks on a profile of expected deliveries: one row per feed and day on which one was due."""
    import great_expectations.expectations as gxe

    return [
        Check(
            ARRIVAL, "hold", gxe.ExpectColumnValuesToBeBetween(column="missing", max_value=0),
            "missing", "0", "no delivery arrived for a day on which cx.toml expects one",
        )
    ]  # fmt: skip
