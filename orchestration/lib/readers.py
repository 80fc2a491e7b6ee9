"""From files to text rows: finds deliveries in the landing folder, reads them exactly, keeps the line of every row.

Belongs here: bytes, encodings, headers, structure, line numbers. Does not: types, rules, acceptance (`ingest`).

Two readers produce the same rows. The fast one lets DuckDB read all files of one header in one statement, every column
as text. It is trusted for a file only when nothing was rejected and its rows account for every physical line; any other
file (quoted newlines, blank lines, wrong number of fields) goes through the careful one, Python's `csv`, which knows
the line each record starts on and can say what is wrong with it. Where the two would read the same bytes differently,
the file is careful from the start: a row must not depend on what else stands in its file.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import hashlib
import io
import json
import os
import re
import shutil
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb

from data_quality.rules import ident, literal
from orchestration.settings import Expression, FeedSource, Settings

_DAY = r"(?P<day>\d{4}-\d{2}-\d{2})"
_GLOB_CHARACTERS = set("*?[]{}\\")
_UTF8 = ("utf-8", "utf-8-sig")
_CHUNK = 1 << 20
# Added to the columns of a file; a file that brings one of its own would forge where its rows come from.
_OWN_COLUMNS = {"_json", "_path", "_line", "_file", "_delivery", "_delivery_day", "_content_hash"}
# No file has this text, so no field is NULL: an empty one is an empty text, as in the careful reader.
_NO_NULL = "\x1fcxmarts has no null\x1f"
_LONGEST_CELL, _LONGEST_LINE = 1 << 24, 1 << 26
"""Characters of a cell and of a line. More is no export, but a file that would fill the memory before it is understood."""
csv.field_size_limit(_LONGEST_CELL)


@dataclass(frozen=True)
class LandingFile:
    """A file that a source's pattern matches, with the day it was delivered for."""

    path: Path
    relative: str
    source: FeedSource
    delivery_day: date
    problem: str | None = None
    """Why it cannot be taken although it matches; a match is never passed over without a trace."""

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
    delimiters: int = 0
    """Delimiters in a CSV file, those in its quoted texts included."""
    spaced_quotes: bool = False
    """Blanks may stand between a quote and its delimiter; they are dropped."""


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
    business time zone. Hidden files, files in hidden folders and `*.tmp`, `*.part` (still being written) are passed
    over. A date that does not exist makes the file a delivery with a problem.
    """
    pieces = re.split(r"(\{day\}|\*)", source.pattern.replace("{day}", "{again}").replace("{again}", "{day}", 1))
    pieces = [again for piece in pieces for again in re.split(r"(\{again\})", piece)]
    parts = {"{day}": _DAY, "{again}": "(?P=day)", "*": "[^/]*"}
    regex = re.compile("".join(parts.get(piece, re.escape(piece)) for piece in pieces))
    zone = ZoneInfo(settings.config.business.timezone)
    found = []
    for relative, path, leads_out in _files(settings.landing, source.pattern):
        match = regex.fullmatch(relative)
        if match is None:
            continue
        problem = None
        if leads_out:
            problem = (
                f"{relative}: is a link, or in a linked folder, that leads out of the landing folder, so it is not read. "
                "Put the file itself there."
            )
        try:
            relative.encode()
        except UnicodeEncodeError:
            relative = relative.encode("utf-8", "backslashreplace").decode()
            problem = f"{relative}: its name is not UTF-8. Rename the file."
        day = None
        if "day" in regex.groupindex:
            try:
                day = date.fromisoformat(match["day"])
            except ValueError:
                problem = f"{relative}: its name has the date {match['day']}, which does not exist. Rename the file."
        if day is None:
            day = datetime.fromtimestamp(path.stat().st_mtime, zone).date()
        found.append(LandingFile(path, relative, source, day, problem))
    return iter(sorted(found, key=lambda file: (file.delivery_day, file.relative)))


def _files(landing: Path, pattern: str) -> Iterator[tuple[str, Path, bool]]:
    """Files in the folders that the pattern names, by their name under the landing folder; hidden and unfinished ones not.

    With each, whether a link leads out of the landing folder: whoever may write there need not be allowed to read all that
    cxmarts may. A night asks for every file there is several times, so none but links is asked for its properties.
    """
    inner = landing.resolve()
    *folders, _ = pattern.replace("[", "[[]").replace("{day}", "????-??-??").split("/")
    for folder in landing.glob("/".join(folders)) if folders else [landing]:
        inside = folder.relative_to(landing).as_posix()
        if not folder.is_dir() or any(part.startswith(".") for part in inside.split("/") if part != "."):
            continue
        is_outside = not folder.resolve().is_relative_to(inner)
        with os.scandir(folder) as entries:
            for entry in entries:
                if not entry.name.startswith(".") and not entry.name.endswith((".tmp", ".part")) and entry.is_file():
                    path = folder / entry.name
                    leads_out = is_outside or (entry.is_symlink() and not path.resolve().is_relative_to(inner))
                    yield entry.name if inside == "." else f"{inside}/{entry.name}", path, leads_out


def _open(path: Path) -> io.BufferedIOBase:
    return gzip.open(path) if path.suffix == ".gz" else path.open("rb")


def text_bytes(name: str, size: int) -> int:
    """About how many bytes of text a file of that name and size holds: what reading it costs."""
    return size * (8 if name.endswith(".gz") else 4 if name.endswith(".parquet") else 1)


def facts(file: LandingFile) -> FileFacts:
    """Hash, size, line count and header of a file.

    Raises:
        FileRefused: the file has no header, a broken header, or bytes its encoding or compression does not allow.
    """
    if file.problem:
        raise FileRefused(file.problem)
    digest, size = hashlib.sha256(), 0
    try:
        with file.path.open("rb") as handle:
            while chunk := handle.read(_CHUNK):
                digest.update(chunk)
                size += len(chunk)
    except OSError as error:
        raise FileRefused(f"{file.relative}: cannot be read: {error.strerror}. Correct its permissions.") from None
    content_hash = digest.hexdigest()
    if file.path.suffix == ".gz" and not size:
        raise FileRefused(_damaged(file, EOFError("it has no bytes")))  # even nothing has some, compressed
    if file.source.format == "parquet":
        header, rows = _parquet_shape(file)
        return FileFacts(content_hash, size, rows, header)
    try:
        lines, delimiters, spaced = _scan(file)
        header = _header(file, spaced) if file.source.format == "csv" else None
    except (OSError, EOFError, zlib.error) as error:
        raise FileRefused(_damaged(file, error)) from None
    except UnicodeError:
        raise FileRefused(_encoding_problem(file)) from None
    return FileFacts(content_hash, size, lines, header, delimiters, spaced)


def _damaged(file: LandingFile, error: Exception) -> str:
    return f"{file.relative}: cannot be decompressed: {error}. Ask for the file again."


def _encoding_problem(file: LandingFile) -> str:
    """What to say of a file that does not decode: a decoder itself only knows the place within its own buffer."""
    decoder, line = codecs.getincrementaldecoder(file.source.encoding)(), 1
    try:
        with _open(file.path) as handle:
            while chunk := handle.read(_CHUNK):
                line += decoder.decode(chunk).count("\n")
            decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        line += error.object[: error.start].decode(file.source.encoding, "replace").count("\n")
    except UnicodeError:
        pass  # UTF-16 without a byte order mark says no more than that: line 1
    except (OSError, EOFError, zlib.error) as error:
        return _damaged(file, error)  # what does not decode was not what was compressed
    return (
        f"{file.relative}: line {line}: bytes that are not {file.source.encoding}. "
        f"If the export is written in another encoding, set encoding in cx.toml, for example encoding = 'cp1252'."
    )


def _scan(file: LandingFile) -> tuple[int, int, bool]:
    """Physical lines as Python counts them (LF, CRLF or CR ends one), delimiters, and whether quotes have blanks outside."""
    source, is_utf8, is_csv = file.source, file.source.encoding in _UTF8, file.source.format == "csv"
    empty, lf, cr, blank, delimiter, quote = (part.encode() for part in ("", "\n", "\r", " ", source.delimiter, source.quote))
    ends = rb"[\r\n]|%s" % re.escape(delimiter)
    # An opening quote has something behind it; the quote that closes `"JARS, "` has not, and exports are full of those.
    spaced = rb"(?:^|%s) +%s(?!%s|$)|%s +(?:%s|$)" % (ends, re.escape(quote), ends, re.escape(quote), ends)
    if not is_utf8:
        parts = (empty, lf, cr, blank, delimiter, quote, spaced)
        empty, lf, cr, blank, delimiter, quote, spaced = (part.decode() for part in parts)
    pattern = re.compile(spaced)
    lines, delimiters, is_spaced, before = 0, 0, False, empty
    size, most, since_end = 0, source.max_text_mb << 20 if file.path.suffix == ".gz" else None, 0
    with _open(file.path) if is_utf8 else _text(file) as handle:
        while chunk := handle.read(_CHUNK):
            lines += chunk.count(lf)
            if cr in chunk or before[-1:] == cr:
                lines += chunk.count(cr) - (before[-1:] + chunk).count(cr + lf)
            size += len(chunk)
            if most is not None and size > most:
                raise FileRefused(
                    f"{file.relative}: decompressed it is more than {source.max_text_mb} MB of text "
                    f"({file.path.stat().st_size:,} bytes on disk). If it is meant to be, set max_text_mb of its feed in cx.toml."
                )
            last = max(chunk.rfind(lf), chunk.rfind(cr))
            since_end = since_end + len(chunk) if last < 0 else len(chunk) - last - 1
            if since_end > _LONGEST_LINE:
                raise FileRefused(
                    f"{file.relative}: line {lines + 1}: is longer than {_LONGEST_LINE:,} characters. "
                    "Ask for the file again, with its line ends."
                )
            if is_csv:
                delimiters += chunk.count(delimiter)
                if not is_spaced and delimiter != blank:
                    seam = before + chunk
                    is_spaced = (blank + quote in seam or quote + blank in seam) and pattern.search(seam) is not None
            before = (before + chunk)[-64:]
    return lines + (before[-1:] not in (empty, lf, cr)), delimiters, is_spaced


def _text(file: LandingFile) -> io.TextIOWrapper:
    encoding = "utf-8-sig" if file.source.encoding in _UTF8 else file.source.encoding
    return io.TextIOWrapper(_open(file.path), encoding=encoding, newline="")


def _records(file: LandingFile, text: io.TextIOWrapper, spaced_quotes: bool) -> Iterator[tuple[int, list[str]]]:
    """Records of a CSV file with the line each one starts on."""
    lines = io.StringIO(_without_outer_blanks(file.source, text.read()), newline="") if spaced_quotes else text
    reader = csv.reader(lines, delimiter=file.source.delimiter, quotechar=file.source.quote, strict=True)
    while True:
        line = reader.line_num + 1
        try:
            record = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            if "field larger" in str(error):
                raise FileRefused(
                    f"{file.relative}: line {line}: a cell has more than {_LONGEST_CELL:,} characters (a quote that is opened "
                    "and not closed?). Correct the file and deliver it again."
                ) from None
            raise FileRefused(
                f"{file.relative}: line {line}: {error} (a quote that is opened and not closed, or text behind a "
                "closing quote). Correct the file or its quote setting in cx.toml and deliver it again."
            ) from None
        yield line, record


def _without_outer_blanks(source: FeedSource, text: str) -> str:
    """The text without the blanks around quoted fields; `csv` would take such quotes for text, or the blanks for it."""
    quote, delimiter = re.escape(source.quote), re.escape(source.delimiter)
    field = rf" *+({quote}[^{quote}]*+(?:{quote}{quote}[^{quote}]*+)*+{quote}) *+(?=[{delimiter}\r\n]|\Z)|[^{delimiter}\r\n]++"
    return re.sub(field, lambda match: match[1] or match[0], text)


def _header(file: LandingFile, spaced_quotes: bool) -> tuple[str, ...]:
    with _text(file) as text:
        first = next(_records(file, text, spaced_quotes), None)
    if first is None or not any(first[1]):
        raise FileRefused(f"{file.relative}: line 1: empty, a header was expected. Ask for the file again.")
    header = tuple(name.strip() for name in first[1])
    if "" in header:
        raise FileRefused(
            f"{file.relative}: line 1: column {header.index('') + 1} of {len(header)} has no name "
            f"(read with delimiter {file.source.delimiter!r}). Name it, or correct delimiter in cx.toml."
        )
    _check_names(file, header)
    return header


def _check_names(file: LandingFile, header: tuple[str, ...]) -> None:
    """SQL tells names apart without regard to case."""
    lower = [name.lower() for name in header]
    twice = sorted({name for name in header if lower.count(name.lower()) > 1})
    if twice:
        raise FileRefused(f"{file.relative}: line 1: column {twice[0]!r} stands twice in the header. Rename one.")
    own = sorted(name for name in header if name.lower() in _OWN_COLUMNS)
    if own:
        raise FileRefused(f"{file.relative}: line 1: column {own[0]!r} is a name cxmarts uses itself. Rename it.")


def read(con: duckdb.DuckDBPyConnection, files: list[tuple[LandingFile, FileFacts]], scratch: Path, table: str) -> TextRows:
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
            return _read_ndjson(con, files, scratch, table)
        case "parquet":
            return _read_parquet(con, files, table)


def _read_csv(con: duckdb.DuckDBPyConnection, files: list[tuple[LandingFile, FileFacts]], scratch: Path, table: str) -> TextRows:
    source, header = files[0][0].source, files[0][1].header
    assert header is not None
    result = TextRows(table, header)
    declared = ", ".join(f"{ident(name)} varchar" for name in header)
    con.execute(f"create or replace temp table {table} ({declared}, _path varchar, _line bigint)")
    # A blank line is a record of one empty field to DuckDB, and none to Python.
    plain = [(file, known) for file, known in files if not known.spaced_quotes and len(header) > 1]
    careful = [(file, known) for file, known in files if known.spaced_quotes or len(header) == 1]
    readable, unreadable = _for_duckdb(plain, scratch)
    careful += unreadable
    if readable:
        columns = ", ".join(f"{literal(name)}: 'VARCHAR'" for name in header)
        options = f"columns = {{{columns}}}, header = true, {_dialect(source.delimiter, source.quote)}"
        trusted = _read_fast(con, options, readable, header_lines=1)
        if trusted:
            trusted -= _with_surplus_fields(con, header, {path: readable[path] for path in trusted})
            picked = ", ".join(f"f.{ident(name)}" for name in header)
            con.execute(
                f"insert into {table} select {picked}, c.path, f.rowid - c.first_row + 2 "
                "from _fast f join _clean c on f._path = c.read_path"
            )
        con.execute("drop table if exists _fast; drop table if exists _clean")
        careful += [pair for path, pair in readable.items() if path not in trusted]
    for file, known in careful:
        try:
            _read_csv_careful(con, file, known, table, result)
        except FileRefused as refusal:
            result.refused[file.path] = str(refusal)
        except UnicodeError:
            result.refused[file.path] = _encoding_problem(file)
    return result


def _with_surplus_fields(con: duckdb.DuckDBPyConnection, header: tuple[str, ...], readable: _Readable) -> set[str]:
    """Files of `_clean`, taken out of it, in which a row has more fields than the header.

    DuckDB drops surplus fields where they are empty: `Jones, Ann,` under two columns would lose its place unseen. Such a
    file has more delimiters than its rows have gaps and its texts hold.
    """
    delimiter = readable[next(iter(readable))][0].source.delimiter
    in_header = sum(name.count(delimiter) for name in header)
    surplus = {path: known.delimiters - in_header - (len(header) - 1) * known.lines for path, (_, known) in readable.items()}
    doubtful = [path for path, n in surplus.items() if n > 0]
    if not doubtful:
        return set()
    held = " + ".join(f"len({ident(c)}) - len(replace({ident(c)}, {literal(delimiter)}, ''))" for c in header)
    in_texts = con.execute(
        f"select _path, sum({held}) from _fast where _path in (select cast(unnest($1) as varchar)) group by 1", [doubtful]
    ).fetchall()
    wrong = {path for path, n in in_texts if n != surplus[path]}
    con.execute("delete from _clean where read_path in (select cast(unnest($1) as varchar))", [sorted(wrong)])
    return wrong


_Readable = dict[str, tuple[LandingFile, FileFacts]]


def _for_duckdb(
    files: list[tuple[LandingFile, FileFacts]], scratch: Path
) -> tuple[_Readable, list[tuple[LandingFile, FileFacts]]]:
    """Files by the path at which DuckDB can read them, in UTF-8; and those that it cannot."""
    readable: _Readable = {}
    unreadable = []
    for file, known in files:
        if _GLOB_CHARACTERS & set(str(file.path)):
            unreadable.append((file, known))  # DuckDB would take the name for a pattern
            continue
        path = file.path
        if path.suffix != ".gz" and path.name.lower().endswith((".gz", ".zst")):
            unreadable.append((file, known))  # DuckDB would decompress what is taken as it is here
            continue
        if file.source.encoding not in _UTF8:
            path = scratch / f"{len(readable)}.csv"
            with _text(file) as text, path.open("w", encoding="utf-8", newline="") as copy:
                shutil.copyfileobj(text, copy, _CHUNK)
        readable[str(path)] = (file, known)
    return readable, unreadable


def _dialect(delimiter: str, quote: str) -> str:
    return f"delim = {literal(delimiter)}, quote = {literal(quote)}, escape = {literal(quote)}"


def _read_fast(con: duckdb.DuckDBPyConnection, options: str, readable: _Readable, header_lines: int) -> set[str]:
    """Read all files in one statement into `_fast`, and return those whose rows account for every physical line.

    These are also in `_clean` (read_path, path, first_row): a table keeps the order of its insertion, so the row id
    within a file is the record's place in it. Where no file can be read, neither table exists.
    """
    try:
        _scan_fast(con, options, list(readable))
    except (duckdb.InvalidInputException, duckdb.IOException):
        # Some structures (mixed line ends, optional fields of gzip) are no rejects to DuckDB but errors: only the files that
        # have them miss out.
        readable = {path: pair for path, pair in readable.items() if _can_scan(con, options, path)}
        if not readable:
            return set()
        _scan_fast(con, options, list(readable))
    rejected = {
        path for (path,) in con.execute(
            "select distinct s.file_path from _rejects r join _reject_scans s using (scan_id, file_id)"
        ).fetchall()
    }  # fmt: skip
    con.execute("drop table if exists _rejects")
    con.execute("drop table if exists _reject_scans")
    clean = [
        (path, str(readable[path][0].path), first)
        for path, first, rows in con.execute("select _path, min(rowid), count(*) from _fast group by _path").fetchall()
        if path not in rejected and readable[path][1].lines == rows + header_lines
    ]
    con.execute("create or replace temp table _clean (read_path varchar, path varchar, first_row bigint)")
    if clean:
        columns = [list(part) for part in zip(*clean, strict=True)]
        con.execute("insert into _clean select unnest($1), unnest($2), unnest($3)", columns)
    empty = {path for path, (_, known) in readable.items() if known.lines == header_lines and path not in rejected}
    return {path for path, _, _ in clean} | empty


def _can_scan(con: duckdb.DuckDBPyConnection, options: str, path: str) -> bool:
    try:
        _scan_fast(con, options, [path])
    except (duckdb.InvalidInputException, duckdb.IOException):
        return False
    return True


def _scan_fast(con: duckdb.DuckDBPyConnection, options: str, paths: list[str]) -> None:
    names = ", ".join(literal(path) for path in paths)
    con.execute("drop table if exists _rejects")
    con.execute("drop table if exists _reject_scans")
    # store_rejects finds records with too few or too many fields, and only in columns that are read: all are.
    # A folder named like status=paid would otherwise overwrite the column status of the file.
    con.execute(
        f"create or replace temp table _fast as select * from read_csv([{names}], {options}, auto_detect = false, "
        f"strict_mode = true, null_padding = false, nullstr = {literal(_NO_NULL)}, hive_partitioning = false, "
        f"filename = '_path', store_rejects = true, rejects_table = '_rejects', rejects_scan = '_reject_scans')"
    )


def _read_csv_careful(con: duckdb.DuckDBPyConnection, file: LandingFile, known: FileFacts, table: str, result: TextRows) -> None:
    import pyarrow as pa

    header = known.header or ()
    width = len(header)
    columns: list[list[str]] = [[] for _ in header]
    lines: list[int] = []
    rejects: list[Reject] = []
    with _text(file) as text:
        records = _records(file, text, known.spaced_quotes)
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


def columns_used(con: duckdb.DuckDBPyConnection, source: FeedSource) -> tuple[str, ...]:
    """Names that the source's expressions read, as DuckDB's parser finds them; not the ones cxmarts adds itself."""
    found: dict[str, str] = {}
    for mapped in source.columns.values():
        if not isinstance(mapped, Expression):
            continue
        row = con.execute("select json_serialize_sql($1)", [f"select ({mapped.expr})"]).fetchone()
        stack: list[Any] = [json.loads(row[0])] if row else []
        while stack:
            node = stack.pop()
            if isinstance(node, list):
                stack += reversed(node)
            elif isinstance(node, dict):
                stack += reversed(list(node.values()))
                if node.get("class") == "COLUMN_REF":
                    found.setdefault(node["column_names"][0].lower(), node["column_names"][0])
    return tuple(name for lower, name in found.items() if lower not in _OWN_COLUMNS)


def json_text(name: str) -> str:
    """SQL for the text of a top-level key of `_json`, whatever characters the key has."""
    return f"json_extract_string(_json, {literal('/' + name.replace('~', '~0').replace('/', '~1'))})"


def _read_ndjson(
    con: duckdb.DuckDBPyConnection, files: list[tuple[LandingFile, FileFacts]], scratch: Path, table: str
) -> TextRows:
    """One JSON object a line, kept whole in `_json`, with a column for each key that an expression reads.

    A key that a line lacks is NULL, even if every line of the delivery lacks it.
    """
    used = columns_used(con, files[0][0].source)
    result = TextRows(table, None)
    declared = "".join(f"{ident(name)} varchar, " for name in used)
    con.execute(f"create or replace temp table {table} (_json json, {declared}_path varchar, _line bigint)")
    con.execute("create or replace temp table _lines (text varchar, path varchar, line bigint)")
    readable, careful = _for_duckdb(files, scratch)
    if readable:
        # JSON has no raw control characters, so every line is one field; one that has them all the same is a reject.
        options = f"columns = {{'text': 'VARCHAR'}}, header = false, {_dialect(chr(1), '')}"
        trusted = _read_fast(con, options, readable, header_lines=0)
        if trusted:
            con.execute(
                "insert into _lines select f.text, c.path, f.rowid - c.first_row + 1 "
                "from _fast f join _clean c on f._path = c.read_path"
            )
        con.execute("drop table if exists _fast; drop table if exists _clean")
        careful += [pair for path, pair in readable.items() if path not in trusted]
    for file, _ in careful:
        try:
            _read_lines(con, file)
        except UnicodeError:
            result.refused[file.path] = _encoding_problem(file)
    is_object = "case when json_valid(text) then json_type(text) = 'OBJECT' else false end"
    picked = "".join(f"{json_text(name)}, " for name in used)
    con.execute(
        f"insert into {table} select _json, {picked}path, line "
        f"from (select cast(text as json) as _json, path, line from _lines where {is_object})"
    )
    paths = {str(file.path): file.path for file, _ in files}
    broken = con.execute(
        f"select path, line, text from _lines where not {is_object} and regexp_matches(text, '\\S') order by path, line"
    ).fetchall()
    for path, line, content in broken:
        result.rejects.setdefault(paths[path], []).append(Reject(line, content, _json_problem(content)))
    con.execute("drop table _lines")
    return result


def _read_lines(con: duckdb.DuckDBPyConnection, file: LandingFile) -> None:
    import pyarrow as pa

    with _text(file) as text:
        contents = [line.rstrip("\r\n") for line in text]
    numbers = pa.array(range(1, len(contents) + 1), pa.int64())
    con.register("_careful", pa.table({"text": pa.array(contents, pa.string()), "line": numbers}))
    con.execute(f"insert into _lines select text, {literal(str(file.path))}, line from _careful")
    con.unregister("_careful")


def _json_problem(content: str) -> str:
    try:
        return "is JSON but not an object" if not isinstance(json.loads(content), dict) else "is not JSON"
    except ValueError as error:
        return f"is not JSON: {error}"
    except RecursionError:
        return "is not JSON: nested too deeply"


def _parquet_shape(file: LandingFile) -> tuple[tuple[str, ...], int]:
    import pyarrow.parquet as pq
    from pyarrow import ArrowException

    try:
        metadata = pq.read_metadata(file.path)
        header = tuple(metadata.schema.to_arrow_schema().names)
    except (ArrowException, OSError, ValueError) as error:
        raise FileRefused(f"{file.relative}: cannot be read as Parquet: {error}. Ask for the file again.") from None
    _check_names(file, header)
    return header, metadata.num_rows


def _read_parquet(con: duckdb.DuckDBPyConnection, files: list[tuple[LandingFile, FileFacts]], table: str) -> TextRows:
    import pyarrow.parquet as pq
    from pyarrow import ArrowException

    header = files[0][1].header
    assert header is not None
    result = TextRows(table, header)
    declared = ", ".join(f"{ident(name)} varchar" for name in header)
    picked = ", ".join(f"cast({ident(name)} as varchar)" for name in header)
    con.execute(f"create or replace temp table {table} ({declared}, _path varchar, _line bigint)")
    for file, _ in files:
        try:
            # Arrow hands the columns over: DuckDB would take a name with [ or * for a pattern.
            con.register("_parquet", pq.ParquetFile(file.path).read())
            con.execute(f"insert into {table} select {picked}, {literal(str(file.path))}, row_number() over () from _parquet")
        except (duckdb.Error, ArrowException, OSError, ValueError) as error:
            con.execute(f"delete from {table} where _path = {literal(str(file.path))}")
            result.refused[file.path] = f"{file.relative}: cannot be read as Parquet: {error}. Ask for the file again."
        finally:
            con.unregister("_parquet")
    return result
