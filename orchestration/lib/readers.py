"""From files to text rows: finds deliveries in the landing folder, reads them exactly, keeps the line of every row.

Belongs here: bytes, encodings, headers, structure, line numbers. Does not: types, rules, acceptance (`ingest`).

Two readers produce the same rows. The fast one lets DuckDB read all files of one header in one statement, every column
as text. It is trusted for a file only when nothing was rejected and its rows account for every physical line; any other
file (quoted newlines, blank lines, wrong number of fields) goes through the careful one, Python's `csv`, which knows
the line each record starts on and can say what is wrong with it.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import duckdb

from data_quality.rules import ident, literal
from orchestration.settings import FeedSource, Settings

_DAY = r"(?P<day>\d{4}-\d{2}-\d{2})"
_GLOB_CHARACTERS = set("*?[]{}")
_CHUNK = 1 << 20
csv.field_size_limit(1 << 24)


@dataclass(frozen=True)
class LandingFile:
    """A file that a source's pattern matches, with the day it was delivered for."""

    path: Path
    relative: str
    source: FeedSource
    delivery_day: date

    @property
    def delivery(self) -> str:
        """Stable name of the delivery: the feed and the file under the landing folder."""
        return f"{self.source.feed}:{self.relative}"


@dataclass(frozen=True)
class FileFacts:
    """What one pass over the bytes tells: hash, size, physical lines (Parquet: rows), header (not for NDJSON)."""

    content_hash: str
    bytes: int
    lines: int
    header: tuple[str, ...] | None


@dataclass(frozen=True)
class Reject:
    """A record that has no row: its line, its text, what is wrong with it."""

    line: int
    raw_text: str
    reason: str


class FileRefused(Exception):
    """A whole file cannot be read; the message says where it breaks and what to do."""


@dataclass
class TextRows:
    """Files of one header, read: `table` has the source's columns as text plus `_path` and `_line`."""

    table: str
    columns: tuple[str, ...] | None
    rejects: dict[Path, list[Reject]] = field(default_factory=dict)
    refused: dict[Path, str] = field(default_factory=dict)


def discover(settings: Settings, source: FeedSource) -> Iterator[LandingFile]:
    """Files under the landing folder that match the source's pattern, by delivery day and name.

    `{day}` in the pattern is the delivery day (YYYY-MM-DD); without it the day is the file's modification time in the
    business time zone. Hidden files and `*.tmp`, `*.part` (still being written) are passed over.
    """
    pieces = re.split(r"(\{day\}|\*)", source.pattern)
    regex = re.compile("".join({"{day}": _DAY, "*": "[^/]*"}.get(piece, re.escape(piece)) for piece in pieces))
    glob = source.pattern.replace("[", "[[]").replace("{day}", "????-??-??")
    zone = ZoneInfo(settings.config.business.timezone)
    found = []
    for path in settings.landing.glob(glob):
        relative = path.relative_to(settings.landing).as_posix()
        match = regex.fullmatch(relative)
        if match is None or path.name.startswith(".") or path.suffix in (".tmp", ".part") or not path.is_file():
            continue
        if "day" in regex.groupindex:
            try:
                day = date.fromisoformat(match["day"])
            except ValueError:
                continue
        else:
            day = datetime.fromtimestamp(path.stat().st_mtime, zone).date()
        found.append(LandingFile(path, relative, source, day))
    return iter(sorted(found, key=lambda file: (file.delivery_day, file.relative)))


def _open(path: Path) -> io.BufferedIOBase:
    return gzip.open(path) if path.suffix == ".gz" else path.open("rb")


