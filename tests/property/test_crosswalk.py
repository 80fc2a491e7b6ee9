"""Hundreds of small worlds of persons that link and part, night after night: the crosswalk equals union-find in Python, and
its increments equal a full build, table by table.

One warehouse holds all worlds; they have nothing in common but a telephone number that half of everybody gives.
"""

from __future__ import annotations

import shutil
from datetime import date, timedelta
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

import duckdb
import pytest

from data_quality.contract import load_contracts
from orchestration.lib import dbt_build, ingest, warehouse
from orchestration.lib.dbt_manifest import in_order
from orchestration.lib.simulator.crosswalk import Crosswalk
from orchestration.partitions import Window
from orchestration.settings import Settings
from tests.replay import _full_refresh_sql

FIRST = date(2026, 1, 5)
WORLDS, NIGHTS = 150, 5
PER_KEY, PER_COMPONENT = 2, 3
MODELS = {
    "stg_persons", "stg_accounts", "int_vendor_merges", "int_test_persons", "int_excluded_persons", "int_person_keys",
    "int_link_keys", "int_persons", "int_person_merges", "int_person_links",
}  # fmt: skip
CONFIG = f"""
[business]
max_persons_per_key = {PER_KEY}
max_persons_per_component = {PER_COMPONENT}
[[feed]]
feed = "persons"
pattern = "persons_{{day}}.csv"
format = "csv"
[[feed]]
feed = "accounts"
pattern = "accounts_{{day}}.csv"
format = "csv"
"""
Row = dict[str, Any]


class World:
    """Eight persons and two accounts of their own. In some worlds a record says much, in others one thing or nothing."""

    def __init__(self, number: int, rng: Random) -> None:
        self.rng, self.number, self.silence = rng, number, rng.choice((0.2, 0.6, 0.85))
        self.persons: dict[str, Row] = {}
        self.accounts: dict[str, Row] = {}

    def any_person(self) -> str:
        return f"w{self.number:03d}P{self.rng.randint(1, 8)}"

    def values(self) -> Row:
        """What a person's record may say, each in several ways of typing it."""
        rng, n, k = self.rng, self.number, self.rng.randint(0, 2)
        said = {
            "source": rng.choice((None, "shop", "contact_center")),
            "external_id": rng.choice((f"w{n}E1", self.any_person())),
            "email": rng.choice((f"anna{k}@w{n}.nl", f"Anna{k}@W{n}.NL", f"anna{k}+shop@w{n}.nl", f"info@w{n}.nl", "anna")),
            "phone": rng.choice((f"061{n:04d}{k}00", f"+31 6 1{n:04d}{k}00", f"0031-61{n:04d}{k}00", "020 123 4567", "12")),
            "country": rng.choice(("NL", "NL", "NL", None)),
            "account_id": rng.choice((None, None, f"w{n}A1", f"w{n}A2")),
            "is_test": rng.choice((None, None, False, False, True)),
            "merged_into_id": rng.choice((None, None, None, self.any_person())),
        }
        return {name: None if name != "country" and rng.random() < self.silence else value for name, value in said.items()}

    def change(self) -> tuple[str, Row]:
        """A record that comes, or says something else than before."""
        if self.rng.random() < 0.1:
            account = {"account_id": f"w{self.number}A{self.rng.randint(1, 2)}", "is_test": self.rng.choice((None, True))}
            self.accounts[account["account_id"]] = account
            return "accounts", account
        person, said = self.any_person(), self.values()
        if person in self.persons and self.rng.random() < 0.7:
            changed = self.rng.choice(sorted(said))
            said = {**self.persons[person], changed: said[changed]}
        self.persons[person] = {**said, "person_id": person}
        return "persons", self.persons[person]


def _file(home: Path, feed: str, day: date, rows: list[Row]) -> None:
    """The last word on each record, as a nightly export has it."""
    (key,) = load_contracts()[feed].key
    columns = [column.name for column in load_contracts()[feed].properties]
    last = {row[key]: row for row in rows}
    lines = [",".join("" if (v := row.get(c)) is None else str(v).lower() if v is True or v is False else v for c in columns)
             for row in last.values()]  # fmt: skip
    (home / "landing" / f"{feed}_{day}.csv").write_text("\n".join([",".join(columns), *lines, ""]), encoding="utf-8")


