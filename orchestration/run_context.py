"""What every step of a run shares: settings, the lock, the warehouse; and the tags by which a run says what it is.

Belongs here: the Dagster resource and the names of run tags. Does not: any work of a step.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime

import dagster as dg
import duckdb
from filelock import FileLock, Timeout

from orchestration.lib import warehouse
from orchestration.settings import Settings

FULL_REFRESH_TAG = "cx/full_refresh"
"""`true`: load every delivery anew and rebuild every model."""


class RunLocked(Exception):
    """Another run works on this CX_HOME; two would wait for the same file."""


class CxHome(dg.ConfigurableResource):
    """One CX_HOME, locked for the length of a run. Settings come from the environment (`orchestration.settings`)."""

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Iterator[CxHome]:
        """Hold the run lock and bring `ops` up to date.

        Raises:
            RunLocked: another live process holds it. A lock left by a dead process is no lock: the kernel let go of it.
        """
        settings = self.settings
        settings.make_folders()
        lock = FileLock(settings.run_lock)
        holder = settings.run_lock.with_suffix(".json")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            who = holder.read_text(encoding="utf-8").strip() if holder.exists() else "an unknown run"
            raise RunLocked(f"another run holds {settings.run_lock}: {who}. Wait for it, then run this again.") from None
        try:
            since = datetime.now(UTC).isoformat(timespec="seconds")
            holder.write_text(json.dumps({"pid": os.getpid(), "run_id": context.run_id, "since": since}), encoding="utf-8")
            with warehouse.connect(settings) as con:
                warehouse.prepare(con, settings.config)
            yield self
        finally:
            holder.unlink(missing_ok=True)
            lock.release()

    @property
    def settings(self) -> Settings:
        """Paths and configuration."""
        return Settings()

    def warehouse(self) -> AbstractContextManager[duckdb.DuckDBPyConnection]:
        """A connection to the warehouse, closed on leaving."""
        return warehouse.connect(self.settings)

    def feeds_on(self) -> set[str]:
        """Feeds that cx.toml configures."""
        return {source.feed for source in self.settings.config.feed}
