"""However pending deliveries are cut into chunks, and wherever a load dies, the outcome is the same; and a rebuild finds it.

Random nights of a feed: files come, change, repeat each other, are refused, go away. Three homes take the same nights: one
loads everything in one chunk, one file by file, one dies in between and starts again.
"""

from __future__ import annotations

import tempfile
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data_quality.suites.delivery import READABLE, ROW_RULES
from orchestration.lib import ingest, rereading
from tests.landing import Home

HEADER = "refund_id,order_id,refunded_at,amount,currency\n"


def rows(*ids: str, amount: int = 5) -> str:
    return HEADER + "".join(f"{key},o{key},2026-01-05 10:00:00,{amount},EUR\n" for key in ids)


CONTENTS = {
    "one": rows("a", "b"),
    "two": rows("b", "c", "d"),
    "three": rows("e") + "f,,,,\n",
    "nothing": HEADER,
    "bad rows": rows("g", "h", amount=0),
    "cut": HEADER + '"never closed\n',
}
FILES = [f"r_2026-01-0{day}{part}.csv" for day in (3, 4, 5) for part in ("", "_2")]
# What happens to a file in a night: it comes with some content, or goes away where nothing of it is loaded.
NIGHTS = st.lists(
    st.dictionaries(st.sampled_from(FILES), st.sampled_from([*CONTENTS, "gone"]), min_size=1), min_size=1, max_size=4
)


def _judged(profile: Any, *_: object) -> tuple[list[Any], dict[str, set[str]]]:
    """The verdicts of Great Expectations in plain pandas: this is about chunks, and that costs 0.1 s a call."""
    return [], {
        READABLE: set(profile.loc[profile["problems"] > 0, "delivery"]),
        ROW_RULES: set(profile.loc[profile["bad_share"] > profile["bad_limit"], "delivery"]),
    }


def _state(home: Home) -> list[list[tuple[Any, ...]]]:
    """All that a load leaves, less runs and times."""
    return [
        home.rows("select * exclude (_ingested_at) from raw.refunds order by all"),
        home.rows("select * exclude (run_id) from ops.quarantine order by all"),
        home.rows("select * exclude (run_id, taken_at, mtime_ns) from ops.deliveries order by all"),
        home.rows("select distinct model, entity, key, day from ops.changes order by all"),
    ]


def _newest(ledger: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """The ledger of what stands; of what was refused without the reason: which of two was refused first is history."""
    return [row[:8] if row[7] == "refused" else row for row in ledger if row[7] in ("accepted", "repeated", "refused")]


class Died(Exception):
    """The load was interrupted."""


def _load(home: Home, chunk_files: int, dies_after: int | None = None) -> None:
    done = 0

    def progress(*_: object) -> None:
        nonlocal done
        done += 1
        if dies_after is not None and done > dies_after:
            raise Died

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ingest, "CHUNK_FILES", chunk_files)
        patch.setattr(ingest, "judge", _judged)
        home.take("refunds", date(2026, 1, 1), date(2026, 1, 10))
        if anew := ingest.changed_reading(home.con, home.settings, ["refunds"]):
            rereading.reset_feeds(home.con, home.settings, anew)
        home.runs += 1
        ingest.load_feed(home.con, home.settings, "refunds", f"run{home.runs}", progress)


