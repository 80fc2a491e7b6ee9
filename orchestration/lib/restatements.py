"""What a publication changes in what was published before: every cell, its old and new parts, and what caused it.

Belongs here: comparing the candidate with the release before it, causes, and the views by which readers ask what was
said when. Does not: writing releases (`release`), or which days a run rebuilds (dbt).

A cell is one metric on one day for one combination of dimensions. The log has no row for what a release says of days
that no release had reached: that follows from `data_through` of the releases. So every past state can be had from the
newest one and the log, and no copy is kept.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_quality.rules import ident, literal
from orchestration.lib.dbt_manifest import Metric, definition_of, marts, metrics

if TYPE_CHECKING:
    import duckdb

COLUMNS = {
    "metric": ("varchar", "Name of the metric."),
    "mart": ("varchar", "Mart that holds it."),
    "metric_date": ("date", "Day the value is about; for monthly cells the first of the month."),
    "dimensions": ("varchar", "The cell's dimensions, as JSON."),
    "kind": (
        "varchar",
        "restatement: the value was final; provisional: it was not; first_publication: of a day before all ever published.",
    ),
    "cause": (
        "varchar",
        "late_rows, correction, deletion, merge (several with commas); definition_change, configuration_change, reload; "
        "maturity: time alone.",
    ),
    "old_parts": ("varchar", "Parts as published before, as JSON; NULL where the cell was not there."),
    "new_parts": ("varchar", "Parts as published by this release, as JSON; NULL where the cell is gone."),
    "old_value": ("double", "Value made of the old parts."),
    "new_value": ("double", "Value made of the new parts."),
    "final_on": ("date", "First complete day on which the value is final."),
    "deliveries": ("varchar[]", "Deliveries whose rows moved the day."),
    "run_id": ("varchar", "Run that published the change."),
    "release": ("varchar", "Release that shows the new value first."),
    "published_at": ("timestamp", "When, in UTC."),
    "old_definition": ("varchar", "Version of the mart's definition behind the old value."),
    "new_definition": ("varchar", "Version of the mart's definition behind the new value."),
}
"""Columns of `marts.restatements`: type and description."""

VALUE_COLUMNS = {
    **{name: COLUMNS[name][1] for name in ("metric", "mart", "metric_date", "dimensions")},
    "parts": "Parts, as JSON.",
    "value": "Value made of the parts.",
    "is_final": "Whether it only changes by a restatement from here on.",
    "final_on": COLUMNS["final_on"][1],
}
"""Columns of the view `marts.metric_values`, with what they mean."""

RELEASES = {
    "release": ("varchar", "Name of the release; names sort by time."),
    "run_id": ("varchar", "Run that published it."),
    "data_through": ("date", "The last complete day in it."),
    "published_at": ("timestamp", "When, in UTC."),
    "metrics": ("varchar[]", "Metrics of the marts that were on."),
}
"""Columns of `marts.releases`: type and description."""

RESTATEMENTS_DDL = "create table if not exists ops.restatements (" + ", ".join(f"{c} {t}" for c, (t, _) in COLUMNS.items()) + ")"


def value_of(metric: Metric) -> str:
    """SQL of the metric's value from the columns of its mart, as DOUBLE."""
    if metric.value is not None:
        return f"cast({ident(metric.value)} as double)"
    above, below = (
        sign.join(f"cast({ident(part)} as double)" for part in parts)
        for sign, parts in ((" - ", (metric.parts[0], *metric.minus)), (" + ", metric.denominator))
    )
    scale = f"{metric.scale} * " if metric.scale != 1 else ""
    return f"{scale}({above}) / nullif({below}, 0)" if below else f"{scale}({above})"


def cells(metric: Metric, rows: str, grain: list[str] | tuple[str, ...]) -> str:
    """SQL: one row per cell of the metric from `rows`, a relation with the columns of its mart."""
    dimensions = [column for column in grain if column != "metric_date"]
    return (
        f"select {literal(metric.name)} as metric, {literal(metric.mart)} as mart, {metric.date} as metric_date, "
        f"{_json(dimensions)} as dimensions, {_json(metric.parts)} as parts, {value_of(metric)} as value, "
        f"{metric.is_final} as is_final, {metric.final_on} as final_on from {rows} where {metric.where}"
    )


