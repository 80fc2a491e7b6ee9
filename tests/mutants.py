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
import dataclasses
import logging
import os
import re
import shutil
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import pandas as pd
import yaml

from data_quality.contract import load_contracts
from orchestration.lib import dbt_build, ingest, warehouse
from orchestration.lib.dbt_functions import register
from orchestration.lib.dbt_manifest import ensure_manifest, in_order, manifest_json, marts, marts_on, models_on, runner_manifest
from orchestration.lib.simulator import simulate
from orchestration.lib.simulator.truth import MART_KEYS, Books, Definitions
from orchestration.partitions import Window
from orchestration.settings import DBT_PROJECT_DIR, Business, CxConfig, Settings
from tests.frames import differences
from tests.histories import THEMES, History, Night, make_history
from tests.mutations import Mutant, applied, changed, marked, mutants_of
from tests.replay import SUMMARIES, Differs, Replay, _full_refresh_sql, domains_of

GOAL = 0.95
SECONDS = 30
"""A mutant that is still at work after so long is killed: somebody would have noticed."""
SURVIVORS = Path(__file__).with_name("mutants.yml")
HISTORIES = 2
"""Of each theme."""
CUSTOMERS, DAYS, SEED = 150, 400, 11
"""More than a year, so that trailing years and their edges are in it."""
NIGHTS = 3
"""Histories on which the second judge runs a mutant."""


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
        # the summaries are written by macros for the feeds that are on: `tests/e2e/test_metrics.py` holds them to the marts
        if folder in ("marts", "intermediate") and node["config"]["materialized"] != "ephemeral" and name not in SUMMARIES:
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
            register(con)
            _build(con, models, in_order(set(models)))
        if manifest_json()["unit_tests"]:
            told = manifest_json()["unit_tests"]
            for result in dbt("test", "--select", "test_type:unit"):
                test = told[result.node.unique_id]
                units[test["model"]].append((test["name"], result.node.compiled_code, _compared(test["expect"])))
    con = duckdb.connect(str(settings.warehouse))
    register(con)
    for name, unit, columns in (unit for of_model in units.values() for unit in of_model):
        assert not _unit_differs(con, unit, unit, columns), f"{name} differs from itself: it would kill every mutant"
    return Compiled(models, tests, units), World("unit tests", con, [])


def _compared(expected: dict[str, Any]) -> list[str]:
    """The columns that a unit test expects, whose rows are told one by one or by a query."""
    if expected["format"] == "sql":
        return [row[0] for row in duckdb.sql(f"describe {expected['rows']}").fetchall()]
    return list(dict.fromkeys(name for row in expected["rows"] for name in row))


# Worlds


def _build(con: duckdb.DuckDBPyConnection, models: dict[str, str], names: Iterable[str]) -> None:
    for schema in ("staging", "intermediate", "marts"):
        con.execute(f"create schema if not exists {schema}")
    for name in names:
        con.execute(f"create or replace table {_table(name)} as {models[name]}")


def _world(name: str, settings: Settings, feeds: list[str], through: date, compiled: Compiled) -> World:
    """Build everything of what is loaded, as of a day, and keep a copy of what is right."""
    con = duckdb.connect(str(settings.warehouse), config={"memory_limit": "3GB", "temp_directory": str(settings.home / "spill")})
    register(con)
    con.execute("set TimeZone = 'UTC'")
    warehouse.prepare(con, settings.config)
    con.execute("update ops.clock set data_through = ?", [through])
    names = [model for model in in_order(models_on(set(feeds)) - SUMMARIES) if model in compiled.models]
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
    settings.make_folders()
    with warehouse.connect(settings) as con:
        warehouse.prepare(con, settings.config)
        for domain in domains_of(feeds):
            ingest.take_deliveries(con, settings, domain, Window.of_days(company.start, company.data_through), "mutants")
        warehouse.advance_clock(con, company.data_through)
        for feed in feeds:
            ingest.load_feed(con, settings, feed, "mutants")
    world = _world("the company", settings, feeds, company.data_through, compiled)
    world.expected = {mart: frame for mart, frame in company.truth().items() if mart in world.models}
    return world


