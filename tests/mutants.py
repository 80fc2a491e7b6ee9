"""`make mutants`: does anything notice when the SQL of a mart is wrong?

    python -m tests.mutants [--model NAME ...] [--mutants 300 | --all] [--seed 1] [--incremental 0]

One mistake at a time (`tests.mutations`) is put into a mart or an intermediate model, spread over all of them. A mutant is
killed by what notices it: the model's dbt unit tests; the books kept in Python, of a simulated company with every feed and of
random histories, which the marts must equal; the bounds of a mart's contract; dbt's tests. Nothing of dbt runs for a mutant:
every model and test is compiled once, with the places marked, and DuckDB builds the wrong model and what reads it inside a
transaction that is rolled back. Mistakes in what only increments run, and in `meta` (what reaches where), are a second judge's
(`--incremental N`), which runs random histories night by night by dbt and compares with a full build; that is slow.

Belongs here: judging mutants, the list of survivors that change nothing (`mutants.yml`), the report. Does not: what a mistake
is (`tests.mutations`), expected numbers (`orchestration.lib.simulator`).
"""

from __future__ import annotations

import argparse
import logging
import os
import shutil
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from pathlib import Path
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import pandas as pd
import yaml

from data_quality.contract import load_contracts
from orchestration.lib import ingest, warehouse
from orchestration.lib.dbt_manifest import ensure_manifest, manifest_json, marts, models_on, runner_manifest
from orchestration.lib.simulator import simulate
from orchestration.lib.simulator.truth import MART_KEYS, Books, Definitions
from orchestration.partitions import Window
from orchestration.settings import DBT_PROJECT_DIR, CxConfig, Settings
from tests.frames import differences
from tests.histories import Night, make_history
from tests.mutations import Mutant, applied, marked, mutants_of
from tests.replay import Replay, domains_of, in_order

GOAL = 0.95
SECONDS = 30
"""A mutant that is still at work after so long is killed: somebody would have noticed."""
SURVIVORS = Path(__file__).with_name("mutants.yml")
HISTORIES = 16
CUSTOMERS, DAYS, SEED = 150, 400, 11
"""More than a year, so that trailing years and their edges are in it."""


@dataclass
class Compiled:
    """What dbt made of the project, whose models have marked places, for a full build."""

    models: dict[str, str]
    tests: dict[str, tuple[str, set[str]]]
    """SQL and models of each data test."""
    units: dict[str, list[tuple[str, str, list[str]]]]
    """By model the name, SQL and expected columns of each unit test."""


@dataclass
class World:
    """A warehouse whose every model is built and right, and what its marts must be."""

    name: str
    con: duckdb.DuckDBPyConnection
    models: list[str]
    """After what they need."""
    expected: dict[str, pd.DataFrame] = field(default_factory=dict)


@cache
def _nodes() -> dict[str, dict[str, Any]]:
    return {node["name"]: node for node in manifest_json()["nodes"].values() if node["resource_type"] == "model"}


@cache
def _parents(model: str) -> frozenset[str]:
    return frozenset(unique_id.split(".")[-1] for unique_id in _nodes()[model]["depends_on"]["nodes"])


def _table(model: str) -> str:
    return f"{_nodes()[model]['schema']}.{model}"


def all_mutants() -> dict[str, list[Mutant]]:
    """By mart and intermediate model."""
    found = {}
    for name, node in sorted(_nodes().items()):
        folder = node["original_file_path"].split("/")[1]
        if folder in ("marts", "intermediate") and node["config"]["materialized"] != "ephemeral":
            found[name] = mutants_of(name, (DBT_PROJECT_DIR / node["original_file_path"]).read_text(encoding="utf-8").strip())
    return found


def spread(mutants: dict[str, list[Mutant]], count: int | None, seed: int) -> list[Mutant]:
    """So many of them, in turn from each model; all without a count."""
    piles = {}
    for model, pile in mutants.items():
        piles[model] = [mutant for mutant in pile if not mutant.is_incremental]
        Random(f"{seed}-{model}").shuffle(piles[model])
    turns = [pile[n] for n in range(max(map(len, piles.values()), default=0)) for pile in piles.values() if n < len(pile)]
    return sorted(turns[:count], key=lambda mutant: (mutant.model, mutant.number))


