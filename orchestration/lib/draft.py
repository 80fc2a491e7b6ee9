"""A first `cx.toml`, drafted from the files in the landing folder: what `cx init` writes.

Belongs here: recognising how files are written and which feed their columns look like, and the draft's text. Does not: reading
deliveries (`readers`), where nothing is guessed. A draft is a proposal: what could not be told, or can be told in two ways, is
said in a comment beside the line.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import json
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from data_quality.contract import Contract, Property, load_contracts
from data_quality.rules import Dialect, cast
from orchestration.lib.readers import discover

if TYPE_CHECKING:
    from orchestration.settings import CxConfig, Settings

_FORMATS = {".csv": "csv", ".tsv": "csv", ".txt": "csv", ".ndjson": "ndjson", ".jsonl": "ndjson", ".parquet": "parquet"}
_WORKBOOKS = (".xlsx", ".xlsm", ".xls", ".xlsb", ".ods")
_DAY = re.compile(r"(?<!\d)\d{4}-\d{2}-\d{2}(?!\d)")
_OTHER_DAY = re.compile(r"(?<!\d)(?:20\d{6}|\d{1,2}[-._]\d{1,2}[-._]20\d\d)(?!\d)")
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
"""What TOML takes in no comment."""
_HALVES = re.compile(r"[\ud800-\udfff]")
"""Halves of characters, which UTF-8 cannot have: no cx.toml can name a column with one."""
_START = 1 << 20
"""Bytes of a file that are looked at."""
_HEADER = 1 << 16
"""Bytes of a file that are looked at for its columns alone."""
_LISTED = 8
"""Columns that a sentence names."""
_DELIMITERS = (",", ";", "\t", "|")
_ROWS = 500
"""Rows of the newest file of a kind that are looked at."""
_TIMES = [
    None,  # ISO 8601
    *(f"{day}{time}" for day in ("%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%d.%m.%Y", "%Y/%m/%d", "%d %b %Y")
      for time in ("", " %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p")),
]  # fmt: skip
_FEED_WORDS = {
    "order_lines": "orders order items invoices invoice sales transactions lines",
    "orders": "order",
    "contacts": "calls call chats conversations interactions",
    "cases": "tickets ticket incidents case",
    "persons": "customers customer clients users members people",
    "products": "items articles catalogue",
    "survey_responses": "surveys responses answers nps csat",
    "subscriptions": "contracts plans",
    "web_sessions": "visits traffic",
    "refunds": "returns",
    "agents": "staff employees",
}
"""Words in the name of a file or its folder, besides the feed's own, that speak for a feed."""
_COLUMN_WORDS = {
    "person_id": "customer client user member account requester customer_email",
    "ordered_at": "order_at created_at purchase_at invoice_at placed_at at",
    "order_id": "invoice transaction",
    "line_id": "position",
    "product_id": "sku article item stock_id",
    "product_name": "description item_name product",
    "quantity": "qty units amount_of_units pieces count",
    "unit_price": "price price_each item_price",
    "contact_id": "call ticket conversation interaction case",
    "case_id": "ticket incident",
    "channel": "via medium source",
    "topic": "subject category reason",
    "agent_id": "agent employee handled_by assignee",
    "started_at": "start created_at opened_at call_at begin at",
    "opened_at": "created_at start at",
    "answered_at": "answer_at answered pickup_at",
    "ended_at": "end closed_at finished_at hangup_at",
    "resolved_at": "solved_at closed_at",
    "updated_at": "modified_at changed_at last_update_at",
    "sales_channel": "channel",
    "currency": "ccy",
    "score": "rating grade",
}
"""Names, besides its own, that speak for a column."""
_OF_HEADER = ("ordered_at", "currency")
"""What lines of orders must say where no feed of order headers does."""
_ADVICE = {
    "line_id": ' Where lines have no number: line_id = { expr = "_line" } under [feed.columns].',
    "currency": " Left empty, amounts count as being in the reporting currency, and every run warns of it.",
}
_FULL = 0.8
"""Share of the days between the first and the last file on which there must be one, for the draft to expect one daily."""
_IRREGULAR = '"irregular" where files come now and then'
_HEAD = [
    "# Drafted by `cx init` from the files in this folder: read it through. Columns were matched by their names alone.",
    "# What each feed may hold: docs/contracts.md. Every key of this file: docs/configuration.md.",
    "",
    "[business]",
    'timezone = "UTC"             # CHECK: yours, like "Europe/Amsterdam"; the day a number lands on',
    'reporting_currency = "EUR"   # CHECK',
]
_SUFFIXES = {
    **dict.fromkeys(("no", "nr", "number", "num", "key", "ref", "reference"), "id"),
    **dict.fromkeys(("date", "time", "datetime", "timestamp", "on"), "at"),
}


