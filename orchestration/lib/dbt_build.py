"""Runs `dbt build` in this process and turns its results into verdicts.

Belongs here: calling dbt (to build, to compile an analysis), reading its results, sample rows of failed tests and bounds.
Does not: deciding what may be published (`data_quality.verdict`), or any SQL of a metric.
"""

from __future__ import annotations

import hashlib
import os
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import duckdb

from data_quality.rules import ident
from data_quality.verdict import NOT_JUDGED, Verdict
from orchestration.lib.dbt_manifest import (
    ManifestError,
    definitions_fingerprint,
    gate_of_test,
    marts,
    readers_of,
    runner_manifest,
)
from orchestration.lib.warehouse import connect, records
from orchestration.settings import DBT_PROJECT_DIR, Settings

if TYPE_CHECKING:
    from dbt.contracts.graph.manifest import Manifest

MODEL_GATE = "mart_contract"
_SAMPLE_ROWS = 5
_SELECTED = "selected"


@dataclass
class Built:
    """Outcome of one `dbt build`."""

    models: dict[str, float] = field(default_factory=dict)
    """Seconds by model that was built."""
    idle: set[str] = field(default_factory=set)
    """Models that were not built because they are empty and nothing can be in them."""
    verdicts: list[Verdict] = field(default_factory=list)


def fingerprint(settings: Settings) -> str:
    """Hash of the definitions, the configured values and which feeds there are: tables built under another one are rebuilt whole.

    A model whose feeds are not configured keeps its table as it was, so it must not go on from there when they come back.
    """
    feeds = sorted({source.feed for source in settings.config.feed})
    parts = [definitions_fingerprint(), settings.config.business.model_dump_json(), *feeds]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def build(
    settings: Settings,
    models: set[str],
    full_refresh: bool,
    progress: Callable[[str], None] = lambda _: None,
    first: frozenset[str] = frozenset(),
    then: Callable[[], None] = lambda: None,
) -> Built:
    """Build the models in the warehouse and test them; tell `progress` which of how many models and tests it is at.

    Models of `first` are built before the others, and `then` is called in between, if they were: for what Python makes
    of some models and others read.

    A test that touches a model outside `models` is not run; `gates.expected` knows which must have been. (Not even
    where that model is an ancestor: metric_daily reads every mart that is on, and dbt knows only that it may.)

    Raises:
        ManifestError: dbt could not run at all.
        KeyboardInterrupt: the process was interrupted; no query of dbt goes on.
    """
    built = Built(idle=set() if full_refresh else _idle(settings, models))
    if first & models:
        _run(settings, built, set(), models & first, full_refresh, progress)
        if models & first <= built.models.keys() | built.idle:
            then()
    _run(settings, built, models, models - built.models.keys(), full_refresh, progress)
    return built


def _run(
    settings: Settings, built: Built, tested: set[str], models: set[str], full_refresh: bool, progress: Callable[[str], None]
) -> None:
    """One `dbt build` of `models` and the tests of `tested`; what comes of it is added to `built`."""
    from dbt.cli.main import dbtRunner

    os.environ["CX_WAREHOUSE"] = str(settings.warehouse)
    arguments = [
        "--quiet", "--no-write-json", "build",
        "--project-dir", str(DBT_PROJECT_DIR), "--profiles-dir", str(DBT_PROJECT_DIR),
        "--target-path", str(settings.home / "dbt"), "--log-path", str(settings.home / "dbt"), "--log-level", "none",
        "--indirect-selection", "cautious", "--exclude-resource-type", "unit_test",
        "--select", f"tag:{_SELECTED}",
    ]  # fmt: skip
    if full_refresh:
        arguments.append("--full-refresh")

    def told(event: Any) -> None:
        if event.info.name == "LogStartLine":
            progress(f"building {event.data.index} of {event.data.total}")

    manifest = runner_manifest()
    _select(manifest, tested, models - built.idle)
    with _one_connection(), _interruptible():
        outcome = dbtRunner(manifest=manifest, callbacks=[told]).invoke(arguments)
    if isinstance(outcome.exception, KeyboardInterrupt):
        raise outcome.exception
    if outcome.result is None:
        raise ManifestError(f"dbt did not run: {outcome.exception!r}")
    bounds = marts()
    with connect(settings) as con:
        for result in outcome.result.results:
            node, status = result.node, str(result.status)
            if node.resource_type == "model":
                if status == "success":
                    built.models[node.name] = result.execution_time
                elif not tested:
                    continue  # it is built once more with all others, which wait for it
                if node.name in bounds or status != "success":
                    built.verdicts.append(_model_verdict(con, node, status, result.message or "", bounds))
            elif node.resource_type == "test":
                built.verdicts += _test_verdicts(con, node, status, result)


def compiled_analysis(settings: Settings, name: str) -> Any:
    """The node of analyses/<name>.sql, compiled for this warehouse without opening it: it may be in use.

    Raises:
        ManifestError: there is no such file, or it does not compile.
    """
    return compiled_analyses(settings, name)[0]


