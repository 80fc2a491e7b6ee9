"""Files with every quirk real exports have: the cells, the lines, and what is said of what cannot be read."""

from __future__ import annotations

import codecs
import gzip
import os
from datetime import date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_quality.rules import ident
from orchestration.lib import readers
from orchestration.lib.readers import FileRefused, LandingFile
from orchestration.settings import FeedSource, Settings
from tests.landing import landing_file

Row = tuple[Any, ...]


def source(**changes: Any) -> FeedSource:
    return FeedSource(**{"feed": "orders", "pattern": "*", "format": "csv", **changes})


def read(*files: LandingFile, scratch: Path) -> tuple[list[Row], dict[str, list[Row]], dict[str, str]]:
    """(file, line, cells...) of every row; (line, reason) of rejects by file; refusals by file."""
    with duckdb.connect() as con:
        found = readers.read(con, [(file, readers.facts(file)) for file in files], scratch, "t")
        names = ", ".join(ident(name) for name in found.columns) if found.columns else "cast(_json as varchar)"
        rows = con.execute(f"select _path, _line, {names} from t order by _path, _line").fetchall()
    return (
        [(Path(path).name, *rest) for path, *rest in rows],
        {path.name: [(r.line, r.reason) for r in found] for path, found in found.rejects.items()},
        {path.name: reason for path, reason in found.refused.items()},
    )


def read_one(tmp_path: Path, content: bytes, name: str = "f.csv", **changes: Any) -> tuple[list[Row], list[Row]]:
    """(line, cells...) and (line, reason) of one file that is not refused."""
    (tmp_path / "in").mkdir(exist_ok=True)
    path = tmp_path / "in" / name
    path.write_bytes(content)
    rows, rejects, refused = read(landing_file(path, source(**changes)), scratch=tmp_path)
    assert refused == {}
    return [row[1:] for row in rows], rejects.get(name, [])


def refusal(tmp_path: Path, content: bytes, name: str = "f.csv", **changes: Any) -> str:
    """What is said of a file that is refused, at the first look or while reading."""
    path = tmp_path / name
    path.write_bytes(content)
    file = landing_file(path, source(**changes))
    try:
        _, _, refused = read(file, scratch=tmp_path)
    except FileRefused as error:
        return str(error)
    return refused[name]


GOOD = [(2, "1", "x"), (3, "2", "y")]


@pytest.mark.parametrize(
    "content",
    [
        b"id,name\n1,x\n2,y\n",
        b"id,name\n1,x\n2,y",
        b"id,name\r\n1,x\r\n2,y\r\n",
        b"id,name\r1,x\r2,y\r",
        b"\xef\xbb\xbfid,name\n1,x\n2,y\n",
        b" id ,name \n1,x\n2,y\n",
    ],
    ids=["LF", "no last line end", "CRLF", "CR", "BOM", "blanks around names"],
)
def test_line_ends_and_byte_order_mark(tmp_path: Path, content: bytes) -> None:
    assert read_one(tmp_path, content) == (GOOD, [])


def test_lines_are_right_behind_a_quoted_line_end_and_blank_lines(tmp_path: Path) -> None:
    content = b'id,name\n1,"two\nlines"\n\n2,y\n   \n3,"say ""hi"", ok"\n'
    rows, rejects = read_one(tmp_path, content)
    assert rows == [(2, "1", "two\nlines"), (5, "2", "y"), (7, "3", 'say "hi", ok')]
    assert rejects == [(6, "expected 2 fields, found 1 (a line cut short?)")]


def test_too_many_and_too_few_fields_are_rejects_with_their_line_and_text(tmp_path: Path) -> None:
    path = tmp_path / "f.csv"
    path.write_bytes(b"id,name\n1,x\n2\n3,a,b\n4,y\n")
    file = landing_file(path, source())
    with duckdb.connect() as con:
        found = readers.read(con, [(file, readers.facts(file))], tmp_path, "t")
        assert con.execute("select _line, id from t order by 1").fetchall() == [(2, "1"), (5, "4")]
    assert found.rejects[path] == [
        readers.Reject(3, "2", "expected 2 fields, found 1 (a line cut short?)"),
        readers.Reject(4, "3,a,b", "expected 2 fields, found 3 (a delimiter inside unquoted text?)"),
    ]