# What dbt compiles


@contextmanager
def _invoke(folder: Path) -> Iterator[Any]:
    """`dbt`, on a manifest whose models are marked, with its warehouse in the folder."""
    from dbt.cli.main import dbtRunner

    ensure_manifest()
    os.environ["CX_WAREHOUSE"] = str(folder / "cx.duckdb")
    manifest = runner_manifest()
    mutants = all_mutants()
    for node in manifest.nodes.values():
        if node.resource_type == "model" and node.name in mutants:
            assert mutants_of(node.name, node.raw_code) == mutants[node.name]
            node.raw_code = marked(node.raw_code, mutants[node.name])
    where = ["--project-dir", str(DBT_PROJECT_DIR), "--profiles-dir", str(DBT_PROJECT_DIR), "--target-path",
             str(folder / "dbt"), "--log-path", str(folder / "dbt"), "--log-level-file", "none"]  # fmt: skip

    def dbt(*arguments: str) -> list[Any]:
        outcome = dbtRunner(manifest=manifest).invoke(["--quiet", "--no-write-json", *arguments, *where])
        assert outcome.result is not None, outcome.exception
        wrong = [(r.node.name, r.message) for r in outcome.result.results if str(r.status) not in ("success", "pass")]
        assert not wrong, wrong
        return list(outcome.result.results)

    yield dbt


def compile_all(folder: Path) -> tuple[Compiled, World]:
    """Everything compiled once; and the empty home on which unit tests run."""
    settings = Settings(folder / "unit")
    settings.make_folders()
    with warehouse.connect(settings) as con:
        warehouse.prepare(con, CxConfig())
        warehouse.advance_clock(con, date(2026, 1, 31))
    with _invoke(settings.warehouse.parent) as dbt:
        compiled = dbt("compile", "--full-refresh", "--select", "resource_type:model", "resource_type:test")
        models = {r.node.name: r.node.compiled_code for r in compiled if r.node.resource_type == "model"}
        tests = {
            r.node.name: (r.node.compiled_code, {u.split(".")[-1] for u in r.node.depends_on.nodes})
            for r in compiled
            if r.node.resource_type == "test"
        }
        units: dict[str, list[tuple[str, str, list[str]]]] = defaultdict(list)
        with warehouse.connect(settings) as con:
            _build(con, models, in_order(set(models)))
        if manifest_json()["unit_tests"]:
            told = {test["name"]: test for test in manifest_json()["unit_tests"].values()}
            for result in dbt("test", "--select", "test_type:unit"):
                test = told[result.node.name]
                columns = list(dict.fromkeys(name for row in test["expect"]["rows"] for name in row))
                units[test["model"]].append((test["name"], result.node.compiled_code, columns))
    return Compiled(models, tests, units), World("unit tests", duckdb.connect(str(settings.warehouse)), [])


# Worlds


def _build(con: duckdb.DuckDBPyConnection, models: dict[str, str], names: Iterable[str]) -> None:
    for schema in ("staging", "intermediate", "marts"):
        con.execute(f"create schema if not exists {schema}")
    for name in names:
        con.execute(f"create or replace table {_table(name)} as {models[name]}")


def _world(name: str, settings: Settings, feeds: list[str], through: date, compiled: Compiled) -> World:
    """Take and load all there is, build everything, and keep a copy of what is right."""
    settings.make_folders()
    con = duckdb.connect(str(settings.warehouse), config={"memory_limit": "3GB", "temp_directory": str(settings.home / "spill")})
    con.execute("set TimeZone = 'UTC'")
    warehouse.prepare(con, settings.config)
    for domain in domains_of(feeds):
        ingest.take_deliveries(con, settings, domain, Window.of_days(date(1990, 1, 1), through), "mutants")
    warehouse.advance_clock(con, through)
    for feed in feeds:
        ingest.load_feed(con, settings, feed, "mutants")
    names = [model for model in in_order(models_on(set(feeds))) if model in compiled.models]
    _build(con, compiled.models, names)
    con.execute("create schema kept_intermediate; create schema kept_marts")
    for model in names:
        if _nodes()[model]["schema"] in ("intermediate", "marts"):
            con.execute(f"create table kept_{_table(model)} as from {_table(model)}")
    # Tests look at every day.
    con.execute("delete from ops.affected")
    con.executemany("insert into ops.affected values (?, null)", [[mart] for mart in marts()])
    return World(name, con, names)