@dataclass
class Kind:
    """Files of one pattern, and how they are written."""

    pattern: str
    format: str
    files: list[Path]
    days: list[str] = field(default_factory=list)
    """Delivery days that the names tell, in order."""
    encoding: str = "utf-8"
    delimiter: str = ","
    decimal: str = "."
    datetime_format: str | None = None
    header: tuple[str, ...] = ()
    rows: list[tuple[str, ...]] = field(default_factory=list)
    feed: str | None = None
    columns: dict[str, str] = field(default_factory=dict)
    """Column of the contract -> column of the file."""
    missing: list[str] = field(default_factory=list)
    """Columns that are needed and that the file does not seem to have."""
    doubts: list[str] = field(default_factory=list)
    """What somebody has to look at, a sentence each."""


def draft(settings: Settings, config: CxConfig | None = None) -> tuple[str, list[Kind]]:
    """The text of a `cx.toml` for the files in the landing folder, and what was recognised of each kind of file.

    With `config`, a `cx.toml` that is there, only the tables to add to it: of files that none of its feeds reads.
    """
    contracts = load_contracts()
    feeds = {source.feed for source in config.feed} if config else set()
    read = {file.path for source in config.feed for file in discover(settings, source)} if config else set()
    kinds = [kind for kind in _kinds(settings.landing) if not read.issuperset(kind.files)]
    with duckdb.connect() as con:
        for kind in kinds:
            _read(kind)
            if kind.encoding == "cp1252":
                kind.doubts.append("it is not UTF-8; encoding cp1252 is Western European Windows")
            if any(map(_has_commas, zip(*kind.rows, strict=True))):
                kind.decimal = ","  # of a column, too, that is not matched
            if kind.header:
                _recognise(kind, contracts)
                _compare_headers(kind)
            if kind.feed:
                _recognise_values(con, kind, contracts[kind.feed])
            elif kind.rows:
                _recognise_times(con, kind)
    for kind in kinds:
        if kind.feed == "order_lines" and "orders" not in feeds.union(other.feed for other in kinds):
            kind.missing += [name for name in _OF_HEADER if name not in kind.columns]
    return "\n".join([*([] if config else _HEAD), *_tables(kinds, contracts)]) + "\n", kinds


def spreadsheets(settings: Settings) -> list[str]:
    """Workbooks in the landing folder, by their names in it: nothing reads them."""
    paths = (path.relative_to(settings.landing) for path in settings.landing.rglob("*") if path.suffix.lower() in _WORKBOOKS)
    return sorted(path.as_posix() for path in paths if not any(part.startswith((".", "~$")) for part in path.parts))


