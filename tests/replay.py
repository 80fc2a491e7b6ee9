"""Runs a history against the pipeline, and holds every publication against two other ways to the same numbers.

Belongs here: a run made of the library's own steps, without Dagster (`night`), killed where the history says; comparing
each release with a full rebuild, row for row, and with the books of `orchestration.lib.simulator.truth`, which share no
SQL with it, over the rows that `tests.ledger` says survive. Does not: making histories, expected numbers.

One process, one history after another: dbt, Great Expectations and the manifest are loaded once.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from datetime import date, datetime
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb

from data_quality.contract import DOMAINS, load_contracts
from data_quality.verdict import of_run, record, refusals
from orchestration.lib import clv_fit, dbt_build, gates, ingest, release, rereading, warehouse
from orchestration.lib.dbt_functions import register
from orchestration.lib.dbt_manifest import ensure_manifest, in_order, marts, marts_on, models_on, runner_manifest
from orchestration.lib.simulator.truth import MART_KEYS, Books, Definitions
from orchestration.partitions import Window
from orchestration.settings import DBT_PROJECT_DIR, CxConfig, Settings
from tests.company import rows_that_differ
from tests.frames import differences, read_mart
from tests.histories import Configure, History, Night, Put, TakeAway
from tests.ledger import Account, Ledger, reads_again


class Differs(AssertionError):
    """A publication is not what it must be; the message says after which step and how."""


@dataclass
class Tally:
    """What was run and compared."""

    publications: int = 0
    comparisons: int = 0
    killed: int = 0
    files: int = 0
    rows: int = 0
    events: Counter[str] = field(default_factory=Counter)

    def add(self, other: Tally) -> None:
        """Another one's counts on top."""
        for item in fields(self):
            mine, theirs = getattr(self, item.name), getattr(other, item.name)
            setattr(self, item.name, mine + theirs)


@contextmanager
def _kept_open(settings: Settings) -> Iterator[None]:
    """An own connection beside those of a run: DuckDB then opens the file once, and not for every dbt node."""
    settings.make_folders()
    con = duckdb.connect(str(settings.warehouse))
    try:
        yield
    finally:
        con.close()


def night(home: Path, run_id: str, window: Window | None, stop: tuple[str, int] | None = None) -> str | None:
    """One run, as `orchestration.defs` makes it of the same steps: over a window, or a rebuild without one.

    Returns the release; None where the run was killed (`stop`, as `tests.histories.Night` has it).

    Raises:
        Differs: a gate or dbt did not allow publishing.
    """
    settings = Settings(home)
    with _kept_open(settings):
        return _night(settings, run_id, window, stop)


def _night(settings: Settings, run_id: str, window: Window | None, stop: tuple[str, int] | None) -> str | None:
    feeds = [feed for feed in load_contracts() if settings.config.sources_of({feed})]
    models = models_on(set(feeds))
    where, how_far = stop or ("", 0)
    with warehouse.connect(settings) as con:
        warehouse.prepare(con, settings.config)
        release.recover(con, settings)
        ingest.withdraw_unconfigured(con, settings)
        if window is not None:
            for n, domain in enumerate(domains_of(feeds)):
                if where == "taken" and n >= how_far:
                    return None
                taken = ingest.take_deliveries(con, settings, domain, window, run_id)
                warehouse.advance_clock(con, window.last)
                record(con, run_id, taken.verdicts)
        if where == "taken":
            return None
        anew = ingest.changed_reading(con, settings, feeds) if window else feeds
        if anew:
            rereading.reset_feeds(con, settings, anew)
        for n, feed in enumerate(feeds):
            if where == "loaded" and n >= how_far:
                return None
            record(con, run_id, ingest.load_feed(con, settings, feed, run_id).verdicts)
        if where == "loaded":
            return None
        fingerprint = dbt_build.fingerprint(settings)
        full_refresh = con.execute("select fingerprint is distinct from ? from ops.clock", [fingerprint]).fetchone()[0]
        if full_refresh:
            con.execute("update ops.clock set fingerprint = null")
    selected = set(in_order(models)[:how_far]) if where == "built" else models
    if not selected:
        return None
    built = dbt_build.build(settings, selected, full_refresh)
    with warehouse.connect(settings) as con:
        record(con, run_id, built.verdicts)
        if full_refresh and models <= set(built.models):
            con.execute("update ops.clock set fingerprint = ?", [fingerprint])
        if where == "built":
            return None
        judged = [
            *gates.row_accounting(con, set(feeds)),
            *gates.orphans(con, set(feeds)),
            *gates.missing_rates(con, set(feeds)),
            *gates.survey_answers(con, set(feeds)),
            *gates.judge_marts(con, set(feeds)),
        ]
        record(con, run_id, judged)
        if where == "judged":
            return None
        verdicts = of_run(con, run_id)
        refused = refusals(verdicts, gates.expected(set(feeds), window is not None))
        if refused:
            raise Differs("not published: " + "\n".join(f"{v.sentence()} {v.sample}" for v in refused))
        return release.publish(con, settings, run_id, set(feeds), verdicts)