def start(con: duckdb.DuckDBPyConnection) -> None:
    """Make the temporary table `restated`, empty: the columns of COLUMNS without run, release and time."""
    con.execute(
        "create or replace temp table restated as select * exclude (run_id, release, published_at) from ops.restatements limit 0"
    )


def find(
    con: duckdb.DuckDBPyConnection, base: Path, manifest: dict[str, Any], names: list[str], configuration: str, whole: bool
) -> None:
    """Fill `restated` with what the marts of the warehouse say otherwise than a release.

    Args:
        con: connection to the warehouse.
        base: database of that release.
        manifest: its manifest.
        names: marts about to be published.
        configuration: fingerprint of what is configured now.
        whole: compare all days, and not only those rebuilt since.
    """
    con.execute(f"attach {literal(str(base))} as base (read_only)")
    try:
        for name in names:
            if name in manifest["marts"]:
                _compare(con, name, manifest, configuration, whole)
    finally:
        con.execute("detach base")


def _compare(con: duckdb.DuckDBPyConnection, name: str, manifest: dict[str, Any], configuration: str, whole: bool) -> None:
    now, before = marts()[name], manifest["marts"][name]
    through = date.fromisoformat(str(manifest["data_through"]))
    days = None  # a mart that is rebuilt whole every night is compared whole; it is small
    if "metric_date" in now.grain and not whole:
        rows = con.execute("select day from ops.rebuilt where mart = ?", [name]).fetchall()
        if not rows:
            return
        if (None,) not in rows:
            days = f"(select day from ops.rebuilt where mart = {literal(name)})"
    old, new = (
        f"{schema}.{ident(name)}" + (f" where metric_date in {days}" if days else "") for schema in ("base.marts", "marts")
    )
    about = [
        m for m in metrics().values() if m.mart == name and {*m.parts, *([m.value] if m.value else [])} <= {*before["columns"]}
    ]
    if not about:
        return
    same_grain = list(before["grain"]) == list(now.grain)
    if same_grain:
        # Only rows that differ become cells: making the text of a cell costs more than comparing its row.
        grain = ", ".join(ident(column) for column in now.grain)
        said = ", ".join([grain, *dict.fromkeys(ident(c) for m in about for c in (*m.parts, *([m.value] if m.value else [])))])
        con.execute(
            f"create or replace temp table moved_rows as select distinct {grain} from ("
            f"(select {said} from {old} except all select {said} from {new}) union all "
            f"(select {said} from {new} except all select {said} from {old}))"
        )
        moved = " and ".join(f"t.{ident(c)} is not distinct from m.{ident(c)}" for c in now.grain)
        old, new = (
            f"(select t.* from {schema}.{ident(name)} t join moved_rows m on {moved})" for schema in ("base.marts", "marts")
        )
    else:
        old, new = (f"(from {rows})" for rows in (old, new))
    old_cells = " union all ".join(cells(metric, f"{old} as o", before["grain"]) for metric in about)
    new_cells = " union all ".join(cells(metric, f"{new} as n", now.grain) for metric in about)
    # Also of what was published and is gone since: that it comes back is no first time.
    (first,) = con.execute(
        f"select min(day) from (select min({about[0].date}) as day from base.marts.{ident(name)} "
        "union all select min(metric_date) from ops.restatements where mart = $1)",
        [name],
    ).fetchone()
    con.execute(
        f"""
        create or replace temp table moved_cells as
        with o as ({old_cells}), n as ({new_cells})
        select
            coalesce(n.metric, o.metric) as metric, coalesce(n.metric_date, o.metric_date) as metric_date,
            coalesce(n.dimensions, o.dimensions) as dimensions,
            case
                when o.metric is null and ($first is null or n.metric_date < $first) then 'first_publication'
                when coalesce(o.is_final, n.final_on <= $through) then 'restatement'
                else 'provisional'
            end as kind,
            o.parts as old_parts, n.parts as new_parts, o.value as old_value, n.value as new_value,
            coalesce(n.final_on, o.final_on) as final_on
        from o full join n on o.metric = n.metric and o.metric_date = n.metric_date and o.dimensions = n.dimensions
        where (o.parts is distinct from n.parts or o.value is distinct from n.value)
            and (o.metric is not null or n.metric_date <= $through)
        """,
        {"first": first, "through": through},
    )
    if whole or con.execute("from ops.rebuilt where day is null and mart = ?", [name]).fetchone():
        if before["definition"] != definition_of(name):
            cause = "definition_change"
        elif manifest.get("configuration") != configuration:
            cause = "configuration_change"
        else:
            cause = "reload"
        causes = f"""
            select null as mart_date, {literal(cause)} as cause, coalesce(list_sort(list(distinct delivery)), []) as deliveries
            from ops.deliveries
            where status in ('accepted', 'repeated')
                and taken_at > coalesce((select max(published_at) from ops.releases), timestamp '1970-01-01')
        """
        joined = "true"
    else:
        causes = f"""
            select d.metric_date as mart_date, string_agg(distinct c.cause, ', ' order by c.cause) as cause,
                list_sort(list(distinct c.delivery) filter (where c.delivery is not null)) as deliveries
            from (select distinct metric_date from moved_cells) d
            join (
                select r.before_days, r.after_days, c.day, c.delivery, c.cause
                from ops.reach r
                join (select distinct model, entity, day, delivery, cause from ops.changes) c using (model, entity)
                where c.day is not null and r.mart = {literal(name)}
            ) c on d.metric_date >= c.day - c.before_days and (c.after_days is null or d.metric_date <= c.day + c.after_days)
            group by d.metric_date
        """
        joined = "c.mart_date = m.metric_date"
    con.execute(
        f"""
        insert into restated by name
        with c as ({causes})
        select
            m.*, {literal(name)} as mart, coalesce(c.cause, 'maturity') as cause, coalesce(c.deliveries, []) as deliveries,
            {literal(before["definition"])} as old_definition, {literal(definition_of(name))} as new_definition
        from moved_cells m left join c on {joined}
        """
    )


