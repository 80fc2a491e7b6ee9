"""Deliveries into raw tables: what is loaded, replaced, repeated, refused, kept in quarantine, and left after a crash."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from data_quality.contract import load_contracts
from orchestration.lib import ingest, rereading
from orchestration.settings import ConfigError
from tests.landing import REFUNDS_HEADER as HEADER
from tests.landing import Home, refunds

CONFIG = "[[feed]]\nfeed = 'refunds'\npattern = 'r_{day}*.csv'\nformat = 'csv'\n"


@pytest.fixture
def home(cx_home: Path) -> Iterator[Home]:
    with Home(cx_home, CONFIG).open() as home:
        yield home


def keys(home: Home, feed: str = "refunds") -> list[str]:
    return [key for (key,) in home.rows(f"select _key from raw.{feed} order by _file, _line")]


def state(home: Home) -> list[list[tuple[object, ...]]]:
    """Everything a load leaves, less times and runs."""
    return [
        home.rows("select * exclude (_ingested_at) from raw.refunds order by all"),
        home.rows("select * exclude (run_id) from ops.quarantine order by all"),
        home.rows(
            "select file, status, content_hash, rows_read, rows_accepted, rows_quarantined, reason from ops.deliveries "
            "where status <> 'replaced' order by all"
        ),
        home.rows("from ops.loaded"),
    ]


def test_a_row_is_typed_and_says_where_it_comes_from(home: Home) -> None:
    home.put("r_2026-01-05.csv", HEADER + "a , o1 ,2026-01-05T10:00:00+02:00,1234.5,EUR\n")
    loaded = home.load("refunds")
    assert (loaded.accepted, loaded.refused, loaded.rows_read, loaded.rows_accepted, loaded.rows_quarantined) == (1, 0, 1, 1, 0)
    assert home.rows(
        "select refund_id, order_id, cast(refunded_at as varchar), cast(amount as varchar), reason, _key, _exclusion, "
        "_delivery, _delivery_day, _file, _line, length(_content_hash) from raw.refunds"
    ) == [
        ("a", "o1", "2026-01-05 08:00:00", "1234.5000", None, "a", None, "refunds:r_2026-01-05.csv", date(2026, 1, 5),
         "r_2026-01-05.csv", 2, 64)
    ]  # fmt: skip


def test_the_same_file_again_changes_nothing(home: Home) -> None:
    home.put("r_2026-01-05.csv", refunds("a", "b"))
    home.load("refunds")
    before = state(home)
    taken = home.take("refunds")
    assert (dict(taken.pending), taken.unchanged) == ({}, 1)
    assert home.load("refunds").rows_read == 0
    assert state(home) == before and keys(home) == ["a", "b"]


def test_a_touched_file_is_unchanged_and_not_looked_at_again(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    path = home.put("r_2026-01-05.csv", refunds("a"))
    home.load("refunds")
    os.utime(path, (1, 1))
    assert home.take("refunds").unchanged == 1
    monkeypatch.setattr(ingest.readers, "facts", lambda file: pytest.fail("read although size and time are known"))
    assert home.take("refunds").unchanged == 1
    assert home.statuses() == {"r_2026-01-05.csv": ["accepted"]}


def test_a_file_that_changed_after_it_was_taken_is_noted_as_it_is_loaded(home: Home) -> None:
    """Or the ledger would go on with the hash, and the fault, of content that nobody loaded."""
    home.put("r_2026-01-05.csv", b"\xff\xfe\x00", mtime=1)
    home.put("r_2026-01-06.csv", refunds("x"), mtime=1)
    home.put("r_2026-01-07.csv", refunds("y"), mtime=1)
    home.take("refunds")
    home.put("r_2026-01-05.csv", refunds("a"), mtime=2)
    home.put("r_2026-01-06.csv", refunds("b"), mtime=2)
    home.put("r_2026-01-07.csv", b"\xff\xfe\x00", mtime=2)
    loaded = ingest.load_feed(home.con, home.settings, "refunds", "run")
    assert (loaded.accepted, loaded.refused) == (2, 1) and keys(home) == ["a", "b"]
    home.put("r_2026-01-08.csv", refunds("b"))
    assert home.load("refunds").rows_read == 0, "the same content as r_2026-01-06.csv"
    assert home.statuses() == {
        "r_2026-01-05.csv": ["accepted"],
        "r_2026-01-06.csv": ["accepted"],
        "r_2026-01-07.csv": ["refused"],
        "r_2026-01-08.csv": ["repeated"],
    }
    assert home.take("refunds").unchanged == 3


def test_new_content_under_the_old_name_replaces_its_rows(home: Home) -> None:
    home.put("r_2026-01-04.csv", refunds("z"), mtime=1)
    home.put("r_2026-01-05.csv", refunds("a", "b") + "c,,2026-01-05,5,EUR\n", mtime=1)
    home.load("refunds")
    assert keys(home) == ["z", "a", "b"] and home.rows("select line from ops.quarantine") == [(4,)]
    home.put("r_2026-01-05.csv", refunds("b", "d"), mtime=2)
    loaded = home.load("refunds")
    assert (loaded.accepted, loaded.rows_read) == (1, 2)
    assert keys(home) == ["z", "b", "d"] and home.rows("from ops.quarantine") == []
    assert home.statuses() == {"r_2026-01-04.csv": ["accepted"], "r_2026-01-05.csv": ["replaced", "accepted"]}


def test_the_same_content_under_another_name_is_loaded_once_and_said(home: Home) -> None:
    home.put("r_2026-01-04.csv", refunds("a"))
    home.load("refunds")
    home.put("r_2026-01-05.csv", refunds("a"))
    home.put("r_2026-01-06.csv", refunds("n"))
    home.put("r_2026-01-06_2.csv", refunds("n"))
    loaded = home.load("refunds")
    assert (loaded.accepted, loaded.refused, loaded.rows_read) == (1, 0, 1)
    assert keys(home) == ["a", "n"]
    assert home.rows("select file, status, reason from ops.deliveries where status = 'repeated' order by file") == [
        ("r_2026-01-05.csv", "repeated", "same content as refunds:r_2026-01-04.csv"),
        ("r_2026-01-06_2.csv", "repeated", "same content as refunds:r_2026-01-06.csv"),
    ]
    (verdict,) = [v for v in loaded.verdicts if v.gate == "repeated_content"]
    assert not verdict.passed and verdict.severity == "warn"
    assert home.take("refunds").unchanged == 4


def test_files_without_rows_are_no_repeats(home: Home) -> None:
    home.put("r_2026-01-04.csv", HEADER)
    home.put("r_2026-01-05.csv", HEADER)
    assert home.load("refunds").accepted == 2
    assert home.statuses() == {"r_2026-01-04.csv": ["accepted"], "r_2026-01-05.csv": ["accepted"]}


def test_a_repeat_is_loaded_once_its_original_has_other_content(home: Home) -> None:
    """Otherwise the rows would be in the landing folder and nowhere else, and a rebuild would bring them back."""
    home.put("r_2026-01-04.csv", refunds("a"), mtime=1)
    home.put("r_2026-01-05.csv", refunds("a"), mtime=1)
    home.load("refunds")
    home.put("r_2026-01-04.csv", refunds("b"), mtime=2)
    home.load("refunds")
    assert home.rows("select _file, _key from raw.refunds order by 1") == [("r_2026-01-04.csv", "b"), ("r_2026-01-05.csv", "a")]


def test_what_a_delivery_held_goes_when_it_repeats_another_one(home: Home) -> None:
    home.put("r_2026-01-04.csv", refunds("a"), mtime=1)
    home.put("r_2026-01-05.csv", refunds("b") + "bad,,,,\n", mtime=1)
    home.load("refunds")
    home.put("r_2026-01-05.csv", refunds("a"), mtime=2)
    home.load("refunds")
    assert home.rows("select _file, _key from raw.refunds") == [("r_2026-01-04.csv", "a")]
    assert home.rows("from ops.quarantine") == []
    assert home.statuses() == {"r_2026-01-04.csv": ["accepted"], "r_2026-01-05.csv": ["replaced", "repeated"]}


def test_a_repeat_stays_one_if_the_new_content_of_its_original_is_refused(home: Home) -> None:
    home.put("r_2026-01-04.csv", refunds("a"), mtime=1)
    home.put("r_2026-01-05.csv", refunds("a"), mtime=1)
    home.load("refunds")
    home.put("r_2026-01-04.csv", "", mtime=2)
    home.load("refunds")
    assert home.rows("select _file, _key from raw.refunds") == [("r_2026-01-04.csv", "a")]
    assert home.statuses() == {"r_2026-01-04.csv": ["accepted", "refused"], "r_2026-01-05.csv": ["repeated"]}


def test_a_refused_delivery_leaves_its_earlier_version_loaded(home: Home) -> None:
    home.put("r_2026-01-05.csv", refunds("a"), mtime=1)
    home.load("refunds")
    home.put("r_2026-01-05.csv", HEADER + '"never closed\n', mtime=2)
    loaded = home.load("refunds")
    assert (loaded.accepted, loaded.refused, loaded.rows_accepted) == (0, 1, 0)
    assert keys(home) == ["a"]
    assert home.statuses() == {"r_2026-01-05.csv": ["accepted", "refused"]}
    (reason,) = home.rows("select reason from ops.deliveries where status = 'refused'")[0]
    assert reason.startswith("r_2026-01-05.csv: line 2: ")
    (verdict,) = [v for v in loaded.verdicts if v.gate == "readable"]
    assert not verdict.passed and verdict.severity == "hold" and verdict.figure == reason
    # it is complained about again, without growing the ledger, until it is corrected
    assert home.load("refunds").refused == 1
    assert home.statuses() == {"r_2026-01-05.csv": ["accepted", "refused"]}
    home.put("r_2026-01-05.csv", refunds("b"), mtime=3)
    assert home.load("refunds").accepted == 1 and keys(home) == ["b"]


def test_quarantined_rows_carry_everything_needed_to_find_and_correct_them(home: Home) -> None:
    bad = "b,,never,0,US$\n" + "c,oc,2026-01-05\n"
    home.put("r_2026-01-05.csv", refunds(*(f"g{n}" for n in range(60))) + bad)
    loaded = home.load("refunds")
    assert (loaded.rows_read, loaded.rows_accepted, loaded.rows_quarantined) == (62, 60, 2)
    rows = home.rows(
        "select feed, delivery, delivery_day, file, line, raw_text, reasons, run_id from ops.quarantine order by line"
    )
    where = ("refunds", "refunds:r_2026-01-05.csv", date(2026, 1, 5), "r_2026-01-05.csv")
    assert [row[:4] for row in rows] == [where, where]
    assert [row[4] for row in rows] == [62, 63]
    assert json.loads(rows[0][5]) == {
        "refund_id": "b", "order_id": "", "refunded_at": "never", "amount": "0", "currency": "US$",
    }  # fmt: skip
    assert rows[0][6] == [
        "order_id: is missing",
        "refunded_at: \"never\" is not a timestamp in ISO 8601 (set datetime_format in cx.toml, for example '%d/%m/%Y %H:%M')",
        "amount_positive: A refund gives money back.",
        "currency_code: Write the currency as its ISO 4217 code, like EUR.",
    ]
    assert rows[1][5:7] == ("c,oc,2026-01-05", ["expected 5 fields, found 3 (a line cut short?)"])
    assert {row[7] for row in rows} == {"run1"}
    copy = (home.settings.quarantine / "run1.refunds.ndjson").read_text().splitlines()
    assert [json.loads(line)["line"] for line in copy] == [62, 63]


def test_more_bad_rows_than_the_limit_refuse_the_delivery(home: Home) -> None:
    """Limit 5 %: 5 of 100 pass, 6 of 100 do not; one bad row alone never refuses."""
    good = [f"g{n}" for n in range(95)]
    home.put("r_2026-01-03.csv", refunds("x", amount="0"))
    home.put("r_2026-01-04.csv", refunds(*good) + refunds(*"12345", amount="0").removeprefix(HEADER))
    home.put("r_2026-01-05.csv", refunds(*good[:-1]) + refunds(*"123456", amount="0").removeprefix(HEADER))
    loaded = home.load("refunds")
    assert (loaded.accepted, loaded.refused) == (2, 1)
    assert (loaded.rows_read, loaded.rows_accepted, loaded.rows_quarantined) == (201, 95, 6)
    assert home.statuses()["r_2026-01-05.csv"] == ["refused"]
    assert home.rows("select reason, rows_accepted, rows_quarantined from ops.deliveries where status = 'refused'") == [
        ("6.0% of its rows are bad, more than 5%", 0, 0)
    ]
    assert home.rows("select file, count(*) from ops.quarantine group by 1 order by 1") == [
        ("r_2026-01-03.csv", 1), ("r_2026-01-04.csv", 5),
    ]  # fmt: skip


def test_a_missing_required_column_refuses_that_delivery_only(home: Home) -> None:
    home.put("r_2026-01-04.csv", refunds("a"))
    home.put("r_2026-01-05.csv", "refund_id,order_id,refunded_at,total,currency\nb,ob,2026-01-05,5,EUR\n")
    loaded = home.load("refunds")
    assert (loaded.accepted, loaded.refused) == (1, 1) and keys(home) == ["a"]
    (reason,) = home.rows("select reason from ops.deliveries where status = 'refused'")[0]
    assert reason.startswith("r_2026-01-05.csv: line 1: nothing provides the required column 'amount'")
    assert "[feed.columns]" in reason


def test_a_mapped_column_that_is_gone_refuses_the_delivery(home: Home) -> None:
    home.configure(CONFIG + "[feed.columns]\namount = 'total'\n")
    home.put("r_2026-01-05.csv", refunds("a"))
    assert home.load("refunds").refused == 1
    assert "column 'total' (for amount) is not in the header" in home.rows("select reason from ops.deliveries")[0][0]


def test_columns_added_or_in_another_order_are_absorbed(home: Home) -> None:
    home.put("r_2026-01-04.csv", "currency,note,amount,refunded_at,order_id,refund_id\nEUR,hi,5,2026-01-04,o1,a\n")
    home.put("r_2026-01-05.csv", refunds("b"))
    assert home.load("refunds").accepted == 2
    assert home.rows("select refund_id, order_id, currency from raw.refunds order by 1") == [
        ("a", "o1", "EUR"), ("b", "ob", "EUR"),
    ]  # fmt: skip


def test_an_impossible_date_in_the_name_is_refused_not_passed_over(home: Home) -> None:
    home.put("r_2026-02-30.csv", refunds("a"))
    assert home.load("refunds").refused == 1
    assert "does not exist" in home.rows("select reason from ops.deliveries")[0][0]


def test_mapping_constants_missing_words_and_expressions(home: Home) -> None:
    home.configure(
        """
        [business]
        timezone = 'Europe/Amsterdam'
        [[feed]]
        feed = 'refunds'
        pattern = 'r_{day}*.csv'
        format = 'csv'
        delimiter = ';'
        decimal = ','
        encoding = 'cp1252'
        datetime_format = '%d/%m/%Y'
        missing = ['-', 'n/a']
        [feed.columns]
        refund_id = { expr = "_file || '#' || _line" }
        order_id = { expr = "regexp_replace(\\"Kunden-Nr\\", '[.]0$', '')" }
        refunded_at = 'Datum'
        amount = 'Betrag'
        reason = 'Größe'
        [feed.constants]
        currency = 'EUR'
        """
    )
    home.put(
        "r_2026-01-05.csv",
        (
            'Kunden-Nr;Datum;Betrag;Größe\n17850.0;03/04/2026; 1.234,50 ;n/a\n12;28/02/2026;7;"\'; drop table raw.refunds; --"\n'
        ).encode("cp1252"),
    )
    assert home.load("refunds").rows_quarantined == 0
    assert home.rows(
        "select refund_id, order_id, cast(refunded_at as varchar), amount, currency, reason from raw.refunds order by 1"
    ) == [
        ("r_2026-01-05.csv#2", "17850", "2026-04-02 22:00:00", pytest.approx(1234.5), "EUR", None),
        ("r_2026-01-05.csv#3", "12", "2026-02-27 23:00:00", 7, "EUR", "'; drop table raw.refunds; --"),
    ]


def test_expressions_over_ndjson_see_its_keys_even_where_no_line_has_them(home: Home) -> None:
    home.configure(
        """
        [[feed]]
        feed = 'refunds'
        pattern = 'r_{day}*.ndjson'
        format = 'ndjson'
        [feed.columns]
        refund_id = { expr = "id || '-' || kind" }
        order_id = { expr = "_json->>'$.order.id'" }
        refunded_at = 'at'
        reason = { expr = "coalesce(why, 'none')" }
        [feed.constants]
        currency = 'EUR'
        """
    )
    home.put("r_2026-01-04.ndjson", "")
    home.put(
        "r_2026-01-05.ndjson",
        '{"id": 1, "kind": "x", "order": {"id": "o1"}, "at": "2026-01-05T10:00:00Z", "amount": 2.50}\n'
        '{"id": 2, "kind": "y", "order": {"id": "o2"}, "at": "2026-01-05T10:00:00Z", "amount": "3.10"}\n\n{"id": 3\n',
    )
    loaded = home.load("refunds")
    assert (loaded.accepted, loaded.rows_read, loaded.rows_quarantined) == (2, 3, 1)
    assert home.rows("select refund_id, order_id, cast(amount as varchar), reason, _line from raw.refunds order by 1") == [
        ("1-x", "o1", "2.5000", "none", 1), ("2-y", "o2", "3.1000", "none", 2),
    ]  # fmt: skip
    assert home.rows("select line, raw_text from ops.quarantine") == [(4, '{"id": 3')]


@pytest.mark.parametrize(
    ("setting", "place"),
    [
        ('[feed.columns]\nreason = { expr = "upper(whyy)" }\n', "columns.reason: "),
        ('[feed.columns]\nreason = { expr = "upper(" }\n', "columns.reason: "),
        ('[feed.columns]\nreason = { expr = "cast(order_id as integer)" }\n', "columns.reason: "),
        ("datetime_format = '%Y-%q'\n", "datetime_format: "),
    ],
)
def test_what_cx_toml_gets_wrong_is_named_and_leaves_the_delivery_pending(home: Home, setting: str, place: str) -> None:
    home.configure(CONFIG + setting)
    home.put("r_2026-01-05.csv", refunds("a"))
    with pytest.raises(ConfigError) as error:
        home.load("refunds")
    assert str(error.value).startswith(str(home.settings.config_path)) and place in str(error.value)
    home.configure(CONFIG)
    home.load("refunds")
    assert keys(home) == ["a"]


def test_what_a_blank_score_is_told_to_be_mapped_to_works(home: Home) -> None:
    """The rule's message has a line for cx.toml: with it a blank score is no answer, and no bad row."""
    (rule,) = [rule for rule in load_contracts()["survey_responses"].quality if rule.name == "completed_has_answer"]
    line = re.search(r"status = \{.*\}$", rule.description)[0]
    feed = "[[feed]]\nfeed = 'survey_responses'\npattern = 's_{day}.csv'\nformat = 'csv'\n[feed.constants]\n"
    constants = "survey_id = 's'\nmetric_kind = 'nps'\n"
    home.put("s_2026-01-05.csv", "response_id,answered_at,Score\n1,2026-01-05,9\n2,2026-01-05,\n")
    home.configure(feed + constants + "status = 'completed'\n[feed.columns]\nscore = 'Score'\n")
    assert home.load("survey_responses").rows_quarantined == 1
    assert home.rows("select unnest(reasons) from ops.quarantine") == [(f"completed_has_answer: {rule.description}",)]
    home.configure(feed + constants + f"[feed.columns]\nscore = 'Score'\n{line}\n")
    rereading.reset_feeds(home.con, home.settings, ["survey_responses"])
    assert home.load("survey_responses").rows_quarantined == 0
    assert home.rows("select response_id, status, _exclusion from raw.survey_responses order by 1") == [
        ("1", "completed", None), ("2", "partial", "not_completed"),
    ]  # fmt: skip


