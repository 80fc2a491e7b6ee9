"""Releases: what readers open. Written aside, made read-only, and swapped in by moving one symbolic link.

Belongs here: writing, listing, pruning and rolling back releases. Does not: whether a run may publish
(`data_quality.verdict.refusals`).

Kill a publication anywhere and readers keep the last release; `ops.affected` still names what the next one must write.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from data_quality.rules import ident, literal
from data_quality.verdict import Verdict
from orchestration.lib import acceptances, benchmark, clv_fit, clv_snapshot, dashboard, dbt_docs, interface, restatements
from orchestration.lib.dbt_manifest import (
    definition_of,
    definitions_fingerprint,
    manifest_json,
    marts,
    marts_on,
    metrics,
    project_fingerprint,
)
from orchestration.lib.ingest import configuration_fingerprint
from orchestration.lib.warehouse import records, tx

if TYPE_CHECKING:
    from orchestration.settings import Settings

log = logging.getLogger(__name__)
KEEP = 3
"""As many releases are kept of different inputs, and as many of the newest."""
DATABASE = "cx.duckdb"
MANIFEST = "manifest.json"
CHECKSUMS = "SHA256SUMS"


class ReleaseError(Exception):
    """A release that was asked for does not exist or cannot be read."""


def releases(settings: Settings) -> list[str]:
    """Names of the releases on disk, oldest first. Names sort by time."""
    if not settings.releases.is_dir():
        return []
    return sorted(
        path.name for path in settings.releases.iterdir() if path.is_dir() and not path.is_symlink() and path.name[0] != "."
    )


def current(settings: Settings) -> str | None:
    """Name of the release that readers see; None before the first."""
    link = settings.current_release
    return Path(os.readlink(link)).name if link.is_symlink() else None


def manifest_of(settings: Settings, release: str) -> dict[str, Any]:
    """The manifest of a release."""
    path = settings.releases / release / MANIFEST
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ReleaseError(f"no release {release!r} in {settings.releases}; there are: {releases(settings)}") from None


def feed_states(con: duckdb.DuckDBPyConnection) -> list[dict[str, Any]]:
    """Per configured feed: how far its data goes, what is missing in between, and whether anything holds it up.

    A feed is stale while a delivery of it is refused, or its newest expected day is missing. Older missing days are
    counted, and do not make it stale: later deliveries went on without them. Yesterday's file sent again under today's
    name brings nothing of today.
    """
    found = con.execute(
        "select feed, data_through, is_stale, refused_deliveries, missing_days, last_missing_day, reason from ops.feed_states "
        "order by feed"
    )
    return records(found)


def publish(con: duckdb.DuckDBPyConnection, settings: Settings, run_id: str, feeds_on: set[str], verdicts: list[Verdict]) -> str:
    """Write a release of the marts that are on, make it current, and only then forget which days were affected.

    Args:
        con: connection to the warehouse.
        settings: where releases live.
        run_id: the run whose verdicts allowed it.
        feeds_on: configured feeds.
        verdicts: those verdicts, for the manifest.

    Returns:
        The name of the release.
    """
    now = datetime.now(UTC)
    name = f"{now:%Y%m%dT%H%M%S.%fZ}-{run_id[:8]}"
    building = settings.releases / f".building-{name}"
    for leftover in settings.releases.glob(".building-*"):
        _remove(leftover)
    building.mkdir(parents=True)
    through = con.execute("select data_through from ops.clock").fetchone()[0]
    names = [mart for mart in marts() if mart in marts_on(feeds_on)]
    configuration = configuration_fingerprint(settings)
    previous, is_newest = _newest_published(con, settings)
    restatements.start(con)
    if previous is not None:
        base = settings.releases / previous["release"] / DATABASE
        restatements.find(con, base, previous, names, configuration, whole=not is_newest)
    told = sorted(metric.name for metric in metrics().values() if metric.mart in names)
    published_at = now.replace(tzinfo=None)
    con.execute(
        "create or replace temp table this_release as select $1 as release, $2 as run_id, $3 as data_through, "
        "$4 as published_at, $5 as metrics",
        [name, run_id, through, published_at, told],
    )
    con.execute(
        "create or replace temp table this_restated as select *, $1 as run_id, $2 as release, $3 as published_at from restated",
        [run_id, name, published_at],
    )
    base_of_rebuilt = previous if is_newest else None
    database = _write_database(con, settings, building / DATABASE, names, base_of_rebuilt)
    files = {**_write_parquet(con, settings, building, names, base_of_rebuilt), DATABASE: database}
    states = feed_states(con)
    manifest = {
        "release": name,
        "run_id": run_id,
        "published_at": now.isoformat(timespec="seconds"),
        "data_through": through,
        "inputs": _inputs(con, configuration),
        "definitions": definitions_fingerprint(),
        "project": project_fingerprint(),
        "interface": interface.promised().interface,
        "configuration": configuration,
        "marts": {mart: _describe(con, mart) for mart in names},
        "marts_off": {mart: sorted(marts()[mart].feeds) for mart in marts() if mart not in names},
        "rebuilt": _rebuilt_days(con, names),
        "restated": _count_restatements(con),
        "feeds": states,
        "deliveries": _deliveries(con),
        "gates": {
            "passed": sum(v.passed for v in verdicts),
            "not_passed": [v.sentence() for v in verdicts if not v.passed],
        },
        "acceptances": acceptances.that_count(con, settings),
        "files": files,
        "versions": {package: version(package) for package in ("cxmarts", "duckdb", "dbt-core", "dagster", "great-expectations")},
    }
    pages, manifest["not_made"] = _write_pages(building, manifest, settings, previous)
    files |= pages
    (building / MANIFEST).write_text(json.dumps(manifest, indent=1, default=str) + "\n", encoding="utf-8")
    _write_checksums(building, files)
    _seal(building)
    os.rename(building, settings.releases / name)
    _point_current_to(settings, name)
    _settle(con, "from this_release", "from this_restated")
    acceptances.sync(con, settings)  # what this run let through by them is known outside the warehouse, too
    _prune(settings)
    return name


def _write_pages(
    building: Path, manifest: dict[str, Any], settings: Settings, previous: dict[str, Any] | None
) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """Write what people look at beside the numbers; return its files, and a sentence on what could not be made.

    The numbers are judged and right: a page that cannot be made keeps them from nobody, and the run's report tells it.
    """
    written: list[str] = []
    not_made = []
    try:
        written += dbt_docs.put(building, settings.releases / previous["release"] if previous else None)
    except Exception as error:
        log.exception("dbt's page of %s could not be made", manifest["release"])
        not_made.append(f"the release has no {dbt_docs.PAGE}: {type(error).__name__}: {' '.join(str(error).split())}")
        shutil.rmtree((building / dbt_docs.PAGE).parent, ignore_errors=True)
    try:
        written += dashboard.write(building, DATABASE, manifest, settings)
    except Exception as error:
        log.exception("the dashboard of %s could not be drawn", manifest["release"])
        not_made.append(f"the dashboard could not be drawn: {type(error).__name__}: {' '.join(str(error).split())}")
        shutil.rmtree(building / dashboard.FOLDER, ignore_errors=True)
        written += dashboard.write_not_drawn(building)
    return {path: _digest(building / path) for path in written}, not_made


def recover(con: duckdb.DuckDBPyConnection, settings: Settings) -> str | None:
    """Finish a publication whose process died after readers saw it, before the ledger did; return the release's name.

    To be called under the run lock before anything else touches the warehouse: its tables are still those published.
    A warehouse that was lost and begun anew takes over what was said when from the newest release.
    """
    row = con.execute("select max(release) from ops.releases").fetchone()
    if row[0] is None:
        return _take_over_history(con, settings)
    unknown = [name for name in releases(settings) if name > row[0]]
    adopted = None
    for name in unknown:
        if name != current(settings):
            _remove(settings.releases / name)  # no reader ever saw it
            continue
        con.execute(f"attach {literal(str(settings.releases / name / DATABASE))} as published (read_only)")
        try:
            newest = f"where release = {literal(name)}"
            _settle(con, f"from published.marts.releases {newest}", f"from published.marts.restatements {newest}")
        finally:
            con.execute("detach published")
        adopted = name
    return adopted


def _take_over_history(con: duckdb.DuckDBPyConnection, settings: Settings) -> str | None:
    """Fill the empty ledger of a new warehouse with the logs of the newest release there is; return its name."""
    there = releases(settings)
    if not there:
        return None
    con.execute(f"attach {literal(str(settings.releases / there[-1] / DATABASE))} as published (read_only)")
    try:
        _settle(con, "from published.marts.releases", "from published.marts.restatements")
        _take_over_fits(con)
    finally:
        con.execute("detach published")
    return there[-1]


def _take_over_fits(con: duckdb.DuckDBPyConnection) -> None:
    """Fits are inputs of the scores, snapshots what was told by them, kept for ever: the release `published` has them all."""
    there = {name for (name,) in con.execute(
        "select table_name from duckdb_tables() where database_name = 'published' and schema_name = 'marts'"
    ).fetchall()}  # fmt: skip
    for mart, table in (clv_fit.TABLES | {clv_snapshot.MART: clv_snapshot.TABLE}).items():
        if mart in there and not con.execute(f"select exists (from ops.{table})").fetchone()[0]:
            con.execute(f"insert into ops.{table} by name from published.marts.{mart}")


def _settle(con: duckdb.DuckDBPyConnection, release: str, restated: str) -> None:
    """Note releases in the ledger and forget which days were affected; both are relations to take the rows from."""
    with tx(con):
        con.execute(f"insert into ops.releases by name {release}")
        con.execute(f"insert into ops.restatements by name {restated}")
        for table in ("affected", "rebuilt", "changes"):
            con.execute(f"truncate ops.{table}")
        con.execute("update ops.clock set published_through = (select max_by(data_through, release) from ops.releases)")


def _rebuilt_days(con: duckdb.DuckDBPyConnection, names: list[str]) -> dict[str, Any]:
    """Per mart the days whose rows are others than in the release before, as [first, last] spans, or "all"."""
    spans: dict[str, Any] = {}
    for name in names:
        days = [day for (day,) in con.execute("select day from ops.rebuilt where mart = ? order by day", [name]).fetchall()]
        if None in days or "metric_date" not in marts()[name].grain:
            spans[name] = "all"
            continue
        spans[name] = []
        for day in days:
            if spans[name] and day - spans[name][-1][1] == timedelta(days=1):
                spans[name][-1][1] = day
            else:
                spans[name].append([day, day])
    return spans


def _count_restatements(con: duckdb.DuckDBPyConnection) -> list[dict[str, Any]]:
    """How many cells of which metrics changed on which days, by kind and cause."""
    found = con.execute(
        "select kind, metric, cause, count(*) as cells, min(metric_date) as first_day, max(metric_date) as last_day "
        "from this_restated group by all order by all"
    )
    return records(found)


def roll_back(settings: Settings, release: str | None = None) -> str:
    """Point readers at an older release: the one named, or the newest older one that was made of other inputs.

    Where there is none of other inputs, it is the one before the current.

    Raises:
        ReleaseError: there is no such release.
    """
    known = releases(settings)
    if release is None:
        now = current(settings)
        older = [name for name in known if now is not None and name < now]
        if now is None or not older:
            raise ReleaseError(f"no release is older than the current one; there are: {known}")
        made_of = _inputs_of(settings, now)
        release = next((name for name in reversed(older) if _inputs_of(settings, name) != made_of), older[-1])
    if release not in known:
        raise ReleaseError(f"no release {release!r} in {settings.releases}; there are: {known}")
    _point_current_to(settings, release)
    return release


def _write_database(
    con: duckdb.DuckDBPyConnection, settings: Settings, path: Path, names: list[str], previous: dict[str, Any] | None
) -> dict[str, Any]:
    """Write the database of a release; return its digest.

    Where the last release has the same definitions and marts, its file is copied and only what changed since is written
    into the copy: copying bytes is nearly free, writing every row of three years is not. Deleted rows leave holes, so a
    file that has grown to twice its size is written whole again.

    Raises:
        ReleaseError: a mart of the file has not as many rows as that of the warehouse.
    """
    before = settings.releases / previous["release"] / DATABASE if previous else None
    whole_bytes = previous["files"][DATABASE].get("whole_bytes", 0) if previous else 0
    is_copy = (
        previous is not None
        and previous["definitions"] == definitions_fingerprint()
        and list(previous["marts"]) == names
        and before.stat().st_size <= 2 * whole_bytes
        and _digest(before)["sha256"] == previous["files"][DATABASE]["sha256"]
    )
    # Words of the project may change without its definitions.
    has_same_words = is_copy and previous.get("project") == project_fingerprint()
    if is_copy:
        shutil.copyfile(before, path)
    # Older BI drivers open the older storage version; it costs nothing (measured, docs/architecture.md).
    con.execute(f"attach {literal(str(path))} as release (storage_version 'v1.4.0')")
    try:
        con.execute("create schema if not exists release.marts")
        for name in names:
            table, mart = f"release.marts.{ident(name)}", f"marts.{ident(name)}"
            order = ", ".join(ident(column) for column in marts()[name].grain)
            rebuilt = con.execute("select day from ops.rebuilt where mart = ?", [name]).fetchall()
            is_told = has_same_words
            if is_copy and "metric_date" in marts()[name].grain and (None,) not in rebuilt:
                days = f"metric_date in (select day from ops.rebuilt where mart = {literal(name)})"
                con.execute(f"delete from {table} where {days}")
                con.execute(f"insert into {table} from {mart} where {days} order by {order}")
            else:
                con.execute(f"create or replace table {table} as from {mart} order by {order}")
                is_told = False
            if not is_told:
                _comment(con, name)
            count, published = con.execute(f"select (select count(*) from {mart}), (select count(*) from {table})").fetchone()
            if count != published:
                raise ReleaseError(f"{name} has {count} rows, its release {published}: run `cx rebuild` and report this")
        for name, rows in _LOGS.items():
            if is_copy:
                con.execute(f"insert into release.marts.{name} by name from {_NEW_LOGS[name]}")
            else:
                con.execute(f"create table release.marts.{name} as {rows}")
    finally:
        con.execute("detach release")
    with duckdb.connect(str(path)) as release:  # by itself: a view remembers the catalog it was made in
        create_relations(release, names)
    return {**_digest(path), "whole_bytes": whole_bytes if is_copy else path.stat().st_size}


def create_relations(con: duckdb.DuckDBPyConnection, names: list[str]) -> None:
    """Make what stands on the tables of a release: views, table macros, and the comments of the logs.

    They are this code's and not the data's, so a copy of the last release's file has them made anew.

    Args:
        con: connection to the database of a release, with the tables of its marts and the logs.
        names: its marts.
    """
    with tx(con):
        for log, (about, columns) in LOG_DESCRIPTIONS.items():
            con.execute(f"comment on table marts.{log} is {literal(about)}")
            for column, said in columns.items():
                con.execute(f"comment on column marts.{log}.{column} is {literal(said)}")
        restatements.create_views(con, names)
        restatements.create_macros(con)
        benchmark.create_view(con, names)


def _comment(con: duckdb.DuckDBPyConnection, name: str) -> None:
    """Comments of a mart: what its columns are, and the definition of those that are metrics, from the registry."""
    node = next(n for n in manifest_json()["nodes"].values() if n["resource_type"] == "model" and n["name"] == name)
    con.execute(f"comment on table release.marts.{ident(name)} is {literal(node['description'])}")
    defined: dict[str, list[str]] = {}
    for metric in manifest_json()["metrics"].values():
        meta = metric["config"]["meta"]
        if meta.get("mart") == name and (meta.get("value") or len(meta["parts"]) == 1):
            version_told = f"{metric['name']}, version {meta['version']} from {meta['valid_from']}"
            told = f"{metric['label']} ({version_told}): {meta['formula']}."
            defined.setdefault(meta.get("value") or meta["parts"][0], []).append(told)
    for column, about in node["columns"].items():
        text = " ".join([about["description"], *defined.get(column, [])])
        con.execute(f"comment on column release.marts.{ident(name)}.{ident(column)} is {literal(text)}")


_NEW_LOGS = {"restatements": "this_restated", "releases": "this_release"}
_LOGS = {
    "restatements": "from ops.restatements union all by name from this_restated "
    "order by published_at, metric, metric_date, dimensions",
    "releases": "from ops.releases union all by name from this_release order by published_at",
}
"""What a release tells of itself and of those before it, besides the marts."""
LOG_DESCRIPTIONS: dict[str, tuple[str, dict[str, str]]] = {
    "restatements": (
        "Every published value that a later release changed: parts before and after, and why.",
        {column: about for column, (_, about) in restatements.COLUMNS.items()},
    ),
    "releases": (
        "Every release there was: when, through which day, with which metrics.",
        {column: about for column, (_, about) in restatements.RELEASES.items()},
    ),
}
"""Comments of the logs: of the table, and by column."""


def _newest_published(con: duckdb.DuckDBPyConnection, settings: Settings) -> tuple[dict[str, Any] | None, bool]:
    """Manifest of the newest release that is still there, and whether it is the one `ops.rebuilt` is relative to."""
    for n, (name,) in enumerate(con.execute("select release from ops.releases order by release desc").fetchall()):
        if (settings.releases / name / MANIFEST).exists():
            return manifest_of(settings, name), n == 0
    return None, False


def _write_parquet(
    con: duckdb.DuckDBPyConnection,
    settings: Settings,
    building: Path,
    names: list[str],
    previous: dict[str, Any] | None,
) -> dict[str, dict[str, Any]]:
    """One file a table and month; a month in which nothing changed is the last release's file, linked and not copied.

    `previous` is the manifest of the release that `ops.rebuilt` is relative to; None where that is gone.
    """
    files: dict[str, dict[str, Any]] = {}

    def write(name: str, rows: str, part: str, is_changed: bool) -> None:
        relative = f"parquet/{name}/{part}.parquet"
        target = building / relative
        target.parent.mkdir(parents=True, exist_ok=True)
        old = (previous or {}).get("files", {}).get(relative)
        if old is not None and not is_changed:
            os.link(settings.releases / previous["release"] / relative, target)
            files[relative] = old
            return
        con.execute(f"copy ({rows}) to {literal(str(target))} (format parquet, compression zstd)")
        files[relative] = _digest(target)

    for name in names:
        table, order = f"marts.{ident(name)}", ", ".join(ident(column) for column in marts()[name].grain)
        if "metric_date" not in marts()[name].grain:
            write(name, f"from {table} order by {order}", "all", True)
            continue
        rows = con.execute("select distinct strftime(day, '%Y-%m') from ops.rebuilt where mart = ?", [name]).fetchall()
        changed = {month for (month,) in rows}
        for (month,) in con.execute(f"select distinct strftime(metric_date, '%Y-%m') from {table} order by 1").fetchall():
            condition = f"strftime(metric_date, '%Y-%m') = {literal(month)}"
            write(name, f"from {table} where {condition} order by {order}", month, month in changed or None in changed)
    this_month = con.execute("select strftime(published_at, '%Y-%m') from this_release").fetchone()[0]
    months = con.execute("select distinct strftime(published_at, '%Y-%m') from ops.restatements").fetchall()
    for month in sorted({this_month, *(month for (month,) in months)}):
        rows = f"from ({_LOGS['restatements']}) where strftime(published_at, '%Y-%m') = {literal(month)}"
        write("restatements", rows, month, month == this_month)
    write("releases", _LOGS["releases"], "all", True)
    return files


def _describe(con: duckdb.DuckDBPyConnection, name: str) -> dict[str, Any]:
    nodes = manifest_json()["nodes"]
    node = next(n for n in nodes.values() if n["resource_type"] == "model" and n["name"] == name)
    rows = con.execute(f"select count(*) from marts.{ident(name)}").fetchone()[0]
    return {
        "rows": rows,
        "grain": list(marts()[name].grain),
        "columns": list(node["columns"]),
        "definition": definition_of(name),
    }


def _deliveries(con: duckdb.DuckDBPyConnection) -> list[dict[str, Any]]:
    """Deliveries taken since the release before."""
    found = con.execute(
        "select feed, delivery_day, file, content_hash, status, rows_read, rows_quarantined, reason from ops.deliveries "
        "where taken_at > coalesce((select max(published_at) from ops.releases), timestamp '1970-01-01') "
        "and status <> 'replaced' order by delivery_day, feed, file"
    )
    return records(found)


def _inputs(con: duckdb.DuckDBPyConnection, configuration: str) -> str:
    """What a release is made of, as a hash: contents of deliveries, fits, definitions, configuration.

    Releases of the same inputs differ by nothing but time: a later last day, values that became final, staleness. A file
    without rows under one more name is nothing new, nor is the same file loaded again.
    """
    said = con.execute(
        """
        select
            (
                select sha256(coalesce(string_agg(said, chr(10) order by said), '')) from (
                    select distinct
                        feed || chr(9) || content_hash || chr(9) || case when rows_read > 0 then delivery else '' end as said
                    from ops.deliveries where status = 'accepted'
                )
            ),
            (select sha256(coalesce(string_agg(distinct fit_id, chr(10) order by fit_id), '')) from ops.clv_fits)
        """
    ).fetchone()
    return hashlib.sha256(json.dumps([*said, definitions_fingerprint(), configuration]).encode()).hexdigest()


def _write_checksums(building: Path, files: dict[str, dict[str, Any]]) -> None:
    """The digest of every other file, the manifest's too, as `sha256sum --check SHA256SUMS` reads it.

    `files`: digests that are known already; a linked Parquet file is not read again.
    """
    there = sorted(path.relative_to(building).as_posix() for path in building.rglob("*") if path.is_file())
    lines = [f"{(files.get(name) or _digest(building / name))['sha256']}  {name}\n" for name in there]
    (building / CHECKSUMS).write_text("".join(lines), encoding="utf-8")


def _digest(path: Path) -> dict[str, Any]:
    with path.open("rb") as handle:
        return {"bytes": path.stat().st_size, "sha256": hashlib.file_digest(handle, "sha256").hexdigest()}


def _seal(folder: Path) -> None:
    """Everything read-only and on disk, files before the folders that name them."""
    for path in sorted(folder.rglob("*"), key=lambda p: len(p.parts), reverse=True):
        if path.is_file() and path.stat().st_nlink == 1:
            path.chmod(0o444)
            _fsync(path)
        elif path.is_dir():
            _fsync(path)
    _fsync(folder)


def _fsync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _point_current_to(settings: Settings, name: str) -> None:
    fresh = settings.releases / f".current-{os.getpid()}"
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(name)
    os.replace(fresh, settings.current_release)
    _fsync(settings.releases)


def _prune(settings: Settings) -> None:
    keep = {*_worth_keeping([(name, _inputs_of(settings, name)) for name in releases(settings)]), current(settings)}
    for name in releases(settings):
        if name not in keep:
            _remove(settings.releases / name)


def _worth_keeping(made_of: list[tuple[str, str]]) -> set[str]:
    """Names to keep of releases with their inputs, oldest first.

    The newest three, because somebody may be reading one of them; and of the newest three that were made of different
    inputs the last each, so that nights in which nothing was delivered leave something to roll back to.
    """
    keep = {name for name, _ in made_of[-KEEP:]}
    last_of = dict.fromkeys(inputs for _, inputs in reversed(made_of))
    newest = {inputs: name for name, inputs in made_of}
    return keep | {newest[inputs] for inputs in list(last_of)[:KEEP]}


def _inputs_of(settings: Settings, release: str) -> str:
    """The `inputs` of its manifest; the name of a release that is older than that field, or has no manifest."""
    try:
        return manifest_of(settings, release).get("inputs", release)
    except ReleaseError:
        return release


def _remove(folder: Path) -> None:
    shutil.rmtree(folder)
