"""`cx verify`: everything loaded and built anew beside the warehouse, then compared with it row for row.

Belongs here: whether the warehouse can be compared, the rebuild beside it, the comparison. Does not: any way of loading or
building of its own (`ingest`, `dbt_build`), printing (`cli`).

Nothing of the warehouse, the landing folder or the releases is changed, and nothing is published.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import duckdb

from data_quality.rules import ident, literal
from orchestration.lib import dbt_build, ingest, readers, release, rereading, warehouse
from orchestration.lib.dbt_manifest import models_on
from orchestration.lib.run_lock import run_lock
from orchestration.settings import Settings

SCHEMAS = ("raw", "staging", "intermediate", "marts")
_SAMPLE_ROWS = 5
_HISTORY = {"_ingested_at", "run_id"}
"""Columns that say when a row was read, and by which run: the rebuild is another one."""
_LEDGER = (
    "select delivery, delivery_day, file, content_hash, rows_read, rows_accepted, rows_quarantined "
    "from {}.ops.deliveries where status = 'accepted'"
)


class VerifyError(Exception):
    """The warehouse cannot be compared with a rebuild now; the message says why and what to do."""


@dataclass
class Compared:
    """One table on both sides."""

    table: str
    rows: int
    """In the warehouse."""
    only_in_warehouse: int
    only_in_rebuild: int
    sample: list[dict[str, Any]] = field(default_factory=list)
    """Rows of one side only, at most five of each; `side` names it."""

    @property
    def equal(self) -> bool:
        """Both sides have the same rows, each as often."""
        return not (self.only_in_warehouse or self.only_in_rebuild)


@dataclass
class Verified:
    """What was compared, and what could not be part of it."""

    tables: list[Compared] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def equal(self) -> bool:
        """No table differs."""
        return all(table.equal for table in self.tables)


def verify(settings: Settings, progress: Callable[[str], None] = lambda _: None) -> Verified:
    """Rebuild beside the warehouse and compare: raw rows, staging, intermediate, marts, ledger, quarantine, release.

    Compared is what the ledger knows. A file that is in the landing folder and was not taken yet is no part of that, and
    is noted. A loaded file that changed since cannot be read as it was: that is no difference, but an error.

    Raises:
        RunLocked: a run is working on this CX_HOME.
        VerifyError: there is nothing to compare, a run left something unpublished, files or configuration changed since
            the last run, or the disk is too small for a second warehouse.
        ConfigError: there is no CX_HOME.
        FilesGone: loaded files are no longer in the landing folder.
    """
    settings.open_home()
    with run_lock(settings, "cx verify"):
        verified = Verified(notes=_comparable(settings))
        with _copy(settings) as beside:
            _rebuild(beside, progress)
            progress("comparing")
            verified.tables = _compare(settings, beside)
        published = _compare_release(settings)
        verified.tables += published
        if not published:
            verified.notes.append("no release of this warehouse is there to be compared: readers see none, or an older one")
    return verified


def _comparable(settings: Settings) -> list[str]:
    """Notes on what is not part of the comparison."""
    if not settings.warehouse.exists():
        raise VerifyError(f"there is no warehouse at {settings.warehouse} yet: run `cx nightly` or `cx backfill` first")
    feeds = {source.feed for source in settings.config.feed}
    with warehouse.connect(settings, read_only=True) as con:
        try:
            unpublished = con.execute(
                "select exists (from ops.changes) or exists (from ops.affected) "
                "or exists (from ops.deliveries where status = 'pending')"
            ).fetchone()
            fingerprint = con.execute("select fingerprint from ops.clock").fetchone()
        except duckdb.CatalogException:
            raise VerifyError("the warehouse was never published: run `cx nightly` or `cx backfill` first") from None
        if unpublished and unpublished[0]:
            raise VerifyError("the last run was not published, so tables lag behind each other: run `cx nightly` first")
        loaded = {feed for (feed,) in con.execute("select feed from ops.loaded").fetchall()}
        is_same_reading = not ingest.changed_reading(con, settings, sorted(feeds)) and loaded <= feeds
        if not is_same_reading or fingerprint != (dbt_build.fingerprint(settings),):
            raise VerifyError("cx.toml, a contract or a model changed since the last run: run `cx nightly` first")
        known = ingest.known_files(con, "accepted", "repeated", "refused")
    files = [file for source in settings.config.feed for file in readers.discover(settings, source)]
    changed = [file for file in files if file.delivery in known and _has_changed(file, *known[file.delivery])]
    if changed:
        raise VerifyError(
            f"{len(changed)} files are not what they were when they were taken (first: {changed[0].relative}), so the rebuild "
            f"would read something else: run `cx nightly --day {changed[0].delivery_day}` first"
        )
    new = [file for file in files if file.delivery not in known]
    if not new:
        return []
    return [f"not part of the comparison: {len(new)} files that no run has taken yet (first: {new[0].relative})"]


def _has_changed(file: readers.LandingFile, size: int, mtime_ns: int, digest: str) -> bool:
    stat = file.path.stat()
    if (stat.st_size, stat.st_mtime_ns) == (size, mtime_ns):
        return False
    try:
        return readers.facts(file).content_hash != digest
    except readers.FileRefused:
        return True


@contextmanager
def _copy(settings: Settings) -> Iterator[Settings]:
    """A second CX_HOME beside the first: a copy of its warehouse, the same landing folder. It is gone afterwards."""
    folder = settings.home / "verify"
    shutil.rmtree(folder, ignore_errors=True)  # of a process that was killed
    # The copy, and everything once more before what it replaces is free.
    needed = 2 * settings.warehouse.stat().st_size + (64 << 20)
    free = shutil.disk_usage(settings.home).free
    if free < needed:
        raise VerifyError(
            f"a second warehouse beside {settings.warehouse} needs {needed >> 20:,} MB and {free >> 20:,} MB are free: "
            "make room, or copy CX_HOME to a larger disk and verify there"
        )
    beside = Settings(folder, settings.config_path, settings.env)
    try:
        folder.mkdir()
        beside.landing.symlink_to(settings.landing, target_is_directory=True)
        beside.make_folders()
        for source in (settings.warehouse, settings.warehouse.with_name(settings.warehouse.name + ".wal")):
            if source.exists():
                shutil.copyfile(source, beside.warehouse.parent / source.name)
        yield beside
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _rebuild(beside: Settings, progress: Callable[[str], None]) -> None:
    """What `cx rebuild` does, in the copy."""
    feeds = sorted({source.feed for source in beside.config.feed})
    with warehouse.connect(beside) as con:
        warehouse.prepare(con, beside.config)
        progress("forgetting every row of the copy")
        rereading.reset_feeds(con, beside, feeds)
        for feed in feeds:
            ingest.load_feed(con, beside, feed, "verify", lambda *at: progress("loading {}: {:,} of {:,} deliveries".format(*at)))
    built = dbt_build.build(beside, models_on(set(feeds)), full_refresh=True, progress=progress)
    missing = models_on(set(feeds)) - set(built.models)
    if missing:
        failed = "; ".join(verdict.sentence() for verdict in built.verdicts if not verdict.passed)
        raise VerifyError(f"the rebuild did not get through ({len(missing)} models are missing): {failed}")


def _compare(settings: Settings, beside: Settings) -> list[Compared]:
    with duckdb.connect() as con:
        con.execute(f"set temp_directory = {literal(str(beside.home / 'spill'))}")
        con.execute(f"attach {literal(str(settings.warehouse))} as kept (read_only)")
        con.execute(f"attach {literal(str(beside.warehouse))} as rebuilt (read_only)")
        names = con.execute(
            "select distinct schema_name, table_name from duckdb_tables() where database_name in ('kept', 'rebuilt') "
            "and schema_name in (select unnest($1)) order by list_position($1, schema_name), table_name",
            [list(SCHEMAS)],
        ).fetchall()
        found = [_differ(con, f"{schema}.{table}", *_sides(con, schema, table)) for schema, table in names]
        found.append(_differ(con, "ops.quarantine", *_sides(con, "ops", "quarantine")))
        found.append(_differ(con, "ops.deliveries", _LEDGER.format("kept"), _LEDGER.format("rebuilt")))
        return found


def _compare_release(settings: Settings) -> list[Compared]:
    """The marts that readers see against those of the warehouse; none where readers see another release than its newest."""
    name = release.current(settings)
    if name is None:
        return []
    with duckdb.connect() as con:
        con.execute(f"attach {literal(str(settings.warehouse))} as kept (read_only)")
        if con.execute("select max(release) from kept.ops.releases").fetchone() != (name,):
            return []
        con.execute(f"attach {literal(str(settings.releases / name / release.DATABASE))} as published (read_only)")
        marts = release.manifest_of(settings, name)["marts"]
        return [
            _differ(con, f"release: marts.{mart}", f"from kept.marts.{ident(mart)}", f"from published.marts.{ident(mart)}")
            for mart in marts
        ]


def _sides(con: duckdb.DuckDBPyConnection, schema: str, table: str) -> tuple[str, str]:
    """Queries of the table in both databases, with the same columns in the same order; an empty one where it is absent."""
    columns: dict[str, list[str]] = {}
    for database in ("kept", "rebuilt"):
        rows = con.execute(
            "select column_name from duckdb_columns() where (database_name, schema_name, table_name) = ($1, $2, $3)",
            [database, schema, table],
        ).fetchall()
        columns[database] = [name for (name,) in rows if name not in _HISTORY]
    names = columns["kept"] or columns["rebuilt"]
    if columns["kept"] and columns["rebuilt"] and sorted(columns["kept"]) != sorted(columns["rebuilt"]):
        names = sorted({*columns["kept"], *columns["rebuilt"]})
    queries = []
    for database in ("kept", "rebuilt"):
        there = columns[database]
        picked = ", ".join(ident(name) if name in there else f"null as {ident(name)}" for name in names)
        queries.append(f"select {picked} " + (f"from {database}.{schema}.{ident(table)}" if there else "where false"))
    return queries[0], queries[1]


def _differ(con: duckdb.DuckDBPyConnection, table: str, left: str, right: str) -> Compared:
    counts, sample = [], []
    for side, query in (("warehouse", f"({left}) except all ({right})"), ("rebuild", f"({right}) except all ({left})")):
        count = con.execute(f"select count(*) from ({query})").fetchone()
        counts.append(int(count[0]) if count else 0)
        if counts[-1]:
            cursor = con.execute(f"from ({query}) order by all limit {_SAMPLE_ROWS}")
            names = [column[0] for column in cursor.description or []]
            sample += [{"side": side, **dict(zip(names, row, strict=True))} for row in cursor.fetchall()]
    rows = con.execute(f"select count(*) from ({left})").fetchone()
    return Compared(table, int(rows[0]) if rows else 0, *counts, sample)