def test_a_file_that_two_patterns_of_a_feed_match_is_a_configuration_error(home: Home) -> None:
    home.configure(CONFIG + CONFIG.replace("r_{day}*", "r_*"))
    home.put("r_2026-01-05.csv", refunds("a"))
    with pytest.raises(ConfigError, match="matches two patterns of the feed 'refunds'"):
        home.take("refunds")


def test_an_expected_delivery_that_did_not_arrive_holds_its_feed_for_each_source(home: Home) -> None:
    sources = [CONFIG.replace("r_", f"{shop}_") + "expected = 'daily'\n" for shop in "ab"]
    home.configure("".join(sources))
    for name in ("a_2026-01-05", "a_2026-01-06", "b_2026-01-05"):
        home.put(name + ".csv", refunds(name))
    (verdict,) = home.take("refunds", date(2026, 1, 5), date(2026, 1, 5)).verdicts
    assert (verdict.gate, verdict.subject, verdict.passed) == ("arrival", "refunds", True)
    (verdict,) = home.take("refunds", date(2026, 1, 5), date(2026, 1, 6)).verdicts
    assert not verdict.passed and verdict.severity == "hold" and "b_{day}" in verdict.message


def test_only_weekdays_are_due_where_that_is_said(home: Home) -> None:
    home.configure(CONFIG + "expected = 'weekdays'\n")
    (verdict,) = home.take("refunds", date(2026, 1, 3), date(2026, 1, 4)).verdicts  # a weekend
    assert verdict.passed
    (verdict,) = home.take("refunds", date(2026, 1, 3), date(2026, 1, 5)).verdicts
    assert not verdict.passed