def facts(file: LandingFile) -> FileFacts:
    """Hash, size, line count and header of a file.

    Raises:
        FileRefused: the file has no header, a broken header, or bytes its encoding or compression does not allow.
    """
    digest, size = hashlib.sha256(), 0
    with file.path.open("rb") as handle:
        while chunk := handle.read(_CHUNK):
            digest.update(chunk)
            size += len(chunk)
    content_hash = digest.hexdigest()
    if file.source.format == "parquet":
        header, rows = _parquet_shape(file)
        return FileFacts(content_hash, size, rows, header)
    try:
        lines = _count_lines(file)
        header = _header(file) if file.source.format == "csv" else None
    except (OSError, EOFError) as error:
        raise FileRefused(f"{file.relative}: cannot be decompressed: {error}. Ask for the file again.") from None
    except UnicodeDecodeError as error:
        raise FileRefused(_encoding_problem(file, error)) from None
    return FileFacts(content_hash, size, lines, header)


def _encoding_problem(file: LandingFile, error: UnicodeDecodeError) -> str:
    return (
        f"{file.relative}: byte {error.start} is not {error.encoding}. "
        f"If the export is written in another encoding, set encoding in cx.toml, for example encoding = 'cp1252'."
    )


def _count_lines(file: LandingFile) -> int:
    if file.source.encoding.lower() not in ("utf-8", "utf8", "utf-8-sig"):
        with _open(file.path) as raw, io.TextIOWrapper(raw, encoding=file.source.encoding, newline="") as text:
            return sum(1 for _ in text)
    lines, last = 0, b"\n"
    with _open(file.path) as handle:
        while chunk := handle.read(_CHUNK):
            lines += chunk.count(b"\n")
            last = chunk[-1:]
    return lines + (last != b"\n")


def _text(file: LandingFile) -> io.TextIOWrapper:
    encoding = "utf-8-sig" if file.source.encoding.lower() in ("utf-8", "utf8") else file.source.encoding
    return io.TextIOWrapper(_open(file.path), encoding=encoding, newline="")


def _records(file: LandingFile, text: io.TextIOWrapper) -> Iterator[tuple[int, list[str]]]:
    """Records of a CSV file with the line each one starts on."""
    reader = csv.reader(text, delimiter=file.source.delimiter, quotechar=file.source.quote, strict=True)
    while True:
        line = reader.line_num + 1
        try:
            record = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise FileRefused(
                f"{file.relative}: line {line}: {error} (a quote that is opened and not closed, or text behind a "
                "closing quote). Correct the file or its quote setting in cx.toml and deliver it again."
            ) from None
        yield line, record


def _header(file: LandingFile) -> tuple[str, ...]:
    with _text(file) as text:
        first = next(_records(file, text), None)
    if first is None or not any(first[1]):
        raise FileRefused(f"{file.relative}: line 1: empty, a header was expected. Ask for the file again.")
    header = tuple(name.strip() for name in first[1])
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        raise FileRefused(f"{file.relative}: line 1: column {twice[0]!r} stands twice in the header. Rename one.")
    if "" in header:
        raise FileRefused(
            f"{file.relative}: line 1: column {header.index('') + 1} of {len(header)} has no name "
            f"(read with delimiter {file.source.delimiter!r}). Name it, or correct delimiter in cx.toml."
        )
    return header


def read(
    con: duckdb.DuckDBPyConnection, files: list[tuple[LandingFile, FileFacts]], scratch: Path, table: str
) -> TextRows:
    """Read files of one source and one header into the temporary table `table`.

    Args:
        con: where the table is made.
        files: with their facts; all of one source, and for CSV of one header.
        scratch: folder for transcoded copies; the caller removes it.
        table: name of the temporary table.
    """
    match files[0][0].source.format:
        case "csv":
            return _read_csv(con, files, scratch, table)
        case "ndjson":
            return _read_ndjson(con, files, table)
        case "parquet":
            return _read_parquet(con, files, table)


