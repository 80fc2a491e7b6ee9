"""Whether the warehouse is what its exports say: a rebuild beside it, compared with it row by row.

Belongs here: the copy, the comparison. Does not: how a rebuild works (`ingest`, `dbt_build`), or mending what differs:
that is a rebuild of the warehouse itself.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import duckdb

from data_quality.rules import ident, literal
from orchestration.lib import dbt_build, ingest, release, warehouse
from orchestration.lib.dbt_manifest import marts, models_on
from orchestration.lib.run_lock import run_lock
from orchestration.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

FOLDER = "verify"
_SAMPLE_ROWS = 5
# When and by which run something was read is no part of what was read.
_PASSING = {"raw": ("_ingested_at",), "ops.quarantine": ("run_id",)}
_SCHEMAS = ("raw", "staging", "intermediate", "marts")
# What a delivery holds now; earlier versions of it are history that a rebuild does not repeat.
_DELIVERIES = (
    "select delivery, content_hash, status, rows_read, rows_accepted, rows_quarantined from {0}.ops.deliveries "
    "where status in ('accepted', 'repeated', 'refused')"
)


class VerifyError(Exception):
    """The warehouse cannot be compared as it is; the message says what to do first."""


@dataclass(frozen=True)
class Compared:
    """One table of the warehouse beside the same table of the rebuild."""

    table: str
    rows: int
    only_in_warehouse: int
    only_in_rebuild: int
    sample: list[dict[str, Any]] = field(default_factory=list)

    @property
    def is_equal(self) -> bool:
        """Whether both hold the same rows, each as often."""
        return not (self.only_in_warehouse or self.only_in_rebuild)


def verify(settings: Settings, run_id: str, progress: Callable[[str], None] = lambda _: None) -> list[Compared]:
    """Load every delivery anew and build everything in a copy of the warehouse; compare all tables, and the release.

    Nothing is published or changed, and the copy is removed. Deliveries that came since the last run are no part of it.

    Raises:
        VerifyError: nothing was built yet, a run was not published, a loaded file was overwritten, the disk is too full, or
            the rebuild failed.
        FilesGone: loaded files are no longer in the landing folder.
        RunLocked: a run is at work.
    """
    with run_lock(settings, "verify"):
        _check(settings)
        with _beside(settings) as second:
            progress("loading every delivery anew")
            feeds = sorted({source.feed for source in settings.config.feed})
            with warehouse.connect(second) as con:
                ingest.reset_feeds(con, second, feeds)
                for feed in feeds:
                    ingest.load_feed(
                        con, second, feed, run_id, lambda feed, done, of: progress(f"{feed}: {done} of {of} deliveries")
                    )
            progress("building everything")
            built = dbt_build.build(second, models_on(set(feeds)), full_refresh=True)
            failed = [verdict.sentence() for verdict in built.verdicts if not verdict.passed]
            if failed:
                raise VerifyError("the rebuild does not pass its own gates: " + "; ".join(failed))
            progress("comparing")
            return _compare(settings, second)


def _check(settings: Settings) -> None:
    if not settings.warehouse.exists():
        raise VerifyError(f"no warehouse at {settings.warehouse}: run cx nightly or cx backfill first")
    with warehouse.connect(settings) as con:
        warehouse.prepare(con, settings.config)
        release.recover(con, settings)
        waiting = "select (select count(*) from ops.changes) + (select count(*) from ops.affected)"
        if con.execute(waiting).fetchone()[0] or not con.execute("from ops.releases limit 1").fetchone():
            raise VerifyError("the last run was not published, so the warehouse is half-way: run cx nightly, then this again")
        overwritten = ingest.overwritten(con, settings)
        if overwritten:
            raise VerifyError(
                f"{len(overwritten)} loaded files hold other content now (first: {overwritten[0]}): "
                "run cx nightly, then this again"
            )
        con.execute("checkpoint")
    need, free = 2 * settings.warehouse.stat().st_size, shutil.disk_usage(settings.home).free
    if free < need:
        raise VerifyError(f"{settings.home} has {free / 1e9:.1f} GB free; a copy and a rebuild need about {need / 1e9:.1f} GB")


@contextmanager
def _beside(settings: Settings) -> Iterator[Settings]:
    """A home with a copy of the warehouse and the same landing folder; removed on leaving."""
    folder = settings.home / FOLDER
    _remove(folder)
    folder.mkdir()
    (folder / "landing").symlink_to(settings.landing)
    second = Settings(folder, settings.config_path, settings.env)
    try:
        second.make_folders()
        shutil.copyfile(settings.warehouse, second.warehouse)
        yield second
    finally:
        _remove(folder)


def _remove(folder: Path) -> None:
    # The link first: nothing may ever follow it into the exports.
    (folder / "landing").unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)


def _compare(settings: Settings, second: Settings) -> list[Compared]:
    name = release.current(settings)
    with duckdb.connect() as con:
        for alias, path in (("warehouse", settings.warehouse), ("rebuild", second.warehouse)):
            con.execute(f"attach {literal(str(path))} as {alias} (read_only)")
        found = []
        tables = con.execute(
            "select distinct schema_name, table_name from duckdb_tables() where database_name in ('warehouse', 'rebuild') "
            "and schema_name in (select unnest($1)) order by list_position($1, schema_name), table_name",
            [list(_SCHEMAS)],
        ).fetchall()
        for schema, table in tables:
            left, right = (f"{alias}.{ident(schema)}.{ident(table)}" for alias in ("warehouse", "rebuild"))
            found.append(_compare_rows(con, f"{schema}.{table}", left, right, _PASSING.get(schema, ())))
        quarantine = ("warehouse.ops.quarantine", "rebuild.ops.quarantine")
        found.append(_compare_rows(con, "ops.quarantine", *quarantine, _PASSING["ops.quarantine"]))
        found.append(_compare_rows(con, "ops.deliveries", *(f"({_DELIVERIES.format(a)})" for a in ("warehouse", "rebuild"))))
        if name is not None:
            con.execute(f"attach {literal(str(settings.releases / name / release.DATABASE))} as published (read_only)")
            for mart in release.manifest_of(settings, name)["marts"]:
                if mart in marts():
                    sides = (f"published.marts.{ident(mart)}", f"rebuild.marts.{ident(mart)}")
                    found.append(_compare_rows(con, f"release {mart}", *sides))
        return found


def _compare_rows(con: duckdb.DuckDBPyConnection, label: str, left: str, right: str, passing: tuple[str, ...] = ()) -> Compared:
    try:
        names = [[column for column, *_ in con.execute(f"describe from {side}").fetchall()] for side in (left, right)]
    except duckdb.CatalogException:  # one of the two has no such table
        return _missing(con, label, left, right)
    if set(names[0]) != set(names[1]):
        return Compared(label, 0, 1, 1, [{"columns of the warehouse": names[0], "columns of the rebuild": names[1]}])
    columns = ", ".join(ident(column) for column in names[0] if column not in passing)
    counts, sample = [], []
    for side, one, other in (("warehouse", left, right), ("rebuild", right, left)):
        con.execute(
            f"create or replace temp table only_here as select {columns} from {one} except all select {columns} from {other}"
        )
        counts.append(con.execute("select count(*) from only_here").fetchone()[0])
        cursor = con.execute(f"from only_here order by all limit {_SAMPLE_ROWS}")
        header = [column[0] for column in cursor.description]
        sample += [{"only in": side, **dict(zip(header, row, strict=True))} for row in cursor.fetchall()]
    return Compared(label, con.execute(f"select count(*) from {left}").fetchone()[0], *counts, sample=sample)


def _missing(con: duckdb.DuckDBPyConnection, label: str, left: str, right: str) -> Compared:
    counts = []
    for side in (left, right):
        try:
            counts.append(con.execute(f"select count(*) from {side}").fetchone()[0])
        except duckdb.CatalogException:
            counts.append(None)
    # A table that only one side has differs even where it is empty.
    only = [count if count is None else max(count, 1) for count in counts]
    return Compared(label, counts[0] or 0, only[0] or 0, only[1] or 0)
