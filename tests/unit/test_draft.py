"""`cx init`: what it recognises in files, what it leaves to people, and that its draft is a configuration."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import tempfile
import tomllib
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from orchestration import cli
from orchestration.lib.draft import Kind, draft
from orchestration.lib.readers import discover
from orchestration.settings import PROJECT_ROOT, ConfigError, CxConfig, Settings


def _drafted(home: Path, **files: str | bytes) -> tuple[str, dict[str, Kind], Settings]:
    """The draft for files by name (`__` is a folder, `_DAY_` a day), its kinds by pattern, and settings that read it."""
    for name, text in files.items():
        path = home / "landing" / name.replace("__", "/").replace("_DAY_", "_2026-01-31.")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    settings = Settings(home)
    text, kinds = draft(settings)
    settings.config_path.write_text(text, encoding="utf-8")
    return text, {kind.pattern: kind for kind in kinds}, settings


def test_the_files_of_the_tutorial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its mapping is the tutorial's, but for what the page says is left to do; and what it prints is what the page shows."""
    page = (PROJECT_ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
    for name, text in re.findall(r'```csv title="~/cx/(landing/[^"]+01-31\.csv)"\n(.*?)```', page, re.DOTALL):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    monkeypatch.setenv("CX_HOME", str(tmp_path))
    monkeypatch.delenv("CX_CONFIG", raising=False)
    done = CliRunner().invoke(cli.app, ["init"])
    said = [line.rstrip() for line in done.stdout.replace(str(tmp_path), "/home/you/cx").splitlines()]
    assert done.exit_code == 0 and "$ cx init\n" + "\n".join(said) + "\n```" in page
    calls, orders = Settings(tmp_path).config.feed
    (tmp_path / "landing" / "cx.toml").write_text(re.search(r"```toml[^\n]*\n(.*?)```", page, re.DOTALL)[1], encoding="utf-8")
    right = {source.feed: source for source in Settings(tmp_path).config.feed}
    assert orders == right["order_lines"].model_copy(update={"constants": {}})
    without = {name: column for name, column in right["contacts"].columns.items() if name != "outcome"}
    assert calls == right["contacts"].model_copy(update={"constants": {}, "columns": without})
    with pytest.raises(ConfigError, match=r"cx\.toml is there already"):
        CliRunner().invoke(cli.app, ["init"], catch_exceptions=False)


def test_what_a_configuration_does_not_read_yet_can_be_added_to_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two days of orders and the lines of one of them: only what no feed reads is printed, and the file is not touched."""
    _, _, there = _drafted(
        tmp_path,
        orders_DAY_csv="order_id,ordered_at,status,currency\n1,2026-01-31 10:00:00,paid,EUR\n",
        **{"orders_2026-02-01.csv": "order_id,ordered_at,status,currency\n2,2026-02-01 10:00:00,paid,EUR\n"},
    )
    before = there.config_path.read_text(encoding="utf-8")
    (there.landing / "shop").mkdir()
    (there.landing / "shop" / "order_lines_2026-01-31.csv").write_text(
        "order_id,line_id,product_id,quantity,unit_price\n1,1,tea,2,3.50\n", encoding="utf-8"
    )
    monkeypatch.setenv("CX_HOME", str(tmp_path))
    monkeypatch.delenv("CX_CONFIG", raising=False)
    added = CliRunner().invoke(cli.app, ["init", "--add"])
    assert added.exit_code == 0 and there.config_path.read_text(encoding="utf-8") == before
    assert [table["pattern"] for table in tomllib.loads(added.stdout)["feed"]] == ["shop/order_lines_{day}.csv"]
    assert "REQUIRED" not in added.stdout, "the time and currency of lines are those of the orders that are there"
    there.config_path.write_text(before + added.stdout, encoding="utf-8")
    assert [source.feed for source in Settings(tmp_path).config.feed] == ["orders", "order_lines"]
    again = CliRunner().invoke(cli.app, ["init", "--add"])
    assert (again.exit_code, again.stdout.strip()) == (0, "") and "reads every file" in again.stderr


def test_nothing_to_draft_from_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CX_HOME", str(tmp_path))
    monkeypatch.delenv("CX_CONFIG", raising=False)
    with pytest.raises(ConfigError, match="put your exports there"):
        CliRunner().invoke(cli.app, ["init"], catch_exceptions=False)
    assert not (tmp_path / "landing" / "cx.toml").exists()


@pytest.mark.parametrize(
    ("cells", "form", "doubted"),
    [
        (("2026-01-05 10:00", "2026-01-06T11:00:00Z"), None, False),
        (("05/01/2026", "13/01/2026"), "%d/%m/%Y", False),
        (("01/05/2026", "01/13/2026"), "%m/%d/%Y", False),
        (("05/01/2026", "06/01/2026"), "%d/%m/%Y", True),  # May, or January
        (("05.01.2026 09:30", "06.01.2026 17:45"), "%d.%m.%Y %H:%M", False),
        (("1/13/2026 9:30 PM", "1/14/2026 11:00 AM"), "%m/%d/%Y %I:%M %p", False),
    ],
)
def test_times(cells: tuple[str, ...], form: str | None, doubted: bool, tmp_path: Path) -> None:
    rows = "".join(f"{n},web,{cell}\n" for n, cell in enumerate(cells))
    _, kinds, settings = _drafted(tmp_path, tickets_DAY_csv=f"ticket,channel,opened\n{rows}")
    assert settings.config.feed[0].feed == "cases" and settings.config.feed[0].datetime_format == form
    assert any("month first" in doubt for doubt in kinds["tickets_{day}.csv"].doubts) == doubted


def test_encoding_format_and_names(tmp_path: Path) -> None:
    text, kinds, settings = _drafted(
        tmp_path,
        crm__customers_DAY_csv="Customer No;Name;E-mail\n7;Zoë;a@b.nl\n".encode("cp1252"),
        web__visits_DAY_ndjson='{"session_id": "s1", "start": "2026-01-31T10:00:00Z"}\n',
        other_DAY_csv="colour,shape\nred,round\n",
        **{
            "Odd_DAY_csv": 'order_id,line_id,quantity,unit_price,ordered_at,currency,"a ""b"" \\ c"\n1,1,1,2.50,2026-01-31,EUR,\n'
        },
    )
    by_feed = {source.feed: source for source in settings.config.feed}
    assert by_feed["persons"].encoding == "cp1252" and by_feed["persons"].columns["person_id"] == "Customer No"
    assert by_feed["web_sessions"].format == "ndjson" and by_feed["web_sessions"].columns["started_at"] == "start"
    assert by_feed["order_lines"].decimal == "." and r'"a \"b\" \\ c"' in text
    assert kinds["other_{day}.csv"].feed is None and "# other_{day}.csv: not recognised" in text


def test_files_without_a_day_and_files_that_cannot_be_read(tmp_path: Path) -> None:
    text, kinds, _ = _drafted(tmp_path, **{"orders_20260131.csv": "order_id,status\n1,paid\n", "bad_DAY_parquet": b"no parquet"})
    assert [*kinds] == ["bad_{day}.parquet", "orders_*.csv"]
    assert "YYYY-MM-DD, with dashes" in kinds["orders_*.csv"].doubts[0] and kinds["orders_*.csv"].days == []
    assert "cannot be read" in kinds["bad_{day}.parquet"].doubts[0] and "# bad_{day}.parquet: not recognised" in text
    assert kinds["orders_*.csv"].missing == ["ordered_at", "currency"]


def test_a_decimal_comma_in_a_column_that_is_nobodys(tmp_path: Path) -> None:
    """And lines without a number: the draft says how to number them."""
    rows = "Order No;Customer No;Pieces;Amount;Date\n1;C1;2;6,25;21-11-2026\n2;C2;1;1.049,00;22-11-2026\n"
    text, kinds, settings = _drafted(tmp_path, sales_DAY_csv=rows)
    assert kinds["sales_{day}.csv"].missing == ["line_id", "unit_price", "currency"]
    assert settings.config.feed[0].decimal == "," and 'line_id = { expr = "_line" }' in text


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_utf_16(encoding: str, tmp_path: Path) -> None:
    """Excel's "Unicode text"; U+0A0D has the bytes of a line's end in either order, and the file is longer than what is read."""
    row = "17\tZoë \u0a0d\tphone\t2026-01-30 10:00\n"
    raw = ("Ticket\tName\tChannel\tOpened\n" + row * 20_000).encode(encoding)
    text, _, settings = _drafted(tmp_path, tickets_DAY_txt=raw)
    source = settings.config.feed[0]
    assert (source.feed, source.encoding, source.delimiter) == ("cases", "utf-16" if encoding == "utf-16" else encoding, "\t")
    assert source.columns["case_id"] == "Ticket" and "\0" not in text and len(raw) > 1 << 20


def test_a_last_line_without_its_end_and_columns_of_one_name(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    pq.write_table(
        pa.Table.from_arrays([pa.array(["S1"]), pa.array(["x"]), pa.array(["2026-01-30"])], ["id", "id", "start"]), buffer
    )
    _, kinds, _ = _drafted(tmp_path, tickets_DAY_csv="ticket,opened\n1,13/01/2026", visits__visits_DAY_parquet=buffer.getvalue())
    assert kinds["tickets_{day}.csv"].datetime_format == "%d/%m/%Y"
    assert kinds["visits/visits_{day}.parquet"].rows == [("S1", "x", "2026-01-30")]


_NAMES = st.text(st.characters(exclude_characters="/\0"), max_size=12) | st.text("{}*?[]\"'\\#=\n\r\t\x7f\x85 .é", max_size=8)


@settings(max_examples=40, deadline=None)
@example("calls_{x}_", ["Call ID", 'bar\nbaz"', "\x7f#"], True)
@example("new\nline[[feed]]", ["foo", "bar\nbaz"], False)
@example("{day}**{", ["\ud800 call id", "[feed]\rx = 1"], True)
@example("no\udce9utf8_", ["a"], False)
@example("", ["\t\n\t\t\t\t\t\t"], True)
@given(st.builds(str, _NAMES), st.lists(st.text(max_size=8) | _NAMES, min_size=1, max_size=4), st.booleans())
def test_whatever_the_names_the_draft_is_a_configuration(name: str, header: list[str], is_contacts: bool) -> None:
    """Its columns are those of the file to the character; nothing a file says becomes a line of its own."""
    header = [*header, *(["contact_id", "started_at", "channel", "direction", "outcome"] if is_contacts else [])]
    buffer = io.StringIO(newline="")
    csv.writer(buffer).writerow(header)
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        path = home / "landing" / "calls" / f"x{name}2026-01-31.csv"
        path.parent.mkdir(parents=True)
        path.write_bytes(buffer.getvalue().encode("utf-8", "surrogatepass"))
        (path.parent / "more_2026-01-31.ndjson").write_text(json.dumps(dict.fromkeys(header, "\ud800")) + "\n", encoding="utf-8")
        text, kinds = draft(Settings(home))
        (home / "landing" / "cx.toml").write_text(text, encoding="utf-8")
        config = Settings(home).config
        assert [source.pattern for source in config.feed] == [kind.pattern for kind in kinds if kind.feed]
        assert "ndjson" in {source.format for source in config.feed} or not is_contacts
        for source in config.feed:
            (kind,) = (kind for kind in kinds if kind.pattern == source.pattern)
            assert source.columns == kind.columns and set(source.columns.values()) <= set(kind.header)
            assert [os.fsencode(file.path) for file in discover(Settings(home), source)] == [*map(os.fsencode, kind.files)]


@pytest.mark.parametrize(
    ("names", "then"),
    [
        (["tickets_2026-01-31.csv", "tickets_2026-02-03.csv"], "cx backfill 2026-01-31 2026-02-03\n"),
        (["tickets_2026-01-31.csv", "tickets_2026-13-45.csv"], "cx backfill 2026-01-31 2026-01-31\n"),
        (["tickets_20260305.csv"], "move cx.toml away and run cx init again\n"),
        (["tickets_2026-13-45.csv"], "move cx.toml away and run cx init again\n"),
        ([], "docs/contracts.md says which there are\n"),
    ],
)
def test_what_to_backfill(names: list[str], then: str, cx_home: Path) -> None:
    """The days of recognised files; neither when some file was written nor what is no date or in a file of no feed."""
    for name in ["README.txt", "other_2027-05-01.csv", *names]:
        (cx_home / "landing").mkdir(exist_ok=True)
        (cx_home / "landing" / name).write_text("ticket,opened\n1,2026-01-05\n" if name in names else "Some, text\n")
    done = CliRunner().invoke(cli.app, ["init"])
    assert done.exit_code == 0 and done.stdout.endswith(then)
    assert ("a date that does not exist" in done.stdout) == ("tickets_2026-13-45.csv" in names)


@pytest.mark.parametrize(
    ("name", "header", "feed"),
    [
        # All that survey_responses needs, and not what employee_surveys does
        (
            "employee_surveys__results_DAY_csv",
            "response_id,survey_id,metric_kind,score,answered_at,status,channel",
            "employee_surveys",
        ),
        (
            "hr__Employee-Surveys_DAY_csv",
            "response_id,survey_id,metric_kind,score,answered_at,status,channel",
            "employee_surveys",
        ),
        ("fx_rates_DAY_csv", "from,to_currency,date,rate", "fx_rates"),
        ("agents_DAY_csv", "agent_id,full_name", "agents"),
        ("ivr_events__log_DAY_csv", "id,session,node,at,contact,event", "ivr_events"),
        ("surveys_DAY_csv", "survey_id,question_id,text", "surveys"),
        ("surveys__agents_DAY_csv", "agent_id,survey_id", "agents"),
        ("cart_events_DAY_csv", "event_id,event,occurred_at,cart_id,session_id", "cart_events"),
        # but not against all that another feed of that name needs
        ("orders_DAY_csv", "order_id,line_id,quantity,unit_price,ordered_at", "order_lines"),
        ("orders_DAY_csv", "order_id,ordered_at,status,currency,line_id,quantity,unit_price", "orders"),
        ("agents_DAY_csv", "colour,shape", "agents"),
        ("agents__readme.txt", "colour,shape", None),
    ],
)
def test_an_exact_name_is_its_feed(name: str, header: str, feed: str | None, tmp_path: Path) -> None:
    _, kinds, settings = _drafted(tmp_path, **{name: header + "\n"})
    assert [kind.feed for kind in kinds.values()] == [feed]
    assert [source.feed for source in settings.config.feed] == [feed] * (feed is not None)


def test_the_newest_file_with_rows_is_read(tmp_path: Path) -> None:
    """An empty one is a day on which nothing happened, and says nothing of delimiters and times."""
    kinds = _drafted(
        tmp_path,
        **{
            "tickets_2026-01-29.csv": "ticket,requester,opened\n",
            "tickets_2026-01-30.csv": "Ticket;Requester;Opened\n1;C1;30/01/2026\n",
            "tickets_2026-01-31.csv": "Ticket;Requester;Opened\n",
            "tickets_2026-02-01.csv": "",
        },
    )[1]
    kind = kinds["tickets_{day}.csv"]
    assert (kind.delimiter, kind.datetime_format, len(kind.rows)) == (";", "%d/%m/%Y", 1)
    assert kind.columns["person_id"] == "Requester" and kind.days[-1] == "2026-02-01"


def test_what_is_not_recognised_is_a_skeleton(tmp_path: Path) -> None:
    raw = 'Nummer;Käufer;Betrag;"Wann\noder nie"\n7;A;6,25;gestern\n'.encode("cp1252")
    text, kinds, settings = _drafted(tmp_path, export__liste_DAY_csv=raw)
    assert settings.config.feed == () and kinds["export/liste_{day}.csv"].feed is None
    skeleton = re.sub(r"^# ", "", text[text.index("# [[feed]]") :], flags=re.MULTILINE)
    for name in ("case_id", "person_id", "priority", "opened_at"):
        skeleton = skeleton.replace("\n? =", f"\n{name} =", 1)
    (source,) = CxConfig.model_validate(tomllib.loads(skeleton.replace('feed = "?"', 'feed = "cases"'))).feed
    assert (source.pattern, source.format, source.delimiter, source.decimal, source.encoding) == (
        "export/liste_{day}.csv", "csv", ";", ",", "cp1252"
    )  # fmt: skip
    assert source.columns == {"case_id": "Nummer", "person_id": "Käufer", "priority": "Betrag", "opened_at": "Wann\noder nie"}


@pytest.mark.parametrize(
    ("days", "expected", "line"),
    [
        (["2026-01-31"], "daily", 'expected = "daily"   # CHECK: or "weekdays"; "irregular" where'),
        # Thursday to Tuesday without the weekend; the same with a Saturday; Monday to Wednesday says nothing of weekends
        (["2026-01-01", "2026-01-02", "2026-01-05", "2026-01-06"], "weekdays", 'expected = "weekdays"   # CHECK: or "daily"; '),
        (["2026-01-01", "2026-01-02", "2026-01-03", "2026-01-05", "2026-01-06"], "daily", 'expected = "daily"   # CHECK: or'),
        (["2026-01-05", "2026-01-06", "2026-01-07"], "daily", 'expected = "daily"   # CHECK: or "weekdays'),
        # three of four days are under 80 %, four of five are not
        (["2026-01-05", "2026-01-06", "2026-01-08"], None, '# expected = "daily"   # CHECK: there is a file on 3 of 4 days; '),
        (["2026-01-02", "2026-01-03", "2026-01-05", "2026-01-06"], "daily", 'expected = "daily"   # CHECK: or "weekdays"'),
        # every Monday of three weeks: 3 of 11 weekdays
        (["2026-01-05", "2026-01-12", "2026-01-19"], None, '# expected = "weekdays"   # CHECK: there is a file on 3 of 11 days'),
        ([], None, None),
    ],
)  # fmt: skip
def test_the_days_there_are_say_when_a_file_is_expected(
    days: list[str], expected: str | None, line: str | None, tmp_path: Path
) -> None:
    names = [f"tickets_{day}.csv" for day in days] or ["tickets_all.csv"]
    text, _, settings = _drafted(tmp_path, **dict.fromkeys(names, "ticket,opened\n1,2026-01-05\n"))
    assert settings.config.feed[0].expected == expected
    assert ("expected" not in text) if line is None else (f"\n{line}" in text and "irregular" in text)


@pytest.mark.parametrize(
    ("cells", "form"),
    [(("31.01.2026 09:30", "01.02.2026 10:00"), "%d.%m.%Y %H:%M"), (("2026-01-31", "2026-02-01"), None), (("rot", "blau"), None)],
)
def test_the_skeleton_says_how_times_are_written(cells: tuple[str, ...], form: str | None, tmp_path: Path) -> None:
    """As recognised; else the rule, as a comment."""
    text, kinds, _ = _drafted(tmp_path, liste_DAY_csv="Nummer;Wann\n" + "".join(f"{n};{cell}\n" for n, cell in enumerate(cells)))
    assert kinds["liste_{day}.csv"].datetime_format == form
    skeleton = tomllib.loads(re.sub(r"^# ", "", text[text.index("# [[feed]]") :], flags=re.MULTILINE).replace("? =", "", 1)[:-1]
                             .split("[feed.columns]")[0])  # fmt: skip
    assert skeleton["feed"][0].get("datetime_format") == form and ("# # datetime_format = " in text) == (form is None)


def test_files_of_a_kind_with_other_columns_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The newest is looked at; the one of the 30th has a column less and one more, that of the 29th has them in another order."""
    _, kinds, _ = _drafted(
        tmp_path,
        **{
            "tickets_2026-01-29.csv": "opened;requester;ticket\n2026-01-29;C1;1\n",
            "tickets_2026-01-30.csv": "ticket;opened;Land\n2;2026-01-30;NL\n",
            "tickets_2026-01-31.csv": "ticket;requester;opened\n3;C2;2026-01-31\n",
            "tickets_2026-02-01.csv": "",
        },
    )
    (doubt,) = kinds["tickets_{day}.csv"].doubts
    assert doubt == (
        '1 of its 4 files have other columns; tickets_2026-01-30.csv is without "requester" and with "Land": a file that lacks a '
        "mapped column is refused"
    )


def test_files_without_columns_are_nothing_to_draft_from(cx_home: Path) -> None:
    (cx_home / "landing").mkdir()
    (cx_home / "landing" / "orders_2026-01-31.csv").touch()
    with pytest.raises(ConfigError, match=r"no file in .* has columns \(orders_\{day\}\.csv: empty\)"):
        CliRunner().invoke(cli.app, ["init"], catch_exceptions=False)
    assert not (cx_home / "landing" / "cx.toml").exists()


def test_workbooks_are_said_to_be_skipped(cx_home: Path) -> None:
    (cx_home / "landing" / "shop").mkdir(parents=True)
    (cx_home / "landing" / "shop" / "orders_2026-01-31.xlsx").write_bytes(b"PK")
    (cx_home / "landing" / "shop" / "~$orders_2026-01-31.xlsx").write_bytes(b"open in Excel")
    done = CliRunner().invoke(cli.app, ["init"])
    assert done.exit_code != 0 and done.stdout == (
        "skipped shop/orders_2026-01-31.xlsx: a workbook; save its sheet as CSV (in Excel: CSV UTF-8)\n"
    )


def test_the_demos_configuration_is_left_alone(cx_home: Path) -> None:
    """Where `make demo` ran, the way out is a folder of one's own; an own cx.toml is moved away or changed."""
    landing = cx_home / "landing"
    landing.mkdir()
    (landing / "cx.toml").write_text("# theirs\n", encoding="utf-8")
    (landing / ".demo").touch()
    with pytest.raises(ConfigError, match=r"the demo's: .*export CX_HOME="):
        CliRunner().invoke(cli.app, ["init"], catch_exceptions=False)
    (landing / ".demo").unlink()
    with pytest.raises(ConfigError, match=r"cx\.toml is there already"):
        CliRunner().invoke(cli.app, ["init"], catch_exceptions=False)
    assert (landing / "cx.toml").read_text(encoding="utf-8") == "# theirs\n"