def create_views(con: duckdb.DuckDBPyConnection, names: list[str]) -> None:
    """Make `marts.metric_values` and `marts.metric_as_published(instant)` in the database of a release."""
    about = [metric for metric in metrics().values() if metric.mart in names]
    selects = " union all ".join(cells(metric, f"marts.{ident(metric.mart)}", marts()[metric.mart].grain) for metric in about)
    con.execute(f"create or replace view marts.metric_values as {selects}")
    con.execute(
        "comment on view marts.metric_values is 'Every metric of every mart, one row per cell: its parts, value and maturity.'"
    )
    for column, about in VALUE_COLUMNS.items():
        con.execute(f"comment on column marts.metric_values.{column} is {literal(about)}")
    con.execute(
        """
        create or replace macro marts.metric_as_published(instant) as table
        with visible as (
            select published_at, data_through, metrics from marts.releases
            where published_at <= cast(instant as timestamp) order by published_at desc limit 1
        ),
        -- what the first change after that release replaced is what the release said
        changed as (
            select r.* from marts.restatements r join visible v on r.published_at > v.published_at
            qualify row_number() over (partition by r.metric, r.metric_date, r.dimensions order by r.published_at) = 1
        )
        select
            m.metric, m.mart, m.metric_date, m.dimensions, m.parts, m.value, m.final_on <= v.data_through as is_final, m.final_on
        from marts.metric_values m cross join visible v
        where m.metric_date <= v.data_through and list_contains(v.metrics, m.metric)
            and not exists (
                from changed c where c.metric = m.metric and c.metric_date = m.metric_date and c.dimensions = m.dimensions
            )
        union all
        select c.metric, c.mart, c.metric_date, c.dimensions, c.old_parts, c.old_value, c.final_on <= v.data_through, c.final_on
        from changed c cross join visible v
        where c.metric_date <= v.data_through and c.old_parts is not null and list_contains(v.metrics, c.metric)
        """
    )
    con.execute(
        "comment on macro table marts.metric_as_published is 'The rows of metric_values as they were published at an instant "
        "(UTC): what we said then.'"
    )


