"""`cx accept`: lets through exactly the content somebody answers for, for a while, and nothing that nobody can answer for."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from data_quality import acceptance
from data_quality.acceptance import NEVER, Acceptance, NotAcceptable
from data_quality.verdict import Verdict, of_run, record, refusals
from orchestration import cli
from orchestration.lib import acceptances, gates, ingest, release, report, rereading, warehouse
from orchestration.partitions import Window
from orchestration.settings import CxConfig, Settings
from tests.landing import Home

HEADER = "refund_id,order_id,refunded_at,amount,currency\n"
CONFIG = """
[[feed]]
feed = 'refunds'
pattern = 'r_{day}*.csv'
format = 'csv'
expected = 'daily'
[[feed]]
feed = 'products'
pattern = 'p_{day}.csv'
format = 'csv'
"""
BAD = "r_2026-01-05.csv"
PRODUCTS = "product_id,name\np1,Lamp\n"


def refunds(*ids: str, bad: int = 0) -> str:
    return HEADER + "".join(
        f"{key},o{key},2026-01-05 10:00:00,{-1 if n < bad else 5},EUR\n" for n, key in enumerate(ids)
    )  # fmt: skip


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A good delivery, one of which two of three rows are bad, and one of another feed; a night has judged them."""
    folder = tmp_path_factory.mktemp("judged") / "cx"
    with Home(folder, CONFIG).open() as home:
        home.put("r_2026-01-04.csv", refunds("a"))
        home.put(BAD, refunds("b", "c", "d", bad=2))
        home.put("p_2026-01-05.csv", PRODUCTS)
        night(home)
    return folder


@pytest.fixture
def home(judged: Path, cx_home: Path) -> Iterator[Home]:
    """A copy of it."""
    shutil.copytree(judged, cx_home, dirs_exist_ok=True)
    home = Home(cx_home, CONFIG)
    home.runs = 1
    with home.open():
        yield home


