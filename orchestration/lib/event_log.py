"""Dagster's SQLite event log with its connections kept open, and a batch of events in one transaction.

Belongs here: how often the event log's databases are opened and committed. Does not: what an event is or where it is kept;
the databases are the ones of Dagster's own class, and either class reads what the other wrote.

Dagster's class opens, checks, commits and closes a database up to four times an event: a third of the CPU seconds of a
backfill of three domains over a year (docs/adr/0005-partitions.md).
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._core.storage.event_log.sqlite.sqlite_event_log import INDEX_SHARD_NAME
from dagster._core.storage.sqlite import SQLITE_BUSY_TIMEOUT_SECONDS
from sqlalchemy import Connection, create_engine
from sqlalchemy.pool import NullPool

_KEPT_OPEN = 4


class KeptOpenSqliteEventLogStorage(SqliteEventLogStorage):
    """Configured in `dagster.yaml` as `event_log_storage`; without a `base_dir` it is where Dagster's own class has it."""

    def __init__(self, base_dir: str, inst_data: Any = None) -> None:
        self._kept: OrderedDict[str, Connection] = OrderedDict()
        self._known_columns: set[str] = set()
        super().__init__(base_dir, inst_data)
        # A batch is stored by methods that take the lock themselves.
        self._db_lock = threading.RLock()

    @classmethod
    def config_type(cls) -> dict[str, dg.Field]:
        """A folder that moves with its instance needs no `base_dir`."""
        return {"base_dir": dg.Field(dg.StringSource, is_required=False)}

    @classmethod
    def from_config_value(cls, inst_data: Any, config_value: Any) -> KeptOpenSqliteEventLogStorage:
        """What Dagster calls with the `config` of `dagster.yaml`."""
        base_dir = config_value.get("base_dir") or str(Path(os.environ["DAGSTER_HOME"]) / "history" / "runs")
        return cls(base_dir, inst_data)

    @contextmanager
    def _connect(self, shard: str) -> Iterator[Connection]:
        with self._db_lock:
            connection = self._open(shard)
            if connection.in_transaction():
                yield connection
                return
            try:
                with connection.begin():
                    yield connection
            except Exception:
                self._close(shard)
                raise

    def _open(self, shard: str) -> Connection:
        """The kept connection of a shard; opened where there is none or its file is gone. The least used of many is closed."""
        if not Path(self.path_for_shard(shard)).exists():
            self._close(shard)
            self._initialized_dbs.discard(shard)
        elif shard in self._kept:
            self._kept.move_to_end(shard)
            return self._kept[shard]
        engine = create_engine(
            self.conn_string_for_shard(shard),
            poolclass=NullPool,
            connect_args={"timeout": SQLITE_BUSY_TIMEOUT_SECONDS, "check_same_thread": False},
        )
        if shard not in self._initialized_dbs:
            self._initdb(engine)
            self._initialized_dbs.add(shard)
        self._kept[shard] = engine.connect()
        for other in [name for name, kept in self._kept.items() if not kept.in_transaction() and name != shard][:-_KEPT_OPEN]:
            self._close(other)
        return self._kept[shard]

    def _close(self, shard: str) -> None:
        if shard in self._kept:
            self._kept.pop(shard).close()

    def store_event_batch(self, events: Sequence[dg.EventLogEntry]) -> None:
        """All of the events, or none, in each database they belong to."""
        with self._connect(INDEX_SHARD_NAME):
            for run_id in {event.run_id for event in events}:
                with self._connect(run_id):
                    for event in events:
                        if event.run_id == run_id:
                            self.store_event(event)

    def _has_asset_key_col_on_connection(self, conn: Connection, column_name: str) -> bool:
        # Asked for every event; a column that is there stays.
        if column_name not in self._known_columns and super()._has_asset_key_col_on_connection(conn, column_name):
            self._known_columns.add(column_name)
        return column_name in self._known_columns

    def dispose(self) -> None:
        """Close every connection, too."""
        with self._db_lock:
            for shard in list(self._kept):
                self._close(shard)
        super().dispose()