@pytest.mark.parametrize("surplus", [b"Jones, Ann,", b"1,x,", b"1,,,", b'1,x,""'])
def test_surplus_fields_are_a_reject_even_where_they_are_empty(tmp_path: Path, surplus: bytes) -> None:
    """DuckDB drops them: `Jones, Ann,` would be read as a name in the wrong column."""
    rows, rejects = read_one(tmp_path, b'id,name\n"a,b",x\n' + surplus + b"\n2,y\n")
    assert rows == [(2, "a,b", "x"), (4, "2", "y")]
    assert [(line, reason[:24]) for line, reason in rejects] == [(3, "expected 2 fields, found")]


def test_blanks_between_a_delimiter_and_a_quote_mean_the_same_in_every_file(tmp_path: Path) -> None:
    plain = read_one(tmp_path, b'id,name\n1, "x, y"\n "a ""b""" , z\n')
    beside_a_blank_line = read_one(tmp_path, b'id,name\n1, "x, y"\n\n "a ""b""" , z\n')
    assert plain == ([(2, "1", "x, y"), (3, 'a "b"', " z")], [])
    assert beside_a_blank_line == ([(2, "1", "x, y"), (4, 'a "b"', " z")], [])


def test_one_irregular_file_changes_nothing_for_the_files_read_with_it(tmp_path: Path) -> None:
    contents = {
        "a.csv": b"id,name\n1,x\n",
        "b.csv": b'id,name\n1,"q\nr"\n2,y\n',
        "c.csv": b"id,name\n1,x\ry\n3,z\n",  # DuckDB stops with an error at mixed line ends
        "d.csv": b'id,name\n1,"never closed\n',
        "e.csv": b"id,name\n7,x\n8,y\n",
        "f.csv": b"id,name\n",
    }
    files = []
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
        files.append(landing_file(tmp_path / name, source()))
    rows, rejects, refused = read(*files, scratch=tmp_path)
    assert rows == [
        ("a.csv", 2, "1", "x"),
        ("b.csv", 2, "1", "q\nr"),
        ("b.csv", 4, "2", "y"),
        ("c.csv", 2, "1", "x"),
        ("c.csv", 4, "3", "z"),
        ("e.csv", 2, "7", "x"),
        ("e.csv", 3, "8", "y"),
    ]
    assert rejects == {"c.csv": [(3, "expected 2 fields, found 1 (a line cut short?)")]}
    assert list(refused) == ["d.csv"]


def test_an_unterminated_quote_refuses_the_file_and_names_the_line_it_opens_on(tmp_path: Path) -> None:
    message = refusal(tmp_path, b'id,name\n1,x\n2,"never closed\n3,y\n')
    assert "f.csv: line 3:" in message and "quote" in message and "deliver it again" in message


def test_text_behind_a_closing_quote_refuses_the_file(tmp_path: Path) -> None:
    assert "f.csv: line 2:" in refusal(tmp_path, b'id,name\n"a"b,x\n')


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "line 1: empty"),
        (b"\xef\xbb\xbf", "line 1: empty"),
        (b"\n1,x\n", "line 1: empty"),
        (b"id,,name\n1,2,3\n", "column 2 of 3 has no name"),
        (b"id,name,id\n1,2,3\n", "column 'id' stands twice"),
        (b"Id,ID\n1,2\n", "column 'ID' stands twice"),
        (b"id,_line\n1,2\n", "column '_line' is a name cxmarts uses itself"),
        (b"id,_Delivery\n1,2\n", "column '_Delivery' is a name cxmarts uses itself"),
    ],
)
def test_headers_that_cannot_be_used_are_refused(tmp_path: Path, content: bytes, said: str) -> None:
    message = refusal(tmp_path, content)
    assert message.startswith("f.csv: line 1") and said in message


def test_a_header_alone_is_a_delivery_of_no_rows(tmp_path: Path) -> None:
    assert read_one(tmp_path, b"id,name\n") == ([], [])
    assert read_one(tmp_path, b"id,name") == ([], [])


def test_semicolons_in_cp1252(tmp_path: Path) -> None:
    content = 'nr;käufer;betrag\r\n1;Jürgen;1.234,50 €\r\n2;"Müller; Söhne";2,00 €\r\n'.encode("cp1252")
    rows, rejects = read_one(tmp_path, content, delimiter=";", encoding="cp1252")
    assert rows == [(2, "1", "Jürgen", "1.234,50 €"), (3, "2", "Müller; Söhne", "2,00 €")]
    assert rejects == []


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le"])
def test_utf_16(tmp_path: Path, encoding: str) -> None:
    content = 'id\tname\r\n1\té€🙂\r\n2\t"a\r\nb"\r\n3\tz\r\n'.encode(encoding)
    rows, _ = read_one(tmp_path, content, delimiter="\t", encoding=encoding)
    assert rows == [(2, "1", "é€🙂"), (3, "2", "a\r\nb"), (5, "3", "z")]


