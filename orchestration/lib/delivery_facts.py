"""What is remembered of every delivery, to judge it and the next ones by: its columns, its newest event, what it says twice.

Belongs here: collecting these facts while a chunk is loaded, the figures that follow from them, days that are no usual
ones. Does not: reading or loading (`ingest`), expectations (`data_quality.suites.delivery`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from datetime import date
from typing import Any

import duckdb

from data_quality.contract import Contract, load_contracts
from data_quality.rules import KEY_SEPARATOR, ident, literal, rule_sql
from orchestration.lib import readers
from orchestration.settings import Expression, FeedSource

NOT_JUDGED = 10**6
_LISTED, _LONGEST = 10, 60
_JSON_STEP = re.compile(r"""\$\.?[\["]*([A-Za-z_][\w-]*)|'/([^'/]+)""")
_COLUMNS_HAD = "create temp table if not exists columns_had (feed varchar, pattern varchar, run_id varchar, name varchar)"
"""Columns that deliveries taken again by a run had before it."""
COMPANY_CALENDAR = "default"
"""The calendar that holds for all others (contract business_calendars)."""

Shape = tuple[str, str, tuple[str, ...] | None]
"""Pattern and file of a delivery, and the columns its header has; None for NDJSON, which has no header."""


def columns_read(con: duckdb.DuckDBPyConnection, contract: Contract, source: FeedSource) -> set[str]:
    """Columns of the source's files that become something, in lower case: DuckDB tells no others apart."""
    names = {column.name for column in contract.properties} - source.columns.keys()
    names |= {mapped for mapped in source.columns.values() if isinstance(mapped, str)}
    names |= set(readers.columns_used(con, source))
    for mapped in source.columns.values():
        if isinstance(mapped, Expression):
            # what an expression takes from `_json`, by the first step of its paths
            names |= {a or b for a, b in _JSON_STEP.findall(mapped.expr)}
    return {name.lower() for name in names}


def columns_known(con: duckdb.DuckDBPyConnection, configured: Iterable[FeedSource], source: FeedSource) -> set[str]:
    """As `columns_read`, with what other feeds read of the same files."""
    known: set[str] = set()
    for other in configured:
        if other.pattern == source.pattern:
            known |= columns_read(con, load_contracts()[other.feed], other)
    return known


def extra_expression(known: set[str], header: tuple[str, ...] | None) -> str:
    """SQL: the values of a row that nothing reads, as JSON text; NULL where there are none."""
    if header is None:
        patch = "{" + ", ".join(f"{json.dumps(name)}: null" for name in sorted(known)) + "}"
        return f"nullif(cast(json_merge_patch(_json, {literal(patch)}) as varchar), '{{}}')"
    unread = [name for name in header if name.lower() not in known]
    if not unread:
        return "cast(null as varchar)"
    anything = " or ".join(f"trim({ident(name)}) <> ''" for name in unread)
    values = ", ".join(f"{literal(name)}: {ident(name)}" for name in unread)
    return f"case when {anything} then cast(to_json({{{values}}}) as varchar) end"


def remember(
    con: duckdb.DuckDBPyConnection,
    contract: Contract,
    zone: str,
    parameters: dict[str, str],
    shapes: dict[str, Shape],
    run_id: str,
) -> None:
    """Note the facts of the deliveries in the temporary table `accepted`, from `incoming`; part of the load's transaction."""
    feed = literal(contract.id)
    # A delivery that is taken again brings no column that its earlier reading had not.
    con.execute(_COLUMNS_HAD)
    con.execute(
        f"insert into columns_had select feed, pattern, {literal(run_id)}, unnest(columns) from ops.delivery_facts "
        f"where feed = {feed} and delivery in (select delivery from accepted)"
    )
    con.execute(
        f"delete from ops.delivery_facts where feed = {feed} and (delivery in (select delivery from accepted) "
        "or delivery in (select delivery from outgoing))"
    )
    con.execute(
        "create or replace temp table shapes as select cast(unnest($1) as varchar) as delivery, cast(unnest($2) as varchar) as "
        "pattern, cast(unnest($3) as varchar) as file, cast(unnest($4) as varchar[]) as columns",
        [
            [*shapes],
            [pattern for pattern, _, _ in shapes.values()],
            [file for _, file, _ in shapes.values()],
            [None if header is None else list(header) for _, _, header in shapes.values()],
        ],
    )
    newest = "cast(null as date)"
    if contract.eventTime:
        column, day = ident(contract.eventTime), ident(contract.eventTime)
        kind = next(c.logicalType for c in contract.properties if c.name == contract.eventTime)
        if kind == "timestamp":
            day = f"cast(timezone({literal(zone)}, timezone('UTC', {column})) as date)"
        # A slip into the future would look fresh for ever.
        newest = f"max({day}) filter (where {day} <= _delivery_day + 1)"
    warnings = [rule for rule in contract.quality if rule.severity == "warning"]
    fails = {rule.name: f"not coalesce(({rule_sql(rule.query, parameters)}), true)" for rule in warnings}
    warned = " or ".join(fails.values()) or "false"
    first = f"min(_line) filter (where {warned})"
    names = " || ".join(
        f"case when bool_or({condition}) then {literal(name + ' ')} else '' end" for name, condition in fails.items()
    )
    content = ", ".join(ident(column.name) for column in contract.properties)
    # Ids of a contract whose key is personal are not repeated in a report.
    is_public = all(column.classification == "public" for column in contract.properties if column.primaryKey)
    shown = f"replace(left(_key, {_LONGEST}), chr({KEY_SEPARATOR}), ' / ')" if is_public else "'(personal)'"
    con.execute(f"""
        insert into ops.delivery_facts
        with good as not materialized (
            select * from incoming where _reasons is null and _delivery in (select delivery from accepted)
        ),
        counted as (
            select
                _delivery as delivery, {newest} as newest_day, count(*) filter (where {warned}) as rows_warned,
                {names or "''"} || 'first on line ' || {first} as warned
            from good group by _delivery
        ),
        -- Versions of one key may stand in one file; two rows of one version that differ may not.
        several as (select _delivery, _key, _version from good group by all having count(*) > 1),
        repeated as (
            select _delivery, _key from good
            where (_delivery, _key) in (select (_delivery, _key) from several)
            group by _delivery, _key, _version having count(distinct hash({content})) > 1
        ),
        twice as (
            select _delivery as delivery, count(distinct _key) as repeated_keys,
                array_to_string(list(distinct {shown} order by {shown})[:5], ', ') as repeated_sample
            from repeated group by _delivery
        ),
        json_keys_of as (
            select _delivery as delivery, list(distinct k order by k) as columns
            from (select _delivery, unnest(json_keys(_extra)) as k from good where _extra is not null) group by _delivery
        )
        select
            d.delivery, {feed}, s.pattern, d.delivery_day, s.file, coalesce(s.columns, j.columns, []), c.newest_day,
            coalesce(t.repeated_keys, 0), t.repeated_sample, coalesce(c.rows_warned, 0), c.warned, {literal(run_id)}
        from ops.deliveries d join shapes s using (delivery)
        left join counted c using (delivery) left join twice t using (delivery) left join json_keys_of j using (delivery)
        where d.status = 'accepted' and d.run_id = {literal(run_id)} and d.delivery in (select delivery from accepted)
    """)
    con.execute("drop table shapes")


def with_facts(
    con: duckdb.DuckDBPyConnection,
    contract: Contract,
    configured: tuple[FeedSource, ...],
    profile: Any,
    refused: set[str],
    run_id: str,
) -> Any:
    """The profile of loaded deliveries with columns that came or went, keys told twice, rows warned of, days since the newest
    event, and the limits of these. Of a refused or repeated delivery nothing is loaded, so nothing is judged."""
    drift = _drift(con, contract, configured, run_id)
    facts = {
        delivery: rest
        for delivery, *rest in con.execute(
            """
            with newest as (
                select delivery_day, max(max(newest_day)) over (order by delivery_day) as newest
                from ops.delivery_facts where feed = $1 group by delivery_day
            )
            select
                f.delivery, f.repeated_keys, f.repeated_sample, f.rows_warned, f.warned, f.delivery_day - n.newest
            from ops.delivery_facts f join newest n using (delivery_day) where f.feed = $1 and f.run_id = $2
            """,
            [contract.id, run_id],
        ).fetchall()
    }
    rows = [(None if row.delivery in refused else facts.get(row.delivery), row) for row in profile.itertuples()]
    limit = contract.limits.freshnessDays
    repeated = [known[0] if known else 0 for known, _ in rows]
    return profile.assign(
        drifts=[int(bool(known) and row.delivery in drift) for known, row in rows],
        drift=[drift.get(row.delivery, "") if known else "" for known, row in rows],
        repeated_keys=[f"{known[0]} ({known[1]})" if known and known[0] else "0" for known, _ in rows],
        repeated_share=[n / row.rows_read if row.rows_read else 0.0 for n, (_, row) in zip(repeated, rows, strict=True)],
        repeated_limit=contract.limits.repeatedKeyShare,
        rows_warned=[known[2] if known else 0 for known, _ in rows],
        warned=[f"{known[2]}: {known[3]}" if known and known[2] else "0" for known, _ in rows],
        days_old=[max(known[4] or 0, 0) if known else 0 for known, _ in rows],
        days_old_limit=NOT_JUDGED if limit is None else limit,
    )


def _drift(con: duckdb.DuckDBPyConnection, contract: Contract, configured: tuple[FeedSource, ...], run_id: str) -> dict[str, str]:
    """Deliveries of this run whose columns differ from what came before, with what came and what went, as a sentence.

    A column that nothing reads is news once: in the first delivery of its pattern that has it, though not in the very first
    of all, before which there is nothing, nor where the same delivery is taken again. One that is read is missed by each
    delivery that lacks it after one that had it.
    """
    con.execute(_COLUMNS_HAD)
    found: dict[str, str] = {}
    for source in configured:
        if source.feed != contract.id:
            continue
        read, known = sorted(columns_read(con, contract, source)), sorted(columns_known(con, configured, source))
        rows = con.execute(
            """
            with facts as (
                select *, row_number() over (order by run_id = $4, delivery_day, file) as place
                from ops.delivery_facts where feed = $1 and pattern = $2
            ),
            told as (select place, unnest(columns) as name from facts),
            firsts as (
                select name, min(place) as place from told where lower(name) not in (select unnest($6))
                and name not in (select h.name from columns_had h where (h.feed, h.pattern, h.run_id) = ($1, $2, $4))
                group by name
            ),
            news as (select place, list(name order by name) as names from firsts where place > 1 group by place),
            ordered as (
                select delivery, place, run_id, columns, lag(columns) over (order by delivery_day, file) as before from facts
            )
            select
                o.delivery, coalesce(n.names, []),
                case when $5 then list_sort(list_filter(
                    coalesce(o.before, []), lambda c: list_contains($3, lower(c)) and not list_contains(o.columns, c)
                )) else [] end
            from ordered o left join news n using (place) where o.run_id = $4
            """,
            [contract.id, source.pattern, read, run_id, source.format != "ndjson", known],
        ).fetchall()
        for delivery, new, gone in rows:
            parts = [f"{what}: {_names(names)}" for what, names in (("new", new), ("gone", gone)) if names]
            if parts:
                found[delivery] = "; ".join(parts)
    return found


def _names(names: list[str]) -> str:
    shown = [name if len(name) <= _LONGEST else name[:_LONGEST] + "..." for name in names[:_LISTED]]
    return ", ".join(shown) + (f" and {len(names) - _LISTED} more" if len(names) > _LISTED else "")


def holidays(con: duckdb.DuckDBPyConnection) -> list[date]:
    """Days on which the company is closed, as the feed `holidays` lists them: no usual days, and not to be held against any."""
    rows = con.execute(
        "select distinct holiday_date from raw.holidays where calendar_id = $1 and (_delivery_day = (select max(_delivery_day) "
        "from raw.holidays) or 'holidays' not in (select feed from ops.feeds where delivery = 'snapshot')) order by 1",
        [COMPANY_CALENDAR],
    ).fetchall()
    return [day for (day,) in rows]
