"""A mapping or a contract that changes: what it reads replaces what was loaded, and what it refuses takes nothing away."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from orchestration.lib import ingest, release, rereading
from tests.landing import REFUNDS_HEADER as HEADER
from tests.landing import Home, refunds

CONFIG = "[[feed]]\nfeed = 'refunds'\npattern = 'r_{day}.csv'\nformat = 'csv'\n"
MISTYPED = CONFIG + "[feed.columns]\namount = 'amuont'\n"
SPOILING = CONFIG.replace("format", "datetime_format = '%d/%m/%Y %H:%M'\nformat")


@pytest.fixture
def home(cx_home: Path) -> Iterator[Home]:
    with Home(cx_home, CONFIG).open() as home:
        home.con.execute("update ops.clock set data_through = date '2026-01-06'")
        home.put("r_2026-01-05.csv", refunds("a", "b", "c") + "bad,,,,\n" + refunds(*map(str, range(40)))[len(HEADER) :])
        home.put("r_2026-01-06.csv", refunds("d", "f"))
        home.load("refunds")
        yield home


def night(home: Home) -> list[str]:
    """What a run does with the feed; the sentences of what did not pass."""
    home.take("refunds")
    anew = ingest.changed_reading(home.con, home.settings, ["refunds"])
    if anew:
        rereading.reset_feeds(home.con, home.settings, anew)
    home.runs += 1
    verdicts = ingest.load_feed(home.con, home.settings, "refunds", f"night{home.runs}").verdicts
    return [verdict.sentence() for verdict in verdicts if not verdict.passed]


def held(home: Home) -> list[list[tuple[object, ...]]]:
    """What readers and counts go by: rows, bad rows, the books of what stands accepted."""
    return [
        home.rows("select * exclude (_ingested_at) from raw.refunds order by all"),
        home.rows("select * exclude (run_id) from ops.quarantine order by all"),
        home.rows(
            "select file, content_hash, rows_read, rows_accepted, rows_quarantined from ops.deliveries "
            "where status = 'accepted' order by all"
        ),
        home.rows("select * exclude (run_id) from ops.delivery_facts order by all"),
    ]


def aside(home: Home) -> list[tuple[object, ...]]:
    return home.rows("select table_name from duckdb_tables() where table_name like '%\\_\\_before' escape '\\'")


@pytest.mark.parametrize(("config", "said"), [(MISTYPED, "amuont"), (SPOILING, "row_rules")])
def test_a_mapping_that_reads_nothing_takes_nothing_away(home: Home, config: str, said: str) -> None:
    """Night after night it is told, the feed is stale, and its rows stay; once it is mended all is as before."""
    before = held(home)
    home.configure(config)
    for _ in range(2):
        assert any(sentence.startswith("HELD") and said in sentence for sentence in night(home))
        assert held(home) == before and aside(home) == []
        (state,) = release.feed_states(home.con)
        assert (state["is_stale"], state["refused_deliveries"]) == (True, 2)
        assert state["data_through"] == date(2026, 1, 6)
    home.configure(CONFIG)
    assert night(home) == [] and held(home) == before
    assert release.feed_states(home.con)[0]["is_stale"] is False


def test_what_the_new_mapping_reads_is_replaced_and_what_it_refuses_stays(home: Home) -> None:
    """An export that changed its header: the mapping of today cannot read the days before, which stay as they were read."""
    every = CONFIG.replace("r_{day}", "*_{day}")
    total = "[feed.columns]\namount = 'total'\n"
    before = home.rows("select * exclude (_ingested_at) from raw.refunds order by all")
    home.put("new_2026-01-07.csv", refunds("e").replace("amount", "total"))
    home.configure(every + total)
    night(home)
    assert home.rows("select * exclude (_ingested_at) from raw.refunds where _file like 'r_%' order by all") == before
    assert home.rows("select refund_id from raw.refunds where _file not like 'r_%'") == [("e",)]
    assert home.statuses()["r_2026-01-05.csv"] == home.statuses()["r_2026-01-06.csv"] == ["refused", "accepted"]
    # In two tables of cx.toml all of it can be read, and nothing counts twice.
    home.configure(CONFIG + CONFIG.replace("r_{day}", "new_{day}") + total)
    assert night(home) == []
    assert home.rows("select count(*), count(distinct refund_id) from raw.refunds") == [(46, 46)]
    assert not [file for file, statuses in home.statuses().items() if "refused" in statuses]


def test_a_run_that_dies_while_it_reads_anew_loses_nothing(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the next run has another mapping: what is held is what was loaded last before any of it."""
    before = held(home)
    monkeypatch.setattr(ingest, "CHUNK_FILES", 1)
    home.configure(SPOILING)
    original, calls = ingest._load_chunk, []

    def dies(*arguments: object) -> object:
        calls.append(arguments)
        if len(calls) == 2:
            raise MemoryError("killed")
        return original(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(ingest, "_load_chunk", dies)
        with pytest.raises(MemoryError):
            night(home)
    assert aside(home) == [("refunds__before",)]
    home.configure(MISTYPED)
    night(home)
    assert held(home) == before and aside(home) == []
    home.configure(CONFIG)
    assert night(home) == [] and held(home) == before


def test_loading_everything_anew_keeps_what_is_held(home: Home) -> None:
    """`cx rebuild` and `cx verify` under a mapping that cannot read the files."""
    before = held(home)
    home.configure(MISTYPED)
    night(home)
    rereading.reset_feeds(home.con, home.settings, ["refunds"])
    ingest.load_feed(home.con, home.settings, "refunds", "rebuild")
    assert held(home) == before


def test_a_file_that_is_mended_replaces_what_was_held(home: Home) -> None:
    home.configure(MISTYPED)
    night(home)
    home.put("r_2026-01-06.csv", refunds("x").replace("amount", "amuont"), mtime=9)
    night(home)
    assert home.rows("select refund_id from raw.refunds where _file = 'r_2026-01-06.csv'") == [("x",)]
    assert home.statuses()["r_2026-01-06.csv"].count("accepted") == 1


def test_a_held_value_that_is_none_of_the_new_type_is_nothing(home: Home) -> None:
    """A contract that became narrower; keys that a library makes of values are made anew."""
    home.con.execute(
        "create or replace temp table narrow as select * replace ('n/a' as amount) from raw.refunds where refund_id = 'd'"
    )
    contract = ingest.load_contracts()["refunds"]
    home.con.execute("delete from raw.refunds")
    rereading._insert(home.con, contract, "narrow")
    assert home.rows("select refund_id, amount, currency from raw.refunds") == [("d", None, "EUR")]
