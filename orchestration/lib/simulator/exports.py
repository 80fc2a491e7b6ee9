"""How the demo company's systems write their daily files, and the `cx.toml` that maps them back.

Here belongs: one `Layout` per feed, from which both the files and the mapping are made, so that they cannot disagree.
Not here: what happened (`company`), what it means (`truth`), and any reader.
"""

import csv
import gzip
import io
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import pandas as pd

from orchestration.lib.simulator.company import CURRENCY, FEEDS, Company, Spoiled

Cell = str | float | int | None
Write = Callable[[Any, ZoneInfo], Cell]

VENDOR_TIME = "%d/%m/%Y %H:%M:%S"


def _text(value: Any, _: ZoneInfo) -> Cell:
    return None if value is None else str(value)


def _money(value: int | None, _: ZoneInfo) -> Cell:
    """Cents as a decimal text."""
    return None if value is None else f"{'-' if value < 0 else ''}{abs(value) // 100}.{abs(value) % 100:02d}"


def _flag(value: bool, _: ZoneInfo) -> Cell:
    return "true" if value else "false"


def _yes_no(value: bool, _: ZoneInfo) -> Cell:
    return "Y" if value else "N"


def _zulu(value: datetime | None, _: ZoneInfo) -> Cell:
    return None if value is None else f"{value:%Y-%m-%dT%H:%M:%S}Z"


def _zulu_ms(value: datetime, _: ZoneInfo) -> Cell:
    return f"{value:%Y-%m-%dT%H:%M:%S}.{value.microsecond // 1000:03d}Z"


def _offset(value: datetime, zone: ZoneInfo) -> Cell:
    return value.astimezone(zone).isoformat(timespec="seconds")


def _vendor_time(value: datetime | None, zone: ZoneInfo) -> Cell:
    """Local wall-clock time without an offset; refuses what that cannot say."""
    if value is None:
        return None
    wall = value.astimezone(zone)
    if wall.utcoffset() != wall.replace(fold=1 - wall.fold).utcoffset():
        raise ValueError(f"{wall.isoformat()} occurs twice in {zone.key}: a file in local time cannot say which")
    return wall.strftime(VENDOR_TIME)


def _null(value: Any, _: ZoneInfo) -> Cell:
    """The vendor's own word for missing."""
    return "NULL" if value is None else str(value)


def _number(value: Any, _: ZoneInfo) -> Cell:
    return value


def _euros(value: int | None, _: ZoneInfo) -> Cell:
    return None if value is None else value / 100


def _words(words: dict[str, str]) -> Write:
    """The source's own words."""
    return lambda value, _: words.get(value, value)


@dataclass(frozen=True)
class Column:
    """A column of an export: the canonical field, the source's name for it, how it is written, how it is read back."""

    field: str
    source: str
    write: Write = _text
    expr: str | None = None


@dataclass(frozen=True)
class Layout:
    """How one feed is exported."""

    domain: str
    extension: str
    format: str
    columns: tuple[Column, ...]
    delimiter: str = ","
    newline: str = "\n"
    datetime_format: str | None = None
    missing: tuple[str, ...] = ("",)
    expected: str | None = "daily"
    constants: tuple[tuple[str, str], ...] = ()
    types: tuple[str, ...] = ()  # Parquet only: DuckDB types of the columns


def _case(column: str, words: dict[str, str]) -> str:
    """SQL that turns the source's words into ours; an unknown word passes, so that the contract can name it."""
    branches = " ".join(f"when '{theirs.lower()}' then '{ours}'" for ours, theirs in words.items())
    return f'case lower("{column}") {branches} else lower("{column}") end'


_CHANNELS = {"phone": "Voice", "email": "E-mail", "chat": "Chat"}
_OUTCOMES = {"handled": "Handled", "abandoned": "Abandoned", "contained": "SelfServed"}
_STATES = {"paid": "PAID", "pending": "PENDING", "cancelled": "CANCELED"}
_YES = "case \"{0}\" when 'Y' then 'true' when 'N' then 'false' end"


