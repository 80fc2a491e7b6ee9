"""The working database: connections, transactions, the `ops` and `raw` schemas.

Belongs here: how the warehouse is opened and which bookkeeping tables it has. Does not: reading files (`readers`),
loading (`ingest`), or anything that readers of a release see (`release`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import date, datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import duckdb

from data_quality.contract import load_contracts
from data_quality.rules import ident, literal, raw_table_ddl
from orchestration.lib.restatements import RESTATEMENTS_DDL

if TYPE_CHECKING:
    from orchestration.settings import CxConfig, Settings

OPS_DDL = """
create schema if not exists raw;
create schema if not exists ops;
-- one row per file and content that was ever seen as a delivery
create table if not exists ops.deliveries (
    delivery varchar, feed varchar, domain varchar, delivery_day date, file varchar, bytes bigint, mtime_ns bigint,
    content_hash varchar, status varchar, rows_read bigint, rows_accepted bigint, rows_quarantined bigint,
    reason varchar, run_id varchar, taken_at timestamp);
-- which gate refused it, and how many of its rows were bad, whether they are loaded or not
alter table ops.deliveries add column if not exists gate varchar;
alter table ops.deliveries add column if not exists rows_bad bigint;
-- what is remembered of each delivery that stands accepted (`delivery_facts`): `columns` of its header, or of NDJSON the keys
-- that nothing reads; the newest event's day; how many keys it tells in two ways; rows that a rule only warns of
create table if not exists ops.delivery_facts (
    delivery varchar, feed varchar, pattern varchar, delivery_day date, file varchar, columns varchar[], newest_day date,
    repeated_keys bigint, repeated_sample varchar, rows_warned bigint, warned varchar, run_id varchar);
create table if not exists ops.quarantine (
    feed varchar, delivery varchar, delivery_day date, file varchar, line bigint, raw_text varchar, reasons varchar[],
    run_id varchar);
-- what moved since the last publication: a key of an entity, the event day it had or has, and which delivery moved it
-- how (late_rows, correction, deletion, merge; staging decides, so it is null for raw rows)
create table if not exists ops.changes (model varchar, entity varchar, key varchar, day date);
alter table ops.changes add column if not exists delivery varchar;
alter table ops.changes add column if not exists cause varchar;
-- how far a change reaches: on day d it concerns the mart's days d - before .. d + after (null: to the last complete day)
create table if not exists ops.reach (mart varchar, model varchar, entity varchar, before_days integer, after_days integer);
-- the days of each mart that a run looks at, and of those the ones whose rows it changed (null: the whole mart); they
-- stay until they are published
create table if not exists ops.affected (mart varchar, day date);
create table if not exists ops.rebuilt (mart varchar, day date);
-- the days metric_daily replaces, by mart its metrics are of; in_quarter: and not only their week
create table if not exists ops.rolled (mart varchar, day date, in_quarter boolean);
create table if not exists ops.verdicts (
    run_id varchar, gate varchar, subject varchar, severity varchar, passed boolean, figure varchar, bound varchar,
    message varchar, sample varchar, judged_at timestamp);
alter table ops.verdicts add column if not exists accepted varchar;
-- who answers for which failed gate on what, append-only (data_quality/acceptance.py)
create table if not exists ops.acceptances (
    gate varchar, subject varchar, delivery varchar, day date, content_hash varchar, figure double, reason varchar, who varchar,
    accepted_at timestamp, expires_on date, used_at timestamp);
alter table ops.acceptances add column if not exists revoked_at timestamp;
alter table ops.acceptances add column if not exists revoked_by varchar;
alter table ops.acceptances add column if not exists revoked_because varchar;
create table if not exists ops.releases (release varchar, run_id varchar, data_through date, published_at timestamp);
alter table ops.releases add column if not exists metrics varchar[];
-- what contract and mapping the raw rows of a feed were read with
create table if not exists ops.loaded (feed varchar, fingerprint varchar);
-- fits of customer lifetime value, kept for ever (orchestration/lib/clv_fit.py): their parameters, how they would have
-- forecast the last days, and what they forecast; columns are described in the marts clv_params, clv_backtest, ...
create table if not exists ops.clv_fits (
    fit_id varchar, segment varchar, currency varchar, as_of_date date, model varchar, is_used boolean, unit_days integer,
    customers bigint, repeat_customers bigint, r double, alpha double, a double, b double, s double, beta double, p double,
    q double, v double, r_se double, alpha_se double, a_se double, b_se double, s_se double, beta_se double, p_se double,
    q_se double, v_se double, log_likelihood double, converged boolean, message varchar, source varchar, fitted_at timestamp,
    run_id varchar);