def company_world(folder: Path, compiled: Compiled) -> World:
    """A simulated company with all feeds."""
    company = simulate(customers=CUSTOMERS, days=DAYS, seed=SEED)
    settings = Settings(folder / "company")
    (settings.landing).mkdir(parents=True)
    company.write_exports(settings.landing)
    settings.config_path.write_text(company.config(), encoding="utf-8")
    feeds = [feed for feed in load_contracts() if settings.config.sources_of({feed})]
    world = _world("the company", settings, feeds, company.data_through, compiled)
    world.expected = {mart: frame for mart, frame in company.truth().items() if mart in world.models}
    return world


class _Books(Replay):
    """The files and the books of a history at its end, without its runs."""

    def _night(self, step: Night, is_last: bool) -> None:
        self._expect(step)

    def world(self, name: str, compiled: Compiled) -> World | None:
        """None where one run over the last files is no end of this history."""
        self.run()
        settings = Settings(self.home)
        shutil.rmtree(settings.landing)
        settings.make_folders()
        self._configure()
        for put in (self.ledger.loaded | self.ledger.refused).values():
            path = settings.landing / put.name
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(put.content.text())
        assert self.through is not None
        feeds = [feed for feed in load_contracts() if feed in self.history.feeds]
        world = _world(name, settings, feeds, self.through, compiled)
        values = {key: value for key, value in self.business.items() if key != "timezone"}
        books = Books(self.ledger.rows(), ZoneInfo(self.business["timezone"]), self.through, Definitions(**values))
        world.expected = {m: f for m, f in books.marts([mart for mart in marts() if mart in world.models]).items()}
        if _differing(world):
            world.con.close()
            return None
        return world


def history_worlds(folder: Path, compiled: Compiled, count: int, seed: int) -> list[World]:
    """The ends of random histories: few rows, with times on the edges of days and windows."""
    found: list[World] = []
    number = 0
    while len(found) < count:
        history = make_history(Random(f"mutants-{seed}-{number}"))
        world = _Books(history, folder / f"history{number}").world(f"history {number}", compiled)
        number += 1
        found += [world] if world else []
    return found


def _differing(world: World, only: Iterable[str] | None = None) -> dict[str, list[str]]:
    """What the books say of the marts as they are now."""
    found = {}
    for mart in world.expected if only is None else only:
        actual = world.con.execute(f"from {_table(mart)}").df()
        keys = list(MART_KEYS[mart])
        try:
            lines = differences(actual, world.expected[mart], keys, [c for c in actual.columns if c not in keys])
        except AssertionError as twice:
            lines = [str(twice)]
        if lines:
            found[mart] = lines
    return found


# The judge


class Stillborn(Exception):
    """The mutant is no SQL that runs at all."""


def judge(mutant: Mutant, compiled: Compiled, unit_world: World, worlds: list[World]) -> str:
    """What notices the mutant; empty where nothing does."""
    sql = applied(compiled.models[mutant.model], mutant)
    if sql == compiled.models[mutant.model]:
        raise Stillborn
    for name, unit, columns in compiled.units.get(mutant.model, []):
        if _unit_differs(unit_world.con, unit, applied(unit, mutant), columns):
            return f"unit test {name}"
    for world in worlds:
        if mutant.model in world.models:
            noticed = _noticed(world, mutant.model, sql, compiled)
            if noticed:
                return f"{world.name}: {noticed}"
    return ""