def _kinds(landing: Path) -> list[Kind]:
    """Kinds of files below the landing folder: names that differ in their day only are one kind."""
    kinds: dict[str, Kind] = {}
    for path in sorted(landing.rglob("*")):
        relative = path.relative_to(landing).as_posix()
        suffixes = [suffix.lower() for suffix in path.suffixes if suffix.lower() != ".gz"]
        told = _FORMATS.get(suffixes[-1]) if suffixes else None
        if told is None or not path.is_file() or any(part.startswith(".") for part in relative.split("/")):
            continue
        day = _DAY.search(relative)
        # What a pattern cannot say literally: braces, **, and bytes that are no text
        literal = re.sub(r"[{}\ud800-\udfff]", "*", relative)
        pattern = literal.replace(day[0], "{day}") if day else _OTHER_DAY.sub("*", literal)
        pattern = re.sub(r"\*{2,}", "*", pattern)
        kind = kinds.setdefault(pattern, Kind(pattern, told, []))
        kind.files.append(path)
        if day and _is_a_date(day[0]):
            kind.days = sorted({*kind.days, day[0]})
        elif day:
            kind.doubts.append(f"{path.name} has a date that does not exist, so it will be refused: rename the file")
    for kind in kinds.values():
        if "{day}" not in kind.pattern:
            kind.doubts.append(
                "no day of the form YYYY-MM-DD, with dashes, is in the name, so a file is a delivery of the day it was written; "
                "name files by day, like orders_2026-01-31.csv"
            )
    return list(kinds.values())


def _is_a_date(text: str) -> bool:
    try:
        return bool(date.fromisoformat(text))
    except ValueError:
        return False


def _read(kind: Kind) -> None:
    """Header and first rows of the newest file with rows, as text; without any, the header of the newest."""
    newest: Kind | None = None
    for path in reversed(kind.files):
        _read_file(kind, path)
        if kind.rows:
            return
        if newest is None and kind.header:
            newest = replace(kind)
    if newest is not None:
        kind.header, kind.delimiter, kind.encoding = newest.header, newest.delimiter, newest.encoding


def _read_file(kind: Kind, path: Path) -> None:
    """Header and first rows of a file."""
    kind.header, kind.rows = (), []
    try:
        if kind.format == "parquet":
            import pyarrow.parquet as pq

            file = pq.ParquetFile(path)
            kind.header = tuple(file.schema_arrow.names)
            batch = next(file.iter_batches(_ROWS), None)
            columns = [] if batch is None else [map(_plain, column.to_pylist()) for column in batch.columns]
            kind.rows = list(zip(*columns, strict=True))
            return
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as handle:
            start = handle.read(_START)
        text = _decoded(kind, start)
        if len(start) == _START:  # its last line is cut
            text = text[: text.rfind("\n") + 1] or text
        if kind.format == "ndjson":
            objects = [
                one for one in map(json.loads, islice(filter(str.strip, text.split("\n")), _ROWS)) if isinstance(one, dict)
            ]
            kind.header = tuple(dict.fromkeys(key for one in objects for key in one))
            kind.rows = [tuple(_plain(one.get(key)) for key in kind.header) for one in objects]
            return
        kind.delimiter = max(_DELIMITERS, key=lambda mark: len(next(_records(text, mark), ())))
        records = _records(text, kind.delimiter)
        kind.header = tuple(next(records, ()))
        kind.rows = [tuple(row) for row in islice(records, _ROWS) if len(row) == len(kind.header)]
    except (OSError, EOFError, ValueError, RuntimeError, zlib.error, csv.Error) as error:
        kind.header, kind.rows = (), []
        kind.doubts.append(f"{path.name} cannot be read: {error}")


def _compare_headers(kind: Kind) -> None:
    """Say which files have other columns than the one that was looked at. Keys of NDJSON come and go by row."""
    others = []
    for path in kind.files if kind.format != "ndjson" else ():
        header = _header_of(kind, path)
        if header and set(header) != set(kind.header):
            others.append((path, header))
    if not others:
        return
    path, header = others[-1]
    differs = [("without", [name for name in kind.header if name not in header])]
    differs.append(("with", [name for name in header if name not in kind.header]))
    said = " and ".join(f"{word} {_listed(names)}" for word, names in differs if names)
    kind.doubts.append(
        f"{len(others)} of its {len(kind.files)} files have other columns; {path.name} is {said}: "
        "a file that lacks a mapped column is refused"
    )


def _listed(names: list[str]) -> str:
    return ", ".join(map(_toml, names[:_LISTED])) + (f" and {len(names) - _LISTED} more" if len(names) > _LISTED else "")


