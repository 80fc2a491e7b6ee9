"""The delivery gate, each check on deliveries that fail it for its reason and on ones that pass it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from data_quality.contract import RowRule, load_contracts
from data_quality.suites.delivery import ARRIVAL, DRIFT, FRESHNESS, KEYS, REFERENCES, VOLUME, WARNINGS
from data_quality.verdict import Verdict
from orchestration.lib import delivery_facts, gates, ingest, rereading, warehouse
from orchestration.partitions import Window
from orchestration.settings import ConfigError, Settings
from tests.landing import Home

COLUMNS = "refund_id,order_id,refunded_at,amount,currency"
CONFIG = "[[feed]]\nfeed = 'refunds'\npattern = 'r_{day}*.csv'\nformat = 'csv'\n"


@pytest.fixture
def home(cx_home: Path) -> Iterator[Home]:
    with Home(cx_home, CONFIG).open() as home:
        yield home


def refunds(day: str, *ids: str, header: str = COLUMNS, more: str = "") -> str:
    return f"{header}\n" + "".join(f"{key},o{key},{day} 10:00:00,5,EUR{more}\n" for key in ids)


def failed(verdicts: list[Verdict]) -> dict[str, str]:
    """Gate -> figure of the verdicts that did not pass."""
    return {v.gate: v.figure for v in verdicts if not v.passed}


def night(home: Home, day: str, *ids: str, header: str = COLUMNS, more: str = "") -> dict[str, str]:
    home.put(f"r_{day}.csv", refunds(day, *ids, header=header, more=more))
    return failed(home.load("refunds").verdicts)


# schema drift


def test_a_new_column_warns_once_and_its_values_are_kept(home: Home) -> None:
    assert night(home, "2026-01-05", "a") == {}
    assert night(home, "2026-01-06", "b", "c", header=COLUMNS + ",till,Note's", more=',7,"=1+1, ""x"""') == {
        DRIFT: "new: Note's, till"
    }
    assert night(home, "2026-01-07", "d", header=COLUMNS + ",till,Note's", more=",,") == {}, "known since yesterday"
    kept = dict(home.rows("select refund_id, _extra from raw.refunds order by 1"))
    assert kept.keys() == {"a", "b", "c", "d"} and kept["a"] is None and kept["d"] is None, "nothing there is NULL"
    assert json.loads(kept["b"]) == {"till": "7", "Note's": '=1+1, "x"'}
    assert home.rows("select count(*) from ops.quarantine") == [(0,)]


def test_the_verdict_names_file_and_columns(home: Home) -> None:
    night(home, "2026-01-04", "z")
    home.put("r_2026-01-05.csv", refunds("2026-01-05", "a", header=COLUMNS + ",till", more=",1"))
    (verdict,) = [v for v in home.load("refunds").verdicts if v.gate == DRIFT]
    assert verdict.severity == "warn"
    assert "new: till" in verdict.sentence() and "first: refunds:r_2026-01-05.csv" in verdict.sentence()


def test_an_optional_column_that_is_gone_warns_and_a_required_one_refuses(home: Home) -> None:
    night(home, "2026-01-05", "a", header=COLUMNS + ",reason", more=",broken")
    assert night(home, "2026-01-06", "b") == {DRIFT: "gone: reason"}
    assert night(home, "2026-01-07", "c") == {}, "the delivery before has not got it either"
    home.put("r_2026-01-08.csv", "refund_id,order_id,amount,currency\nd,od,5,EUR\n")
    (held,) = [v for v in home.load("refunds").verdicts if not v.passed]
    assert (held.gate, held.severity) == ("readable", "hold") and "required column 'refunded_at'" in held.sample[0]["problem"]


def test_a_renamed_column_came_and_went_and_a_mapped_one_is_known(home: Home) -> None:
    night(home, "2026-01-05", "a", header=COLUMNS + ",reason", more=",broken")
    assert night(home, "2026-01-06", "b", header=COLUMNS + ",why", more=",late") == {DRIFT: "new: why; gone: reason"}
    home.configure(CONFIG + "[feed.columns]\nreason = 'why'\n")
    home.put("r_2026-01-07.csv", refunds("2026-01-07", "c", header=COLUMNS + ",why", more=",late"))
    assert failed(home.load("refunds").verdicts) == {}
    assert home.rows("select reason, _extra from raw.refunds where refund_id = 'c'") == [("late", None)]


def test_what_another_feed_reads_of_the_same_files_is_known(home: Home) -> None:
    other = CONFIG.replace("'refunds'", "'shipments'") + "[feed.columns]\nshipment_id = 'parcel'\nshipped_at = 'refunded_at'\n"
    home.configure(CONFIG + other)
    night(home, "2026-01-04", "z")
    home.put("r_2026-01-05.csv", refunds("2026-01-05", "a", header=COLUMNS + ",parcel,till", more=",p1,3"))
    assert failed(home.load("refunds").verdicts) == {DRIFT: "new: till"}
    assert home.rows("select _extra from raw.refunds where refund_id = 'a'") == [('{"till":"3"}',)]