def domains_of(feeds: list[str]) -> list[str]:
    """The domains of the feeds, in the order a run takes them."""
    return [domain for domain in DOMAINS if any(load_contracts()[feed].domain == domain for feed in feeds)]


def accounts_of(con: duckdb.DuckDBPyConnection, feeds: Iterable[str]) -> dict[str, Account]:
    """Where the rows of each accepted delivery are in a warehouse, each number counted where the rows lie."""
    accounts: dict[str, Account] = {}
    for feed in feeds:
        found = con.execute(f"""
            with raw as (select _delivery as delivery, count(*) as n from raw.{feed} group by all),
            bad as (select delivery, count(*) as n from ops.quarantine where feed = '{feed}' group by all),
            staging as (
                select _delivery as delivery, count(*) filter (where _exclusion is null) as staged, count(_exclusion) as excluded
                from staging.stg_{feed} group by all
            )
            select delivery, coalesce(d.rows_read, 0), coalesce(bad.n, 0), coalesce(raw.n, 0) - coalesce(staged + excluded, 0),
                coalesce(excluded, 0), coalesce(staged, 0)
            from (from ops.deliveries where feed = '{feed}' and status = 'accepted') d
            full join raw using (delivery) full join bad using (delivery) full join staging using (delivery)
        """).fetchall()
        assert len({delivery for delivery, *_ in found}) == len(found), f"a delivery of {feed} is accepted twice"
        accounts |= {delivery: Account(*numbers) for delivery, *numbers in found}
    return accounts


Said = dict[tuple[Any, ...], tuple[Any, ...]]


def _said(con: duckdb.DuckDBPyConnection, relation: str, *values: Any) -> Said:
    """Parts and value of every cell."""
    rows = con.execute(f"select metric, metric_date, dimensions, parts, value from {relation}", list(values)).fetchall()
    return {row[:3]: row[3:] for row in rows}