def compiled_analyses(settings: Settings, name: str) -> list[Any]:
    """The same of all files whose names match, as in `explain/*`, at the price of one: dbt's start is most of it."""
    from dbt.cli.main import dbtRunner

    os.environ["CX_WAREHOUSE"] = str(settings.warehouse)
    with tempfile.TemporaryDirectory() as scratch:
        outcome = dbtRunner(manifest=runner_manifest()).invoke(
            ["--quiet", "--log-level", "none", "--no-write-json", "compile", "--no-introspect", "--no-populate-cache",
             "--project-dir", str(DBT_PROJECT_DIR), "--profiles-dir", str(DBT_PROJECT_DIR),
             "--target-path", scratch, "--log-path", scratch, "--log-level-file", "none",
             "--select", f"path:analyses/{name}.sql"]
        )  # fmt: skip
    if not outcome.success or not outcome.result.results:
        raise ManifestError(f"dbt could not compile analyses/{name}.sql: {outcome.exception or 'there is no such file'}")
    return [result.node for result in outcome.result.results]


def _idle(settings: Settings, models: set[str]) -> set[str]:
    """Models that read no configured feed and whose tables are there, without a row: as they were built, they stay."""
    readers = set().union(*(readers_of(source.feed) for source in settings.config.feed))
    with connect(settings) as con:
        tables = con.execute(
            "select table_name, schema_name from duckdb_tables() where database_name = current_database()"
        ).fetchall()
        unread = [(name, schema) for name, schema in tables if name in models - readers]
        return {
            name
            for name, schema in unread
            if not con.execute(f"select exists (from {ident(schema)}.{ident(name)})").fetchone()[0]
        }


def _select(manifest: Manifest, models: set[str], built: set[str]) -> None:
    """Tag the models to build and the tests of them. To look for each by its name costs dbt more than a second."""
    names = {node.unique_id: node.name for node in manifest.nodes.values() if node.resource_type == "model"}
    for node in manifest.nodes.values():
        if node.resource_type == "test":
            # Also of models that stay as they are: `gates.expected` asks for every test.
            chosen = {names[parent] for parent in node.depends_on_nodes if parent in names} <= models
        else:
            chosen = node.resource_type == "model" and node.name in built
        if chosen:
            node.tags = [*node.tags, _SELECTED]


@contextmanager
def _one_connection() -> Iterator[None]:
    """dbt keeps the warehouse open from model to model, and lets go of it in the end, when publishing opens it.

    Opening it anew for each model and test costs as much as most of them do.
    """
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager

    os.environ["CX_DBT_KEEP_OPEN"] = "true"
    try:
        yield
    finally:
        del os.environ["CX_DBT_KEEP_OPEN"]
        if DuckDBConnectionManager._ENV is not None:
            DuckDBConnectionManager._ENV.close()
        DuckDBConnectionManager.close_all_connections()


@contextmanager
def _interruptible() -> Iterator[None]:
    """An interruption is a `KeyboardInterrupt`, after which dbt cancels its queries and waits for its threads.

    Dagster's own exception passes dbt by: threads that still run a query keep the warehouse open, and abort the process.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    signals = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, signal.default_int_handler) for number in signals}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _model_verdict(con: duckdb.DuckDBPyConnection, node: Any, status: str, message: str, bounds: dict[str, Any]) -> Verdict:
    if status == "success":
        return Verdict(MODEL_GATE, node.name, "block", True)
    if status == "skipped":
        return Verdict(MODEL_GATE, node.name, "block", False, message=f"was not built: {NOT_JUDGED}")
    checks = bounds[node.name].checks if node.name in bounds else {}
    for name, condition in checks.items() if node.compiled_code else ():
        # The rows never entered the mart: the model's own query shows them.
        broken = f"from ({node.compiled_code}) where not coalesce(({condition}), true)"
        try:
            count = con.execute(f"select count(*) {broken}").fetchone()
        except duckdb.Error:
            continue
        if count and count[0]:
            return Verdict(
                MODEL_GATE, node.name, "block", False, figure=f"{count[0]} rows out of bounds", bound=condition,
                message=f"bound {name} is broken; the mart keeps its last rows", sample=_rows(con, f"select * {broken}"),
            )  # fmt: skip
    return Verdict(MODEL_GATE, node.name, "block", False, message=" ".join(message.split()))


def _test_verdicts(con: duckdb.DuckDBPyConnection, node: Any, status: str, result: Any) -> list[Verdict]:
    """One verdict for each mart the test is about."""
    subjects = sorted({name for name in (u.split(".")[-1] for u in node.depends_on.nodes) if name in marts()})
    passed = status == "pass"
    sample, figure, message = [], "", ""
    if status == "fail":
        figure, message = f"{result.failures} rows", f"test {node.name} failed"
        sample = _rows(con, f"from ({node.compiled_code})")
    elif status == "skipped":
        message = f"was not judged: {NOT_JUDGED}"
    elif not passed:
        message = " ".join((result.message or f"test {node.name}: {status}").split())
    bound = "" if passed or status == "skipped" else "0 rows"
    return [
        Verdict(
            gate_of_test(node.name),
            subject,
            "block",
            passed,
            figure=figure,
            bound=bound,
            message=message,
            sample=sample,
        )
        for subject in subjects
    ]


def _rows(con: duckdb.DuckDBPyConnection, query: str) -> list[dict[str, Any]]:
    return records(con.execute(f"{query} limit {_SAMPLE_ROWS}"))