def test_only_the_days_of_the_window_are_taken(home: Home) -> None:
    for day in (4, 5, 6):
        home.put(f"r_2026-01-0{day}.csv", refunds(str(day)))
    assert dict(home.take("refunds", date(2026, 1, 5), date(2026, 1, 5)).pending) == {date(2026, 1, 5): 1}
    window = ingest.untaken_days(home.con, home.settings, date(2026, 1, 6))
    assert window is not None and (window.start, window.last) == (date(2026, 1, 4), date(2026, 1, 6))
    home.load("refunds")
    assert ingest.untaken_days(home.con, home.settings, date(2026, 1, 6)) is None


def test_a_pending_file_that_is_gone_at_loading_is_noted(home: Home) -> None:
    path = home.put("r_2026-01-05.csv", refunds("a"))
    home.take("refunds")
    path.unlink()
    assert home.load("refunds").accepted == 0
    assert home.statuses() == {"r_2026-01-05.csv": ["vanished"]}


def test_reset_reads_every_delivery_anew_once(home: Home) -> None:
    """Also those that were refused, replaced and repeated before: each file counts once, as it is now."""
    home.put("r_2026-01-04.csv", refunds("a"), mtime=1)
    home.put("r_2026-01-05.csv", "", mtime=1)
    home.put("r_2026-01-06.csv", refunds("a"), mtime=1)
    home.load("refunds")
    home.put("r_2026-01-05.csv", refunds("b", "c"), mtime=2)
    home.put("r_2026-01-06.csv", refunds("d") + "e,,,,\n", mtime=2)
    home.load("refunds")
    before = state(home)
    rereading.reset_feeds(home.con, home.settings, ["refunds"])
    assert keys(home) == [] and home.rows("from ops.quarantine") == []
    assert {status for statuses in home.statuses().values() for status in statuses} == {"pending"}
    home.load("refunds")
    assert keys(home) == ["a", "b", "c", "d"]
    before[2] = [row for row in before[2] if row[1] == "accepted"]
    assert state(home) == before