def test_what_the_first_delivery_has_is_no_news_nor_is_what_is_taken_again(home: Home) -> None:
    """Before the first there is nothing to differ from; a corrected file brings no column that it had before."""
    first = COLUMNS + ",till"
    assert night(home, "2026-01-05", "a", header=first, more=",1") == {}
    assert night(home, "2026-01-05", "a", "b", header=first, more=",1") == {}, "taken again"
    assert night(home, "2026-01-06", "c", header=first + ",x", more=",1,2") == {DRIFT: "new: x"}
    assert night(home, "2026-01-06", "c", "d", header=first + ",x", more=",1,2") == {}, "taken again"
    assert night(home, "2026-01-06", "c", "d", header=first + ",x,y", more=",1,2,3") == {DRIFT: "new: y"}


def test_a_refused_first_delivery_is_nothing_to_differ_from(home: Home) -> None:
    home.put("r_2026-01-05.csv", f"{COLUMNS},till\na,,,,,1\nb,,,,,1\n")
    assert DRIFT not in failed(home.load("refunds").verdicts) and home.statuses() == {"r_2026-01-05.csv": ["refused"]}
    assert night(home, "2026-01-05", "a", header=COLUMNS + ",till", more=",1") == {}


def test_drift_is_the_same_however_the_deliveries_are_cut(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    headers = [COLUMNS, COLUMNS + ",x", COLUMNS + ",reason", COLUMNS + ",x"]
    for n, header in enumerate(headers):
        more = "," * (header.count(",") - COLUMNS.count(",")) + ("1" if header != COLUMNS else "")
        home.put(f"r_2026-01-0{n + 5}.csv", refunds(f"2026-01-0{n + 5}", f"k{n}", header=header, more=more))
    told = []
    for files in (1000, 1):
        monkeypatch.setattr(ingest, "CHUNK_FILES", files)
        told.append([v.sentence() for v in home.load("refunds").verdicts if v.gate == DRIFT])
        rereading.reset_feeds(home.con, home.settings, ["refunds"])
    assert told[0] == told[1] and "new: x (bound" in told[0][0] and "(2 of 4" in told[0][0]


def test_keys_of_ndjson_that_nothing_reads_are_kept_and_said(home: Home) -> None:
    home.configure(
        "[[feed]]\nfeed = 'refunds'\npattern = 'r_{day}.json'\nformat = 'ndjson'\n"
        "[feed.columns]\nreason = { expr = \"_json->>'$.meta.reason'\" }\n"
    )
    row = {
        "refund_id": "a",
        "order_id": "o",
        "refunded_at": "2026-01-05",
        "amount": 5,
        "currency": "EUR",
        "meta": {"reason": "late"},
    }
    home.put("r_2026-01-05.json", json.dumps(row))
    assert failed(home.load("refunds").verdicts) == {}
    home.put("r_2026-01-06.json", json.dumps({**row, "refund_id": "b", "refunded_at": "2026-01-06", "till": {"n": 3}}))
    assert failed(home.load("refunds").verdicts) == {DRIFT: "new: till"}
    assert home.rows("select refund_id, reason, _extra from raw.refunds order by 1") == [
        ("a", "late", None), ("b", "late", '{"till":{"n":3}}'),
    ]  # fmt: skip


def test_a_hostile_header_is_listed_in_short(home: Home) -> None:
    names = [f'"c{n:04}\'; drop table raw.refunds; --{"x" * 200}"' for n in range(1000)]
    night(home, "2026-01-04", "z")
    text = refunds("2026-01-05", "a", header=",".join([COLUMNS, *names]), more=",1" * 1000)
    home.put("r_2026-01-05.csv", text)
    figure = failed(home.load("refunds").verdicts)[DRIFT]
    assert figure.endswith(" and 990 more") and len(figure) < 800
    assert len(json.loads(home.rows("select _extra from raw.refunds where refund_id = 'a'")[0][0])) == 1000


# keys


def test_a_key_told_in_two_ways_warns(home: Home) -> None:
    text = refunds("2026-01-05", "a", "b", "c", "b", "c") + "a,o2,2026-01-05 10:00:00,6,EUR\n"
    home.put("r_2026-01-05.csv", text)
    assert failed(home.load("refunds").verdicts) == {KEYS: "1 (a)"}, "b and c stand there twice, and say the same"
    assert night(home, "2026-01-06", "a") == {}, "another file may change it"


def test_versions_of_a_key_may_stand_in_one_file(home: Home) -> None:
    home.configure("[[feed]]\nfeed = 'orders'\npattern = 'o_{day}.csv'\nformat = 'csv'\n")
    header = "order_id,ordered_at,status,currency,updated_at\n"
    lines = ["a,2026-01-05,pending,EUR,2026-01-05 10:00\n", "a,2026-01-05,paid,EUR,2026-01-05 11:00\n"]
    home.put("o_2026-01-05.csv", header + "".join(lines))
    assert failed(home.load("orders").verdicts) == {}
    home.put("o_2026-01-06.csv", header + lines[0] + lines[0].replace("pending", "paid"))
    assert failed(home.load("orders").verdicts) == {KEYS: "1 (a)"}


# rules that only warn


def test_a_rule_of_severity_warning_keeps_the_row_and_counts_it(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    rule = RowRule(name="small", type="sql", query="amount < 100", severity="warning", description="A large refund.")
    contract = load_contracts()["refunds"]
    changed = contract.model_copy(update={"quality": (*contract.quality, rule)})
    monkeypatch.setitem(load_contracts(), "refunds", changed)
    home.put("r_2026-01-05.csv", refunds("2026-01-05", "a") + "b,ob,2026-01-05,500,EUR\nc,oc,2026-01-05,0,EUR\n")
    loaded = home.load("refunds")
    assert failed(loaded.verdicts) == {WARNINGS: "1: small first on line 3"}
    assert (loaded.rows_accepted, loaded.rows_quarantined) == (2, 1), "the rule of severity error still takes its row"
    assert night(home, "2026-01-06", "d") == {}


# freshness


def test_a_feed_whose_events_stay_behind_its_deliveries_warns(home: Home) -> None:
    home.put("r_2026-01-05.csv", refunds("2026-01-05", "a"))
    home.put("r_2026-01-19.csv", refunds("2026-01-04", "b"))  # 14 days after the newest event there is
    assert failed(home.load("refunds").verdicts) == {}
    home.put("r_2026-01-20.csv", refunds("2026-01-03", "c") + "d,od,2099-01-01,5,EUR\n")
    assert failed(home.load("refunds").verdicts) == {FRESHNESS: "15"}, "a slip into 2099 does not make it fresh"
    assert night(home, "2026-01-21", "e") == {}


# volume and holidays


def test_holidays_are_no_usual_days(home: Home) -> None:
    first = date(2026, 1, 5)
    for week in range(5):
        day = str(first + timedelta(weeks=week))
        home.put(f"r_{day}.csv", refunds(day, *(f"{day}{n}" for n in range(60))))
    assert failed(home.load("refunds").verdicts) == {}
    closed = first + timedelta(weeks=5)
    assert set(night(home, str(closed), "quiet")) == {VOLUME}, "nobody said that this is a holiday"
    home.con.execute("insert into raw.holidays (calendar_id, holiday_date) values ('default', ?), ('other', ?)", [closed, first])
    assert delivery_facts.holidays(home.con) == [closed]
    assert night(home, str(closed), "quiet", "still") == {}, "the same delivery, corrected: the company is closed"
    # Of four usual Mondays, not five: with a holiday among them there is no telling what is usual.
    home.con.execute("insert into raw.holidays (calendar_id, holiday_date) select 'default', $1 + 7 from range(2) t(n)", [first])
    home.con.execute("insert into raw.holidays (calendar_id, holiday_date) values ('default', $1)", [first])
    assert night(home, str(first + timedelta(weeks=6)), "few") == {}
    home.con.execute("delete from raw.holidays where holiday_date <> $1", [closed])
    assert set(night(home, str(first + timedelta(weeks=6)), "few", "again")) == {VOLUME}


# arrival


def test_a_delivery_is_missed_from_its_deadline_on(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = CONFIG + "expected = 'daily'\ndue = '07:00'\n"
    home.configure('[business]\ntimezone = "Europe/Amsterdam"\n' + expected)
    home.put("r_2026-01-05.csv", refunds("2026-01-05", "a"))
    day = date(2026, 1, 6)

    def at(hour: int, minute: int) -> tuple[bool, str, bool, date]:
        """Whether arrival passed, what was said, whether the feed is stale, how far its data are complete."""
        moment = datetime(2026, 1, 7, hour, minute, tzinfo=ZoneInfo("Europe/Amsterdam"))
        monkeypatch.setattr(Settings, "now", lambda self: moment)
        monkeypatch.setattr(warehouse, "now_in", lambda zone: moment)
        warehouse.prepare(home.con, home.settings.config)
        warehouse.advance_clock(home.con, day)
        (verdict,) = home.take("refunds", day, day).verdicts
        assert verdict.gate == ARRIVAL
        (state,) = home.rows("select is_stale, complete_through from ops.feed_states")
        return (verdict.passed, verdict.message, *state)

    home.load("refunds")
    assert at(6, 59) == (True, "the delivery of 2026-01-06 is not due before 07:00", False, date(2026, 1, 5))
    passed, said, is_stale, through = at(7, 0)
    assert (passed, is_stale, through) == (False, True, date(2026, 1, 5)) and "refunds 2026-01-06" in said
    home.put("r_2026-01-06.csv", refunds("2026-01-06", "b"))
    home.load("refunds")
    assert at(7, 0)[0::2] == (True, False)


def test_a_feed_without_expectation_that_falls_silent_warns(home: Home) -> None:
    """Newest delivery 5 January: 7 days later nothing is said, 8 days later it is; never of what never came."""

    def arrival(last: date, expected: str = "") -> Verdict:
        home.configure(CONFIG + expected)
        first = date(2026, 1, 13) if last.day > 13 else date(2026, 1, 1)
        found = ingest.take_deliveries(home.con, home.settings, "ecommerce", Window.of_days(first, last), "run")
        (verdict,) = [v for v in found.verdicts if v.gate == ARRIVAL]
        return verdict

    assert arrival(date(2026, 1, 13)).passed, "nothing ever came"
    for day, name in ((4, "a"), (5, "b")):
        home.put(f"r_2026-01-0{day}.csv", refunds(f"2026-01-0{day}", name))
    home.put("r_2026-01-20.csv", refunds("2026-01-20", "c"))
    assert arrival(date(2026, 1, 12)).passed
    said = arrival(date(2026, 1, 13))
    assert (said.passed, said.severity, said.subject, said.figure) == (False, "warn", "refunds", "8")
    assert "the newest is of 2026-01-05" in said.message and 'Write expected = "daily"' in said.message
    assert arrival(date(2026, 1, 13), "expected = 'irregular'\n").passed
    for path in (home.home / "landing").glob("r_*.csv"):
        path.unlink()
    said = arrival(date(2026, 1, 19))
    assert said.figure == "14", "the ledger knows what was moved away"
    assert arrival(date(2026, 1, 19), "expected = 'weekdays'\n").severity == "hold"


def test_a_deadline_needs_an_expectation_and_is_a_time_of_day(home: Home) -> None:
    for wrong, said in (("due = '07:00'\n", 'write expected = "daily"'), ("expected = 'daily'\ndue = '7:00'\n", "due: ")):
        home.configure(CONFIG + wrong)
        with pytest.raises(ConfigError, match=said):
            _ = home.settings.config


# between feeds


def test_ids_without_their_row_are_counted_over_what_this_run_brings(home: Home) -> None:
    con = home.con
    con.execute("create schema staging; create schema if not exists intermediate")
    con.execute(
        "create table staging.stg_refunds (order_id varchar, _delivery varchar); "
        "create table staging.stg_orders (order_id varchar)"
    )
    con.execute("insert into staging.stg_orders select 'o' || n from range(1000) t(n) union all select null")
    # What was published before is not looked at again, however wrong.
    con.execute("insert into staging.stg_refunds select 'gone' || n, 'refunds:old.csv' from range(500) t(n)")
    con.execute(
        "insert into ops.deliveries (delivery, feed, status, taken_at) values ('refunds:old.csv', 'refunds', 'accepted', "
        "timestamp '2026-01-01'), ('refunds:new.csv', 'refunds', 'accepted', timestamp '2026-01-03')"
    )
    con.execute("insert into ops.releases (published_at) values (timestamp '2026-01-02')")
    both = {"refunds", "orders"}

    def judged(known: int, unknown: int) -> dict[str, str]:
        con.execute("delete from staging.stg_refunds where _delivery = 'refunds:new.csv'")
        con.execute(
            "insert into staging.stg_refunds select 'o' || n, 'refunds:new.csv' from range($1) t(n) "
            "union all select 'u' || (n % $2), 'refunds:new.csv' from range(3 * $2) t(n) "
            "union all select null, 'refunds:new.csv'",
            [known, unknown],
        )
        return failed(gates.orphans(con, both))

    assert judged(95, 5) == {}, "5 of 100 are as many as the limit"
    assert judged(9, 1) == {}, "1 of 10 is chance"
    assert judged(75, 25) == {REFERENCES: "25 of 100 ids, first: u0"}
    assert judged(0, 3) == {REFERENCES: "3 of 3 ids, first: u0"}, "each id counts once"
    assert gates.references(con, {"refunds"}) == [], "orders are not configured"
    assert {v.passed for v in gates.references(con, both | {"persons"})} == {False}, "orders of nobody: their table is not there"
    con.execute("insert into ops.releases (published_at) values (timestamp '2026-01-04')")
    assert [v.passed for v in gates.references(con, both)] == [True], "nothing came since"
