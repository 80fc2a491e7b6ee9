"""Hostile deliveries through take and load: what stands in raw cell by cell, or the exact refusal; nothing lost, no traceback.

What a reader makes of bytes alone is in test_reading.py and tests/property/test_readers.py, of values in test_casts.py.
"""

from __future__ import annotations

import gzip
import io
import os
import tracemalloc
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestration.lib import readers
from tests import fuzz
from tests.landing import Home

HEADER = "refund_id,order_id,refunded_at,amount,currency,reason\n"
CONFIG = """
[[feed]]
feed = 'refunds'
pattern = 'r_{day}*.csv*'
format = 'csv'
timezone = 'Europe/Amsterdam'
max_text_mb = 2
[[feed]]
feed = 'refunds'
pattern = 'u_{day}*.csv'
format = 'csv'
delimiter = ';'
decimal = ','
encoding = 'ENCODING'
[[feed]]
feed = 'refunds'
pattern = 'j_{day}*.ndjson*'
format = 'ndjson'
"""
GOOD = [f"g{n}" for n in range(40)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hostile")


@pytest.fixture(scope="module")
def shared(folder: Path) -> Iterator[Home]:
    (folder / "cx").mkdir()
    with Home(folder / "cx", CONFIG.replace("ENCODING", "utf-8")).open() as home:
        yield home


@pytest.fixture
def home(shared: Home) -> Iterator[Home]:
    """The module's home with nothing in it."""
    yield shared
    for path in (shared.home / "landing").iterdir():
        if path.name != "cx.toml":
            path.unlink()
    for name in ("raw.refunds", "ops.quarantine", "ops.deliveries"):
        shared.con.execute(f"delete from {name}")


def line(key: str, amount: str = "5", reason: str = "x", at: str = "2026-01-05 10:00:00") -> str:
    return f"{key},o1,{at},{amount},EUR,{reason}\n"


def good() -> str:
    return "".join(line(key) for key in GOOD)


def outcome(home: Home, name: str, content: str | bytes) -> tuple[list[tuple[object, ...]], list[tuple[object, ...]], str | None]:
    """Rows of a delivery but those of `good`, its rows in quarantine, and why it was refused; conservation is checked."""
    home.put(name, content)
    loaded = home.load("refunds")
    ((status, read, accepted, bad, reason),) = home.rows(
        "select status, rows_read, rows_accepted, rows_quarantined, reason from ops.deliveries where file = $1", name
    )
    rows = home.rows(
        "select _line, refund_id, cast(amount as varchar), reason, cast(refunded_at as varchar) from raw.refunds order by _line"
    )
    kept = home.rows("select line, reasons, raw_text from ops.quarantine order by line")
    if status == "refused":
        assert (rows, kept, loaded.refused) == ([], [], 1) and name in reason
        return [], [], reason
    assert (status, read, accepted, bad) == ("accepted", len(rows) + len(kept), len(rows), len(kept))
    assert [row[1] for row in rows if row[1] in GOOD] == GOOD
    assert {row[2:] for row in rows if row[1] in GOOD} in (
        set(), {("5.0000", "x", "2026-01-05 09:00:00")}, {("5.0000", "x", "2026-01-05 10:00:00")}
    )  # fmt: skip
    return [row for row in rows if row[1] not in GOOD], kept, None


@pytest.mark.parametrize("encoding", ["utf-8-sig", "cp1252", "utf-16", "utf-16-le", "utf-16-be"])
def test_encodings_with_semicolons_and_decimal_commas(home: Home, encoding: str) -> None:
    home.configure(CONFIG.replace("ENCODING", encoding))
    text = (HEADER + good()).replace(",", ";") + 'a;o1;2026-01-05 10:00:00;1.234,50;EUR;"é; €\n""x"""\nb;o1;2026-01-05;1.5;EUR;\n'
    rows, kept, _ = outcome(home, "u_2026-01-05.csv", text.encode(encoding))
    home.configure(CONFIG.replace("ENCODING", "utf-8"))
    assert rows == [(42, "a", "1234.5000", 'é; €\n"x"', "2026-01-05 10:00:00")]
    assert [(n, reasons) for n, reasons, _ in kept] == [
        (44, ["amount: \"1.5\" is not a number with decimal mark ',' (set decimal in cx.toml)"])
    ]


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32"])
def test_another_encoding_than_declared_is_refused(home: Home, encoding: str) -> None:
    _, _, reason = outcome(home, "r_2026-01-05.csv", (HEADER + good() + line("é")).encode(encoding))
    assert reason is not None and reason.startswith("r_2026-01-05.csv: line ")


def test_nul_bytes_are_data_in_text_and_a_reason_in_numbers(home: Home) -> None:
    rows, kept, _ = outcome(home, "r_2026-01-05.csv", HEADER + good() + line("a", reason="b\0c") + line("b", amount="5\0"))
    assert rows == [(42, "a", "5.0000", "b\0c", "2026-01-05 09:00:00")]
    assert [n for n, *_ in kept] == [43] and "is not a number" in str(kept[0][1])


def test_a_file_that_was_given_its_size_before_its_content_says_where_it_ends(home: Home) -> None:
    _, kept, _ = outcome(home, "r_2026-01-05.csv", (HEADER + good()).encode() + bytes(4096))
    assert [(n, reasons) for n, reasons, _ in kept] == [(42, ["expected 6 fields, found 1 (a line cut short?)"])]


def test_a_half_written_line_goes_to_quarantine_and_a_half_written_quote_refuses(home: Home) -> None:
    _, kept, _ = outcome(home, "r_2026-01-05.csv", HEADER + good() + "h,o1,2026-01-")
    assert kept == [(42, ["expected 6 fields, found 3 (a line cut short?)"], "h,o1,2026-01-")]
    home.put("r_2026-01-06.csv", HEADER + good() + 'h,o1,2026-01-05,5,EUR,"half')
    home.load("refunds")
    ((reason,),) = home.rows("select reason from ops.deliveries where file = 'r_2026-01-06.csv'")
    assert reason.startswith("r_2026-01-06.csv: line 42: ") and reason.endswith("deliver it again.")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "line 1: empty, a header was expected. Ask for the file again."),
        (b"\0" * 512, "nothing provides the required column"),
        (b"\n" * 9, "line 1: empty"),
        (b"refund_id,order_id\n", "nothing provides the required column 'refunded_at'"),
    ],
)
def test_files_of_nothing_are_refused(home: Home, content: bytes, said: str) -> None:
    assert said in str(outcome(home, "r_2026-01-05.csv", content)[2])