def test_loading_anew_keeps_what_cannot_be_read_again(home: Home) -> None:
    """The file of the fifth was overwritten with content that was refused; what it held before is in raw only."""
    home.put("r_2026-01-04.csv", refunds("a", "b"), mtime=1)
    home.put("r_2026-01-05.csv", refunds("c", "d") + "bad,,,,\n", mtime=1)
    home.put("r_2026-01-06.csv", refunds("c", "d") + "bad,,,,\n", mtime=1)
    home.load("refunds")
    home.put("r_2026-01-05.csv", HEADER + '"never closed\n', mtime=2)
    home.load("refunds")
    before = state(home)
    rereading.reset_feeds(home.con, home.settings, ["refunds"])
    assert keys(home) == ["c", "d"] and len(home.rows("from ops.quarantine")) == 1
    home.load("refunds")
    assert state(home) == before and keys(home) == ["a", "b", "c", "d"]
    # a night takes the refused file again, and loads anew because cx.toml changed (a history found this)
    home.take("refunds")
    rereading.reset_feeds(home.con, home.settings, ["refunds"])
    home.load("refunds")
    assert state(home) == before
    home.put("r_2026-01-05.csv", refunds("e"), mtime=3)
    home.load("refunds")
    assert sorted(keys(home)) == ["a", "b", "c", "d", "e"]  # the repeat of the sixth holds c and d alone now
    assert not home.rows("from ops.quarantine where delivery like '%01-05%'")