class Replay:
    """A history on a CX_HOME of its own, compared after every publication, or after the last one only."""

    def __init__(self, history: History, folder: Path, only_last: bool = False) -> None:
        self.only_last = only_last
        self.history, self.home, self.second = history, folder / "home", folder / "second"
        self.tally = Tally()
        self.ledger = Ledger(history.feeds, history.snapshots)
        self.business: dict[str, Any] = dict(history.business)
        self.through: date | None = None
        self.must_read_again: set[str] = set()
        self.said: dict[Any, Said] = {}
        self.runs = 0
        self._configure()

    def run(self) -> Tally:
        """Every step.

        Raises:
            Differs: at the first publication that is not what it must be.
        """
        last = max((n for n, step in enumerate(self.history.steps) if isinstance(step, Night) and not step.stop), default=-1)
        for n, step in enumerate(self.history.steps):
            try:
                self._step(step, is_last=n == last)
            except Differs as differs:
                raise Differs(f"step {n}, {step if isinstance(step, Night) else step.__class__.__name__}: {differs}") from None
        return self.tally

    def _step(self, step: Any, is_last: bool) -> None:
        match step:
            case Put():
                path = self.home / "landing" / step.name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(step.content.text())
                self.ledger.put(step)
                self.tally.files += 1
                self.tally.rows += len(step.content.lines)
                self.tally.events.update([step.why] if step.why else [])
            case TakeAway():
                if self.ledger.may_go(step.name):
                    (self.home / "landing" / step.name).unlink()
                    self.ledger.take_away(step.name)
                    self.tally.events.update(["a refused file taken away"])
            case Configure():
                before = dict(self.business)
                self.business.update(step.business)
                if reads_again(before, self.business):
                    self.must_read_again = set(self.history.feeds)
                self._configure()
                self.tally.events.update(["configuration changed"])
            case Night():
                self._night(step, is_last)

    def _configure(self) -> None:
        (self.home / "landing").mkdir(parents=True, exist_ok=True)
        (self.home / "landing" / "cx.toml").write_text(self.history.config(self.business), encoding="utf-8")

    def _night(self, step: Night, is_last: bool) -> None:
        self.runs += 1
        run_id = f"run{self.runs}"
        if step.first:
            window = Window.of_days(step.first, step.last)
        else:
            settings = Settings(self.home)
            with _kept_open(settings), warehouse.connect(settings) as con:
                warehouse.prepare(con, settings.config)
                window = ingest.untaken_days(con, settings, step.last) or Window.of_days(step.last, step.last)
        published = night(self.home, run_id, window, step.stop)
        self._expect(step)
        if (published is None) != (step.stop is not None):
            raise Differs(f"published {published}")
        if published is None:
            self.tally.killed += 1
            return
        self.tally.publications += 1
        if not self.only_last or is_last:
            release_file = self.home / "releases" / "current" / release.DATABASE
            self._compare_accounts()
            self._compare_log(release_file)
            self._compare_books(release_file)
            self._compare_rebuild(release_file, is_last)
        if self.tally.publications in (1, 3):
            self._take_parameters()

    def _take_parameters(self) -> None:
        """A fit of customer lifetime value by somebody else, as of the last complete day: the next run scores with it."""
        assert self.through is not None
        n = self.tally.publications
        models = [
            ("mbg_nbd", {"r": 0.5 * n, "alpha": 6.0, "a": 0.9, "b": 1.6}), ("gamma_gamma", {"p": 6.25, "q": 3.75, "v": 15.0 * n}),
        ]  # fmt: skip
        settings = Settings(self.home)
        with warehouse.connect(settings) as con:
            clv_fit.keep_imported(
                con, settings.config.business, {("all", self.through): models}, "a history", datetime(2026, 1, n)
            )

    def _expect(self, step: Night) -> None:
        """The same run in the ledger, as far as it came."""
        feeds = [feed for feed in load_contracts() if feed in self.history.feeds]
        where, how_far = step.stop or ("", 0)
        domains = domains_of(feeds)
        taken = domains[:how_far] if where == "taken" else domains
        # A nightly run takes everything there is up to its last day.
        self.ledger.take(
            [feed for feed in feeds if load_contracts()[feed].domain in taken], step.first or date(1990, 1, 1), step.last
        )
        if taken:
            self.through = max(self.through or step.last, step.last)
        if where == "taken":
            return
        self.ledger.read_again(self.must_read_again)
        self.must_read_again = set()
        for feed in feeds[:how_far] if where == "loaded" else feeds:
            self.ledger.load(feed)

    def _compare_accounts(self) -> None:
        with warehouse.connect(Settings(self.home), read_only=True) as con:
            actual = accounts_of(con, self.history.feeds)
        expected = self.ledger.accounts()
        self.tally.comparisons += 1
        wrong = {d: (actual.get(d), expected.get(d)) for d in actual.keys() | expected.keys() if actual.get(d) != expected.get(d)}
        if wrong:
            raise Differs(f"rows of deliveries, actual and expected: {wrong}")

    def _compare_log(self, release_file: Path) -> None:
        """The log of restatements is what differs from the release before, and every past release can be read back."""
        with duckdb.connect(str(release_file), read_only=True) as con:
            releases = con.execute("select published_at, data_through from marts.releases order by 1 desc limit 2").fetchall()
            now = _said(con, "marts.metric_values")
            if len(releases) == 2 and releases[1][0] in self.said:
                before, through = self.said[releases[1][0]], releases[1][1]
                expected = {
                    cell: (before.get(cell, (None, None)), now.get(cell, (None, None)))
                    for cell in before.keys() | now.keys()
                    if before.get(cell) != now.get(cell) and cell[1] <= through
                }
                rows = con.execute(
                    "select metric, metric_date, dimensions, old_parts, old_value, new_parts, new_value, kind, cause "
                    "from marts.restatements where published_at = ?",
                    [releases[0][0]],
                ).fetchall()
                if {row[:3]: (row[3:5], row[5:7]) for row in rows} != expected or len(rows) != len(expected):
                    raise Differs(f"restatements {rows}, expected {expected}")
                by_time = [row for row in rows if row[7] == "restatement" and row[8] == "maturity"]
                if by_time:
                    raise Differs(f"time alone moved final values: {by_time}")
            self.said[releases[0][0]] = now
            for published_at, said in self.said.items():
                if _said(con, "marts.metric_as_published(?)", published_at) != said:
                    raise Differs(f"what was published at {published_at} reads otherwise now")
            self.tally.comparisons += len(self.said)

    def _compare_books(self, release_file: Path) -> None:
        assert self.through is not None
        values = {name: value for name, value in self.business.items() if name != "timezone"}
        books = Books(self.ledger.rows(), ZoneInfo(self.business["timezone"]), self.through, Definitions(**values))
        expected = books.marts(sorted(set(marts_on(set(self.history.feeds))) & MART_KEYS.keys()))
        found = []
        for mart, frame in expected.items():
            actual = read_mart(release_file, mart)
            keys = list(MART_KEYS[mart])
            columns = [column for column in actual.columns if column not in keys]
            assert set(columns) <= set(frame.columns), f"nobody counts {set(columns) - set(frame.columns)} of {mart}"
            found += [f"{mart}: {line}" for line in differences(actual, frame, keys, columns)]
            self.tally.comparisons += 1
        if found:
            raise Differs(f"{len(found)} differences to the books:\n" + "\n".join(found[:12]))

    def _compare_rebuild(self, release_file: Path, is_last: bool) -> None:
        """Load everything anew into a copy of the warehouse and build it whole.

        By dbt with all gates after the last run of a history; before, by the SQL that dbt compiles for a full refresh.
        """
        first, second = Settings(self.home), Settings(self.second)
        shutil.rmtree(self.second, ignore_errors=True)
        second.make_folders()
        shutil.copy(first.warehouse, second.warehouse)
        shutil.copy(first.config_path, second.config_path)
        # The files as they were when they were taken: what changed since is news, and no rebuild of what is published.
        for put in (self.ledger.loaded | self.ledger.refused).values():
            path = second.landing / put.name
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(put.content.text())
        if is_last:
            night(self.second, "rebuild", None)
            rebuilt = self.second / "releases" / "current" / release.DATABASE
        else:
            feeds = sorted(self.history.feeds)
            with warehouse.connect(second) as con:
                register(con)
                rereading.reset_feeds(con, second, feeds)
                for feed in feeds:
                    ingest.load_feed(con, second, feed, "rebuild")
                statements = _full_refresh_sql()
                for model in in_order(models_on(set(feeds)) - SUMMARIES):
                    con.execute(statements[model])
                for mart in set(marts()) - set(marts_on(set(feeds))):
                    con.execute(f"drop table if exists marts.{mart}")
            rebuilt = second.warehouse
        self.tally.comparisons += len(marts_on(set(self.history.feeds)))
        wrong = rows_that_differ(release_file, rebuilt, frozenset() if is_last else SUMMARIES)
        if wrong:
            raise Differs(f"rows that differ from a full rebuild: {wrong}\n{_examples(release_file, rebuilt, wrong)}")