def _plain(names: Iterable[str], write: Write = _text) -> tuple[Column, ...]:
    return tuple(Column(name, name, write) for name in names)


LAYOUTS: dict[str, Layout] = {
    "persons": Layout(
        "crm",
        "parquet",
        "parquet",
        (
            Column("person_id", "contact_key"),
            Column("email", "email"),
            Column("phone", "phone"),
            Column("name", "full_name"),
            Column("country", "country"),
            Column("created_at", "created_at", _zulu),
            Column("is_test", "internal_account", _flag),
            Column("updated_at", "modified_at", _zulu),
            Column("source", "system"),
            Column("external_id", "crm_key"),
            Column("account_id", "account"),
            Column("merged_into_id", "master_key"),
            Column("merged_at", "merged_at", _zulu),
            Column("is_deleted", "deleted", _flag),
        ),
        types=("VARCHAR",) * 5 + ("TIMESTAMPTZ", "BOOLEAN", "TIMESTAMPTZ") + ("VARCHAR",) * 4 + ("TIMESTAMPTZ", "BOOLEAN"),
    ),
    "subscriptions": Layout(
        "crm",
        "parquet",
        "parquet",
        (
            *_plain(("subscription_id", "person_id", "plan")),
            Column("mrr", "mrr", _money),
            *_plain(("started_at", "ended_at"), _zulu),
            *_plain(("status", "cancel_reason")),
            Column("updated_at", "updated_at", _zulu),
        ),
        constants=(("currency", CURRENCY),),
        types=(*("VARCHAR",) * 3, "DECIMAL(12,2)", *("TIMESTAMPTZ",) * 2, *("VARCHAR",) * 2, "TIMESTAMPTZ"),
    ),
    "survey_responses": Layout(
        "crm",
        "csv",
        "csv",
        (
            *_plain(("response_id", "survey_id", "metric_kind", "person_id", "case_id")),
            *_plain(("score", "scale_min", "scale_max")),
            Column("answered_at", "answered_at", _offset),
            Column("status", "status"),
            Column("updated_at", "updated_at", _offset),
        ),
        expected=None,
    ),
    "orders": Layout(
        "ecommerce",
        "csv",
        "csv",
        (
            *_plain(("order_id", "person_id", "visitor_id", "cart_id")),
            Column("ordered_at", "placed_at", _offset),
            Column("status", "state", _words(_STATES), _case("state", _STATES)),
            *_plain(("currency", "sales_channel", "country")),
            Column("discount_amount", "order_discount", _money),
            Column("tax_amount", "tax", _money),
            Column("shipping_amount", "shipping", _money),
            Column("is_test", "is_test", _flag),
            Column("updated_at", "updated_at", _zulu),
        ),
    ),
    "order_lines": Layout(
        "ecommerce",
        "csv",
        "csv",
        (
            Column("order_id", "order_id"),
            Column("line_id", "line_no"),
            Column("product_id", "sku"),
            Column("product_name", "product_name"),
            Column("quantity", "quantity"),
            *_plain(("unit_price", "discount_amount", "unit_cost"), _money),
            *_plain(("is_return", "is_gift_card"), _flag),
            Column("updated_at", "updated_at", _zulu),
        ),
    ),
    "refunds": Layout(
        "ecommerce",
        "csv",
        "csv",
        (
            *_plain(("refund_id", "order_id")),
            Column("refunded_at", "refunded_at", _offset),
            Column("amount", "amount", _money),
            Column("reason", "reason"),
            Column("currency", "currency"),
        ),
    ),
    "cart_events": Layout(
        "ecommerce",
        "ndjson",
        "ndjson",
        (
            Column("event_id", "id"),
            Column("cart_id", "cart"),
            Column("person_id", "customer"),
            Column("visitor_id", "visitor"),
            Column("event", "type"),
            Column("occurred_at", "ts", _zulu_ms),
            Column("product_id", "sku"),
            Column("quantity", "qty", _number),
            Column("unit_price", "price", _euros),
            Column("device", "device"),
        ),
    ),
    "contacts": Layout(
        "contact_center",
        "csv.gz",
        "csv",
        (
            Column("contact_id", "ContactId"),
            Column("case_id", "CaseNumber"),
            Column("person_id", "CustomerId", _null),
            Column("channel", "Channel", _words(_CHANNELS), _case("Channel", _CHANNELS)),
            Column("direction", "Direction", lambda value, _: value.capitalize(), 'lower("Direction")'),
            Column("topic", "Reason"),
            Column("queue", "QueueName", _null),
            Column("agent_id", "AgentLogin"),
            Column("started_at", "StartTime", _vendor_time),
            Column("answered_at", "AnswerTime", _vendor_time),
            Column("ended_at", "EndTime", _vendor_time),
            *(Column(f"{part}_seconds", f"{part.capitalize()}Sec") for part in ("wait", "talk", "hold", "wrap")),
            Column("outcome", "Disposition", _words(_OUTCOMES), _case("Disposition", _OUTCOMES)),
            Column("root_contact_id", "InitialContactId"),
            Column("previous_contact_id", "PreviousContactId"),
            Column("is_spam", "Spam", _yes_no, _YES.format("Spam")),
            Column("updated_at", "LastModified", _vendor_time),
        ),
        delimiter=";",
        newline="\r\n",
        datetime_format=VENDOR_TIME,
        missing=("", "NULL"),
    ),
    "cases": Layout(
        "contact_center",
        "csv.gz",
        "csv",
        (
            Column("case_id", "CaseNumber"),
            Column("person_id", "CustomerId", _null),
            Column("channel", "Origin", _words(_CHANNELS), _case("Origin", _CHANNELS)),
            Column("topic", "Reason"),
            Column("priority", "Priority"),
            Column("queue", "QueueName", _null),
            Column("agent_id", "Owner"),
            Column("status", "Status"),
            Column("opened_at", "CreatedDate", _vendor_time),
            Column("resolved_at", "SolvedDate", _vendor_time),
            Column("closed_at", "ClosedDate", _vendor_time),
            Column("reassignment_count", "Reassignments"),
            Column("reopen_count", "Reopens"),
            Column("is_spam", "Spam", _yes_no, _YES.format("Spam")),
            Column("updated_at", "LastModified", _vendor_time),
        ),
        delimiter=";",
        newline="\r\n",
        datetime_format=VENDOR_TIME,
        missing=("", "NULL"),
    ),
    "case_events": Layout(
        "contact_center",
        "csv.gz",
        "csv",
        (
            Column("event_id", "EventId"),
            Column("case_id", "CaseNumber"),
            Column("event", "Action", lambda value, _: value.capitalize(), 'lower("Action")'),
            Column("occurred_at", "EventTime", _vendor_time),
            Column("actor_type", "ActorType"),
            Column("actor_id", "Actor", _null),
        ),
        delimiter=";",
        newline="\r\n",
        datetime_format=VENDOR_TIME,
        missing=("", "NULL"),
    ),
}