def _unit_differs(con: duckdb.DuckDBPyConnection, right: str, wrong: str, columns: list[str]) -> bool:
    picked = ", ".join(columns)
    sides = (f"(select {picked} from ({right}))", f"(select {picked} from ({wrong}))")
    try:
        return any(con.execute(f"select exists ({a} except all {b})").fetchone() == (True,) for a, b in (sides, reversed(sides)))
    except duckdb.Error:
        return True


def _noticed(world: World, model: str, sql: str, compiled: Compiled) -> str:
    con = world.con
    con.execute("begin")
    timer = threading.Timer(SECONDS, con.interrupt)
    timer.start()
    try:
        try:
            con.execute(f"create or replace table {_table(model)} as {sql}")
        except (duckdb.ParserException, duckdb.BinderException, duckdb.CatalogException):
            raise Stillborn from None
        moved = {model} if _moved(con, model) else set()
        for name in world.models[world.models.index(model) + 1 :]:
            if moved & _parents(name):
                con.execute(f"create or replace table {_table(name)} as {compiled.models[name]}")
                moved |= {name} if _moved(con, name) else set()
        wrong_type = sorted(name for name in moved & set(marts()) if _columns(con, name) != _columns(con, name, "kept_"))
        if wrong_type:
            return f"column types of {wrong_type[0]}"
        books = _differing(world, sorted(moved & set(world.expected)))
        if books:
            mart, lines = next(iter(books.items()))
            return f"books of {mart}, {len(lines)} differences"
        for name in sorted(moved & set(marts())):
            for bound, condition in marts()[name].checks.items():
                if con.execute(f"select exists (from {_table(name)} where not coalesce(({condition}), true))").fetchone()[0]:
                    return f"bound {bound} of {name}"
            for column in _required(name):
                if con.execute(f'select exists (from {_table(name)} where "{column}" is null)').fetchone()[0]:
                    return f"{name}.{column} is missing"
        for name, (test, about) in compiled.tests.items():
            if about & moved and about <= set(world.models) and con.execute(f"select exists ({test})").fetchone()[0]:
                return f"test {name}"
        return ""
    except duckdb.Error as error:
        return f"error: {str(error).splitlines()[0][:80]}"
    finally:
        timer.cancel()
        con.execute("rollback")


def _columns(con: duckdb.DuckDBPyConnection, model: str, schema: str = "") -> list[tuple[Any, ...]]:
    return [row[:2] for row in con.execute(f"describe {schema}{_table(model)}").fetchall()]


def _required(mart: str) -> list[str]:
    columns = _nodes()[mart]["columns"].values()
    return [c["name"] for c in columns if any(rule["type"] == "not_null" for rule in c.get("constraints", []))]


def _moved(con: duckdb.DuckDBPyConnection, model: str) -> bool:
    """Whether its rows are other ones than those that are right."""
    if _columns(con, model) != _columns(con, model, "kept_"):
        return True
    a, b = _table(model), f"kept_{_table(model)}"
    counts = con.execute(f"select (select count(*) from {a}), (select count(*) from {b})").fetchone()
    return counts[0] != counts[1] or con.execute(f"select exists (from {a} except all from {b})").fetchone()[0]


# The report


@dataclass
class Verdict:
    """What became of a mutant."""

    mutant: Mutant
    by: str
    """What noticed it."""
    reason: str = ""
    """Why nothing can notice it, from the list of survivors."""

    @property
    def word(self) -> str:
        """killed, survived or equivalent."""
        return "killed" if self.by else "equivalent" if self.reason else "SURVIVED"


def known_survivors() -> dict[tuple[str, str], str]:
    """Reasons by model and name of mutant."""
    told = yaml.safe_load(SURVIVORS.read_text(encoding="utf-8")) or {}
    return {(model, name): reason for model, reasons in told.items() for name, reason in reasons.items()}