def _read_csv(
    con: duckdb.DuckDBPyConnection, files: list[tuple[LandingFile, FileFacts]], scratch: Path, table: str
) -> TextRows:
    source, header = files[0][0].source, files[0][1].header
    assert header is not None
    result = TextRows(table, header)
    declared = ", ".join(f"{ident(name)} varchar" for name in header)
    con.execute(f"create or replace temp table {table} ({declared}, _path varchar, _line bigint)")
    readable: dict[str, tuple[LandingFile, FileFacts]] = {}
    careful: list[tuple[LandingFile, FileFacts]] = []
    for file, known in files:
        if _GLOB_CHARACTERS & set(str(file.path)):
            careful.append((file, known))  # DuckDB would take the name for a pattern
            continue
        path = file.path
        if source.encoding.lower() not in ("utf-8", "utf8", "utf-8-sig"):
            path = scratch / f"{len(readable)}.csv"
            with _text(file) as text, path.open("w", encoding="utf-8", newline="") as copy:
                shutil.copyfileobj(text, copy, _CHUNK)
        readable[str(path)] = (file, known)
    if readable:
        careful += _read_csv_fast(con, source, header, readable, table)
    for file, _ in careful:
        try:
            _read_csv_careful(con, file, header, table, result)
        except FileRefused as refusal:
            result.refused[file.path] = str(refusal)
        except UnicodeDecodeError as error:
            result.refused[file.path] = _encoding_problem(file, error)
    return result


def _read_csv_fast(
    con: duckdb.DuckDBPyConnection,
    source: FeedSource,
    header: tuple[str, ...],
    readable: dict[str, tuple[LandingFile, FileFacts]],
    table: str,
) -> list[tuple[LandingFile, FileFacts]]:
    """Read all files in one statement; return those whose rows do not account for every physical line."""
    columns = ", ".join(f"{literal(name)}: 'VARCHAR'" for name in header)
    names = ", ".join(literal(path) for path in readable)
    # store_rejects finds records with too few or too many fields, and only in columns that are read: all are.
    con.execute(
        f"create or replace temp table _fast as select * from read_csv([{names}], columns = {{{columns}}}, header = true, "
        f"auto_detect = false, delim = {literal(source.delimiter)}, quote = {literal(source.quote)}, "
        f"escape = {literal(source.quote)}, strict_mode = true, null_padding = false, filename = '_path', "
        f"store_rejects = true, rejects_table = '_rejects', rejects_scan = '_reject_scans')"
    )
    rejected = {
        path for (path,) in con.execute(
            "select distinct s.file_path from _rejects r join _reject_scans s using (scan_id, file_id)"
        ).fetchall()
    }  # fmt: skip
    con.execute("drop table if exists _rejects")
    con.execute("drop table if exists _reject_scans")
    # A table keeps the order of its insertion, so the row id within a file is the record's place in it.
    spans = {
        path: (first, rows)
        for path, first, rows in con.execute("select _path, min(rowid), count(*) from _fast group by _path").fetchall()
    }
    clean, irregular = [], []
    for path, (file, known) in readable.items():
        first, rows = spans.get(path, (0, 0))
        if path in rejected or known.lines != rows + 1:
            irregular.append((file, known))
        else:
            clean.append((path, str(file.path), first))
    if clean:
        con.execute("create or replace temp table _clean (read_path varchar, path varchar, first_row bigint)")
        con.executemany("insert into _clean values (?, ?, ?)", clean) if len(clean) < 3 else con.execute(
            "insert into _clean select unnest($1), unnest($2), unnest($3)", [list(part) for part in zip(*clean, strict=True)]
        )
        picked = ", ".join(f"f.{ident(name)}" for name in header)
        con.execute(
            f"insert into {table} select {picked}, c.path, f.rowid - c.first_row + 2 "
            "from _fast f join _clean c on f._path = c.read_path"
        )
        con.execute("drop table _clean")
    con.execute("drop table _fast")
    return irregular


