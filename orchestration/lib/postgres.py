"""A release in a PostgreSQL schema, for BI servers that ask one: the same tables, exact, replaced in one transaction.

Belongs here: copying a release and what PostgreSQL needs to know of its types. Does not: what a release is (`release`), or when
it is copied (`defs.publish.postgres` after each release, `cx publish postgres` by hand).

Tables stay and their rows are replaced, so every statement of a reader, and every REPEATABLE READ transaction, sees one release
(docs/adr/0010-postgresql.md). Only the months that changed are written: a month is known by the digest of its Parquet file.
The URL is a secret: it comes from the environment, and no message repeats it.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit, urlunsplit

import duckdb

from data_quality.rules import ident, literal
from orchestration.lib import release as releases
from orchestration.settings import ConfigError

if TYPE_CHECKING:
    from orchestration.settings import Postgres, Settings

STATE = "postgres.json"
AGAIN = "cx publish postgres"
FILES = "published_files"
"""The table of the schema that says which part of which table holds which Parquet file's rows."""
VIEWS = ("benchmark",)
"""Views of a release that are tables there; `metric_values` is large, and is every mart once more."""
_CONNECTION = {
    "connect_timeout": "10",
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
    "tcp_user_timeout": "60000",
    "application_name": "cxmarts",
}
"""A server that is gone is an error after a minute at most, and not a night that never ends."""
_LOCK_MS = 800
"""Shorter than the second after which PostgreSQL looks for deadlocks: it is never a reader that is cancelled."""
_LOCK_TRIES = 30


class PostgresError(Exception):
    """The release could not be copied; the message says why and what to do, and holds no secret."""


@dataclass
class Copied:
    """What a copy did."""

    release: str
    schema: str
    tables: int
    parts: int
    """Months (of tables without a day: whole tables) that were written."""
    rows: int
    seconds: float