def _night(home: Path, day: date) -> None:
    settings = Settings(home)
    with warehouse.connect(settings) as con:
        warehouse.prepare(con, settings.config)
        ingest.take_deliveries(con, settings, "crm", Window.of_days(day, day), str(day))
        warehouse.advance_clock(con, day)
        for feed in ("persons", "accounts"):
            assert not ingest.load_feed(con, settings, feed, str(day)).rows_quarantined
    built = dbt_build.build(settings, MODELS, full_refresh=False)
    assert set(built.models) == MODELS, built.verdicts


def _tables(file: Path) -> dict[str, set[tuple[Any, ...]]]:
    with duckdb.connect(str(file), read_only=True) as con:
        models = [model for model in sorted(MODELS) if model.startswith("int_")]
        return {model: set(con.execute(f"from intermediate.{model}").fetchall()) for model in models}


def _rebuilt(home: Path) -> dict[str, set[tuple[Any, ...]]]:
    copy = home / "rebuilt.duckdb"
    shutil.copy(Settings(home).warehouse, copy)
    statements = _full_refresh_sql()
    with duckdb.connect(str(copy)) as con:
        con.execute("set TimeZone = 'UTC'")
        con.execute("use rebuilt")
        for model in in_order(MODELS):
            con.execute(statements[model].replace('"cx".', '"rebuilt".').replace("cx.ops.", "rebuilt.ops."))
    return _tables(copy)


@pytest.mark.parametrize("seed", [1])
def test_the_crosswalk_of_every_night_equals_union_find_and_a_full_build(seed: int, tmp_path: Path) -> None:
    rng = Random(seed)
    settings = Settings(tmp_path)
    settings.make_folders()
    (settings.landing / "cx.toml").write_text(CONFIG, encoding="utf-8")
    worlds = [World(number, rng) for number in range(WORLDS)]
    before: dict[str, str] = {}
    parted = 0
    for night in range(NIGHTS):
        day = FIRST + timedelta(days=night)
        touched = worlds if night == 0 else rng.sample(worlds, WORLDS // 3)
        changes = [world.change() for world in touched for _ in range(6 if night == 0 else rng.randint(1, 3))]
        for feed in ("persons", "accounts"):
            _file(tmp_path, feed, day, [row for name, row in changes if name == feed])
        _night(tmp_path, day)

        persons = [_person(row) for world in worlds for row in world.persons.values()]
        accounts = [SimpleNamespace(**row) for world in worlds for row in world.accounts.values()]
        truth = Crosswalk(persons, accounts, PER_KEY, PER_COMPONENT)
        merges = {key: truth.survivor(key) for key in truth.persons if truth.survivor(key) != key}
        excluded = {(key, reason) for key in truth.persons if (reason := truth.excluded(key))}
        tables = _tables(settings.warehouse)
        assert tables["int_person_merges"] == set(merges.items())
        assert tables["int_excluded_persons"] == excluded
        rebuilt = _rebuilt(tmp_path)
        assert {model: rows ^ rebuilt[model] for model, rows in tables.items()} == {model: set() for model in tables}
        with warehouse.connect(settings) as con:
            logged = con.execute(
                "select key, cause from ops.changes where model = 'int_person_merges' and entity = 'person'"
            ).fetchall()
            looked_at = con.execute("select count(distinct key) from ops.changes where entity = 'touched'").fetchone()[0]
            # Every other night is published.
            if night % 2:
                con.execute("delete from ops.changes")
        if night:
            moved = {key for key in before.keys() | merges.keys() if before.get(key) != merges.get(key)}
            assert moved <= {key for key, _ in logged} and {cause for _, cause in logged} <= {"merge"}
            assert len({key for key, _ in logged} - moved) == 0 or night % 2, "who did not move is not logged"
            assert looked_at < len(persons), "a number that half of everybody gives reaches nobody"
            parted += sum(key not in merges for key in before)
        before = merges
    assert truth.too_large and truth.shared and truth.roles and parted > 5, "all guards and partings occur"
    assert {row[4] for row in tables["int_person_links"]} == {"linked", "own", "shared", "role_mailbox", "large_component"}


def _person(row: Row) -> SimpleNamespace:
    return SimpleNamespace(**{column.name: None for column in load_contracts()["persons"].properties} | row)