def _header_of(kind: Kind, path: Path) -> tuple[str, ...]:
    """Columns of one more file of a kind, read as that was; none where it cannot be."""
    try:
        if kind.format == "parquet":
            import pyarrow.parquet as pq

            return tuple(pq.read_schema(path).names)
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as handle:
            start = handle.read(_HEADER)
        text = codecs.getincrementaldecoder("utf-8-sig" if kind.encoding == "utf-8" else kind.encoding)("replace").decode(start)
        return tuple(next(_records(text, kind.delimiter), ()))
    except (OSError, EOFError, ValueError, RuntimeError, zlib.error, csv.Error):
        return ()


def _records(text: str, delimiter: str) -> Iterator[list[str]]:
    return csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)


def _plain(value: object) -> str:
    return "" if value is None else str(value).encode("utf-8", "replace").decode()


def _decoded(kind: Kind, raw: bytes) -> str:
    """The text of a file's start, which may end in the middle of a character."""
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        encoding = "utf-16"
    elif raw[1:400:2].count(0) > len(raw[1:400:2]) / 2:
        encoding = "utf-16-le"  # without its mark: every other byte of Western text is 0
    elif raw[:400:2].count(0) > len(raw[:400:2]) / 2:
        encoding = "utf-16-be"
    else:
        encoding = "utf-8-sig"
    try:
        text = codecs.getincrementaldecoder(encoding)().decode(raw, len(raw) < _START)
    except UnicodeError:
        if b"\0" in raw:
            raise ValueError("it is no text") from None
        kind.encoding = "cp1252"
        return raw.decode("cp1252", "replace")
    kind.encoding = encoding.removesuffix("-sig")
    return text