def test_mixed_line_ends_keep_every_row_and_line(home: Home) -> None:
    lines = [*(HEADER + good()).splitlines(), line("a").strip(), line("b").strip()]
    text = "".join(one + end for one, end in zip(lines, ["\n", "\r\n", "\r"] * 20, strict=False))
    assert [row[:2] for row in outcome(home, "r_2026-01-05.csv", text)[0]] == [(42, "a"), (43, "b")]


def test_a_truncated_gz_is_refused_and_a_gz_with_a_comment_is_read(home: Home) -> None:
    whole = gzip.compress((HEADER + good()).encode())
    reason = outcome(home, "r_2026-01-05.csv.gz", whole[:-20])[2]
    assert reason is not None and "cannot be decompressed" in reason and reason.endswith("Ask for the file again.")
    # Optional fields of gzip, which DuckDB does not read: bgzip writes some.
    extra = whole[:3] + b"\x14" + whole[4:10] + b"\x02\x00ab" + b"made by night\0" + whole[10:]
    home.put("r_2026-01-06.csv.gz", extra)
    loaded = home.load("refunds")
    assert loaded.rows_accepted == 40


def test_damage_to_a_gz_that_shows_as_wrong_text_first_is_still_damage(home: Home) -> None:
    home.configure(CONFIG.replace("ENCODING", "utf-16").replace("u_{day}*.csv", "u_{day}*.csv.gz"))
    stored = gzip.compress((HEADER + good()).replace(",", ";").encode("utf-16"), 0)
    reason = outcome(home, "u_2026-01-05.csv.gz", stored[:15] + b"xx" + stored[17:])[2]
    home.configure(CONFIG.replace("ENCODING", "utf-8"))
    assert reason is not None and "cannot be decompressed: CRC check failed" in reason