alter table ops.clv_fits add column if not exists frequency_value_correlation double;
create table if not exists ops.clv_backtests (
    fit_id varchar, segment varchar, as_of_date date, model varchar, is_preferred boolean, calibrated_on date,
    holdout_days integer, customers bigint, purchases bigint, expected_purchases double, expected_low double,
    expected_high double, bias double, mae double, rmse double, auc double, top_decile_share double, value decimal(18, 4),
    expected_value double, value_bias double);
create table if not exists ops.clv_calibration (
    fit_id varchar, segment varchar, as_of_date date, model varchar, band integer, customers bigint, predicted_buyers double,
    buyers bigint, predicted_share double, buyer_share double);
create table if not exists ops.clv_forecasts (
    fit_id varchar, segment varchar, as_of_date date, model varchar, horizon_days integer, customers bigint,
    expected_purchases double, expected_low double, expected_high double);
-- predictions as they stood at the end of each month (orchestration/lib/clv_snapshot.py, mart clv_predicted_snapshot)
create table if not exists ops.clv_snapshots (
    metric_date date, person_id varchar, segment varchar, cohort_month date, fitted_on date, model varchar, frequency bigint,
    recency_days bigint, age_days bigint, p_alive double, expected_purchases_90d double, expected_purchases_180d double,
    expected_purchases_365d double, p_purchase_90d double, p_purchase_180d double, p_purchase_365d double,
    expected_spend double, clv_12m double, clv_24m double, backtest_bias double, taken_at timestamp, run_id varchar);
-- one row: the last complete day, the one of the newest release, and what definitions and values built the
-- tables (null while they are being rebuilt)
create table if not exists ops.clock (data_through date, published_through date, fingerprint varchar);
"""


FEED_STATES_DDL = """
create or replace view ops.feed_states as
with waived as (from ops.acceptances where used_at is not null),
due as (
    select f.feed, cast(d as date) as day, coalesce(cast(d as date) <= f.due_through, true) as is_due
    from ops.feeds f
    join (select feed, min(delivery_day) as first_day from ops.deliveries group by feed) s using (feed)
    cross join ops.clock c,
    unnest(generate_series(cast(first_day as timestamp), cast(c.data_through as timestamp), interval 1 day)) as g(d)
    where (f.expected = 'daily' or (f.expected = 'weekdays' and isodow(d) < 6)) and not exists (
        from waived w where (w.gate, w.subject, w.day) = ('arrival', f.feed, cast(d as date))
    )
),
-- deliveries that stand for their day: loaded, or the same as another one and that is right
arrived as (
    from ops.deliveries x where x.status = 'accepted' or x.status = 'repeated' and exists (
        from waived w where (w.gate, w.delivery, w.content_hash) = ('repeated_content', x.delivery, x.content_hash)
    )
),
missing as (
    -- What is not due yet holds nothing up, but the data end before it all the same.
    select
        feed, count(*) filter (where is_due) as days, max(day) filter (where is_due) as last_missing,
        any_value(last_due) as last_due, max(day) = any_value(last_day) as is_open
    from (
        select
            *, max(day) over (partition by feed) as last_day,
            max(day) filter (where is_due) over (partition by feed) as last_due
        from due
    ) d
    where not exists (
        from arrived x where x.feed = d.feed and x.delivery_day = d.day
    )
    group by feed
),
delivered as (
    select
        feed,
        (select max(x.delivery_day) from arrived x where x.feed = o.feed) as data_through,
        count(*) filter (where status = 'refused') as refused_deliveries,
        min(delivery_day) filter (where status = 'refused') as first_refused_day,
        max(reason) filter (where status = 'refused') as reason
    from ops.deliveries o group by feed
)
select
    f.feed,
    d.data_through,
    coalesce(d.refused_deliveries, 0) > 0 or coalesce(m.last_missing = m.last_due, false) as is_stale,
    coalesce(d.refused_deliveries, 0) as refused_deliveries,
    coalesce(m.days, 0) as missing_days,
    m.last_missing as last_missing_day,
    d.reason,
    least(
        (select data_through from ops.clock),
        d.first_refused_day - 1,
        case when m.is_open then coalesce(d.data_through, date '0001-01-01') end
    ) as complete_through