@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(NIGHTS, st.sampled_from(["append", "delta", "snapshot"]), st.lists(st.integers(0, 5), min_size=4, max_size=4))
def test_chunks_and_deaths_change_nothing(nights: list[dict[str, str]], kind: str, deaths: list[int]) -> None:
    config = f"[[feed]]\nfeed = 'refunds'\npattern = 'r_{{day}}*.csv'\nformat = 'csv'\ndelivery = '{kind}'\n"
    with tempfile.TemporaryDirectory() as folder:
        homes = [Home(Path(folder) / name, config) for name in ("whole", "cut", "killed")]
        with homes[0].open() as whole, homes[1].open() as cut, homes[2].open() as killed:
            for home in homes:
                home.con.execute("create schema staging; create table staging.stg_refunds (x int)")
            for night, (contents, dies_after) in enumerate(zip(nights, deaths, strict=False)):
                for file, content in contents.items():
                    loaded = whole.rows("from ops.deliveries where file = ? and status in ('accepted', 'repeated')", file)
                    for home in homes:
                        path = home.home / "landing" / file
                        if content == "gone":
                            if not loaded:
                                path.unlink(missing_ok=True)
                        else:
                            home.put(file, CONTENTS[content], mtime=night + 1)
                _load(whole, 1000)
                _load(cut, 1)
                try:
                    _load(killed, 1, dies_after)
                except Died:
                    _load(killed, 2)
                assert _state(cut) == _state(whole)
                assert _state(killed) == _state(whole)
            before = _state(whole)
            rereading.reset_feeds(whole.con, whole.settings, ["refunds"])
            _load(whole, 1000)
            assert _state(whole)[:2] == before[:2]
            assert _newest(_state(whole)[2]) == _newest(before[2])


@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(NIGHTS, st.sampled_from(["append", "delta", "snapshot"]), st.integers(0, 3), st.integers(0, 5))
def test_a_night_with_a_mapping_that_reads_nothing_takes_nothing_away(
    nights: list[dict[str, str]], kind: str, slip: int, dies_after: int
) -> None:
    """Whatever was loaded before it stands after it, also where the run that reads anew dies; mended, a rebuild agrees."""
    right = f"[[feed]]\nfeed = 'refunds'\npattern = 'r_{{day}}*.csv'\nformat = 'csv'\ndelivery = '{kind}'\n"
    with tempfile.TemporaryDirectory() as folder, Home(Path(folder) / "home", right).open() as home:
        for night, contents in enumerate(nights):
            for file, content in contents.items():
                if content != "gone":
                    home.put(file, CONTENTS[content], mtime=night + 1)
            home.configure(right + ("[feed.columns]\namount = 'amuont'\n" if night == slip else ""))
            before = _state(home)[:2]
            try:
                _load(home, 1, dies_after)
            except Died:
                _load(home, 2)
            assert not home.rows("from duckdb_tables() where table_name like '%before' and schema_name = 'raw'")
            if night == slip:
                assert _state(home)[:2] == before
        home.configure(right)
        _load(home, 1000)
        before = _state(home)
        rereading.reset_feeds(home.con, home.settings, ["refunds"])
        _load(home, 1000)
        assert _state(home)[:2] == before[:2]
        assert _newest(_state(home)[2]) == _newest(before[2])


KNOWN = [
    {"r_2026-01-03.csv": "one"},
    {"r_2026-01-03.csv": "one", "r_2026-01-04_2.csv": "one", "r_2026-01-04.csv": "one", "r_2026-01-03_2.csv": "one",
     "r_2026-01-05.csv": "one", "r_2026-01-05_2.csv": "one"},
    {"r_2026-01-03.csv": "one", "r_2026-01-05.csv": "one", "r_2026-01-03_2.csv": "two", "r_2026-01-04.csv": "one"},
    {"r_2026-01-03.csv": "one", "r_2026-01-05_2.csv": "one", "r_2026-01-04_2.csv": "bad rows", "r_2026-01-03_2.csv": "one",
     "r_2026-01-04.csv": "two", "r_2026-01-05.csv": "one"},
]  # fmt: skip


def test_many_names_of_one_content_and_chunks() -> None:
    """Found at random: a refused delivery that goes on to hold what repeats another one is refused for its own rows."""
    test_chunks_and_deaths_change_nothing.hypothesis.inner_test(KNOWN, "append", [0, 0, 0, 3])


def test_a_delivery_that_turns_out_to_repeat_another_one_has_no_rows_of_its_own() -> None:
    """Found at random: of a bad row it kept the count, which a rebuild does not find."""
    nights = [{"r_2026-01-03_2.csv": "three"}, {"r_2026-01-03.csv": "three"}]
    test_chunks_and_deaths_change_nothing.hypothesis.inner_test(nights, "append", [0, 0, 0, 0])