class _Loaded(Replay):
    """A history of which nothing is built: its files are taken and loaded in their order, and the ledger knows them."""

    def _night(self, step: Night, is_last: bool) -> None:
        stop = step.stop if step.stop and step.stop[0] in ("taken", "loaded") else ("loaded", sys.maxsize)
        super()._night(dataclasses.replace(step, stop=stop), is_last)

    def worlds(self, name: str, compiled: Compiled, rng: Random) -> Iterator[World]:
        """As it ends; and under other values, with the last complete day in the midst of what is known."""
        self.run()
        assert self.through is not None
        feeds = [feed for feed in load_contracts() if feed in self.history.feeds]
        earlier = self.through - timedelta(days=rng.choice((1, 2, 3, 5, 8, 31)))
        shutil.copytree(self.home, self.second)
        for home, through, values in ((self.home, earlier, _other_values(rng)), (self.second, self.through, {})):
            told = {**self.business, **values}
            (home / "landing" / "cx.toml").write_text(self.history.config(told), encoding="utf-8")
            told.pop("timezone")
            world = _world(f"{name}, {home.name}", Settings(home), feeds, through, compiled)
            books = Books(self.ledger.rows(), ZoneInfo(self.business["timezone"]), through, Definitions(**told))
            world.expected = dict(books.marts([mart for mart in MART_KEYS if mart in world.models]))
            if wrong := _differing(world):
                print(f"{world.name} is left out, its marts are not right to begin with: {wrong}"[:600], flush=True)
                world.con.close()
            else:
                yield world


def _other_values(rng: Random) -> dict[str, Any]:
    """Of every configured value of a definition, another one than its default where it may be one."""
    values: dict[str, Any] = {}
    for value in fields(Definitions):
        if isinstance(value.default, int | float) and not isinstance(value.default, bool):
            other = rng.choice((1, 2, 3, 30, 49)) if isinstance(value.default, int) else value.default * 0.4
            try:
                Business(**values, **{value.name: other})
            except ValueError:
                continue
            values[value.name] = other
    return values


def history_worlds(folder: Path, compiled: Compiled, count: int, seed: int) -> list[World]:
    """Of `count` random histories of each theme: few rows, with times on the edges of days and windows."""
    found: list[World] = []
    left = {frozenset(feeds): count for feeds in THEMES}
    for number in range(40 * count * len(left)):
        rng = Random(f"mutants-{seed}-{number}")
        history = make_history(rng, nights=(1, 2))
        if left.get(frozenset(history.feeds)):
            left[frozenset(history.feeds)] -= 1
            found += _Loaded(history, folder / f"history{number}").worlds(f"history {number}", compiled, rng)
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
    # a walk that never ends is noticed, too
    timer = threading.Timer(SECONDS, con.interrupt)
    timer.start()
    try:
        return any(con.execute(f"select exists ({a} except all {b})").fetchone() == (True,) for a, b in (sides, reversed(sides)))
    except duckdb.Error:
        return True
    finally:
        timer.cancel()


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


# The second judge


@dataclass
class Later:
    """A mistake in what only increments run, and how it comes into dbt's manifest."""

    mutant: Mutant
    change: Callable[[Any], None]


def incremental_mutants(mutants: dict[str, list[Mutant]]) -> dict[str, list[Later]]:
    """By model: text that only increments run; and what `meta` says of changes, reach and maturity, left out or too small."""
    found: dict[str, list[Later]] = defaultdict(list)
    for model, pile in mutants.items():
        for mutant in pile:
            if mutant.is_incremental:

                def put_in(node: Any, mutant: Mutant = mutant) -> None:
                    node.raw_code = changed(node.raw_code, mutant)

                found[model].append(Later(mutant, put_in))
        node = _nodes()[model]
        lines = (DBT_PROJECT_DIR / node["original_file_path"]).read_text(encoding="utf-8").splitlines()
        for before, after, names, change in _wrong_metas(node["config"]["meta"]):
            line = next((n for n, text in enumerate(lines) if all(f"'{name}'" in text for name in names)), 0)
            mutant = Mutant(model, -len(found[model]) - 1, "meta", line + 1, lines[line].strip(), 0, before, after, (), True)
            found[model].append(Later(mutant, lambda node, change=change: change(node.config.meta)))
    return found