from ops.feeds f left join delivered d using (feed) left join missing m using (feed)
where f.is_on
"""
"""Per configured feed: how far its data goes, what is missing in between, whether anything holds it up (see
`release.feed_states`), and through which day nothing of it is refused or late."""


@contextmanager
def connect(settings: Settings, read_only: bool = False) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection to the warehouse, closed on leaving: an open one would hold the file's lock against dbt."""
    con = duckdb.connect(str(settings.warehouse), read_only=read_only)
    try:
        con.execute("set TimeZone = 'UTC'")
        yield con
    finally:
        con.close()


@contextmanager
def tx(con: duckdb.DuckDBPyConnection) -> Iterator[duckdb.DuckDBPyConnection]:
    """One transaction: commit on leaving, roll back and re-raise on any exception.

    After an error inside a transaction DuckDB's COMMIT returns normally although it has rolled back, so nothing but
    this context manager commits.
    """
    con.execute("begin")
    try:
        yield con
    except BaseException:
        con.execute("rollback")
        raise
    con.execute("commit")


def now_in(zone: str) -> datetime:
    """Now in a time zone."""
    return datetime.now(ZoneInfo(zone))


def due_through(config: CxConfig, feeds: Iterable[str]) -> dict[str, date | None]:
    """By feed the last delivery day that is due by now; None where every day that is over is."""
    now = now_in(config.business.timezone)
    return {
        feed: min((through for s in config.feed if s.feed == feed and (through := s.due_through(now))), default=None)
        for feed in feeds
    }


def prepare(con: duckdb.DuckDBPyConnection, config: CxConfig) -> None:
    """Create what is missing in `ops` and `raw`, and write the configured values that SQL reads."""
    with tx(con):
        con.execute(OPS_DDL)
        con.execute(RESTATEMENTS_DDL)
        for contract in load_contracts().values():
            con.execute(raw_table_ddl(contract))
            con.execute(f"alter table raw.{ident(contract.id)} add column if not exists _extra varchar")
        deliveries = {feed: contract.delivery for feed, contract in load_contracts().items()}
        deliveries |= {source.feed: source.delivery for source in config.feed if source.delivery}
        con.execute(
            "create or replace table ops.feeds as select unnest($1) as feed, unnest($2) as delivery, unnest($3) as is_on, "
            "cast(unnest($4) as varchar) as expected, cast(unnest($5) as date) as due_through",
            [
                [*deliveries],
                [*deliveries.values()],
                [any(s.feed == feed for s in config.feed) for feed in deliveries],
                [next((s.expected for s in config.feed if s.feed == feed and s.has_due_days), None) for feed in deliveries],
                # A view has no clock of its own: a run sees one and the same state from its beginning to its end.
                [*due_through(config, deliveries).values()],
            ],
        )
        values = config.business.model_dump()
        columns = ", ".join(f"{literal(value)} as {ident(name)}" for name, value in values.items())
        con.execute(f"create or replace table ops.settings as select {columns}")
        con.execute(FEED_STATES_DDL)
        con.execute("insert into ops.clock select null, null, null where not exists (from ops.clock)")


def records(found: duckdb.DuckDBPyConnection) -> list[dict[str, Any]]:
    """The rows of a query that was executed, each by the names of its columns."""
    names = [column[0] for column in found.description]
    return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


def table_exists(con: duckdb.DuckDBPyConnection, schema: str, name: str) -> bool:
    """Whether the warehouse has the table."""
    row = con.execute("select 1 from duckdb_tables() where schema_name = ? and table_name = ?", [schema, name]).fetchone()
    return row is not None


def advance_clock(con: duckdb.DuckDBPyConnection, last_day: date) -> None:
    """A run that takes deliveries up to `last_day` completes that day; the clock never goes back."""
    con.execute("update ops.clock set data_through = greatest(coalesce(data_through, $1), $1)", [last_day])
