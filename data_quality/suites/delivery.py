"""The delivery gate: is a delivery plausible as a whole? Judged on one profile row per delivery.

Profile columns: feed, delivery, day, problem, problems (0 or 1), rows_read, rows_bad, bad_share, bad_limit, volume,
volume_low, volume_high (not for `hold_checks`), repeats; drifts (0 or 1), drift, repeated_keys, repeated_share, repeated_limit,
rows_warned, warned, days_old, days_old_limit; and for arrival: feed, expectation, missing (0 or 1). Between feeds, one row per
relationship of a contract: feed, label, orphans, orphan_count, orphan_limit.
"""

from __future__ import annotations

from data_quality.suites.judge import Check

ARRIVAL, READABLE, ROW_RULES, VOLUME, REPEAT = "arrival", "readable", "row_rules", "volume", "repeated_content"
DRIFT, KEYS, WARNINGS, FRESHNESS, REFERENCES = "schema_drift", "unique_keys", "row_warnings", "freshness", "references"


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
            "bad_share", "bad_limit", "share of bad rows; the delivery was refused", ("rows_read", "rows_bad"),
        ),
    ]  # fmt: skip


def warn_checks() -> list[Check]:
    """Checks on a profile of all deliveries of a run, with the volumes of their days."""
    import great_expectations.expectations as gxe

    return [
        Check(
            VOLUME, "warn",
            gxe.ExpectColumnPairValuesAToBeGreaterThanB(column_A="volume", column_B="volume_low", or_equal=True),
            "volume", "volume_low", "rows, fewer than usual for this weekday", ("volume_high",),
        ),
        Check(
            VOLUME, "warn",
            gxe.ExpectColumnPairValuesAToBeGreaterThanB(column_A="volume_high", column_B="volume", or_equal=True),
            "volume", "volume_high", "rows, more than usual for this weekday", ("volume_low",),
        ),
        Check(
            REPEAT, "warn", gxe.ExpectColumnValuesToBeBetween(column="repeats", max_value=0),
            "repeats", "0", "the same content was delivered under another name; nothing of it was loaded again",
        ),
        Check(
            DRIFT, "warn", gxe.ExpectColumnValuesToBeBetween(column="drifts", max_value=0),
            "drift", "the columns of earlier deliveries",
            "columns came or went; values of new ones are kept in raw `_extra`. Map what is renamed under [feed.columns]",
        ),
        Check(
            KEYS, "warn",
            gxe.ExpectColumnPairValuesAToBeGreaterThanB(column_A="repeated_limit", column_B="repeated_share", or_equal=True),
            "repeated_keys", "repeated_limit", "keys stand in one file in two ways; the later line counts",
        ),
        Check(
            WARNINGS, "warn", gxe.ExpectColumnValuesToBeBetween(column="rows_warned", max_value=0),
            "warned", "0", "rows were loaded although a rule of severity warning is false for them",
        ),
        Check(
            FRESHNESS, "warn",
            gxe.ExpectColumnPairValuesAToBeGreaterThanB(column_A="days_old_limit", column_B="days_old", or_equal=True),
            "days_old", "days_old_limit", "days from the feed's newest event to the delivery day",
        ),
    ]  # fmt: skip


def reference_checks() -> list[Check]:
    """Checks on a profile of the relationships between feeds: ids without the row they name."""
    import great_expectations.expectations as gxe

    return [
        Check(
            REFERENCES, "warn",
            gxe.ExpectColumnPairValuesAToBeGreaterThanB(column_A="orphan_limit", column_B="orphan_count", or_equal=True),
            "orphans", "orphan_limit", "ids of this run have no row in the feed they are of; metrics by them leave those out",
        )
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
