"""What every step of a run shares: settings, the lock, the warehouse; and the tags by which a run says what it is.

Belongs here: the Dagster resource and the names of run tags. Does not: any work of a step.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

import dagster as dg
import duckdb
from pydantic import PrivateAttr

from orchestration.lib import ingest, release, warehouse
from orchestration.lib.progress import Progress
from orchestration.lib.run_lock import run_lock
from orchestration.settings import Settings

FULL_REFRESH_TAG = "cx/full_refresh"
"""`true`: load every delivery anew and rebuild every model."""


class CxHome(dg.ConfigurableResource):
    """One CX_HOME, locked for the length of a run. Settings come from the environment (`orchestration.settings`)."""

    _progress: Progress = PrivateAttr(default_factory=Progress)

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Iterator[CxHome]:
        """Hold the run lock, bring `ops` up to date, and finish a publication that was killed.

        Raises:
            RunLocked: another live process holds it.
        """
        settings = self.settings
        settings.make_folders()
        with run_lock(settings, f"run {context.run_id}"):
            with warehouse.connect(settings) as con:
                warehouse.prepare(con, settings.config)
                release.recover(con, settings)
                ingest.withdraw_unconfigured(con, settings)
            yield self

    @property
    def settings(self) -> Settings:
        """Paths and configuration."""
        return Settings()

    @property
    def progress(self) -> Progress:
        """The progress of this run."""
        return self._progress

    def warehouse(self) -> AbstractContextManager[duckdb.DuckDBPyConnection]:
        """A connection to the warehouse, closed on leaving."""
        return warehouse.connect(self.settings)

    def feeds_on(self) -> set[str]:
        """Feeds that cx.toml configures."""
        return {source.feed for source in self.settings.config.feed}