def _wrong_metas(meta: dict[str, Any]) -> Iterator[tuple[str, str, list[str], Callable[[dict[str, Any]], Any]]]:
    """What it says, what the mistake says, the words of its line, and the change."""
    for name in ("reach", "changed_by", "logs"):
        for n, entry in enumerate(meta.get(name, [])):
            words = entry[:2] if isinstance(entry, list) else [str(entry.get("model") or entry["key"]), str(entry["entity"])]
            yield f"{name}: {entry}", "", words, lambda meta, name=name, n=n: meta[name].pop(n)
    for n, entry in enumerate(meta.get("reach", [])):
        for side in ("before", "after"):
            if entry[side] != 0:

                def narrow(meta: dict[str, Any], n: int = n, side: str = side) -> None:
                    meta["reach"][n][side] = 0

                yield f"{side}: {entry[side]} ({entry['model']})", "0", [entry["model"], side], narrow
    if meta.get("matures_in", "0") != "0":
        yield f"matures_in: {meta['matures_in']}", "0", ["matures_in"], lambda meta: meta.update(matures_in="0")


class _Nights(Replay):
    """A history night by night, each publication compared with a full build of the models; nothing else is compared."""

    def _compare_accounts(self) -> None: ...

    def _compare_log(self, release_file: Path) -> None: ...

    def _compare_books(self, release_file: Path) -> None: ...

    def _compare_rebuild(self, release_file: Path, is_last: bool) -> None:
        models = in_order(models_on(set(self.history.feeds)))
        with warehouse.connect(Settings(self.home)) as con:
            con.execute("begin")
            built = [model for model in models if _nodes()[model]["schema"] != "staging"]
            for model in built:
                con.execute(f"create temp table kept_{model} as from {_table(model)}")
                con.execute(_full_refresh_sql()[model])
            for mart in marts_on(set(self.history.feeds)):
                for a, b in ((f"kept_{mart}", _table(mart)), (_table(mart), f"kept_{mart}")):
                    if con.execute(f"select exists (from {a} except all from {b})").fetchone()[0]:
                        raise Differs(f"{mart} differs from a full build")
            con.execute("rollback")


def judge_later(later: Later, histories: list[History], folder: Path) -> str:
    """What notices it on the nights of a history; empty where nothing does."""
    right = dbt_build.runner_manifest

    def wrong() -> Any:
        manifest = right()
        later.change(next(n for n in manifest.nodes.values() if n.resource_type == "model" and n.name == later.mutant.model))
        return manifest

    dbt_build.runner_manifest = wrong
    try:
        return next((found for history in histories if (found := _nights(history, folder))), "")
    finally:
        dbt_build.runner_manifest = right


def _nights(history: History, folder: Path) -> str:
    home = Path(tempfile.mkdtemp(dir=folder))
    try:
        _Nights(history, home).run()
    except Exception as error:
        # whatever it is that the pipeline raises, a night with it would not have gone unnoticed
        return f"nights: {' '.join(str(error).split())[:80]}"
    finally:
        shutil.rmtree(home)
    return ""


def run_later(mutants: dict[str, list[Mutant]], options: argparse.Namespace, folder: Path) -> list[Verdict]:
    """Judge a sample of the mistakes in what only increments run, on a few histories that have the model's feeds."""
    verdicts, right = [], {}
    piles = incremental_mutants(mutants)
    for model, pile in piles.items():
        Random(f"{options.seed}-{model}").shuffle(pile)
    turns = [pile[n] for n in range(max(map(len, piles.values()), default=0)) for pile in piles.values() if n < len(pile)]
    for later in turns[: options.incremental]:
        histories: list[History] = []
        for number in range(500):
            history = make_history(Random(f"nights-{options.seed}-{number}"), nights=(2, 3))
            if later.mutant.model in models_on(set(history.feeds)):
                if number not in right:
                    right[number] = not _nights(history, folder)
                histories += [history] if right[number] else []
            if len(histories) == NIGHTS:
                break
        by = judge_later(later, histories, folder)
        verdicts.append(Verdict(later.mutant, by, reason_of(later.mutant)))
        _print(verdicts[-1])
    return verdicts