def _read_csv_careful(
    con: duckdb.DuckDBPyConnection, file: LandingFile, header: tuple[str, ...], table: str, result: TextRows
) -> None:
    import pyarrow as pa

    width = len(header)
    columns: list[list[str]] = [[] for _ in header]
    lines: list[int] = []
    rejects: list[Reject] = []
    with _text(file) as text:
        records = _records(file, text)
        next(records)
        for line, record in records:
            if not record:
                continue  # a blank line is no record
            if len(record) != width:
                hint = "a delimiter inside unquoted text?" if len(record) > width else "a line cut short?"
                reason = f"expected {width} fields, found {len(record)} ({hint})"
                rejects.append(Reject(line, file.source.delimiter.join(record), reason))
                continue
            lines.append(line)
            for values, value in zip(columns, record, strict=True):
                values.append(value)
    arrays = [pa.array(values, pa.string()) for values in columns]
    arrays += [pa.array([str(file.path)] * len(lines), pa.string()), pa.array(lines, pa.int64())]
    arrow = pa.table(arrays, names=[*(f"c{n}" for n in range(width)), "_path", "_line"])
    con.register("_careful", arrow)
    con.execute(f"insert into {table} from _careful")
    con.unregister("_careful")
    if rejects:
        result.rejects[file.path] = rejects


def _read_ndjson(con: duckdb.DuckDBPyConnection, files: list[tuple[LandingFile, FileFacts]], table: str) -> TextRows:
    """One JSON object a line, kept whole in `_json`. Lines are read by Python: they must be numbered exactly."""
    import json

    import pyarrow as pa

    result = TextRows(table, None)
    con.execute(f"create or replace temp table {table} (_json json, _path varchar, _line bigint)")
    for file, _ in files:
        texts, lines, rejects = [], [], []
        try:
            with _text(file) as text:
                for line, content in enumerate(text, 1):
                    content = content.strip()
                    if not content:
                        continue
                    try:
                        is_object = isinstance(json.loads(content), dict)
                        problem = "is JSON but not an object"
                    except ValueError as error:
                        is_object, problem = False, f"is not JSON: {error}"
                    if is_object:
                        texts.append(content)
                        lines.append(line)
                    else:
                        rejects.append(Reject(line, content, problem))
        except UnicodeDecodeError as error:
            result.refused[file.path] = _encoding_problem(file, error)
            continue
        con.register("_lines", pa.table({"j": pa.array(texts, pa.string()), "l": pa.array(lines, pa.int64())}))
        con.execute(f"insert into {table} select j, {literal(str(file.path))}, l from _lines")
        con.unregister("_lines")
        if rejects:
            result.rejects[file.path] = rejects
    return result


def _parquet_shape(file: LandingFile) -> tuple[tuple[str, ...], int]:
    import pyarrow.parquet as pq
    from pyarrow import ArrowInvalid

    try:
        metadata = pq.read_metadata(file.path)
        return tuple(metadata.schema.to_arrow_schema().names), metadata.num_rows
    except (ArrowInvalid, OSError) as error:
        raise FileRefused(f"{file.relative}: cannot be read as Parquet: {error}. Ask for the file again.") from None


def _read_parquet(con: duckdb.DuckDBPyConnection, files: list[tuple[LandingFile, FileFacts]], table: str) -> TextRows:
    header = files[0][1].header
    assert header is not None
    result = TextRows(table, header)
    declared = ", ".join(f"{ident(name)} varchar" for name in header)
    picked = ", ".join(f"cast({ident(name)} as varchar)" for name in header)
    con.execute(f"create or replace temp table {table} ({declared}, _path varchar, _line bigint)")
    for file, _ in files:
        try:
            # Arrow hands the columns over: DuckDB would take a name with [ or * for a pattern.
            import pyarrow.parquet as pq

            con.register("_parquet", pq.read_table(file.path))
            con.execute(
                f"insert into {table} select {picked}, {literal(str(file.path))}, row_number() over () from _parquet"
            )
        except (duckdb.Error, OSError, ValueError) as error:
            con.execute(f"delete from {table} where _path = {literal(str(file.path))}")
            result.refused[file.path] = f"{file.relative}: cannot be read as Parquet: {error}. Ask for the file again."
        finally:
            con.unregister("_parquet")
    return result