@pytest.fixture(scope="module")
def unchanged(judged: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """A copy for tests in which everything is refused."""
    folder = tmp_path_factory.mktemp("unchanged") / "cx"
    shutil.copytree(judged, folder)
    with Home(folder, CONFIG).open() as home:
        yield home
        assert home.rows("from ops.acceptances") == [] and acceptances.listed(home.settings) == []


def night(home: Home, day: date = date(2026, 1, 5)) -> list[Verdict]:
    """Take and load what waits, as a night does; its verdicts."""
    home.runs += 1
    run = f"night{home.runs}"
    window = ingest.untaken_days(home.con, home.settings, day) or Window.of_days(day, day)
    warehouse.advance_clock(home.con, day)
    record(home.con, run, ingest.take_deliveries(home.con, home.settings, "ecommerce", window, run).verdicts)
    for feed in ("products", "refunds"):
        record(home.con, run, ingest.load_feed(home.con, home.settings, feed, run).verdicts)
    return of_run(home.con, run)


def accept(home: Home, gate: str = "row_rules", delivery: str = BAD, feed: str | None = None, days: int = 30) -> Acceptance:
    return acceptances.accept(home.settings, gate, delivery, feed, "the source is being corrected", days)


def failed(verdicts: list[Verdict]) -> list[tuple[str, str, bool]]:
    """Gate, subject, and whether somebody answers for it."""
    return [(v.gate, v.subject, not v.stands_in_the_way) for v in verdicts if not v.passed]


def keys(home: Home) -> list[str]:
    return [key for (key,) in home.rows("select _key from raw.refunds order by all")]


def later(monkeypatch: pytest.MonkeyPatch, home: Home, days: int) -> None:
    today = home.settings.today() + timedelta(days=days)
    monkeypatch.setattr(Settings, "today", lambda self: today)


def is_stale(home: Home) -> bool:
    (state,) = [state for state in release.feed_states(home.con) if state["feed"] == "refunds"]
    return bool(state["is_stale"])


def test_an_accepted_delivery_is_taken_by_the_next_night_and_nothing_else_is(home: Home) -> None:
    assert keys(home) == ["a"] and is_stale(home)
    assert home.rows("select gate, rows_read, rows_bad from ops.deliveries where status = 'refused'") == [("row_rules", 3, 2)]
    assert ingest.untaken_days(home.con, home.settings, date(2026, 1, 9)) is None, "refused, and nobody touched it"
    row = accept(home)
    assert (row.gate, row.subject, row.delivery, row.day) == ("row_rules", "refunds", f"refunds:{BAD}", date(2026, 1, 5))
    assert row.expires_on == home.settings.today() + timedelta(days=30) and row.figure == pytest.approx(2 / 3)
    assert ingest.untaken_days(home.con, home.settings, date(2026, 1, 9)) == Window.of_days(date(2026, 1, 5), date(2026, 1, 9))
    verdicts = night(home)
    assert failed(verdicts) == [("row_rules", "refunds", True)], "it stays a failure, and somebody answers for it"
    (verdict,) = [v for v in verdicts if not v.passed]
    assert verdict.figure == "0.6667" and verdict.bound == "0.05"
    assert verdict.sentence().startswith("ACCEPTED: row_rules on refunds: 0.6667 (bound: 0.05)")
    assert verdict.sentence().endswith(f"; accepted by {row.who} until {row.expires_on}: the source is being corrected")
    assert keys(home) == ["a", "d"] and not is_stale(home)
    assert home.rows("select line, reasons[1][:15] from ops.quarantine order by line") == [
        (2, "amount_positive"),
        (3, "amount_positive"),
    ]
    assert home.rows("select file, status, run_id from ops.deliveries order by file") == [
        ("p_2026-01-05.csv", "accepted", "night1"),
        ("r_2026-01-04.csv", "accepted", "night1"),
        (BAD, "accepted", "night2"),
    ]
    assert failed(night(home)) == [], "and that is that"


def test_a_delivery_may_be_named_by_its_file(home: Home) -> None:
    for name in (f"refunds:{BAD}", BAD, str(home.settings.landing / BAD)):
        assert accept(home, delivery=name).delivery == f"refunds:{BAD}"


def test_other_content_under_the_same_name_is_judged_afresh(home: Home) -> None:
    accept(home)
    home.put(BAD, refunds("b", "c", "e", bad=2))
    assert failed(night(home)) == [("row_rules", "refunds", False)] and keys(home) == ["a"]
    home.put(BAD, refunds("b", "c", "d", bad=2))
    assert failed(night(home)) == [("row_rules", "refunds", True)] and keys(home) == ["a", "d"]


def test_the_same_content_under_another_name_is_judged_afresh(home: Home) -> None:
    accept(home)
    home.put("r_2026-01-06.csv", refunds("x", "y", "z", bad=2))
    assert failed(night(home, date(2026, 1, 6))) == [("row_rules", "refunds", True), ("row_rules", "refunds", False)]
    assert keys(home) == ["a", "d"]


def test_an_expired_acceptance_lets_nothing_in(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    accept(home, days=3)
    later(monkeypatch, home, 4)
    assert ingest.untaken_days(home.con, home.settings, date(2026, 1, 9)) is None
    home.put("r_2026-01-06.csv", HEADER)
    home.take("refunds")
    loaded = ingest.load_feed(home.con, home.settings, "refunds", "late")
    assert failed(loaded.verdicts) == [("row_rules", "refunds", False)] and keys(home) == ["a"]
    assert [row["state"] for row in acceptances.listed(home.settings)] == ["expired"]
    assert acceptances.that_count(home.con, home.settings) == []


def test_on_its_last_day_it_still_counts(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    accept(home, days=3)
    later(monkeypatch, home, 3)
    assert failed(night(home)) == [("row_rules", "refunds", True)]


def test_what_was_let_through_stays_so_when_everything_is_loaded_anew_later(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """A number that was published does not change because time passes, and a rebuild equals the nights."""
    accept(home, days=3)
    night(home)
    later(monkeypatch, home, 400)
    rereading.reset_feeds(home.con, home.settings, ["refunds"])
    assert failed(ingest.load_feed(home.con, home.settings, "refunds", "rebuild").verdicts) == [("row_rules", "refunds", True)]
    assert keys(home) == ["a", "d"]
    acceptances.sync(home.con, home.settings)
    (row,) = acceptances.that_count(home.con, home.settings)
    assert row["state"] == "used" and acceptances.listed(home.settings) == [row]


def test_more_bad_rows_than_were_accepted_are_judged_afresh(home: Home) -> None:
    """The same file, read by a mapping that spoils all of it: what it held stays."""
    accept(home)
    night(home)
    home.configure(CONFIG.replace("expected = 'daily'", "datetime_format = '%d/%m/%Y'\nexpected = 'daily'"))
    rereading.reset_feeds(home.con, home.settings, ["refunds"])
    verdicts = ingest.load_feed(home.con, home.settings, "refunds", "rebuild").verdicts
    assert ("row_rules", "refunds", False) in failed(verdicts) and keys(home) == ["d"]


@pytest.mark.parametrize(
    ("gate", "said"),
    [
        *((gate, "can never be accepted: ") for gate in sorted(NEVER)),
        ("unique_grain", "can never be accepted: it is a test"),
        ("assert_sales_equal_staged_lines", "can never be accepted: it is a test"),
        ("no_such_gate", "write one of row_rules, volume, arrival"),
    ],
)
def test_what_nobody_can_answer_for_is_refused_and_says_what_to_do(unchanged: Home, gate: str, said: str) -> None:
    with pytest.raises(NotAcceptable, match=said) as refused:
        accept(unchanged, gate)
    assert "`cx " in str(refused.value) or gate == "no_such_gate"


def test_a_row_that_was_smuggled_into_the_table_lets_nothing_unreadable_through(home: Home) -> None:
    home.put("r_2026-01-06.csv", "refund_id,amount\nx,1\n")
    night(home, date(2026, 1, 6))
    (digest,) = home.rows("select content_hash from ops.deliveries where file = 'r_2026-01-06.csv'")[0]
    now, tomorrow = datetime(2026, 1, 6), home.settings.today() + timedelta(days=1)
    forged = Acceptance(
        "readable", "refunds", "refunds:r_2026-01-06.csv", date(2026, 1, 6), digest, None, "x", "x", now, tomorrow
    )
    acceptance.append(home.con, [forged])
    assert ("readable", "refunds", False) in failed(night(home, date(2026, 1, 6)))


def test_nobody_answers_for_a_blocking_verdict() -> None:
    verdict = Verdict("mart_contract", "sales_daily", "block", False, accepted="accepted by x")
    assert refusals([verdict], []) == [verdict]


@pytest.mark.parametrize(
    ("gate", "delivery", "feed", "said"),
    [
        ("row_rules", "r_2026-01-04.csv", None, "is accepted, not refused"),
        ("row_rules", "r_2026-01-09.csv", None, "no run has judged"),
        ("row_rules", BAD, "products", "no run has judged"),
        ("row_rules", BAD, "parrots", "there is no feed 'parrots'"),
        ("volume", BAD, None, "was refused by row_rules, not by volume: 66.7% of its rows are bad"),
        ("volume", "r_2026-01-04.csv", None, "volume did not fail on refunds"),
        ("repeated_content", "r_2026-01-04.csv", None, "repeats no other delivery"),
        ("arrival", "2026-01-05", "refunds", "r_2026-01-05.csv is there"),
        ("arrival", "2026-01-05", "products", "expects no deliveries of 'products'; it does of: refunds"),
        ("arrival", "yesterday", "refunds", "--delivery 2026-01-31"),
        ("mart_moved", "sales_daily", None, "did not fail on sales_daily"),
        ("mart_moved", "refunds", None, "There is no mart 'refunds'"),
    ],
)
def test_only_what_failed_can_be_accepted(unchanged: Home, gate: str, delivery: str, feed: str | None, said: str) -> None:
    with pytest.raises(NotAcceptable, match=said):
        accept(unchanged, gate, delivery, feed)


def test_what_was_refused_as_unreadable_is_not_accepted_as_anything_else(home: Home) -> None:
    home.put("r_2026-01-06.csv", "refund_id,amount\nx,1\n")
    night(home, date(2026, 1, 6))
    with pytest.raises(
        NotAcceptable, match=r"refused by readable, not by row_rules: .*It can never be accepted: .* corrected file"
    ):
        accept(home, delivery="r_2026-01-06.csv")


def test_a_file_that_changed_since_it_was_judged_is_judged_first(home: Home) -> None:
    home.put(BAD, refunds("b", "c", "e", bad=2), mtime=1)
    with pytest.raises(NotAcceptable, match="is not what was judged any more: run `cx nightly --day 2026-01-05`"):
        accept(home)
    (home.settings.landing / BAD).unlink()
    with pytest.raises(NotAcceptable, match="no longer in the landing folder"):
        accept(home)


def revoke(home: Home, name: str, reason: str = "the source says it is broken") -> Acceptance:
    return acceptances.revoke(home.settings, name, reason)


def test_what_is_revoked_before_anything_came_through_is_as_if_it_had_never_been_accepted(home: Home) -> None:
    row = accept(home)
    ended = revoke(home, row.id)
    assert (ended.revoked_by, ended.revoked_because, ended.used_at) == (row.who, "the source says it is broken", None)
    assert ingest.untaken_days(home.con, home.settings, date(2026, 1, 9)) is None
    home.put("r_2026-01-06.csv", HEADER)
    home.take("refunds")
    assert failed(ingest.load_feed(home.con, home.settings, "refunds", "late").verdicts) == [("row_rules", "refunds", False)]
    assert keys(home) == ["a"] and is_stale(home)
    assert [line["state"] for line in acceptances.listed(home.settings)] == ["revoked"]
    assert acceptances.that_count(home.con, home.settings) == []
    assert report.collect(home.settings, report.Ran("night1", "nightly"))["acceptances"] == []
    acceptances.accept(home.settings, "row_rules", BAD, None, "it is right after all", 3)
    assert failed(night(home)) == [("row_rules", "refunds", True)], "somebody may change their mind"


def test_what_was_let_through_stays_after_it_is_revoked_and_nothing_more_comes(home: Home) -> None:
    """A rebuild lets through what the nights did; the list only grows, and a lost warehouse reads it back."""
    row = accept(home)
    night(home)
    lines = (home.settings.home / acceptances.FILE).read_text().splitlines()
    ended = revoke(home, row.id[:5])
    assert ended.used_at is not None and ended.revoked_at is not None
    assert (home.settings.home / acceptances.FILE).read_text().splitlines()[: len(lines)] == lines
    rows = home.rows("select used_at is not null, revoked_at is not null from ops.acceptances order by all")
    assert rows == [(False, False), (True, False), (True, True)]
    rereading.reset_feeds(home.con, home.settings, ["refunds"])
    assert failed(ingest.load_feed(home.con, home.settings, "refunds", "rebuild").verdicts) == [("row_rules", "refunds", True)]
    assert keys(home) == ["a", "d"]
    (counted,) = acceptances.that_count(home.con, home.settings)
    assert (counted["state"], counted["id"]) == ("used, revoked", row.id)
    home.con.execute("delete from ops.acceptances")
    acceptances.sync(home.con, home.settings)
    assert acceptance.latest(acceptance.all_rows(home.con)) == [ended]
    with pytest.raises(NotAcceptable, match=f"{row.id} was revoked by {row.who} at .*: the source says it is broken"):
        revoke(home, row.id)


def test_a_day_that_is_revoked_in_time_is_missing_again(home: Home) -> None:
    home.put(BAD, refunds("b"))
    night(home, date(2026, 1, 6))
    row = accept(home, "arrival", "2026-01-06", "refunds")
    revoke(home, row.id)
    ingest.let_past_days_pass(home.con, home.settings)
    assert failed(night(home, date(2026, 1, 6))) == [("arrival", "refunds", False)] and is_stale(home)


def test_what_cannot_be_revoked_says_what_can(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NotAcceptable, match=r"'0000' is no acceptance: `cx accept --list` .* in force: none"):
        revoke(home, "0000")
    row = accept(home, days=3)
    with pytest.raises(NotAcceptable, match=rf"'' is no acceptance.* in force: {row.id} \(row_rules on refunds:{BAD}\)"):
        revoke(home, "")
    with pytest.raises(NotAcceptable, match="--reason"):
        revoke(home, row.id, " ")
    later(monkeypatch, home, 4)
    with pytest.raises(NotAcceptable, match=f"{row.id} expired on {row.expires_on}"):
        revoke(home, row.id)
    assert len(home.rows("from ops.acceptances")) == 1


def test_cx_revokes(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    row = accept(home)
    assert cli.app(["accept", "--revoke", row.id, "--reason", "no"], standalone_mode=False) in (0, None)
    said = " ".join(capsys.readouterr().out.split())
    assert said.startswith(f"{row.id}, row_rules on refunds:{BAD} of 2026-01-05: revoked by {row.who}: no It had let nothing")
    assert [line["state"] for line in acceptances.listed(home.settings)] == ["revoked"]
    with pytest.raises(Exception, match="cx accept --revoke ID --reason WHY"):
        cli.app(["accept", "row_rules", "--revoke", row.id, "--reason", "no"], standalone_mode=False)


@pytest.mark.parametrize("reason", ["", "  \n", "x" * 501, "red \x1b[31m"])
def test_a_reason_is_something_people_can_read(unchanged: Home, reason: str) -> None:
    with pytest.raises(NotAcceptable, match="--reason"):
        acceptances.accept(unchanged.settings, "row_rules", BAD, None, reason, 30)


def test_the_repeat_of_a_refused_delivery_comes_with_it(home: Home) -> None:
    home.put("r_2026-01-05_again.csv", refunds("b", "c", "d", bad=2))
    night(home)
    with pytest.raises(NotAcceptable, match=f"same content as refunds:{BAD}.*Accept that one"):
        accept(home, delivery="r_2026-01-05_again.csv")
    accept(home)
    night(home)
    assert keys(home) == ["a", "d"]
    assert home.statuses()["r_2026-01-05_again.csv"] == ["repeated"]


def test_a_day_on_which_nothing_need_arrive(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    home.put(BAD, refunds("b"))
    assert failed(night(home, date(2026, 1, 6))) == [("arrival", "refunds", False)] and is_stale(home)
    row = accept(home, "arrival", "2026-01-06", "refunds", days=3)
    assert (row.subject, row.day, row.content_hash) == ("refunds", date(2026, 1, 6), None)
    assert is_stale(home), "nothing was judged again yet"
    ingest.let_past_days_pass(home.con, home.settings)  # as every run does first
    assert not is_stale(home)
    assert failed(night(home, date(2026, 1, 6))) == [("arrival", "refunds", True)]
    assert failed(night(home, date(2026, 1, 7))) == [("arrival", "refunds", False)] and is_stale(home), "that day only"
    later(monkeypatch, home, 40)
    assert failed(night(home, date(2026, 1, 6))) == [("arrival", "refunds", True)], "it was let through before it expired"
    home.put("r_2026-01-06.csv", refunds("late"))
    night(home, date(2026, 1, 7))
    assert "late" in keys(home)


def test_an_expired_acceptance_of_a_day_leaves_it_missing(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    home.put(BAD, refunds("b"))
    night(home, date(2026, 1, 6))
    accept(home, "arrival", "refunds:2026-01-06", days=3)
    later(monkeypatch, home, 4)
    ingest.let_past_days_pass(home.con, home.settings)
    assert failed(night(home, date(2026, 1, 6))) == [("arrival", "refunds", False)] and is_stale(home)


def test_a_repeat_that_is_right_makes_its_feed_complete(home: Home) -> None:
    home.put(BAD, refunds("a"))
    assert failed(night(home)) == [("repeated_content", "refunds", False)] and is_stale(home)
    accept(home, "repeated_content")
    night(home)
    assert not is_stale(home) and keys(home) == ["a"], "its rows do not count twice"
    (state,) = [state for state in release.feed_states(home.con) if state["feed"] == "refunds"]
    assert state["data_through"] == date(2026, 1, 5)
    home.put("r_2026-01-04.csv", HEADER)
    home.put(BAD, refunds("a", "new"))
    night(home)
    assert keys(home) == ["a", "new"]


def test_an_unusual_volume(home: Home) -> None:
    for n in range(5, 0, -1):
        day = date(2026, 1, 5) + timedelta(weeks=n)
        home.put(f"r_{day}.csv", refunds(*(f"{n}-{m}" for m in range(60 if n == 5 else 400))))
    last = date(2026, 2, 9)
    assert ("volume", "refunds", False) in failed(night(home, last))
    accept(home, "volume", f"r_{last}.csv")
    rereading.reset_feeds(home.con, home.settings, ["refunds"])
    verdicts = ingest.load_feed(home.con, home.settings, "refunds", "again").verdicts
    assert [v for v in failed(verdicts) if v[0] == "volume"] == [("volume", "refunds", True)]


def test_an_unusual_move_is_accepted_for_its_figure_and_day(monkeypatch: pytest.MonkeyPatch) -> None:
    last = date(2025, 6, 30)
    with duckdb.connect() as con:
        warehouse.prepare(con, CxConfig())
        warehouse.advance_clock(con, last)
        columns = "metric_date date, orders bigint, average_order_value double, margin_rate double, resolution_minutes double"
        con.execute(f"create schema marts; create table marts.sales_daily ({columns})")
        for n in range(9):
            values = [last - timedelta(weeks=n), 100 if n else 9]
            con.execute("insert into marts.sales_daily values (?, ?, 0, 0, 0)", values)
        monkeypatch.setattr(gates, "marts_on", lambda feeds: {"sales_daily"})
        judged = gates.judge_marts(con, {"orders"})
        record(con, "run", judged)
        assert failed(judged) == [("mart_moved", "sales_daily", False)]
        subject, what, day, content, figure = acceptances._find_mart(con, "mart_moved", "sales_daily")
        ends = date.today() + timedelta(days=9)
        acceptance.append(
            con, [Acceptance("mart_moved", subject, what, day, content, figure, "strike", "x", datetime(2025, 7, 1), ends)]
        )
        assert failed(gates.judge_marts(con, {"orders"})) == [("mart_moved", "sales_daily", True)]
        con.execute("update marts.sales_daily set orders = 8 where metric_date = ?", [last])
        assert failed(gates.judge_marts(con, {"orders"})) == [("mart_moved", "sales_daily", False)], "another figure"
        con.execute("update marts.sales_daily set orders = case when orders = 8 then 9 else orders end")
        con.execute("update marts.sales_daily set metric_date = metric_date + 7")
        warehouse.advance_clock(con, last + timedelta(days=7))
        assert failed(gates.judge_marts(con, {"orders"})) == [("mart_moved", "sales_daily", False)], "another day"


def test_a_lost_warehouse_takes_the_acceptances_from_the_file(cx_home: Path) -> None:
    with Home(cx_home, CONFIG).open() as home:
        home.put(BAD, refunds("b", "c", "d", bad=2))
        night(home)
        accept(home, days=3)
        night(home)
        acceptances.sync(home.con, home.settings)
        rows = acceptance.all_rows(home.con)
    assert len(rows) == 2 and rows[1].used_at is not None
    path = cx_home / acceptances.FILE
    assert [json.loads(line)["gate"] for line in path.read_text().splitlines()] == ["row_rules", "row_rules"]
    home.settings.warehouse.unlink()
    path.write_text(path.read_text() + '{"gate": "row_ru', encoding="utf-8")  # cut off by a kill
    with home.open():
        acceptances.sync(home.con, home.settings)
        assert acceptance.all_rows(home.con) == rows
        assert failed(night(home)) == [("row_rules", "refunds", True)]
        # the other way round: what the kill kept out of the file comes from the table
        path.unlink()
        acceptances.sync(home.con, home.settings)
        assert sorted(acceptances._read(home.settings), key=str) == sorted(acceptance.all_rows(home.con), key=str)
        acceptances.sync(home.con, home.settings)
        assert acceptance.all_rows(home.con) == rows, "and nothing twice"