@dataclass
class _Table:
    """A table of the release: its columns as PostgreSQL has them, how DuckDB gives them, and its parts with their digests."""

    name: str
    columns: dict[str, str]
    selected: str
    about: str
    comments: dict[str, str]
    parts: dict[str, str]
    rows: int
    month_of: str | None
    """Column whose month a part is; None where the only part is the table."""

    def condition(self, part: str) -> str:
        """SQL, in both dialects: the rows of a part."""
        if self.month_of is None or part == "all":
            return "true"
        year, month = (int(number) for number in part.split("-"))
        first, after = date(year, month, 1), date(year + month // 12, month % 12 + 1, 1)
        return f"{ident(self.month_of)} >= date '{first}' and {ident(self.month_of)} < date '{after}'"


@dataclass
class _There:
    """What the schema holds."""

    columns: dict[str, dict[str, str]] = field(default_factory=dict)
    comments: dict[tuple[str, str], str] = field(default_factory=dict)
    """By table and column; the table's own under ''."""
    parts: dict[str, dict[str, str]] = field(default_factory=dict)


def publish(settings: Settings, name: str | None = None, whole: bool = False) -> Copied:
    """Copy a release into the schema of `[postgres]`, in one transaction; what it holds already is not written again.

    Args:
        settings: whose release, and cx.toml.
        name: the release; default: the one that readers see.
        whole: write every row, whatever is there.

    Raises:
        PostgresError: nothing of it was done.
    """
    target = settings.config.postgres
    if target is None:
        raise PostgresError(f"{settings.config_path} has no [postgres]: write that table to copy releases (docs/bi.md)")
    began = time.monotonic()
    name = name or releases.current(settings)
    if name is None:
        raise PostgresError("there is no release yet: run cx nightly or cx backfill")
    try:
        try:
            copied = _publish(settings, target, name, whole, began)
        except duckdb.Error as error:  # its message may hold the value that did not fit
            raise PostgresError(f"the release {name} could not be read: {type(error).__name__}") from None
    except PostgresError as problem:
        _remember(settings, problem=str(problem))
        raise
    _remember(settings, release=name)
    return copied


def state(settings: Settings) -> dict[str, Any] | None:
    """The release that was copied last, when, and what went wrong since; None where nothing is to be copied.

    Keys: release, at, problem, is_behind (readers of the files see another release).
    """
    try:
        if settings.config.postgres is None:
            return None
    except ConfigError:  # somebody edits it, or there is none: it is said elsewhere
        return None
    try:
        known = json.loads((settings.home / STATE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        known = {}
    now = releases.current(settings)
    is_behind = now is not None and known.get("release") != now
    problem = known.get("problem") or ("it was not copied" if is_behind else None)
    return {"release": known.get("release"), "at": known.get("at"), "problem": problem, "is_behind": is_behind}


def _remember(settings: Settings, release: str | None = None, problem: str | None = None) -> None:
    path = settings.home / STATE
    known = state(settings) or {}
    if release is not None:
        known |= {"release": release, "at": datetime.now(UTC).isoformat(timespec="seconds")}
    known = {"release": known.get("release"), "at": known.get("at"), "problem": problem}
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")
    os.replace(fresh, path)


def _publish(settings: Settings, target: Postgres, name: str, whole: bool, began: float) -> Copied:
    manifest = releases.manifest_of(settings, name)
    schema = target.schema_name
    with (
        duckdb.connect(str(settings.releases / name / releases.DATABASE), read_only=True) as con,
        _connected(target) as (server, execute),
    ):
        tables = {table.name: table for table in _tables(con, manifest)}
        if target.reader and not execute(f"select 1 from pg_catalog.pg_roles where rolname = {literal(target.reader)}"):
            raise PostgresError(f"there is no role {target.reader}: create role {target.reader} nologin")
        there = _prepare(server, execute, target, tables)
        written, rows = 0, 0
        for table in tables.values():
            is_same = there.columns.get(table.name) == table.columns
            known = there.parts.get(table.name, {}) if is_same and not whole else {}
            changed = [part for part, digest in table.parts.items() if known.get(part) != digest]
            gone = [part for part in known if part not in table.parts]
            if not (changed or gone):
                continue
            if len(changed) == len(table.parts):
                conditions, parts = ["true"], ["true"] if changed else []
            else:
                parts = [table.condition(part) for part in changed]
                conditions = parts + [table.condition(part) for part in gone]
            place = f"{ident(schema)}.{ident(table.name)}"
            for condition in conditions:
                execute(f"delete from {place} where {condition}")
            for condition in parts:
                source = con.execute(f"select {table.selected} from marts.{ident(table.name)} where {condition}")
                with server.cursor() as cursor:
                    rows += cursor.adbc_ingest(table.name, source.to_arrow_reader(100_000), mode="append", db_schema_name=schema)
            written += len(changed)
            execute(f"delete from {ident(schema)}.{FILES} where relation = {literal(table.name)}")
            if table.parts:
                values = ", ".join(
                    f"({literal(table.name)}, {literal(part)}, {literal(digest)})" for part, digest in table.parts.items()
                )
                execute(f"insert into {ident(schema)}.{FILES} values {values}")
            ((count,),) = execute(f"select count(*) from {place}")
            if count != table.rows:
                raise PostgresError(
                    f"{schema}.{table.name} would have {count} rows, the release has {table.rows}: has somebody written into "
                    "it? `cx publish postgres --whole` writes everything anew"
                )
        _say_what_it_is(execute, schema, tables, there)
        _make_functions(execute, schema, tables)
        _grant(execute, target, tables)
        server.commit()
        if written:
            # Statistics for the planner; the release is there without them, too.
            with suppress(Exception):
                execute("analyze " + ", ".join(f"{ident(schema)}.{ident(table)}" for table in tables))
                server.commit()
    return Copied(name, schema, len(tables), written, rows, round(time.monotonic() - began, 2))


# ---- the connection ----------------------------------------------------------------------------------------------------


@contextmanager
def _connected(target: Postgres) -> Iterator[tuple[Any, Any]]:
    """A connection, and a function that executes one statement and returns its rows; errors are PostgresError without secrets."""
    try:
        import adbc_driver_manager
        from adbc_driver_postgresql import dbapi
    except ImportError:
        raise PostgresError("[postgres] needs the extra of that name: pip install 'cxmarts[postgres]'") from None
    url = os.environ.get(target.url_env, "").strip()
    secrets = _secrets(url, target.url_env)
    server = None
    try:
        server = dbapi.connect(_with_options(url))

        def execute(statement: str) -> list[tuple[Any, ...]]:
            with server.cursor() as cursor:
                cursor.execute(statement)
                return cursor.fetchall() if cursor.description else []

        yield server, execute
    except (adbc_driver_manager.Error, OSError) as error:
        raise PostgresError(_told(error, secrets)) from None
    finally:
        if server is not None:
            with suppress(Exception):  # a server that is gone was told of
                server.rollback()
                server.close()


def _secrets(url: str, variable: str) -> list[str]:
    """What of the URL no message may repeat.

    Raises:
        PostgresError: it is not a URL that libpq and this function read alike, so its parts could not be told apart.
    """
    if not url:
        raise PostgresError(
            f"the environment variable {variable} is not set: it holds the URL, postgresql://user@host:5432/database"
        )
    try:
        parts = urlsplit(url)
        is_clear = parts.scheme in ("postgresql", "postgres") and parts.netloc.count("@") <= 1 and not parts.fragment
        is_clear = is_clear and "@" not in parts.path + parts.query and (parts.port or 1) > 0
        query = dict(parse_qsl(parts.query, strict_parsing=bool(parts.query)))
    except ValueError:
        is_clear = False
    if not is_clear:
        raise PostgresError(
            f"what {variable} holds is no URL like postgresql://user@host:5432/database (in a password write @ as %40, / as %2F, "
            "# as %23, ? as %3F, : as %3A)"
        )
    passwords = {parts.password, query.get("password"), query.get("sslpassword")} - {None, ""}
    found = {url, *passwords, *(unquote(password) for password in passwords)}
    return sorted(found, key=len, reverse=True)


def _with_options(url: str) -> str:
    parts = urlsplit(url)
    given = parse_qsl(parts.query)
    options = given + [(name, value) for name, value in _CONNECTION.items() if name not in dict(given)]
    return urlunsplit(parts._replace(query=urlencode(options)))


def _told(error: Exception, secrets: list[str]) -> str:
    """The server's sentence, without the statement, the row it was about, or a secret."""
    text = " ".join(re.sub(r"\s+(?:DETAIL|HINT|CONTEXT|LINE \d+|Detail):.*", "", str(error), flags=re.DOTALL).split())
    found = re.search(r"(?:ERROR|FATAL):\s*(.*)|(connection to server.*|could not .*)", text)
    text = next(part for part in found.groups() if part) if found else "the server did not answer as expected"
    for secret in secrets:
        text = text.replace(secret, "***")
    return f"PostgreSQL: {text[:300].rstrip('.')}"


# ---- the release ---------------------------------------------------------------------------------------------------------


def _tables(con: duckdb.DuckDBPyConnection, manifest: dict[str, Any]) -> Iterator[_Table]:
    """Marts, logs and some views of a release, as they are to be."""
    described = con.execute(
        "select table_name, comment, null as sql from duckdb_tables() where schema_name = 'marts' union all "
        "select view_name, comment, sql from duckdb_views() where schema_name = 'marts' and list_contains($1, view_name) "
        "order by 1",
        [list(VIEWS)],
    ).fetchall()
    columns: dict[str, list[tuple[str, str, str]]] = {}
    for table, column, kind, comment in con.execute(
        "select table_name, column_name, data_type, comment from duckdb_columns() where schema_name = 'marts' "
        "order by column_index"
    ).fetchall():
        columns.setdefault(table, []).append((column, kind, comment or ""))
    parts: dict[str, dict[str, str]] = {}
    for file, about in manifest["files"].items():
        if (found := re.fullmatch(r"parquet/([^/]+)/([^/]+)\.parquet", file)) is not None:
            parts.setdefault(found[1], {})[found[2]] = about["sha256"]
    for name, comment, sql in described:
        if sql is not None:
            sources = [parts.get(table) for table in ("metric_daily", "metrics", "benchmark_targets")]
            parts[name] = {"all": hashlib.sha256(json.dumps([sql, sources], sort_keys=True).encode()).hexdigest()}
        parts.setdefault(name, {"all": "no rows"})  # a mart without a day has no file
        names = [column for column, _, _ in columns[name]]
        kinds = {column: kind_of(kind, f"{name}.{column}") for column, kind, _ in columns[name]}
        by_month = [column for column in ("metric_date", "published_at") if column in names]
        yield _Table(
            name=name,
            columns={column: kind for column, (kind, _) in kinds.items()},
            selected=", ".join(f"{cast.format(ident(column))} as {ident(column)}" for column, (_, cast) in kinds.items()),
            about=comment or "",
            comments={column: said for column, _, said in columns[name]},
            parts=parts[name],
            rows=con.execute(f"select count(*) from marts.{ident(name)}").fetchone()[0],
            month_of=by_month[0] if by_month and "all" not in parts[name] else None,
        )


_KINDS = {
    "BOOLEAN": ("boolean", "BOOLEAN"),
    "TINYINT": ("smallint", "SMALLINT"),
    "SMALLINT": ("smallint", "SMALLINT"),
    "INTEGER": ("integer", "INTEGER"),
    "BIGINT": ("bigint", "BIGINT"),
    "UTINYINT": ("smallint", "SMALLINT"),
    "USMALLINT": ("integer", "INTEGER"),
    "UINTEGER": ("bigint", "BIGINT"),
    # 128 bits: what has more than 38 digits is an error
    "UBIGINT": ("numeric(38,0)", "DECIMAL(38,0)"),
    "HUGEINT": ("numeric(38,0)", "DECIMAL(38,0)"),
    "UHUGEINT": ("numeric(38,0)", "DECIMAL(38,0)"),
    "FLOAT": ("real", "FLOAT"),
    "DOUBLE": ("double precision", "DOUBLE"),
    "VARCHAR": ("text", "VARCHAR"),
    "UUID": ("text", "VARCHAR"),
    "BLOB": ("bytea", "BLOB"),
    "DATE": ("date", "DATE"),
    "TIME": ("time without time zone", "TIME"),
    "TIMESTAMP": ("timestamp without time zone", "TIMESTAMP"),
    "TIMESTAMP WITH TIME ZONE": ("timestamp with time zone", "TIMESTAMP WITH TIME ZONE"),
}


def kind_of(kind: str, where: str = "") -> tuple[str, str]:
    """PostgreSQL's type for one of DuckDB's, and the SQL (with {} for the column) by which DuckDB gives its values.

    What has no type of its own there is the same value in another: 128-bit integers are numeric, structs and maps JSON text.

    Raises:
        PostgresError: there is none.
    """
    if (found := re.fullmatch(r"DECIMAL\((\d+),\s*(\d+)\)", kind)) is not None:
        return f"numeric({found[1]},{found[2]})", "{}"
    if kind == "JSON" or kind.startswith(("STRUCT", "MAP")):
        return "text", "cast(to_json({}) as VARCHAR)"
    many = "[]" if kind.endswith("[]") else ""
    if (said := _KINDS.get(kind.removesuffix("[]"))) is None:
        raise PostgresError(f"{where} has the type {kind}, for which PostgreSQL has none: report this")
    there, here = (name + many for name in said)
    return there, "{}" if here == kind else f"cast({{}} as {here})"


# ---- the schema ----------------------------------------------------------------------------------------------------------


def _prepare(server: Any, execute: Any, target: Postgres, tables: dict[str, _Table]) -> _There:
    """Begin the transaction: the schema with every table as it has to be, empty where it is new; what it holds.

    Where a table has to change its columns, its readers are waited for, all together and never so long that they could
    be in each other's way.

    Raises:
        PostgresError: readers did not let go, or something there is not ours.
    """
    schema = target.schema_name
    for attempt in range(1, _LOCK_TRIES + 1):
        execute("set local standard_conforming_strings = on")
        execute("set local lock_timeout = '30s'")
        ((is_alone,),) = execute(
            f"select pg_catalog.pg_try_advisory_xact_lock(pg_catalog.hashtext({literal('cxmarts ' + schema)}))"
        )
        if not is_alone:
            raise PostgresError(f"another copy into the schema {schema} is at work: try again when it is done")
        there = _look(execute, schema)
        if FILES not in there.columns:
            if strangers := sorted(set(there.columns) & set(tables)):
                raise PostgresError(
                    f"the schema {schema} has a table {strangers[0]} that cxmarts did not make: name another one, "
                    '`schema = "..."` under [postgres]'
                )
            execute(f"create schema if not exists {ident(schema)}")
            execute(
                f"create table {ident(schema)}.{FILES} (relation text not null, part text not null, sha256 text not null, "
                "primary key (relation, part))"
            )
            there = _look(execute, schema)
        changing = [t.name for t in tables.values() if t.name in there.columns and there.columns[t.name] != t.columns]
        gone = [name for name in there.parts if name not in tables and name in there.columns]
        try:
            if changing or gone:
                execute(f"set local statement_timeout = {_LOCK_MS}")
                places = ", ".join(f"{ident(schema)}.{ident(name)}" for name in (*changing, *gone))
                execute(f"lock table {places} in access exclusive mode")
                execute("set local statement_timeout = 0")
            break
        except Exception as error:
            server.rollback()
            if getattr(error, "sqlstate", None) not in ("57014", "55P03"):  # cancelled by one of the two limits
                raise
            if attempt == _LOCK_TRIES:
                raise PostgresError(
                    f"the columns of {', '.join(changing + gone)} change, and readers did not let go of them for "
                    f"{_LOCK_TRIES} seconds: try again when they are done"
                ) from None
            time.sleep(0.2)
    for name in gone:
        execute(f"drop table {ident(schema)}.{ident(name)}")
        execute(f"delete from {ident(schema)}.{FILES} where relation = {literal(name)}")
    for table in tables.values():
        place, now = f"{ident(schema)}.{ident(table.name)}", there.columns.get(table.name)
        if now is None:
            columns = ", ".join(f"{ident(column)} {kind}" for column, kind in table.columns.items())
            execute(f"create table {place} ({columns})")
            if table.name == "metric_daily":
                execute(f"create index on {place} (metric, grain, metric_date)")
            continue
        for column in [c for c, kind in now.items() if table.columns.get(c) != kind]:
            execute(f"alter table {place} drop column {ident(column)}")
        for column, kind in table.columns.items():
            if now.get(column) != kind:
                execute(f"alter table {place} add column {ident(column)} {kind}")
    return there


def _look(execute: Any, schema: str) -> _There:
    """Tables of the schema with their columns, types and comments; and which Parquet files their rows are of."""
    found = _There()
    rows = execute(
        "select c.relname::text, a.attname::text, pg_catalog.format_type(a.atttypid, a.atttypmod), "
        "pg_catalog.col_description(c.oid, a.attnum), pg_catalog.obj_description(c.oid, 'pg_class') "
        "from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace "
        "join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped "
        f"where n.nspname = {literal(schema)} and c.relkind in ('r', 'v', 'm', 'p', 'f') order by c.relname, a.attnum"
    )
    for table, column, kind, said, about in rows:
        found.columns.setdefault(table, {})[column] = kind
        found.comments[table, column] = said or ""
        found.comments[table, ""] = about or ""
    if FILES in found.columns:
        for relation, part, digest in execute(f"select relation, part, sha256 from {ident(schema)}.{FILES}"):
            found.parts.setdefault(relation, {})[part] = digest
    return found


def _say_what_it_is(execute: Any, schema: str, tables: dict[str, _Table], there: _There) -> None:
    """Comments, where they are others than before."""
    about = "Which Parquet file of the release the rows of a table are of, by part; cxmarts reads it to write only what changed."
    if there.comments.get((FILES, "")) != about:
        execute(f"comment on table {ident(schema)}.{FILES} is {literal(about)}")
    for table in tables.values():
        place = f"{ident(schema)}.{ident(table.name)}"
        is_same = there.columns.get(table.name) == table.columns
        if not is_same or there.comments[table.name, ""] != table.about:
            execute(f"comment on table {place} is {literal(table.about)}")
        for column, said in table.comments.items():
            if not is_same or there.comments[table.name, column] != said:
                execute(f"comment on column {place}.{ident(column)} is {literal(said)}")


def _grant(execute: Any, target: Postgres, tables: dict[str, _Table]) -> None:
    """The role of cx.toml may read. What somebody else granted stays: tables do."""
    if target.reader is None:
        return
    execute(f"grant usage on schema {ident(target.schema_name)} to {ident(target.reader)}")
    places = ", ".join(f"{ident(target.schema_name)}.{ident(table)}" for table in tables)
    execute(f"grant select on {places} to {ident(target.reader)}")


ANSWER = {
    "period_start": "date",
    "metric_date": "date",
    "breakdown": "text",
    "dimensions": "text",
    "numerator": "double precision",
    "denominator": "double precision",
    "value": "double precision",
    "n": "bigint",
    "is_small": "boolean",
    "is_final": "boolean",
    "is_stale": "boolean",
    "interval_low": "double precision",
    "interval_high": "double precision",
}
"""Columns of what the functions return: those of the macros."""
_ASKED = """
#variable_conflict use_column
declare
    told {schema}.metrics%rowtype;
    grains text;
begin
    select * into told from {schema}.metrics m where m.metric = metric_name;
    if not found then
        raise exception 'there is no metric %; {schema}.metrics lists them', metric_name;
    elsif not told.is_on then
        raise exception '% is off: %', metric_name, told.why_off;
    end if;
    select string_agg(distinct d.grain, ', ' order by d.grain) into grains
    from {schema}.metric_daily d where d.metric = metric_name;
"""
_ADDED = """
        d.breakdown, d.dimensions, sum(d.numerator), sum(d.denominator),
        told.scale * case
            when cardinality(told.denominator) > 0 then sum(d.numerator) / nullif(sum(d.denominator), 0)
            else sum(d.numerator)
        end,
        sum(d.n)::bigint, coalesce(sum(d.n) < told.min_n, false), bool_and(d.is_final), bool_or(d.is_stale),
        null::double precision, null::double precision
        from {schema}.metric_daily d where d.metric = metric_name and d.grain = 'day'"""
FUNCTIONS = {
    "metric(metric_name text, period text)": (
        _ASKED
        + """
    if grains is not null and not (period = 'year' and told.class in ('additive', 'ratio', 'mean')) and not exists (
        select 1 from {schema}.metric_daily d where d.metric = metric_name and d.grain = period
    ) then
        raise exception '% has no grain %; there is %', metric_name, period, grains;
    end if;
    return query
        select d.period_start, d.metric_date, d.breakdown, d.dimensions, d.numerator, d.denominator, d.value, d.n, d.is_small,
            d.is_final, d.is_stale, d.interval_low, d.interval_high
        from {schema}.metric_daily d where d.metric = metric_name and d.grain = period;
    if period = 'year' then
        return query select date_trunc('year', d.metric_date)::date, max(d.metric_date),"""
        + _ADDED
        + """
        group by date_trunc('year', d.metric_date), d.breakdown, d.dimensions;
    end if;
end
""",
        "A metric in a grain (day, week, month, quarter, year, trailing_30d ...); an error names those there are.",
    ),
    "metric_between(metric_name text, first_day date, last_day date)": (
        _ASKED
        + """
    if told.class not in ('additive', 'ratio', 'mean') or exists (
        select 1 from {schema}.metric_daily d where d.metric = metric_name and d.breakdown = 'cell'
    ) then
        raise exception '% (%) does not add up over days; {schema}.metric() has it by %', metric_name, told.class,
            coalesce(grains, 'nothing');
    end if;
    return query select first_day, max(d.metric_date),"""
        + _ADDED
        + """
        and d.metric_date >= first_day and d.metric_date <= last_day
        group by d.breakdown, d.dimensions;
end
""",
        "A metric over any range of days, both inclusive: parts are summed, then divided once.",
    ),
}
"""The table macros of a release as functions: by name and parameters the body, with {schema}, and the comment."""


def _make_functions(execute: Any, schema: str, tables: dict[str, _Table]) -> None:
    """`metric` and `metric_between`, where they are not there yet as they are here."""
    if not {"metrics", "metric_daily"} <= set(tables):
        return
    there = {
        name: (source, [argument for argument in arguments.split(",") if argument in ANSWER])
        for name, source, arguments in execute(
            "select p.proname::text, p.prosrc, array_to_string(p.proargnames, ',') from pg_catalog.pg_proc p "
            f"join pg_catalog.pg_namespace n on n.oid = p.pronamespace where n.nspname = {literal(schema)}"
        )
    }
    for signature, (body, about) in FUNCTIONS.items():
        name, parameters = signature.rstrip(")").split("(")
        source = body.replace("{schema}", schema)
        if there.get(name) == (source, list(ANSWER)):
            continue
        place, kinds = f"{ident(schema)}.{ident(name)}", ", ".join(one.split()[1] for one in parameters.split(", "))
        if name in there and there[name][1] != list(ANSWER):
            execute(f"drop function {place}({kinds})")  # its columns cannot be replaced
        columns = ", ".join(f"{column} {kind}" for column, kind in ANSWER.items())
        head = f"create or replace function {place}({parameters}) returns table ({columns}) language plpgsql stable"
        execute(f"{head} as {literal(source)}")
        execute(f"comment on function {place}({kinds}) is {literal(about)}")