def file_name(feed: str, day: date) -> str:
    """The path of a file, relative to the landing folder."""
    layout = LAYOUTS[feed]
    return f"{layout.domain}/{feed}/{feed}_{day.isoformat()}.{layout.extension}"


def line_of(feed: str, rows: list[Any], position: int) -> int:
    """The physical line on which the row at `position` starts; see `BadRow.line`."""
    header = 1 if LAYOUTS[feed].format == "csv" else 0
    before = rows[:position]
    breaks = sum(row.product_name.count("\n") for row in before) if feed == "order_lines" else 0
    return header + len(before) + breaks + 1


def cells(layout: Layout, row: Any, zone: ZoneInfo) -> list[Cell]:
    """One row as the source writes it."""
    good = row.row if isinstance(row, Spoiled) else row
    written = [column.write(getattr(good, column.field), zone) for column in layout.columns]
    if isinstance(row, Spoiled):
        written[[column.field for column in layout.columns].index(row.field)] = row.text
    return written


def write_exports(company: Company, landing: Path, feeds: Iterable[str] | None = None) -> list[Path]:
    """Write every file of every feed named (default: all); the same company always gives the same bytes."""
    written: list[Path] = []
    for feed in feeds or FEEDS:
        layout, zone = LAYOUTS[feed], company.clock.zone
        files = [
            (landing / file_name(feed, company.start + timedelta(days=day)), [cells(layout, row, zone) for row in rows])
            for day, rows in enumerate(company.deliveries[feed])
        ]
        files[0][0].parent.mkdir(parents=True, exist_ok=True)
        if layout.format == "parquet":
            _write_parquet(layout, files)
        for path, rows in files if layout.format != "parquet" else []:
            data = (_ndjson(layout, rows) if layout.format == "ndjson" else _csv(layout, rows)).encode()
            # No name and no time inside: both would make equal content differ.
            path.write_bytes(gzip.compress(data, 6, mtime=0) if layout.extension.endswith(".gz") else data)
        written += [path for path, _ in files]
    return written