def _words(name: str) -> tuple[str, ...]:
    """`OrderNo.`, `order number` and `order_id` are the same words."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)
    words = [word for word in re.split(r"[^a-z0-9]+", spaced.lower()) if word]
    return tuple([*words[:-1], _SUFFIXES.get(words[-1], words[-1])] if words else [])


def _names(column: str) -> Iterator[tuple[str, ...]]:
    """Words by which a column of a contract may go, the likeliest first."""
    own = _words(column)
    yield own
    for alias in _COLUMN_WORDS.get(column, "").split():
        yield _words(alias)
    if own[-1] in ("id", "at") and len(own) > 1:
        yield own[:-1]
    for alias in _COLUMN_WORDS.get(column, "").split():
        if (words := _words(alias))[-1] == "at" and len(words) > 1:
            yield words[:-1]
        else:
            yield (*words, "id")


def _matched(contract: Contract, header: tuple[str, ...]) -> dict[str, str]:
    """Columns of the contract by those of the file that look like them; each of the file once, required ones first."""
    by_words = {_words(name): name for name in reversed(header) if not _HALVES.search(name)}
    found: dict[str, str] = {}
    ordered = sorted(contract.properties, key=lambda column: not column.required)
    for is_own in (True, False):
        for column in ordered:
            names = [_words(column.name)] if is_own else list(_names(column.name))
            hit = next((by_words[words] for words in names if words in by_words and by_words[words] not in found.values()), None)
            if hit is not None and column.name not in found:
                found[column.name] = hit
    return found


def _recognise(kind: Kind, contracts: dict[str, Contract]) -> None:
    """The feed whose name and columns the file has most of; none where neither speaks for one."""
    words = {word for word in re.split(r"[^a-z]+", kind.pattern.removesuffix("{day}").lower()) if word}
    # Of the file and of its folders: Employee-Surveys_{day}.csv is exactly employee_surveys
    *folders, name = kind.pattern.replace("{day}", "").lower().split("/")
    own, *around = ("_".join(re.findall("[a-z]+", part)) for part in (name.split(".")[0], *folders))
    exact = {own} if own in contracts else {*around} & {*contracts}
    best = (0, 0.0)
    for feed, contract in contracts.items():
        required = [column.name for column in contract.properties if column.required]
        found = _matched(contract, kind.header)
        share = sum(name in found for name in required) / len(required)
        # `order_lines` needs both of its words, or one of those that stand for it
        is_named = {*feed.split("_")} <= words or bool(words & {*_FEED_WORDS.get(feed, "").split()})
        score = 2 * is_named + 2 * share + len(found) / len(contract.properties)
        # An exact name outweighs what other feeds need of columns; but orders may be lines of orders, where they have all of that
        if feed in exact and (found or feed == own):
            rank = (3 if share == 1 else 1, score)
        elif exact & {*_FEED_WORDS.get(feed, "").split()} and share == 1:
            rank = (2, score)
        elif len(found) > 1 and (share == 1 or (is_named and share >= 0.4)):
            rank = (0, score)
        else:
            continue
        if rank > best:
            best, kind.feed, kind.columns = rank, feed, found
            kind.missing = [name for name in required if name not in found]


def _recognise_values(con: duckdb.DuckDBPyConnection, kind: Kind, contract: Contract) -> None:
    """Decimal mark and format of times: those with which the most values can be read."""
    kinds_of = {column.name: column for column in contract.properties}

    def unread(columns: list[Property], dialect: Dialect) -> int:
        wrong = 0
        for column in columns:
            place = kind.header.index(kind.columns[column.name])
            values = [row[place] for row in kind.rows if row[place]]
            done = con.execute(
                f"select count(*) - count({cast(column, 'v', dialect)}) from (select unnest($1::varchar[]) as v)", [values]
            )
            wrong += done.fetchone()[0]
        return wrong

    def of(*types: str) -> list[Property]:
        return [kinds_of[name] for name in kind.columns if kinds_of[name].logicalType in types]

    numbers, times = of("number", "integer"), of("timestamp", "date")
    # Where both read as much: what the columns look like that are not matched
    marks = (kind.decimal, *{".", ","} - {kind.decimal})
    kind.decimal = min(marks, key=lambda mark: unread(numbers, Dialect("UTC", None, mark)))
    if left := unread(numbers, Dialect("UTC", None, kind.decimal)):
        kind.doubts.append(f"{left} numbers of its first {len(kind.rows)} rows cannot be read with decimal mark '{kind.decimal}'")
    if not times or not kind.rows:
        return
    wrong = {form: unread(times, Dialect("UTC", form)) for form in _TIMES}
    least = min(wrong.values())
    fits = [form for form in _TIMES if wrong[form] == least]
    kind.datetime_format = fits[0]
    if least:
        kind.doubts.append(f"{least} times of its first {len(kind.rows)} rows cannot be read; set datetime_format")
    elif "%d/%m" in (fits[0] or "") and any("%m/%d" in (other or "") for other in fits[1:]):
        kind.doubts.append("no day is past the 12th, so its dates may also be month first (%m/%d/%Y)")


def _recognise_times(con: duckdb.DuckDBPyConnection, kind: Kind) -> None:
    """Format of times of a file that is no feed's yet: the one in which most columns can be read whole."""
    about = Property(name="v", logicalType="timestamp", description="A time.")
    columns = [values for column in zip(*kind.rows, strict=True) if (values := [value for value in column if value])]
    # A wide file has many columns, and few of them are times
    columns = [values for values in columns if all(re.search(r"\d{1,4}[-/. ]\w{1,3}[-/. ]\d", value) for value in values)]

    def read(form: str | None) -> int:
        counted = f"select count(*) = count({cast(about, 'v', Dialect('UTC', form))}) from (select unnest($1::varchar[]) as v)"
        return sum(con.execute(counted, [values]).fetchone()[0] for values in columns)

    kind.datetime_format = max(_TIMES, key=read)


def _has_commas(values: tuple[str, ...]) -> bool:
    """Whether a column is numbers with a decimal comma."""
    there = [value for value in values if value]
    return bool(there) and all(re.fullmatch(r"[+-]?\d{1,3}(\.?\d{3})*,\d{1,2}", value) for value in there)


def _tables(kinds: list[Kind], contracts: dict[str, Contract]) -> Iterator[str]:
    for kind in kinds:
        yield ""
        if kind.feed is None:
            yield from _skeleton(kind)
            continue
        yield from (_comment(f"CHECK: {doubt}") for doubt in kind.doubts)
        yield from _feed(kind, contracts[kind.feed])