def test_a_corrected_mapping_brings_in_what_was_refused(home: Home) -> None:
    home.configure(CONFIG + "[feed.columns]\namount = 'total'\n")
    home.put("r_2026-01-05.csv", refunds("a"))
    home.put("r_2026-01-06.csv", refunds("b").replace("amount", "total"))
    home.load("refunds")
    assert keys(home) == ["b"]
    home.configure(CONFIG)
    assert ingest.changed_reading(home.con, home.settings, ["refunds"]) == ["refunds"]
    home.put("r_2026-01-06.csv", refunds("b"), mtime=9)
    home.take("refunds")
    rereading.reset_feeds(home.con, home.settings, ["refunds"])
    home.load("refunds")
    assert keys(home) == ["a", "b"]
    assert ingest.changed_reading(home.con, home.settings, ["refunds"]) == []


def test_reset_changes_nothing_where_loaded_files_are_gone(home: Home) -> None:
    home.put("r_2026-01-04.csv", refunds("a"))
    gone = home.put("r_2026-01-05.csv", refunds("b"))
    home.load("refunds")
    before = state(home)
    gone.unlink()
    with pytest.raises(rereading.FilesGone, match=r"1 loaded deliveries .*first: r_2026-01-05\.csv.*put the files back"):
        rereading.reset_feeds(home.con, home.settings, ["refunds"])
    assert state(home) == before