def _csv(layout: Layout, rows: list[list[Cell]]) -> str:
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=layout.delimiter, lineterminator=layout.newline)
    writer.writerow([column.source for column in layout.columns])
    writer.writerows(rows)
    return text.getvalue()


def _ndjson(layout: Layout, rows: list[list[Cell]]) -> str:
    names = [column.source for column in layout.columns]
    encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
    return "".join(encode(dict(zip(names, row, strict=True))) + "\n" for row in rows)


def _write_parquet(layout: Layout, files: list[tuple[Path, list[list[Cell]]]]) -> None:
    """Typed Parquet through DuckDB: one table for all days, then one COPY a day."""
    names = [column.source for column in layout.columns]
    table = pd.DataFrame(
        [(day, n, *row) for day, (_, rows) in enumerate(files) for n, row in enumerate(rows)],
        columns=["_day", "_row", *names],
        dtype=object,
    )
    columns = ", ".join(f'"{name}"::{kind} as "{name}"' for name, kind in zip(names, layout.types, strict=True))
    with duckdb.connect(config={"threads": 1}) as connection:
        connection.register("delivered", table)
        connection.execute(f"create table typed as select _day::int as _day, _row::int as _row, {columns} from delivered")
        kept = ", ".join(f'"{name}"' for name in names)
        for day, (path, _) in enumerate(files):
            target = str(path).replace("'", "''")
            connection.execute(f"copy (select {kept} from typed where _day = {day} order by _row) to '{target}' (format parquet)")


def config(company: Company, feeds: Iterable[str] | None = None) -> str:
    """The `cx.toml` of the exports."""
    parts = ["[business]", f'timezone = "{company.timezone}"', f'reporting_currency = "{CURRENCY}"']
    for feed in feeds or FEEDS:
        layout = LAYOUTS[feed]
        parts += [
            "",
            "[[feed]]",
            f'feed = "{feed}"',
            f'pattern = "{layout.domain}/{feed}/{feed}_{{day}}.{layout.extension}"',
            f'format = "{layout.format}"',
        ]
        if layout.delimiter != ",":
            parts.append(f'delimiter = "{layout.delimiter}"')
        if layout.datetime_format:
            parts += [f'timezone = "{company.timezone}"', f'datetime_format = "{layout.datetime_format}"']
        if layout.missing != ("",):
            parts.append(f"missing = {json.dumps(list(layout.missing))}")
        if layout.expected:
            parts.append(f'expected = "{layout.expected}"')
        if any(column.source != column.field or column.expr for column in layout.columns):
            parts.append("[feed.columns]")
            # JSON strings are TOML basic strings.
            parts += [
                f"{column.field} = " + (f"{{ expr = {json.dumps(column.expr)} }}" if column.expr else json.dumps(column.source))
                for column in layout.columns
                if column.expr or column.source != column.field
            ]
        if layout.constants:
            parts.append("[feed.constants]")
            parts += [f"{name} = {json.dumps(value)}" for name, value in layout.constants]
    return "\n".join(parts) + "\n"


__all__ = ["LAYOUTS", "Column", "Layout", "cells", "config", "file_name", "line_of", "write_exports"]