def _skeleton(kind: Kind) -> Iterator[str]:
    """What is known of files that are of no feed yet, as comments to be completed."""
    why = "its columns look like no feed" if kind.header else "no columns were found"
    yield _comment(f"{kind.pattern}: not recognised ({'; '.join([why, *kind.doubts])}).")
    if not kind.header:
        return
    yield "# If it is a feed: take the `# ` below away, say which, put its column for each ?, and drop the lines it has none for."
    yield "# [[feed]]"
    yield '# feed = "?"'
    yield from map(_comment, _written(kind))
    if kind.datetime_format is None:
        yield '# # datetime_format = "%d/%m/%Y %H:%M"   # of its times, where they are not ISO 8601 (2026-01-31 09:30)'
    yield "# [feed.columns]"
    yield from (_comment(f"? = {_toml(name)}") for name in kind.header)


def _feed(kind: Kind, contract: Contract) -> Iterator[str]:
    yield "[[feed]]"
    yield f"feed = {_toml(contract.id)}"
    yield from _written(kind)
    about = {column.name: column for column in contract.properties}
    yield "[feed.columns]"
    yield from (f"{name} = {_toml(kind.columns[name])}" for name in about if name in kind.columns)
    left = [column for column in kind.header if column not in kind.columns.values()]
    optional = [name for name in about if name not in kind.columns and name not in kind.missing]
    if left:
        yield _comment(f"columns of the file that are in no line above: {', '.join(map(_toml, left))}")
    if optional:
        yield f"# what {contract.id} may also have: {', '.join(optional)}"
    if kind.missing:
        yield '# REQUIRED: a column above, or { expr = "SQL over the file\'s columns" }, or the same in every row below.'
        yield "[feed.constants]"
        yield from (f'# {name} = ""   # {about[name].description}{_ADVICE.get(name, "")}' for name in kind.missing)


def _written(kind: Kind) -> Iterator[str]:
    """Where the files are, and how they are written."""
    yield f"pattern = {_toml(kind.pattern)}"
    yield f"format = {_toml(kind.format)}"
    yield from _expected(kind)
    if kind.format == "csv" and kind.delimiter != ",":
        yield f"delimiter = {_toml(kind.delimiter)}"
    if kind.encoding != "utf-8":
        yield f"encoding = {_toml(kind.encoding)}"
    if kind.decimal != ".":
        yield f"decimal = {_toml(kind.decimal)}"
    if kind.datetime_format is not None:
        yield f"datetime_format = {_toml(kind.datetime_format)}"


def _expected(kind: Kind) -> Iterator[str]:
    """On which days a file is missed: those on which there is one now; as a comment where too many of them have none."""
    if "{day}" not in kind.pattern or not kind.days:
        return
    days = {date.fromisoformat(day) for day in kind.days}
    between = [min(days) + timedelta(days=n) for n in range((max(days) - min(days)).days + 1)]
    weekdays = [day for day in between if day.weekday() < 5]
    if len(days) > 2 and days.issubset(weekdays) and len(weekdays) < len(between):
        expected, other, due = "weekdays", "daily", weekdays
    else:
        expected, other, due = "daily", "weekdays", between
    if len(days) >= _FULL * len(due):
        yield f'expected = "{expected}"   # CHECK: or "{other}"; {_IRREGULAR}'
    else:
        there = f"there is a file on {len(days)} of {len(due)} days"
        yield f'# expected = "{expected}"   # CHECK: {there}; or "{other}"; {_IRREGULAR}'


def _toml(text: str) -> str:
    """A basic string of TOML; JSON's escapes are a subset of its own."""
    return json.dumps(_HALVES.sub("\ufffd", text), ensure_ascii=False).replace("\x7f", "\\u007f")


def _comment(text: str) -> str:
    """One line of comment, whatever names are in it."""
    return "# " + _UNPRINTABLE.sub(lambda found: repr(found[0])[1:-1], _HALVES.sub("\ufffd", text))