def _snapshots(home: Home) -> None:
    home.configure(CONFIG + "delivery = 'snapshot'\n")
    home.con.execute("update ops.feeds set delivery = 'snapshot' where feed = 'refunds'")


def test_a_snapshot_that_equals_yesterdays_is_no_repeat(home: Home) -> None:
    _snapshots(home)
    for day in (4, 5):
        home.put(f"r_2026-01-0{day}.csv", refunds("a"))
    assert home.load("refunds").accepted == 2
    assert home.rows("select _delivery_day, _key from raw.refunds order by 1") == [
        (date(2026, 1, 4), "a"), (date(2026, 1, 5), "a"),
    ]  # fmt: skip


def _changes(home: Home) -> list[tuple[object, ...]]:
    found = home.rows("select distinct model, entity, key, day from ops.changes order by all")
    home.con.execute("delete from ops.changes")
    return found


def test_changed_keys_are_logged_once_staging_exists(home: Home) -> None:
    home.put("r_2026-01-04.csv", refunds("a", "b"), mtime=1)
    home.load("refunds")
    assert _changes(home) == [], "the first build of staging reads everything anyway"
    home.con.execute("create schema staging; create table staging.stg_refunds (x int)")
    home.put("r_2026-01-05.csv", refunds("c") + "bad,,,,\n")
    home.load("refunds")
    assert _changes(home) == [("raw", "refunds", "c", None)]
    home.put("r_2026-01-04.csv", refunds("b", "d"), mtime=2)
    home.load("refunds")
    assert _changes(home) == [("raw", "refunds", key, None) for key in "abd"], "a vanished key moves too"
    home.put("r_2026-01-04.csv", "", mtime=3)
    home.load("refunds")
    assert _changes(home) == []


def test_a_new_snapshot_may_move_every_key_there_was(home: Home) -> None:
    _snapshots(home)
    home.con.execute("create schema staging; create table staging.stg_refunds (x int)")
    home.put("r_2026-01-04.csv", refunds("a", "b"))
    home.load("refunds")
    _changes(home)
    home.put("r_2026-01-05.csv", refunds("b", "c"))
    home.load("refunds")
    assert _changes(home) == [("raw", "refunds", key, None) for key in "abc"]