def test_a_gz_of_no_bytes_is_refused_even_where_no_header_is_expected(home: Home) -> None:
    reason = outcome(home, "j_2026-01-05.ndjson.gz", b"")[2]
    assert reason == "j_2026-01-05.ndjson.gz: cannot be decompressed: it has no bytes. Ask for the file again."


def test_bombs_are_bounded_in_memory_and_refused(home: Home) -> None:
    squeezed = io.BytesIO()
    with gzip.GzipFile(fileobj=squeezed, mode="wb", compresslevel=1) as handle:
        handle.write(HEADER.encode())
        for _ in range(64):
            handle.write(b"0" * (1 << 20))
    tracemalloc.start()
    try:
        reason = outcome(home, "r_2026-01-05.csv.gz", squeezed.getvalue())[2]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert reason is not None and "decompressed it is more than 2 MB of text" in reason and "set max_text_mb" in reason
    assert peak < 30 << 20


def test_a_zip_is_no_csv(home: Home) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("r.csv", HEADER + good())
    reason = outcome(home, "r_2026-01-05.csv", packed.getvalue())[2]
    assert reason is not None and reason.startswith("r_2026-01-05.csv: line ")


def test_only_gz_is_decompressed(home: Home) -> None:
    """DuckDB would go by the name."""
    assert [row[1] for row in outcome(home, "r_2026-01-05.csv.zst", HEADER + good() + line("a"))[0]] == ["a"]
    home.put("r_2026-01-06.csv.GZ", HEADER + line("b"))
    assert home.load("refunds").rows_accepted == 1


def test_a_line_without_end_is_refused_before_it_fills_the_memory(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readers, "_LONGEST_LINE", 1 << 21)
    reason = outcome(home, "r_2026-01-05.csv", HEADER + good() + "x" * (4 << 20))[2]
    assert reason == (
        "r_2026-01-05.csv: line 42: is longer than 2,097,152 characters. Ask for the file again, with its line ends."
    )


def test_a_cell_of_10_mb_is_kept_and_one_of_20_is_refused(home: Home) -> None:
    home.put("r_2026-01-05.csv", HEADER + good() + line("a", reason="y" * 10_000_000))
    home.load("refunds")
    assert home.rows("select _line, length(reason), reason = repeat('y', 10000000) from raw.refunds where refund_id = 'a'") == [
        (42, 10_000_000, True)
    ]
    home.put("r_2026-01-06.csv", HEADER + good() + line("a", reason="y" * 20_000_000))
    home.load("refunds")
    ((reason,),) = home.rows("select reason from ops.deliveries where file = 'r_2026-01-06.csv'")
    assert "line 42: a cell has more than 16,777,216 characters" in reason


def test_a_thousand_columns(home: Home) -> None:
    more = [f"c{n}" for n in range(1000)]
    text = HEADER.strip() + "," + ",".join(more) + "\n"
    text += "".join(line(key).strip() + ",v" * 1000 + "\n" for key in [*GOOD, "a"])
    assert outcome(home, "r_2026-01-05.csv", text)[0] == [(42, "a", "5.0000", "x", "2026-01-05 09:00:00")]


@pytest.mark.parametrize("number", ["1e400", "9" * 40, "NaN", "inf", "-Infinity", "1e-400", "0x1F", "९"])
def test_numbers_beyond_range_go_to_quarantine_with_their_value(home: Home, number: str) -> None:
    rows, kept, _ = outcome(home, "r_2026-01-05.csv", HEADER + good() + line("a", amount=number))
    assert rows == [] and [n for n, *_ in kept] == [42]
    assert kept[0][1] in (
        [f"amount: \"{number}\" is not a number with decimal mark '.' (set decimal in cx.toml)"],
        ["amount_positive: A refund gives money back."],
    )


def test_hours_that_the_clock_skips_or_repeats_and_leap_days(home: Home) -> None:
    times = ["2025-03-30 02:30:00", "2025-10-26 02:30:00", "2024-02-29 12:00:00", "2025-02-29 12:00:00"]
    text = HEADER + good() + "".join(line(f"t{n}", at=at) for n, at in enumerate(times))
    rows, kept, _ = outcome(home, "r_2026-01-05.csv", text)
    assert [row[4] for row in rows] == ["2025-03-30 01:30:00", "2025-10-26 01:30:00", "2024-02-29 11:00:00"]
    assert [n for n, *_ in kept] == [45] and '"2025-02-29 12:00:00"' in str(kept[0][1])


