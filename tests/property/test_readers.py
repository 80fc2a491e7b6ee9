"""Random CSV files: reading gives exactly the cells and lines that writing them gave.

The expectation is built while the file is written, character by character, so it shares no code with either reader.
"""

from __future__ import annotations

import csv
import gzip
import io
import tempfile
from pathlib import Path

import duckdb
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data_quality.rules import ident
from orchestration.lib import readers
from orchestration.settings import FeedSource
from tests.landing import landing_file

# Everything that has a meaning to some CSV reader, and letters of one to four bytes.
CELL_CHARACTERS = "aZ0 ,;|\t\"'\\.-=#é€語🙂\n\u2028\u00a0\ufeff"
CELLS = st.text(alphabet=CELL_CHARACTERS, max_size=6)
HEADERS = ("order id", "naïve", "c,3", 'd"4', "select")


def line_ends(text: str) -> int:
    """Line ends as every editor counts them: CRLF is one."""
    return text.count("\n") + text.count("\r") - text.count("\r\n")


@st.composite
def tables(draw: st.DrawFn) -> tuple[dict[str, str], list[list[str]]]:
    delimiter = draw(st.sampled_from([",", ";", "\t", "|"]))
    dialect = {
        "delimiter": delimiter,
        "quotechar": draw(st.sampled_from(['"', "'"])),
        "lineterminator": draw(st.sampled_from(["\n", "\r\n"])),
        "quoting": draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC])),
    }
    width = draw(st.integers(1, 5))
    rows = draw(st.lists(st.lists(CELLS, min_size=width, max_size=width), max_size=8))
    return dialect, [list(HEADERS[:width]), *rows]


def read(folder: Path, file: readers.LandingFile) -> tuple[list[tuple[int, list[str]]], list[readers.Reject]]:
    """Rows with their lines, and rejects, through the same functions as a load."""
    known = readers.facts(file)
    with duckdb.connect() as con:
        found = readers.read(con, [(file, known)], folder, "t")
        names = ", ".join(ident(name) for name in found.columns or ())
        rows = con.execute(f"select _line, {names} from t order by _line").fetchall()
    assert found.refused == {}
    return [(line, list(cells)) for line, *cells in rows], found.rejects.get(file.path, [])


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(tables(), st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "gz"]), st.booleans())
def test_what_python_writes_is_read_cell_by_cell_with_its_lines(
    table: tuple[dict[str, str], list[list[str]]], storage: str, ends_with_line_end: bool
) -> None:
    dialect, rows = table
    text, expected, line = "", [], 1
    for number, row in enumerate(rows):
        buffer = io.StringIO()
        csv.writer(buffer, **dialect).writerow(row)  # type: ignore[arg-type]
        if number:
            expected.append((line, row))
        line += line_ends(buffer.getvalue())
        text += buffer.getvalue()
    if not ends_with_line_end:
        text = text.removesuffix(dialect["lineterminator"])
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data = text.encode("utf-8" if storage == "gz" else storage)
        path = folder / ("f.csv.gz" if storage == "gz" else "f.csv")
        path.write_bytes(gzip.compress(data, 1) if storage == "gz" else data)
        source = FeedSource(
            feed="orders", pattern="*", format="csv", delimiter=dialect["delimiter"], quote=dialect["quotechar"],
            encoding="utf-16" if storage == "utf-16" else "utf-8",
        )  # fmt: skip
        found, rejects = read(folder, landing_file(path, source))
    assert rejects == []
    assert found == expected


# What no writer writes but exports have, each line with what must become of it: cells, a reject (its field count), or
# nothing. A line must mean the same whatever stands beside it.
LINES: list[tuple[str, list[str] | int | None]] = [
    ("1,2,3", ["1", "2", "3"]),
    (",,", ["", "", ""]),
    ('"","",""', ["", "", ""]),
    (" 1 ,\t2, x", [" 1 ", "\t2", " x"]),
    ('1, "x, y" ,3', ["1", "x, y", "3"]),
    (' "1","2" , "3" ', ["1", "2", "3"]),
    ('5" pipe,3,x', ['5" pipe', "3", "x"]),
    ('1,2,3"', ["1", "2", '3"']),
    ('"a ""b"", c",2,3', ['a "b", c', "2", "3"]),
    ('"a\nb",2,"\n\n"', ["a\nb", "2", "\n\n"]),
    ("\\,'x',\\N", ["\\", "'x'", "\\N"]),
    ("NULL,nan,#", ["NULL", "nan", "#"]),
    ("é€語🙂,\ufeff,\u2028", ["é€語🙂", "\ufeff", "\u2028"]),
    ("=1+1,@x,-2", ["=1+1", "@x", "-2"]),
    ("1,2,3,", 4),
    ("1,2,,", 4),
    ("1,2", 2),
    ("1", 1),
    ("1,2,3,4,5", 5),
    (",", 2),
    ("", None),
]


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(LINES), max_size=9), st.sampled_from(["\n", "\r\n", "\r"]), st.booleans())
def test_a_line_means_the_same_whatever_stands_beside_it(
    lines: list[tuple[str, list[str] | int | None]], end: str, ends_with_line_end: bool
) -> None:
    text, rows, rejects, line = "a,b,c" + end, [], [], 2
    for content, meaning in lines:
        if isinstance(meaning, list):
            rows.append((line, meaning))
        elif meaning is not None:
            rejects.append((line, meaning))
        text += content + end
        line += line_ends(content) + 1
    if not ends_with_line_end:
        text = text.removesuffix(end)
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "f.csv"
        path.write_text(text, encoding="utf-8", newline="")
        source = FeedSource(feed="orders", pattern="*", format="csv")
        found, refused = read(Path(name), landing_file(path, source))
    assert found == rows
    assert [(r.line, r.reason.split(" (")[0]) for r in refused] == [
        (line, f"expected 3 fields, found {count}") for line, count in rejects
    ]