def run(mutants: list[Mutant], compiled: Compiled, unit_world: World, worlds: list[World]) -> list[Verdict]:
    """Judge them one after another; those that are no SQL are left out."""
    known, verdicts, told = known_survivors(), [], time.monotonic()
    for done, mutant in enumerate(mutants):
        try:
            by = judge(mutant, compiled, unit_world, worlds)
        except Stillborn:
            continue
        verdicts.append(Verdict(mutant, by, known.get((mutant.model, mutant.name), "")))
        if not by and not verdicts[-1].reason:
            _print(verdicts[-1])
        if time.monotonic() - told > 60:
            told = time.monotonic()
            print(f"{done + 1} of {len(mutants)} mutants", flush=True)
    return verdicts


def _print(verdict: Verdict) -> None:
    m = verdict.mutant
    file = _nodes()[m.model]["original_file_path"]
    print(f"{verdict.word}: {file}:{m.line}: {m.kind}: `{m.before}` -> `{m.after}` in: {m.source}", flush=True)


def report(verdicts: list[Verdict], known: dict[tuple[str, str], str]) -> bool:
    """Print the figures; whether enough were killed and the list of survivors is true."""
    by_model: dict[str, Counter[str]] = defaultdict(Counter)
    by_what: Counter[str] = Counter()
    for verdict in verdicts:
        by_model[verdict.mutant.model][verdict.word] += 1
        by_what[verdict.by.split(":")[0].split()[0] if verdict.by else verdict.word] += 1
    print(f"| {'model':28s} | killed | equivalent | survived |\n|---|---|---|---|")
    for model, counts in sorted(by_model.items()):
        print(f"| {model:28s} | {counts['killed']:6d} | {counts['equivalent']:10d} | {counts['SURVIVED']:8d} |")
    killed, equivalent = (sum(v.word == word for v in verdicts) for word in ("killed", "equivalent"))
    judged = len(verdicts) - equivalent
    share = killed / judged if judged else 1.0
    print("killed by: " + ", ".join(f"{what} {count}" for what, count in by_what.most_common() if what[0].islower()))
    print(f"{len(verdicts)} mutants: {killed} killed of {judged} that change something ({share:.1%}), {equivalent} equivalent")
    wrong = [v for v in verdicts if v.by and (v.mutant.model, v.mutant.name) in known]
    for verdict in wrong:
        print(f"listed as equivalent, but noticed by {verdict.by}: {verdict.mutant.model}: {verdict.mutant.name}")
    return share >= GOAL and not wrong


def main() -> int:
    """0 where enough are killed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", action="append", help="only mutants of this model")
    parser.add_argument("--mutants", type=int, default=300, help="how many, spread over the models")
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--histories", type=int, default=HISTORIES)
    parser.add_argument("--scratch", type=Path, help="folder for the homes; a memory file system is fastest")
    parser.add_argument("--show", action="store_true", help="print every mutant, not only those that survive")
    options = parser.parse_args()
    logging.disable(logging.INFO)
    mutants = {model: found for model, found in all_mutants().items() if not options.model or model in options.model}
    chosen = spread(mutants, None if options.all or options.model else options.mutants, options.seed)
    folder, began = Path(tempfile.mkdtemp(prefix="mutants-", dir=options.scratch)), time.monotonic()
    try:
        compiled, unit_world = compile_all(folder)
        print(f"{time.monotonic() - began:.0f} s: compiled", flush=True)
        company = company_world(folder, compiled)
        wrong = _differing(company)
        assert not wrong, f"the company's marts are not right to begin with: {wrong}"
        print(f"{time.monotonic() - began:.0f} s: the company is built", flush=True)
        worlds = [*history_worlds(folder, compiled, options.histories, options.seed), company]
        print(f"{time.monotonic() - began:.0f} s: {len(worlds) - 1} histories are built; {len(chosen)} mutants", flush=True)
        began = time.monotonic()
        verdicts = run(chosen, compiled, unit_world, worlds)
        for verdict in verdicts if options.show else []:
            _print(verdict)
        took = time.monotonic() - began
        print(f"{took:.0f} s, {took / max(1, len(verdicts)):.2f} s a mutant; {len(chosen) - len(verdicts)} were no SQL")
        return int(not report(verdicts, known_survivors()))
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    sys.exit(main())