def test_a_utf_16_file_that_is_something_else_is_refused(tmp_path: Path) -> None:
    assert "not utf-16" in refusal(tmp_path, b"id,name\n1,x\n2,yy\n", encoding="utf-16")


def test_gz(tmp_path: Path) -> None:
    assert read_one(tmp_path, gzip.compress(b"id,name\n1,x\n2,y\n"), name="f.csv.gz") == (GOOD, [])


def test_broken_gz_files_are_refused(tmp_path: Path) -> None:
    whole = gzip.compress(os.urandom(40_000).hex().encode())
    damaged = whole[:5000] + bytes(200) + whole[5200:]
    for content in (whole[: len(whole) // 2], damaged, b"id,name\n1,x\n", b""):
        message = refusal(tmp_path, content, name="f.csv.gz")
        assert message.startswith("f.csv.gz: ") and "Ask for the file again" in message, content[:20]


def test_invalid_utf_8_is_refused_with_its_line_wherever_it_stands(tmp_path: Path) -> None:
    far = b"id,name\n" + b"1,x\n" * 500_000 + b"2,caf\xe9\n"
    for content, line in ((b"id,name\n1,x\n2,caf\xe9\n", 3), (b"id,caf\xe9\n", 1), (far, 500_002)):
        message = refusal(tmp_path, content)
        assert f"f.csv: line {line}: bytes that are not utf-8" in message and "encoding = 'cp1252'" in message


@pytest.mark.parametrize(
    "name",
    ["'; drop table x; --.csv", "[x].csv", "a*.csv", "{a,b}.csv", "=1+1.csv", "two words.csv", "a\\b.csv", 'q".csv', "é🙂.csv"],
)
def test_any_file_name_is_only_a_name(tmp_path: Path, name: str) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "abc.csv").write_bytes(b"id,name\n9,other\n")  # what a pattern might catch
    for content in (b"id,name\n1,x\n2,y\n", b'id,name\n1,x\n\n2,"y\n"\n'):
        rows, _ = read_one(tmp_path, content, name=name)
        assert [row[1] for row in rows] == ["1", "2"]
    arrow = pa.table({"id": ["1"], "name": ["x"]})
    pq.write_table(arrow, tmp_path / "in" / "t.parquet")
    parquet = (tmp_path / "in" / "t.parquet").read_bytes()
    assert read_one(tmp_path, parquet, name=name + ".parquet", format="parquet")[0] == [(1, "1", "x")]
    assert read_one(tmp_path, b'{"id": 1}\n', name=name + ".ndjson", format="ndjson")[0] == [(1, '{"id": 1}')]


def test_a_folder_named_like_a_column_does_not_overwrite_it(tmp_path: Path) -> None:
    folder = tmp_path / "status=paid"
    folder.mkdir()
    (folder / "f.csv").write_bytes(b"id,status\n1,pending\n")
    rows, _, _ = read(LandingFile(folder / "f.csv", "status=paid/f.csv", source(), date(2026, 1, 1)), scratch=tmp_path)
    assert rows == [("f.csv", 2, "1", "pending")]
    pq.write_table(pa.table({"id": ["1"], "status": ["pending"]}), folder / "f.parquet")
    file = LandingFile(folder / "f.parquet", "status=paid/f.parquet", source(format="parquet"), date(2026, 1, 1))
    assert read(file, scratch=tmp_path)[0] == [("f.parquet", 1, "1", "pending")]


def test_a_very_long_cell_is_read(tmp_path: Path) -> None:
    long = "x" * 3_000_000  # more than DuckDB's longest line
    rows, _ = read_one(tmp_path, f"id,name\n1,{long}\n2,y\n".encode())
    assert [(line, name == long) for line, _, name in rows] == [(2, True), (3, False)]


# NDJSON


def test_ndjson_lines_broken_lines_and_lines_that_are_no_object(tmp_path: Path) -> None:
    lines = [b'{"id": 1, "name": "x"}', b"", b'{"id": 2', b"[1, 2]", b'"text"', b"null", b'  {"id": 3}  ', b"{}{}"]
    rows, rejects = read_one(tmp_path, b"\r\n".join(lines) + b"\r\n", name="f.ndjson", format="ndjson")
    assert rows == [(1, '{"id": 1, "name": "x"}'), (7, '  {"id": 3}  ')]
    assert [line for line, _ in rejects] == [3, 4, 5, 6, 8]
    assert [reason.split(":")[0] for _, reason in rejects] == [
        "is not JSON", "is JSON but not an object", "is JSON but not an object", "is JSON but not an object", "is not JSON",
    ]  # fmt: skip


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_ndjson_in_other_encodings(tmp_path: Path, encoding: str) -> None:
    content = '{"n": "é"}\n\n{"n": "ü"}'.encode(encoding)
    configured = "utf-8" if encoding == "utf-8-sig" else encoding
    rows, rejects = read_one(tmp_path, content, name="f.ndjson", format="ndjson", encoding=configured)
    assert (rows, rejects) == ([(1, '{"n": "é"}'), (3, '{"n": "ü"}')], [])


def test_ndjson_the_fast_reader_refuses_is_read_line_by_line(tmp_path: Path) -> None:
    """A control character, a line that is too long for DuckDB, and a name that it takes for a pattern."""
    content = b'{"a": 1}\n{"a": "\x01"}\n{"a": "' + b"x" * 3_000_000 + b'"}\n'
    rows, rejects = read_one(tmp_path, content, name="[f].ndjson", format="ndjson")
    assert [line for line, _ in rows] == [1, 3]
    assert [line for line, _ in rejects] == [2]
    assert read_one(tmp_path, content, name="f.ndjson", format="ndjson") == (rows, rejects)


def test_ndjson_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    message = refusal(tmp_path, b'{"a": 1}\n{"a": "\xff"}\n', name="f.ndjson", format="ndjson")
    assert "f.ndjson: line 2: bytes that are not utf-8" in message


def test_ndjson_columns_are_the_keys_that_expressions_read(tmp_path: Path) -> None:
    path = tmp_path / "f.ndjson"
    path.write_bytes(b'{"ID": 1, "a/b~c": "slash", "deep": {"x": [2]}, "n": null}\n{"ID": "two"}\n')
    columns = {
        "order_id": {"expr": "upper(ID) || coalesce(\"a/b~c\", '-')"},
        "status": {"expr": "coalesce(absent, n, _json->>'$.deep.x[0]', _file)"},
        "currency": "EUR",
    }
    file = landing_file(path, source(format="ndjson", columns=columns))
    with duckdb.connect() as con:
        assert readers.columns_used(con, file.source) == ("ID", "a/b~c", "absent", "n")
        readers.read(con, [(file, readers.facts(file))], tmp_path, "t")
        assert con.execute('select _line, id, "a/b~c", absent, n from t order by 1').fetchall() == [
            (1, "1", "slash", None, None),
            (2, "two", None, None, None),
        ]


@pytest.mark.parametrize("key", ["plain", "with space", 'quo"te', "a.b", "a/b", "til~de", "*", "$", "0", "", "it's"])
def test_any_key_of_json_can_be_mapped(key: str) -> None:
    with duckdb.connect() as con:
        value = con.execute(f"select {readers.json_text(key)} from (select to_json(map([$1, 'o'], ['v', 'w'])) as _json)", [key])
        assert value.fetchone() == ("v",)


# Parquet


def test_parquet_rows_are_text_with_their_row_number(tmp_path: Path) -> None:
    path = tmp_path / "f.parquet"
    pq.write_table(pa.table({"Id": [1, 2], "at": pa.array([0, None], pa.timestamp("us", "UTC")), "x": [2.5, None]}), path)
    assert read(landing_file(path, source(format="parquet")), scratch=tmp_path)[0] == [
        ("f.parquet", 1, "1", "1970-01-01 00:00:00+00", "2.5"),
        ("f.parquet", 2, "2", None, None),
    ]


def test_parquet_that_is_cut_off_damaged_or_has_a_name_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "whole.parquet"
    pq.write_table(pa.table({"id": [str(n) for n in range(5000)]}), path)
    whole = path.read_bytes()
    damaged = whole[:200] + bytes(2000) + whole[2200:]
    for content in (whole[:-100], whole[: len(whole) // 2], b"", damaged):
        message = refusal(tmp_path, content, name="f.parquet", format="parquet")
        assert message.startswith("f.parquet: cannot be read as Parquet") and "Ask for the file again" in message
    pq.write_table(pa.table({"id": ["1"], "ID": ["2"]}), path)
    assert "'ID' stands twice" in refusal(tmp_path, path.read_bytes(), name="f.parquet", format="parquet")


# Discovery


def found(home: Path, pattern: str, timezone: str = "UTC") -> list[tuple[str, str, str | None]]:
    (home / "landing").mkdir(exist_ok=True)
    (home / "landing" / "cx.toml").write_text(f"[business]\ntimezone = '{timezone}'\n")
    files = readers.discover(Settings(home), source(pattern=pattern))
    return [(file.relative, str(file.delivery_day), file.problem) for file in files]


def touch(home: Path, *names: str) -> None:
    for name in names:
        path = home / "landing" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"id\n")


def test_the_day_in_the_name_is_the_delivery_day(cx_home: Path) -> None:
    touch(cx_home, "2026-01-02.csv", "2026-01-01.csv", "x2026-01-01.csv", "2026-1-3.csv", "2026-01-04.csv.gz")
    assert found(cx_home, "{day}.csv") == [("2026-01-01.csv", "2026-01-01", None), ("2026-01-02.csv", "2026-01-02", None)]


def test_a_day_may_stand_in_the_folder_and_in_the_name(cx_home: Path) -> None:
    touch(cx_home, "2026-01-01/o_2026-01-01.csv", "2026-01-01/o_2026-01-02.csv")
    assert found(cx_home, "{day}/o_{day}.csv") == [("2026-01-01/o_2026-01-01.csv", "2026-01-01", None)]


def test_without_a_day_in_the_pattern_it_is_that_of_the_file_in_the_business_zone(cx_home: Path) -> None:
    touch(cx_home, "a.csv")
    late = datetime.fromisoformat("2026-01-05T23:30:00+00:00").timestamp()
    os.utime(cx_home / "landing" / "a.csv", (late, late))
    assert found(cx_home, "*.csv") == [("a.csv", "2026-01-05", None)]
    assert found(cx_home, "*.csv", "Europe/Amsterdam") == [("a.csv", "2026-01-06", None)]


def test_a_date_that_does_not_exist_is_a_problem_not_a_file_passed_over(cx_home: Path) -> None:
    touch(cx_home, "2026-02-30.csv")
    ((relative, _, problem),) = found(cx_home, "{day}.csv")
    assert relative == "2026-02-30.csv" and problem is not None and "2026-02-30, which does not exist" in problem
    (file,) = readers.discover(Settings(cx_home), source(pattern="{day}.csv"))
    with pytest.raises(FileRefused, match=r"does not exist\. Rename the file"):
        readers.facts(file)


def test_hidden_and_unfinished_files_are_passed_over(cx_home: Path) -> None:
    touch(cx_home, ".a.csv", "b.csv.tmp", "c.csv.part", "d.tmp", ".staging/e.csv", "f.csv", "g/h.csv")
    (cx_home / "landing" / "folder.csv").mkdir()
    assert [name for name, _, _ in found(cx_home, "*")] == ["cx.toml", "f.csv"]
    assert [name for name, _, _ in found(cx_home, "*/*.csv")] == ["g/h.csv"]


def test_characters_of_a_pattern_mean_themselves(cx_home: Path) -> None:
    touch(cx_home, "a[1].csv", "a1.csv", "b?.csv", "bx.csv", "c.d.csv", "cxd.csv")
    assert [name for name, _, _ in found(cx_home, "a[1].csv")] == ["a[1].csv"]
    assert [name for name, _, _ in found(cx_home, "b?.csv")] == ["b?.csv"]
    assert [name for name, _, _ in found(cx_home, "c.d.csv")] == ["c.d.csv"]


def test_a_name_that_is_not_utf_8_is_a_problem(cx_home: Path) -> None:
    touch(cx_home, "a.csv")
    (cx_home / "landing" / os.fsdecode(b"caf\xe9.csv")).write_bytes(b"id\n")
    assert found(cx_home, "caf*.csv")[0][2] == "caf\\udce9.csv: its name is not UTF-8. Rename the file."


def test_bytes_and_lines_are_counted_over_many_chunks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Line ends, delimiters and quotes that lie on the border of two chunks."""
    content = b'id,name\r\n1, "x"\r2,y\n\r\n"a,b",z'
    expected = readers._scan(_file(tmp_path, content))
    assert expected == (5, 5, True)  # the fourth line is blank, the last one has no end
    for size in range(1, len(content)):
        monkeypatch.setattr(readers, "_CHUNK", size)
        assert readers._scan(_file(tmp_path, content)) == expected, size
        assert readers._scan(_file(tmp_path, codecs.BOM_UTF16_LE + content.decode().encode("utf-16-le"), "utf-16")) == expected


def _file(folder: Path, content: bytes, encoding: str = "utf-8") -> LandingFile:
    path = folder / "scan.csv"
    path.write_bytes(content)
    return landing_file(path, source(encoding=encoding))
