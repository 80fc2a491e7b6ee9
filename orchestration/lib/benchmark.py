"""`marts.benchmark`: every metric beside its own past, its target and the figures of others.

Belongs here: the view in a release. Does not: metric values (`metric_daily`) or which target holds when
(`benchmark_targets`). A view, because it says nothing that these two do not: it is never older than they are, and a late
row that restates a month restates what the next one is compared with.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from data_quality.rules import literal

if TYPE_CHECKING:
    import duckdb

COLUMNS = {
    "metric": "Name of the metric.",
    "mart": "Mart it is made of.",
    "grain": "month, quarter, or a trailing period.",
    "period_start": "First day of the period.",
    "metric_date": "Its last day, or how far data go.",
    "dimensions": "What is never pooled (currency, scale), or the cell of a metric that does not add up, as JSON.",
    "value": "The metric.",
    "n": "How many were observed, where the denominator counts.",
    "is_small": "Whether n is under the metric's min_n.",
    "is_complete": "Whether the period is over; one that is not is compared with nothing but target and industry.",
    "previous_value": "The period right before: the month, the quarter, or as many days.",
    "change": "value - previous_value.",
    "last_year_value": "The same month or quarter of the year before; the trailing period that ended on the same date.",
    "change_last_year": "value - last_year_value.",
    "target_value": "The target in force on the last day; of several the one that began last.",
    "target_difference": "value - target_value.",
    "meets_target": "Whether the value is as good as the target or better; NULL where neither up nor down is good.",
    "industry_value": "A figure of others in force on the last day; of several the one that began last.",
    "industry": "Whose figure that is.",
    "industry_source": "Who published it.",
    "industry_difference": "value - industry_value.",
    "is_final": "Whether value, previous_value and last_year_value are all final: else the differences are provisional.",
}
"""Columns of the view, with what they mean."""


def create_view(con: duckdb.DuckDBPyConnection, names: Collection[str]) -> None:
    """Make the view in the database of a release; without the mart of targets these columns are NULL.

    Args:
        con: connection to that database.
        names: its marts.
    """
    targets = "marts.benchmark_targets"
    if "benchmark_targets" not in names:
        targets = (
            "(select '' as benchmark_id, '' as metric, '' as kind, '' as industry, '' as source, 0.0 as value, "
            "current_date as valid_from, current_date as valid_until where false)"
        )
    con.execute(
        f"""
        create or replace view marts.benchmark as
        with said as (
            select
                *,
                case grain
                    when 'month' then period_start + interval 1 month
                    when 'quarter' then period_start + interval 3 month
                    else metric_date + 1
                end as next_start
            from marts.metric_daily
            where breakdown in ('total', 'cell') and (grain in ('month', 'quarter') or starts_with(grain, 'trailing'))
        ),
        dated as (
            select
                *, metric_date + 1 >= next_start as is_complete,
                -- trailing periods are found by their last day; 29 February is held against 28 February
                case when grain in ('month', 'quarter') then period_start else metric_date end as found_by,
                cast(case grain
                    when 'month' then period_start - interval 1 month
                    when 'quarter' then period_start - interval 3 month
                    else period_start - 1
                end as date) as previous_day,
                cast(case when grain in ('month', 'quarter') then period_start else metric_date end - interval 1 year as date)
                    as last_year_day
            from said
        ),
        in_force as (
            select d.metric, d.metric_date, t.kind, max_by(t, (t.valid_from, t.benchmark_id)) as t
            from (select distinct metric, metric_date from dated) d
            join {targets} t on d.metric = t.metric and t.valid_from <= d.metric_date and d.metric_date < t.valid_until
            group by d.metric, d.metric_date, t.kind
        )
        select
            d.metric, d.mart, d.grain, d.period_start, d.metric_date, d.dimensions, d.value, d.n, d.is_small, d.is_complete,
            p.value as previous_value,
            d.value - p.value as change,
            y.value as last_year_value,
            d.value - y.value as change_last_year,
            cast(a.t.value as double) as target_value,
            d.value - cast(a.t.value as double) as target_difference,
            case m.direction
                when 'up' then d.value >= cast(a.t.value as double)
                when 'down' then d.value <= cast(a.t.value as double)
            end as meets_target,
            cast(i.t.value as double) as industry_value,
            i.t.industry as industry,
            i.t.source as industry_source,
            d.value - cast(i.t.value as double) as industry_difference,
            d.is_final and coalesce(p.is_final, true) and coalesce(y.is_final, true) as is_final
        from dated d
        join marts.metrics m on d.metric = m.metric
        left join dated p
            on d.metric = p.metric and d.grain = p.grain and d.dimensions = p.dimensions and d.previous_day = p.found_by
            and d.is_complete
        left join dated y
            on d.metric = y.metric and d.grain = y.grain and d.dimensions = y.dimensions and d.last_year_day = y.found_by
            and d.is_complete
        left join in_force a on d.metric = a.metric and d.metric_date = a.metric_date and a.kind = 'target'
        left join in_force i on d.metric = i.metric and d.metric_date = i.metric_date and i.kind = 'industry'
        """
    )
    con.execute(
        "comment on view marts.benchmark is 'Every metric by month, quarter and trailing period, beside the period before, the "
        "same one a year ago, its target and a figure of others.'"
    )
    for column, about in COLUMNS.items():
        con.execute(f"comment on column marts.benchmark.{column} is {literal(about)}")