def test_formulas_and_sql_stay_text(home: Home) -> None:
    texts = ["=cmd|' /C calc'!A0", "@SUM(1)", "+1", "-1", "'); drop table raw.refunds; --", "{x}", "$1", "\\N"]
    text = HEADER + good() + "".join(line(f"f{n}", reason=one) for n, one in enumerate(texts))
    assert [row[3] for row in outcome(home, "r_2026-01-05.csv", text)[0]] == texts


def test_headers_are_only_names(home: Home) -> None:
    names = [
        '"a\nb"',
        '"q"";x"',
        "'; drop table x",
        "../x",
        "=cmd|x",
        "t",
        "f",
        "_extra",
        "_key",
        "_reasons",
        "_text_amount",
        "{x}",
    ]
    text = HEADER.strip() + "," + ",".join(names) + "\n"
    text += "".join(line(key).strip() + ",v" * len(names) + "\n" for key in [*GOOD, "a"]) + line("b", "z").strip() + ",v" * 12
    rows, kept, _ = outcome(home, "r_2026-01-05.csv", text)
    assert [row[:4] for row in rows] == [(43, "a", "5.0000", "x")]
    assert [n for n, *_ in kept] == [44] and '"a\\nb":"v"' in str(kept[0][2])


@pytest.mark.parametrize("tail", ["'", '"', ";", "..", "\n", "%s", "{a,b}", "[x]", "*", "\\", "$(x)"])
def test_file_names_are_only_names(home: Home, tail: str) -> None:
    assert [row[1] for row in outcome(home, f"r_2026-01-05{tail}.csv", HEADER + good() + line("a"))[0]] == ["a"]


def test_json_that_is_nested_deeply_or_has_impossible_texts(home: Home) -> None:
    def one(key: str, reason: str) -> str:
        row = f'"refund_id":"{key}","order_id":"o","refunded_at":"2026-01-05 10:00:00","amount":5,"currency":"EUR"'
        return f'{{{row},"reason":{reason}}}\n'

    text = "".join(one(key, '"x"') for key in GOOD) + "[" * 200_000 + "\n" + one("a", '"é🙂"')
    rows, kept, _ = outcome(home, "j_2026-01-05.ndjson", text)
    assert rows == [(42, "a", "5.0000", "é🙂", "2026-01-05 10:00:00")]
    assert [(n, reasons) for n, reasons, _ in kept] == [(41, ["is not JSON: nested too deeply"])]


def test_links_out_of_the_landing_folder_are_refused_and_never_read(home: Home, folder: Path) -> None:
    secret = folder / "secret"
    secret.mkdir(exist_ok=True)
    (secret / "r_2026-01-07.csv").write_text(HEADER + good())
    landing = home.home / "landing"
    (landing / "r_2026-01-05.csv").symlink_to(secret / "r_2026-01-07.csv")
    (landing / "r_2026-01-06.csv").symlink_to("r_2026-01-08.csv")  # inside: a name like any other
    home.put("r_2026-01-08.csv", HEADER + line("in"))
    (landing / "r_2026-01-09.csv").symlink_to("nowhere")
    home.load("refunds")
    assert home.rows("select distinct refund_id from raw.refunds") == [("in",)]
    ((reason,),) = home.rows("select reason from ops.deliveries where status = 'refused'")
    assert reason.startswith("r_2026-01-05.csv: is a link") and reason.endswith("Put the file itself there.")
    linked = landing / "linked"
    linked.symlink_to(secret)
    source = home.settings.config.feed[0].model_copy(update={"pattern": "linked/r_{day}.csv"})
    assert [os.path.basename(f.path) for f in readers.discover(home.settings, source) if f.problem] == ["r_2026-01-07.csv"]


def test_damaged_deliveries_are_never_a_traceback_never_a_changed_row(tmp_path: Path) -> None:
    """The small version of `make fuzz`; the same deliveries every time."""
    outcomes, findings = fuzz.fuzz(tmp_path, 60, seed=2)
    assert findings == []
    assert len({outcome for _, outcome in outcomes}) == 5 and sum(outcomes.values()) == 60