# The report


@cache
def _known_survivors() -> dict[str, dict[str, str]]:
    return yaml.safe_load(SURVIVORS.read_text(encoding="utf-8")) or {}


def reason_of(mutant: Mutant) -> str:
    """Why it changes nothing, from the list; empty where it is not in it. Names in the list may hold `*`."""
    told = _known_survivors().get(mutant.model, {})
    return next((reason for name, reason in told.items() if _is_like(mutant.name, name)), "")


def _is_like(name: str, pattern: str) -> bool:
    """As fnmatch, of which `[` and `?` are no part: SQL has them."""
    return re.fullmatch(".*".join(re.escape(part) for part in pattern.split("*")), name, re.DOTALL) is not None


def run(mutants: list[Mutant], compiled: Compiled, unit_world: World, worlds: list[World]) -> list[Verdict]:
    """Judge them one after another; those that are no SQL are left out."""
    verdicts, told = [], time.monotonic()
    for done, mutant in enumerate(mutants):
        try:
            by = judge(mutant, compiled, unit_world, worlds)
        except Stillborn:
            continue
        verdicts.append(Verdict(mutant, by, reason_of(mutant)))
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


def report(verdicts: list[Verdict]) -> bool:
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
    wrong = [v for v in verdicts if v.by and v.reason]
    for verdict in wrong:
        print(f"listed as equivalent, but noticed by {verdict.by}: {verdict.mutant.model}: {verdict.mutant.name}")
    return share >= GOAL and not wrong


def _first_judge(chosen: list[Mutant], options: argparse.Namespace, folder: Path) -> bool:
    """Make the worlds, judge, report."""
    began = time.monotonic()
    compiled, unit_world = compile_all(folder)
    company = company_world(folder, compiled)
    wrong = _differing(company)
    assert not wrong, f"the company's marts are not right to begin with: {wrong}"
    worlds = [*history_worlds(folder, compiled, options.histories, options.seed), company]
    print(f"{time.monotonic() - began:.0f} s: a company and {len(worlds) - 1} histories are built", flush=True)
    began = time.monotonic()
    verdicts = run(chosen, compiled, unit_world, worlds)
    for verdict in verdicts if options.show else []:
        _print(verdict)
    took = time.monotonic() - began
    print(f"{took:.0f} s, {took / max(1, len(verdicts)):.2f} s a mutant; {len(chosen) - len(verdicts)} were no SQL")
    return report(verdicts)


def main() -> int:
    """0 where enough are killed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", action="append", help="only mutants of this model")
    parser.add_argument("--mutants", type=int, default=300, help="how many, spread over the models")
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--histories", type=int, default=HISTORIES, help="how many of each theme")
    parser.add_argument("--incremental", type=int, default=0, help="mutants of what only increments run; each takes minutes")
    parser.add_argument("--scratch", type=Path, help="folder for the homes; a memory file system is fastest")
    parser.add_argument("--show", action="store_true", help="print every mutant, not only those that survive")
    options = parser.parse_args()
    logging.disable(logging.INFO)
    mutants = {model: found for model, found in all_mutants().items() if not options.model or model in options.model}
    whole = options.all or (options.model and options.mutants)
    chosen = spread(mutants, None if whole else options.mutants, options.seed)
    folder = Path(tempfile.mkdtemp(prefix="mutants-", dir=options.scratch))
    try:
        is_well = not chosen or _first_judge(chosen, options, folder)
        if options.incremental:
            began = time.monotonic()
            later = run_later(mutants, options, folder)
            print(f"what only increments run: {time.monotonic() - began:.0f} s")
            is_well = report(later) and is_well
        return int(not is_well)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    sys.exit(main())
