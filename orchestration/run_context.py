"""What every step of a run shares: settings, the lock, the warehouse; and the tags by which a run says what it is.

Belongs here: the Dagster resource and the names of run tags. Does not: any work of a step.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

import dagster as dg
import duckdb
from pydantic import PrivateAttr

from orchestration import run_outcome
from orchestration.lib import acceptances, alerts, ingest, release, warehouse
from orchestration.lib.progress import Progress
from orchestration.lib.run_lock import run_lock
from orchestration.settings import Settings

FULL_REFRESH_TAG = "cx/full_refresh"
"""`true`: load every delivery anew and rebuild every model."""
PID_TAG = "cx/pid"
"""The process that works on a run: while Dagster's storage says it is running, this says whether it can be."""

KILLED = "killed. Readers kept the last release; the next run goes on where this one was"


class CxHome(dg.ConfigurableResource):
    """One CX_HOME, locked for the length of a run. Settings come from the environment (`orchestration.settings`)."""

    _progress: Progress = PrivateAttr(default_factory=Progress)
    _models: dict[str, float] = PrivateAttr(default_factory=dict)

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Iterator[CxHome]:
        """Hold the run lock, bring `ops` up to date, finish a publication that was killed, say of dead runs that they are.

        When the steps are done, the run's status is known and the lock is still held: whoever launched the run, its report
        is written here, and alerts are sent once the lock is free.

        Raises:
            RunLocked: another live process holds it.
        """
        settings, instance, run_id = self.settings, context.instance, context.run_id
        is_run = run_outcome.is_at_work(instance, run_id)
        made = None
        self._models.clear()
        try:
            settings.make_folders()
            with run_lock(settings, f"run {run_id}"):
                if is_run:
                    instance.add_run_tags(run_id, {PID_TAG: str(os.getpid())})
                    for dead in bury_dead_runs(instance, run_id):
                        if died := run_outcome.collect(settings, instance, dead, problem=KILLED):
                            alerts.deliver(settings, died, is_news=False)
                with warehouse.connect(settings) as con:
                    warehouse.prepare(con, settings.config)
                    release.recover(con, settings)
                    ingest.withdraw_unconfigured(con, settings)
                    acceptances.sync(con, settings)
                    ingest.let_past_days_pass(con, settings)
                try:
                    yield self
                finally:
                    if is_run:
                        made = run_outcome.collect(settings, instance, run_id, self._models)
        except Exception as error:  # it could not begin: a step's failure is not raised here
            if is_run:
                made = run_outcome.collect(settings, instance, run_id, problem=str(error), was_refused=True)
            raise
        finally:
            if made is not None:
                alerts.deliver(settings, made, is_unattended=run_outcome.is_scheduled(instance, run_id))

    @property
    def settings(self) -> Settings:
        """Paths and configuration."""
        return Settings()

    @property
    def progress(self) -> Progress:
        """The progress of this run."""
        return self._progress

    def note_models(self, seconds: dict[str, float]) -> None:
        """Note how long models took, for the report."""
        self._models.update(seconds)

    def warehouse(self) -> AbstractContextManager[duckdb.DuckDBPyConnection]:
        """A connection to the warehouse, closed on leaving."""
        return warehouse.connect(self.settings)

    def feeds_on(self) -> set[str]:
        """Feeds that cx.toml configures."""
        return {source.feed for source in self.settings.config.feed}


def bury_dead_runs(instance: dg.DagsterInstance, run_id: str | None = None) -> list[str]:
    """Mark the runs whose process was killed as failed; return their ids.

    Nobody else does: a killed process writes nothing, and its run would be shown as running for ever. `run_id` is the run
    that asks.
    """
    running = [dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]
    dead = []
    for run in instance.get_runs(dg.RunsFilter(statuses=running)):
        pid = run.tags.get(PID_TAG)
        if run.run_id == run_id or pid is None or _is_alive(int(pid)):
            continue
        instance.report_run_failed(run, f"Its process {pid} was {KILLED}.")
        dead.append(run.run_id)
    return dead


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