@pytest.mark.parametrize("place", ["judge", "reading_fingerprint", "_profile", "_read_group"])
def test_a_crash_while_loading_leaves_everything_pending(home: Home, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    home.put("r_2026-01-04.csv", refunds("a", "b"), mtime=1)
    home.load("refunds")
    before = state(home)
    home.put("r_2026-01-04.csv", refunds("b", "c") + "bad,,,,\n", mtime=2)
    home.put("r_2026-01-05.csv", refunds("d"))

    class Crash(Exception):
        pass

    def crash(*_: object) -> None:
        raise Crash

    with monkeypatch.context() as patch:
        patch.setattr(ingest, place, crash)
        with pytest.raises(Crash):
            home.load("refunds")
    assert state(home)[0] == before[0] and state(home)[1] == before[1] and state(home)[3] == before[3]
    assert home.statuses() == {"r_2026-01-04.csv": ["accepted", "pending"], "r_2026-01-05.csv": ["pending"]}

    home.load("refunds")
    after = state(home)
    rereading.reset_feeds(home.con, home.settings, ["refunds"])
    home.load("refunds")
    assert state(home) == after
    assert keys(home) == ["b", "c", "d"] and home.rows("select line from ops.quarantine") == [(4,)]


def test_new_content_that_repeats_another_delivery_takes_the_old_rows_away(home: Home) -> None:
    """A rebuild would not find the old rows any more either."""
    home.put("r_2026-01-04.csv", refunds("y"), mtime=1)
    home.put("r_2026-01-05.csv", refunds("x") + "bad,,,,\n", mtime=1)
    home.load("refunds")
    home.put("r_2026-01-05.csv", refunds("y"), mtime=2)
    home.load("refunds")
    assert keys(home) == ["y"] and home.rows("from ops.quarantine") == []
    assert home.statuses() == {"r_2026-01-04.csv": ["accepted"], "r_2026-01-05.csv": ["replaced", "repeated"]}
    before = state(home)
    rereading.reset_feeds(home.con, home.settings, ["refunds"])
    home.load("refunds")
    assert state(home) == before


def test_an_original_and_its_repeat_come_with_the_same_new_content(home: Home) -> None:
    for n, content in enumerate((refunds("a"), refunds("b")), start=1):
        home.put("r_2026-01-04.csv", content, mtime=n)
        home.put("r_2026-01-05.csv", content, mtime=n)
        home.load("refunds")
    assert keys(home) == ["b"]
    assert home.statuses() == {"r_2026-01-04.csv": ["replaced", "accepted"], "r_2026-01-05.csv": ["replaced", "repeated"]}


def test_what_repeats_a_refused_delivery_is_refused_in_later_runs_too(home: Home) -> None:
    home.put("r_2026-01-04.csv", refunds("a", "b", amount="0"))
    home.load("refunds")
    home.put("r_2026-01-05.csv", refunds("a", "b", amount="0"))
    home.take("refunds", date(2026, 1, 5), date(2026, 1, 5))
    home.runs += 1
    assert ingest.load_feed(home.con, home.settings, "refunds", "later").refused == 1
    assert home.rows("select reason from ops.deliveries where file = 'r_2026-01-05.csv'") == [
        ("same content as refunds:r_2026-01-04.csv, which was refused",)
    ]


def test_of_several_deliveries_of_one_content_the_earliest_is_the_original_whenever_it_comes(home: Home) -> None:
    """Otherwise rows would stand under another day than after a rebuild, and win or lose against others by that."""
    home.con.execute("create schema staging; create table staging.stg_refunds (x int)")
    home.put("r_2026-01-06.csv", refunds("a") + "bad,,,,\n")
    home.put("r_2026-01-07.csv", refunds("a") + "bad,,,,\n")
    home.load("refunds")
    _changes(home)
    home.put("r_2026-01-05.csv", refunds("a") + "bad,,,,\n")
    loaded = home.load("refunds")
    assert (loaded.accepted, loaded.rows_read) == (1, 2)
    assert home.rows("select _file, _key from raw.refunds") == [("r_2026-01-05.csv", "a")]
    assert home.rows("select file, line from ops.quarantine") == [("r_2026-01-05.csv", 3)]
    assert _changes(home) == [("raw", "refunds", "a", None)]
    assert home.rows("select file, status, rows_read, reason from ops.deliveries order by file") == [
        ("r_2026-01-05.csv", "accepted", 2, None),
        ("r_2026-01-06.csv", "repeated", 0, "same content as refunds:r_2026-01-05.csv"),
        ("r_2026-01-07.csv", "repeated", 0, "same content as refunds:r_2026-01-05.csv"),
    ]
    before = state(home)
    rereading.reset_feeds(home.con, home.settings, ["refunds"])
    home.load("refunds")
    assert state(home) == before


def test_only_the_newest_content_of_a_delivery_stands_refused(home: Home) -> None:
    for n, content in enumerate((refunds("a", "b", amount="0"), HEADER + '"never closed\n'), start=1):
        home.put("r_2026-01-05.csv", content, mtime=n)
        assert home.load("refunds").refused == 1
    assert home.statuses() == {"r_2026-01-05.csv": ["replaced", "refused"]}


class Died(Exception):
    """The load was interrupted."""


def test_an_interrupted_load_goes_on_with_the_chunk_it_was_in(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what is still pending is read again, and the outcome is that of a load that nothing disturbed."""
    for day in range(1, 10):
        home.put(f"r_2026-01-0{day}.csv", refunds(*(f"{day}_{n}" for n in range(day))) + (f"bad{day},,,,\n" * (day % 3 == 0)))
    home.take("refunds")
    read: list[str] = []
    facts = ingest.readers.facts
    monkeypatch.setattr(ingest, "CHUNK_FILES", 2)
    seen: list[tuple[str, int, int]] = []

    def dies(*progress: object) -> None:
        seen.append(progress)  # type: ignore[arg-type]
        if len(seen) == 4:
            raise Died

    with pytest.raises(Died):
        ingest.load_feed(home.con, home.settings, "refunds", "first", dies)
    assert seen == [("refunds", done, 9) for done in (0, 2, 4, 6)]
    assert {file for file, status in home.statuses().items() if status == ["accepted"]} == {
        f"r_2026-01-0{day}.csv" for day in range(1, 7)
    }
    with monkeypatch.context() as patch:
        patch.setattr(ingest.readers, "facts", lambda file: read.append(file.relative) or facts(file))
        loaded = ingest.load_feed(home.con, home.settings, "refunds", "second")
    assert read == ["r_2026-01-07.csv", "r_2026-01-08.csv", "r_2026-01-09.csv"]
    assert (loaded.accepted, loaded.rows_read, loaded.rows_accepted, loaded.rows_quarantined) == (3, 25, 24, 1)
    after = state(home)
    copies = [json.loads(line) for run in ("first", "second") for line in
              (home.settings.quarantine / f"{run}.refunds.ndjson").read_text().splitlines()]  # fmt: skip
    assert [copy["file"] for copy in copies] == [f"r_2026-01-0{day}.csv" for day in (3, 6, 9)]

    monkeypatch.setattr(ingest, "CHUNK_FILES", 1000)
    rereading.reset_feeds(home.con, home.settings, ["refunds"])
    ingest.load_feed(home.con, home.settings, "refunds", "whole")
    assert state(home) == after


def _told(home: Home) -> list[str]:
    return [verdict.sentence() for verdict in ingest.load_feed(home.con, home.settings, "refunds", "told").verdicts]


def test_the_verdicts_of_a_load_do_not_show_its_chunks(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """One verdict a check, with figures over all deliveries: a file that breaks off, too many bad rows, volumes, a repeat."""
    sizes = {f"2026-01-{day:02}": 60 for day in range(5, 29)} | {"2026-01-20": 200, "2026-01-21": 3}
    # Unusual against the four Tuesdays before it, which other chunks hold.
    sizes |= {"2026-02-03": 20}
    for day, size in sizes.items():
        home.put(f"r_{day}.csv", refunds(*(f"{day}{n}" for n in range(size))))
    home.put("r_2026-01-22.csv", HEADER + '"never closed\n')
    home.put("r_2026-01-23.csv", refunds(*"abcdef", amount="0"))
    home.put("r_2026-01-24_again.csv", refunds(*(f"2026-01-24{n}" for n in range(60))))
    told = []
    for files in (1000, 7, 1):
        monkeypatch.setattr(ingest, "CHUNK_FILES", files)
        home.take("refunds")
        told.append(_told(home))
        rereading.reset_feeds(home.con, home.settings, ["refunds"])
    assert told[0] == told[1] == told[2]
    held, rules, low, high, repeated, *others = told[0]
    assert held.startswith("HELD: readable on refunds: r_2026-01-22.csv: line 2") and "(1 of 26, " in held
    assert rules.startswith("HELD: row_rules") and "(1 of 26, first: refunds:r_2026-01-23.csv)" in rules
    assert low == (
        "warning: volume on refunds: 20 (bound: 29.02) rows, fewer than usual for this weekday "
        "(1 of 26, first: refunds:r_2026-02-03.csv)"
    )
    assert high.startswith("passed: volume") and repeated.startswith("warning: repeated_content")
    assert [sentence.split()[0] for sentence in others] == ["passed:", "passed:", "passed:", "warning:"]
    assert others[-1].startswith("warning: freshness on refunds: 15 (bound: 14)")