def create_macros(con: duckdb.DuckDBPyConnection) -> None:
    """Make `marts.metric(name, grain)` and `marts.metric_between(name, first_day, last_day)`: no ratio of ratios.

    Both divide summed parts, and say what there is instead where a metric does not add up.
    """
    con.execute(
        f"""
        create or replace macro marts.metric(metric_name, period) as table
        with {_ASKED}
                when period = 'year' and (select class in ('additive', 'ratio', 'mean') from told) then true
                when exists (from marts.metric_daily where metric = metric_name and grain = period) then true
                when {_GRAINS} is null then true
                else error(metric_name || ' has no grain ' || period || '; there is ' || {_GRAINS})
            end as is_answered
        )
        select
            d.period_start, d.metric_date, d.breakdown, d.dimensions, d.numerator, d.denominator, d.value, d.n, d.is_small,
            d.is_final, d.is_stale, d.interval_low, d.interval_high
        from marts.metric_daily d cross join known k
        where k.is_answered and d.metric = metric_name and d.grain = period
        union all
        (
            select cast(date_trunc('year', d.metric_date) as date) as period_start, max(d.metric_date) as metric_date, {_ADDED}
            where k.is_answered and d.grain = 'day' and d.metric = metric_name and period = 'year'
            group by date_trunc('year', d.metric_date), d.breakdown, d.dimensions
        )
        """
    )
    con.execute(
        f"""
        create or replace macro marts.metric_between(metric_name, first_day, last_day) as table
        with {_ASKED}
                when (select class in ('additive', 'ratio', 'mean') from told) and not exists (
                    from marts.metric_daily where metric = metric_name and breakdown = 'cell'
                ) then true
                else error(
                    metric_name || ' (' || (select class from told) || ') does not add up over days; marts.metric() has it by '
                    || coalesce({_GRAINS}, 'nothing')
                )
            end as is_answered
        )
        select cast(first_day as date) as period_start, max(d.metric_date) as metric_date, {_ADDED}
        where k.is_answered and d.grain = 'day' and d.metric = metric_name
            and d.metric_date >= cast(first_day as date) and d.metric_date <= cast(last_day as date)
        group by d.breakdown, d.dimensions
        """
    )
    for macro, about in (
        ("metric", "A metric in a grain (day, week, month, quarter, year, trailing_30d ...); an error names those there are."),
        ("metric_between", "A metric over any range of days, both inclusive: parts are summed, then divided once."),
    ):
        con.execute(f"comment on macro table marts.{macro} is {literal(about)}")


_GRAINS = "(select string_agg(distinct grain, ', ' order by grain) from marts.metric_daily where metric = metric_name)"
_ASKED = """
    told as (select * from marts.metrics where metric = metric_name),
    known as (
        select case
            when not exists (from told) then error('there is no metric ' || metric_name || '; marts.metrics lists them')
            when (select not is_on from told) then error(metric_name || ' is off: ' || (select why_off from told))
"""
_ADDED = """
    d.breakdown, d.dimensions, sum(d.numerator) as numerator, sum(d.denominator) as denominator,
    any_value(t.scale) * case
        when len(any_value(t.denominator)) > 0 then sum(d.numerator) / nullif(sum(d.denominator), 0)
        else sum(d.numerator)
    end as value,
    cast(sum(d.n) as bigint) as n, coalesce(sum(d.n) < any_value(t.min_n), false) as is_small,
    bool_and(d.is_final) as is_final, bool_or(d.is_stale) as is_stale,
    cast(null as double) as interval_low, cast(null as double) as interval_high
    from marts.metric_daily d join told t on t.metric = d.metric cross join known k
"""


def _json(columns: list[str] | tuple[str, ...]) -> str:
    """SQL: the columns as the text of a JSON object, in this order."""
    if not columns:
        return "'{}'"
    return "cast(to_json({" + ", ".join(f"{literal(column)}: {ident(column)}" for column in columns) + "}) as varchar)"
