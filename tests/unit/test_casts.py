"""Texts of every type become exact values or reasons; reasons say what to write; values never become SQL."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any

import duckdb
import pytest

from data_quality.contract import Contract, Property
from data_quality.rules import (
    Dialect,
    cast,
    exclusion_expression,
    ident,
    key_expression,
    literal,
    reasons_expression,
    rule_sql,
)

UTC = Dialect("UTC")
AMSTERDAM = Dialect("Europe/Amsterdam")
COMMA = Dialect("UTC", decimal=",")


def value(kind: str, text: str | None, dialect: Dialect = UTC) -> Any:
    """What a text becomes as a column of the type."""
    column = Property.model_validate({"name": "c", "logicalType": kind, "description": ""})
    with duckdb.connect() as con:
        con.execute("set TimeZone = 'UTC'")
        return con.execute(f"select {cast(column, 't', dialect)} from (select cast(? as varchar) as t)", [text]).fetchone()[0]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("3", 3), ("-3", -3), ("+3", 3), ("3.0", 3), ("3.", 3), ("007", 7), ("9223372036854775807", 2**63 - 1),
        ("9223372036854775808", None), ("1.5", None), ("2.0001", None), ("1e3", None), ("0x10", None), ("1_000", None),
        ("1,000", None), ("three", None), ("'", None), ("3; drop table x", None), (None, None),
    ],
)  # fmt: skip
def test_integers_are_whole_or_nothing(text: str, expected: int | None) -> None:
    assert value("integer", text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("3", 3), ("1.000", 1000), ("1.234.567", 1234567), ("3,0", 3), ("3,5", None), ("3.0", None), ("12.34", None)],
)
def test_integers_with_a_decimal_comma(text: str, expected: int | None) -> None:
    assert value("integer", text, COMMA) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2.55", "2.55"), ("-0.1", "-0.1"), (".5", "0.5"), ("5.", "5"), ("1e2", "100"),
        ("12345678901234.5678", "12345678901234.5678"),
        ("99999999999999.9999", "99999999999999.9999"), ("100000000000000", None), ("1,234.50", None), ("1,5", None),
        ("nan", None), ("inf", None), ("-", None), ("€5", None), ("5 EUR", None), (None, None),
    ],
)  # fmt: skip
def test_numbers_are_exact(text: str, expected: str | None) -> None:
    assert value("number", text) == (None if expected is None else Decimal(expected))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1.234,50", "1234.50"), ("1234,5", "1234.5"), ("-1.234.567,89", "-1234567.89"), ("7", "7"), ("1.234", "1234"),
        ("0,01", "0.01"), ("12.50", None), ("1.2345", None), ("1,234.50", None), ("1,2,3", None), ("1.23.456", None),
        (".500", None), ("1..234", None),
    ],
)  # fmt: skip
def test_numbers_with_a_decimal_comma_never_become_a_hundred_times_too_large(text: str, expected: str | None) -> None:
    assert value("number", text, COMMA) == (None if expected is None else Decimal(expected))


def test_a_sum_of_cents_is_exact() -> None:
    column = Property.model_validate({"name": "c", "logicalType": "number", "description": ""})
    with duckdb.connect() as con:
        total = con.execute(f"select sum({cast(column, 't', UTC)}) from (select '0.1' as t from range(1000000))").fetchone()
    assert total == (Decimal("100000.0000"),)


@pytest.mark.parametrize(
    ("text", "expected"),
    [*((word, True) for word in ("true", "TRUE", "T", "yes", "Y", "1")),
     *((word, False) for word in ("false", "False", "f", "no", "N", "0")),
     *((word, None) for word in ("2", "ja", "on", "1.0", "", None))],
)  # fmt: skip
def test_booleans(text: str, expected: bool | None) -> None:
    assert value("boolean", text) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-04-03", date(2026, 4, 3)), ("2026/4/3", date(2026, 4, 3)), ("2026-04-03 00:00:00", date(2026, 4, 3)),
        ("2026-04-03T00:00", date(2026, 4, 3)), ("2024-02-29", date(2024, 2, 29)), ("2026-02-29", None), ("2026-13-01", None),
        ("03/04/2026", None), ("03/04/26", None), ("3/4/26", None), ("26-04-03", None), ("2026-04-03 10:00", None),
        ("20260403", None), ("epoch", None), ("infinity", None), ("2026-04-03 (BC)", None), (None, None),
    ],
)  # fmt: skip
def test_dates(text: str, expected: date | None) -> None:
    assert value("date", text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-01-05T10:00:00Z", "2026-01-05 10:00"), ("2026-01-05T10:00:00z", "2026-01-05 10:00"),
        ("2026-01-05T10:00:00+02:00", "2026-01-05 08:00"), ("2026-01-05 10:00:00+02", "2026-01-05 08:00"),
        ("2026-01-05 10:00:00+0530", "2026-01-05 04:30"), ("2026-01-05 10:00:00 -0500", "2026-01-05 15:00"),
        ("2026-01-05 10:00:00 +01:00", "2026-01-05 09:00"), ("2026-01-05 10:00:00 UTC", "2026-01-05 10:00"),
        ("2026-01-05 10:00:00 GMT", "2026-01-05 10:00"), ("2026-01-05T00:30:00+02:00", "2026-01-04 22:30"),
        # naive: Amsterdam is one hour ahead in winter, two in summer
        ("2026-01-05 10:00:00", "2026-01-05 09:00"), ("2026-07-05T10:00:00", "2026-07-05 08:00"),
        ("2026-7-5 9:00", "2026-07-05 07:00"), ("2026-01-05", "2026-01-04 23:00"), ("2026/01/05 10:00", "2026-01-05 09:00"),
        ("03/04/2026", None), ("03/04/26", None), ("3/4/26 10:00", None), ("2026-01-05 10:00 CET", None),
        ("2026-02-30 10:00", None), ("2026-01-05 25:00", None), ("10:00", None), ("epoch", None), ("infinity", None),
        ("-infinity", None), ("now", None), (None, None),
    ],
)  # fmt: skip
def test_times_are_utc_and_naive_ones_are_in_the_zone_of_the_source(text: str, expected: str | None) -> None:
    assert value("timestamp", text, AMSTERDAM) == (None if expected is None else datetime.fromisoformat(expected))


@pytest.mark.parametrize(
    ("local", "utc"),
    [
        ("2025-03-30 01:59:59", "2025-03-30 00:59:59"),
        ("2025-03-30 02:30:00", "2025-03-30 01:30:00"),  # skipped by the clock: standard time
        ("2025-03-30 03:00:00", "2025-03-30 01:00:00"),
        ("2025-03-30 00:00:00", "2025-03-29 23:00:00"),
        ("2025-10-26 01:59:59", "2025-10-25 23:59:59"),
        ("2025-10-26 02:30:00", "2025-10-26 01:30:00"),  # on the clock twice: standard time, the second
        ("2025-10-26 02:30:00+02:00", "2025-10-26 00:30:00"),  # the first, said by its offset
        ("2025-10-26 03:00:00", "2025-10-26 02:00:00"),
    ],
)
def test_the_days_on_which_the_clock_changes(local: str, utc: str) -> None:
    assert value("timestamp", local, AMSTERDAM) == datetime.fromisoformat(utc)
    if "+" not in local:
        declared = Dialect("Europe/Amsterdam", "%Y-%m-%d %H:%M:%S")
        assert value("timestamp", local, declared) == datetime.fromisoformat(utc)


@pytest.mark.parametrize(
    ("fmt", "text", "expected"),
    [
        ("%d/%m/%Y", "03/04/2026", "2026-04-02 22:00"),
        ("%m/%d/%Y", "03/04/2026", "2026-03-03 23:00"),
        ("%d/%m/%Y %H:%M", "03/04/2026 10:15", "2026-04-03 08:15"),
        ("%d/%m/%Y %H:%M", "2026-04-03T10:15", None),
        ("%d/%m/%Y %H:%M %z", "03/04/2026 10:15 +05:30", "2026-04-03 04:45"),
        ("%d/%m/%Y %H:%M %Z", "03/04/2026 10:15 America/New_York", "2026-04-03 14:15"),
        ("%d/%m/%Y", "13/13/2026", None),
        ("it's %Y-%m-%d", "it's 2026-04-03", "2026-04-02 22:00"),
    ],
)
def test_a_declared_format_is_the_only_one(fmt: str, text: str, expected: str | None) -> None:
    wanted = None if expected is None else datetime.fromisoformat(expected)
    assert value("timestamp", text, Dialect("Europe/Amsterdam", fmt)) == wanted


CONTRACT = Contract.model_validate(
    {
        "id": "things", "kind": "DataContract", "version": "1", "status": "active", "domain": "crm", "description": "",
        "delivery": "delta", "versionColumn": None, "eventTime": None,
        "properties": [
            {"name": "a", "logicalType": "string", "description": "", "primaryKey": True, "required": True},
            {"name": "b", "logicalType": "string", "description": "", "primaryKey": True, "required": True},
            {"name": "at", "logicalType": "timestamp", "description": "", "required": True},
            {"name": "n", "logicalType": "number", "description": ""},
            {"name": "ok", "logicalType": "boolean", "description": ""},
        ],
        "quality": [
            {"name": "positive", "type": "sql", "query": "n > 0", "severity": "error", "description": "n is positive."},
            {"name": "known", "type": "sql", "query": "b = {word}", "severity": "error", "description": "b isn't known."},
        ],
        "exclusions": [
            {"name": "first", "when": "n = 1", "description": ""},
            {"name": "second", "when": "ok", "description": ""},
        ],
        "limits": {"quarantineShare": 0.1, "volumeRatio": [0.5, 2]},
    }
)  # fmt: skip


def judged(*texts: str | None, dialect: Dialect = UTC, word: str = "x") -> tuple[list[str] | None, str | None, str | None]:
    """Reasons, key and exclusion of one row of texts, computed as a load does."""
    texted = [f"cast(${n + 1} as varchar) as {ident('_text_' + c.name)}" for n, c in enumerate(CONTRACT.properties)]
    typed = [f"{cast(c, ident('_text_' + c.name), dialect)} as {ident(c.name)}" for c in CONTRACT.properties]
    with duckdb.connect() as con:
        con.execute("set TimeZone = 'UTC'")
        row = con.execute(
            f"select {reasons_expression(CONTRACT, dialect, {'word': word})}, {key_expression(CONTRACT)}, "
            f"{exclusion_expression(CONTRACT)} from (select *, {', '.join(typed)} from (select {', '.join(texted)}))",
            list(texts),
        ).fetchone()
    assert row is not None
    return row


def test_a_good_row_has_no_reasons_and_its_key_joins_its_parts() -> None:
    assert judged("k", "x", "2026-01-05", "2", "no") == (None, "k\x1fx", None)
    assert judged("k", "x", "2026-01-05", None, None) == (None, "k\x1fx", None)  # a rule that is NULL holds


def test_all_reasons_of_a_row_are_listed_in_the_order_of_the_contract() -> None:
    assert judged(None, "y", "03/04/2026", "1,5", "maybe")[0] == [
        "a: is missing",
        "at: \"03/04/2026\" is not a timestamp in ISO 8601 (set datetime_format in cx.toml, for example '%d/%m/%Y %H:%M')",
        "n: \"1,5\" is not a number with decimal mark '.' (set decimal in cx.toml)",
        'ok: "maybe" is not true or false',
        "known: b isn't known.",
    ]
    assert judged("k", "x", None, "-1", None)[0] == ["at: is missing", "positive: n is positive."]


def test_a_declared_format_is_named_in_the_reason() -> None:
    (reasons, _, _) = judged("k", "x", "2026-04-03", None, None, dialect=Dialect("UTC", "%d/%m/%Y"))
    assert reasons is not None and "in the format %d/%m/%Y" in reasons[0]


def test_a_key_with_the_separator_is_a_reason() -> None:
    assert judged("k\x1fx", "x", "2026-01-05", None, None)[0] == ["a: control character"]


def test_only_the_first_80_characters_of_a_value_are_repeated() -> None:
    (reasons, _, _) = judged("k", "x", "2026-01-05", "z" * 500, None)
    assert reasons is not None and reasons[0].count("z") == 80


def test_the_first_exclusion_that_holds_is_the_one() -> None:
    assert [judged("k", "x", "2026-01-05", n, ok)[2] for n, ok in (("1", "yes"), ("2", "yes"), ("2", "no"))] == [
        "first", "second", None,
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["'; drop table x; --", '"', "a''b", "{word}", "%s", "$1", "\\'"])
def test_values_and_parameters_with_quotes_never_become_sql(text: str) -> None:
    assert judged(text, text, "2026-01-05", None, None, word=text) == (None, f"{text}\x1f{text}", None)
    assert judged("k", "x", text, None, None)[0] == [
        f"at: \"{text}\" is not a timestamp in ISO 8601 (set datetime_format in cx.toml, for example '%d/%m/%Y %H:%M')"
    ]
    with duckdb.connect() as con:
        assert con.execute(f"select {literal(text)}, {ident(text)} from (select 1 as {ident(text)})").fetchone() == (text, 1)
        assert con.execute(f"select {rule_sql('{word}', {'word': text})}").fetchone() == (text,)