def _examples(left: Path, right: Path, marts: dict[str, int]) -> str:
    lines = []
    with duckdb.connect() as con:
        con.execute(f"attach '{left}' as published (read_only); attach '{right}' as rebuilt (read_only)")
        for mart in marts:
            for a, b in (("published", "rebuilt"), ("rebuilt", "published")):
                rows = con.execute(f"from {a}.marts.{mart} except all from {b}.marts.{mart} order by all limit 4").fetchall()
                lines += [f"only {a}: {mart} {[str(value) for value in row]}" for row in rows]
    return "\n".join(lines)


SUMMARIES = frozenset({"metric_daily", "metrics"})
"""Made of the marts that are on, so compiled for each warehouse; compared where a history ends in a real rebuild."""


@cache
def _full_refresh_sql() -> dict[str, str]:
    """Per model the statement that builds it whole, from what dbt compiles for a full refresh."""
    with tempfile.TemporaryDirectory() as folder:
        return _compile(Path(folder))


def _compile(folder: Path) -> dict[str, str]:
    from dbt.cli.main import dbtRunner

    ensure_manifest()
    os.environ["CX_WAREHOUSE"] = str(folder / "cx.duckdb")
    with duckdb.connect(str(folder / "cx.duckdb")) as con:
        # the catalogue of metrics asks at compile time which feeds there are
        warehouse.prepare(con, CxConfig())
    outcome = dbtRunner(manifest=runner_manifest()).invoke(
        ["--quiet", "--no-write-json", "compile", "--full-refresh", "--project-dir", str(DBT_PROJECT_DIR),
         "--profiles-dir", str(DBT_PROJECT_DIR), "--target-path", str(folder / "dbt"), "--log-path", str(folder / "dbt"),
         "--log-level-file", "none", "--select", "resource_type:model", "--exclude", *sorted(SUMMARIES)]
    )  # fmt: skip
    assert outcome.success, outcome.exception
    return {
        result.node.name: "create or replace "
        f"{'view' if result.node.config.materialized == 'view' else 'table'} "
        f"{result.node.schema}.{result.node.name} as {result.node.compiled_code}"
        for result in outcome.result.results
    }
