"""What the pages know: series of `marts.metric_daily` and rows of a few marts, read from the file of a release.

Belongs here: every query of the dashboard, and the compact form in which its answers travel. Does not: which page shows
what (`pages`), or arithmetic on a metric (the browser divides summed parts; static/data.js).

Everything is read from the database that BI opens, so that page and release cannot differ.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

import duckdb

TOO_FINE = ("question_id", "metric_kind", "feed", "bucket", "agent_id", "currency")
"""Breakdowns that no page offers as a filter; a page that draws one asks for it."""
MAX_MEMBERS = {"agent_id": 400}
"""So many members of a breakdown are drawn, those with most behind them; of others MAX_MEMBERS_ELSE."""
MAX_MEMBERS_ELSE = 100


class Series(NamedTuple):
    """The JSON text of one series, and what it is of."""

    text: str
    grain: str
    breakdown: str


def rows(con: duckdb.DuckDBPyConnection, sql: str, parameters: Iterable[Any] = ()) -> dict[str, Any]:
    """A query's answer as columns: {"columns": [name], "rows": [[value]]}; days as text, decimals as numbers."""
    cursor = con.execute(sql, list(parameters))
    names = [column[0] for column in cursor.description]
    return {"columns": names, "rows": [[_plain(value) for value in row] for row in cursor.fetchall()]}


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        value = float(value)
    if isinstance(value, float):
        return int(value) if value.is_integer() and abs(value) < 2**53 else value
    if isinstance(value, datetime):
        return value.isoformat(timespec="seconds")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return value


def definitions(con: duckdb.DuckDBPyConnection) -> dict[str, dict[str, Any]]:
    """What the registry says of each metric, and how far its data reach: a dict by name."""
    answer = rows(
        con,
        "select metric, mart, is_on, why_off, labels, description, formula, class, unit, direction, time_window, matures, "
        'parts, denominator, scale, "interval", min_n, version, valid_from, owner, feeds, data_through, is_stale '
        "from marts.metrics order by metric",
    )
    found = {}
    for row in answer["rows"]:
        one = dict(zip(answer["columns"], row, strict=True))
        one["labels"] = json.loads(one["labels"])
        found[one.pop("metric")] = one
    return found


def maturities(con: duckdb.DuckDBPyConnection) -> dict[str, int]:
    """By additive metric: days after the end of a week or month on which it is final.

    A count has no row where there was nothing to count, and is provisional there for as long as with one.
    """
    return dict(
        con.execute(
            "select metric, max(final_on - last_day(period_start)) from marts.metric_daily join marts.metrics m using (metric) "
            "where m.class = 'additive' and grain = 'month' and breakdown = 'total' group by metric"
        ).fetchall()
    )


def first_lapse(con: duckdb.DuckDBPyConnection, inactive_days: int) -> dict[str, str] | None:
    """The day on which the history of customers begins, and the first one on which somebody can count as lost by inactivity.

    Args:
        con: the release.
        inactive_days: `churn_inactive_days`: so long after the last activity somebody is lost.

    Returns:
        {"begins": day, "first": day}; None where the release says nothing of churn by inactivity.
    """
    (begins,) = con.execute(
        "select min(metric_date) from marts.metric_daily where metric in ('churn_rate', 'retention_rate') "
        "and (dimensions ->> '$.basis') = 'inactivity'"
    ).fetchone()
    return begins and {"begins": begins.isoformat(), "first": (begins + timedelta(days=inactive_days)).isoformat()}


def health(manifest: Mapping[str, Any], definitions: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """What the release says of its making, and of every metric in short."""
    brief = ("labels", "is_on", "why_off", "is_stale", "data_through", "feeds", "unit", "mart")
    return {
        "feeds": manifest["feeds"],
        "gates": manifest["gates"],
        "acceptances": manifest["acceptances"],
        "deliveries": len(manifest["deliveries"]),
        "quarantined": sum(one["rows_quarantined"] or 0 for one in manifest["deliveries"]),
        "metrics": {name: {key: one[key] for key in brief} for name, one in definitions.items()},
        "versions": manifest["versions"],
    }


def named(answer: Mapping[str, Any] | None) -> set[str]:
    """Metrics that a query's answer names, in its column `metric`."""
    if answer is None or "metric" not in answer["columns"]:
        return set()
    at = answer["columns"].index("metric")
    return {row[at] for row in answer["rows"]}


def targets(con: duckdb.DuckDBPyConnection, tables: Collection[str]) -> dict[str, list[list[Any]]]:
    """By metric: [kind, value, first day, day after the last, industry, source], in the order in which they began.

    Of several in force `marts.benchmark` takes the one that began last, and of two that began together the last id.
    """
    if "benchmark_targets" not in tables:
        return {}
    answer = rows(
        con,
        "select metric, kind, value, valid_from, valid_until, industry, source from marts.benchmark_targets "
        "order by metric, valid_from, benchmark_id",
    )
    found: dict[str, list[list[Any]]] = {}
    for metric, *row in answer["rows"]:
        found.setdefault(metric, []).append(row)
    return found


def calendar(con: duckdb.DuckDBPyConnection, through: date) -> dict[str, Any]:
    """First days of the months and weeks (from Monday) to show, and the last complete day: at most three years back."""
    first = con.execute(
        "select greatest(min(period_start), cast(date_trunc('month', $1 - interval 36 month) as date)) "
        "from marts.metric_daily where grain = 'month' and breakdown = 'total'",
        [through],
    ).fetchone()[0]
    months = [(first or through).replace(day=1)]
    weeks = [months[0] - timedelta(days=months[0].weekday())]
    while (following := (months[-1] + timedelta(days=32)).replace(day=1)) <= through:
        months.append(following)
    while (following := weeks[-1] + timedelta(days=7)) <= through:
        weeks.append(following)
    return {
        "months": [day.isoformat() for day in months],
        "weeks": [day.isoformat() for day in weeks],
        "through": through.isoformat(),
    }


def series(
    con: duckdb.DuckDBPyConnection, metrics: Collection[str], calendar: dict[str, Any], fine: Collection[tuple[str, str]] = ()
) -> tuple[dict[str, list[Series]], dict[str, dict[str, int]]]:
    """By metric its series: one for each grain, breakdown and value of it; and how many values of a breakdown were left out.

    A series is {g, o, b, d, s or t, n, k, x, p, c} (class additive, ratio, mean) or {.., v, l, h, q, y} (others):
        g  "M" or "W": months or weeks; o  the metric's own period (trailing_30d), where it has one
        b, d  breakdown and dimensions, as in metric_daily; s  index of the first period in the calendar, t  of all, if not
        contiguous; n, k  numerators and denominators; x  what the interval needs besides (sum of squares, promoters);
        p  {position: final_on} of values that are not final; c  whether the denominator counts observations
        v, l, h  value and ends of its interval; q, y  of trailing periods the value of the one before and of a year ago,
        where those began with or after the first day with data of the metric

    Args:
        con: the release.
        metrics: names; those without rows are absent from the answer.
        calendar: which months and weeks.
        fine: (metric, breakdown) of TOO_FINE that are wanted all the same: the months of a year, the weeks of a quarter.
    """
    cursor = con.execute(
        """
        with told as (
            select metric, class in ('additive', 'ratio', 'mean') as is_summed, parts as names, "interval"
            from marts.metrics where list_contains($metrics, metric)
        ),
        said as (
            select
                d.*, t.is_summed, t.names, t."interval",
                case when d.grain in ('week', 'month') then d.grain else '' end as calendar_grain
            from marts.metric_daily d join told t using (metric)
            where
                case
                    when d.breakdown = 'cell' and not t.is_summed
                        then d.grain in ('week', 'month') or (
                            (starts_with(d.grain, 'trailing') or d.grain = 'running')
                            and (
                                d.metric_date = last_day(d.metric_date) or date_part('isodow', d.metric_date) = 7
                                or d.metric_date = cast($through as date)
                            )
                        )
                    else t.is_summed and d.grain in ('week', 'month') and d.breakdown <> 'cell'
                        and (
                            not list_contains($too_fine, d.breakdown)
                            or list_contains($fine, d.metric || '/' || d.breakdown)
                            and d.metric_date > cast($through as date) - if(d.grain = 'month', 396, 91)
                        )
                end
                and d.metric_date >= cast($month as date)
        ),
        placed as (
            -- a trailing period is shown at the month, and at the week, in which it ends
            select s.*, g.g
            from said s
            join (values ('M'), ('W')) as g(g)
                on case s.calendar_grain
                    when 'month' then g.g = 'M'
                    when 'week' then g.g = 'W'
                    else case g.g
                        when 'M' then s.metric_date = last_day(s.metric_date)
                        else date_part('isodow', s.metric_date) = 7
                    end or s.metric_date = cast($through as date)
                end
        ),
        numbered as (
            select
                *,
                case g
                    when 'M' then date_diff('month', cast($month as date), metric_date)
                    else date_diff('day', cast($week as date), metric_date) // 7
                end as i,
                case
                    when "interval" = 'nps' then cast(parts ->> '$.promoters' as double)
                    when "interval" = 'normal' then cast(json_extract_string(parts, '$.' || names[3]) as double)
                end as x
            from placed
        ),
        begun as (
            select metric, min(metric_date) as first_day
            from marts.metric_daily
            where metric in (select metric from told where not is_summed)
            group by metric
        ),
        earlier as (
            -- of trailing periods: the one right before, and the one that ended on the same date a year ago; one that began
            -- before there were data is shorter than it says, and nothing to compare with
            select
                a.metric, a.grain, a.dimensions, a.metric_date,
                max(case when b.metric_date = a.period_start - 1 then b.value end) as q,
                max(case when b.metric_date = cast(a.metric_date - interval 1 year as date) then b.value end) as y
            from said a
            join begun f using (metric)
            join marts.metric_daily b
                on b.metric = a.metric and b.grain = a.grain and b.dimensions = a.dimensions
                and b.metric_date in (a.period_start - 1, cast(a.metric_date - interval 1 year as date))
                and b.period_start >= f.first_day
            where a.calendar_grain = '' and starts_with(a.grain, 'trailing') and starts_with(b.grain, 'trailing')
            group by all
        )
        , listed as (
            -- sorted once, and not for each column
            select
                metric, g, if(calendar_grain = '', grain, '') as o, breakdown, dimensions, bool_or(is_summed) as is_summed,
                bool_or(n is not null) as counts, bool_or(x is not null) as has_x, bool_and(is_final) as is_final,
                list({'i': i, 'n': numerator, 'k': denominator, 'x': x, 'p': if(is_final, null, final_on), 'v': value,
                      'l': interval_low, 'h': interval_high, 'q': q, 'y': y} order by i) as l
            from numbered left join earlier using (metric, grain, dimensions, metric_date)
            group by all
        )
        select
            metric, g, o, breakdown, dimensions, is_summed, counts, list_transform(l, lambda r: r.i),
            list_transform(l, lambda r: r.n), list_transform(l, lambda r: r.k),
            -- what would be a list of nothing is not made
            if(has_x, list_transform(l, lambda r: r.x), null), if(is_final, null, list_transform(l, lambda r: r.p)),
            if(is_summed, null, list_transform(l, lambda r: r.v)), if(is_summed, null, list_transform(l, lambda r: r.l)),
            if(is_summed, null, list_transform(l, lambda r: r.h)), if(is_summed, null, list_transform(l, lambda r: r.q)),
            if(is_summed, null, list_transform(l, lambda r: r.y))
        from listed
        order by metric, g, o, breakdown, dimensions
        """,
        {
            "metrics": sorted(metrics), "too_fine": list(TOO_FINE), "fine": [f"{metric}/{name}" for metric, name in fine],
            "through": calendar["through"],
            "month": calendar["months"][0], "week": calendar["weeks"][0],
        },
    )  # fmt: skip
    found: dict[str, list[Series]] = {}
    weights: dict[tuple[str, str], dict[str, float]] = {}
    members: dict[int, str] = {}
    for metric, grain, own, breakdown, dimensions, is_summed, counts, at, *columns in cursor.fetchall():
        numerators, denominators, extra, final_on, values, low, high, before, year_ago = columns
        one: dict[str, Any] = {"g": grain, "b": breakdown, "d": json.loads(dimensions)}
        if own:
            one["o"] = own
        if at[-1] - at[0] + 1 == len(at):
            one["s"] = at[0]
        else:
            one["t"] = at
        one["n"] = _numbers(numerators)
        optional = {"k": denominators, "x": extra}
        if not is_summed:
            one["v"] = _numbers(values)
            optional |= {"l": low, "h": high, "q": before, "y": year_ago}
        one |= {key: _numbers(column) for key, column in optional.items() if column and any(v is not None for v in column)}
        if waiting := {n: day.isoformat() for n, day in enumerate(final_on or ()) if day is not None}:
            one["p"] = waiting
        if counts:
            one["c"] = 1
        told = Series(json.dumps(one, separators=(",", ":"), allow_nan=False), grain, breakdown)
        found.setdefault(metric, []).append(told)
        if breakdown in one["d"]:
            member = str(one["d"][breakdown])
            members[id(told)] = member
            of_breakdown = weights.setdefault((metric, breakdown), {})
            of_breakdown[member] = of_breakdown.get(member, 0) + sum(abs(v) for v in one.get("k", one["n"]) if v is not None)
    left_out: dict[str, dict[str, int]] = {}
    for (metric, breakdown), weight in weights.items():
        most = MAX_MEMBERS.get(breakdown, MAX_MEMBERS_ELSE)
        if len(weight) > most:
            kept = set(sorted(weight, key=lambda member: (-weight[member], member))[:most])
            left_out.setdefault(metric, {})[breakdown] = len(weight) - most
            found[metric] = [told for told in found[metric] if told.breakdown != breakdown or members[id(told)] in kept]
    return found, left_out


def _numbers(column: list[float | None]) -> list[float | int | None]:
    # 12 for 12.0: half of what travels are counts
    return [int(v) if v is not None and v.is_integer() and abs(v) < 2**53 else v for v in column]


def tables_of(con: duckdb.DuckDBPyConnection) -> set[str]:
    """Marts, logs and views of the release."""
    return {name for (name,) in con.execute(
        "select table_name from duckdb_tables() where schema_name = 'marts' "
        "union all select view_name from duckdb_views() where schema_name = 'marts'"
    ).fetchall()}  # fmt: skip


# What follows is drawn by one kind of block each. Their marts may be off: `pages` asks only where they are there.


def cohorts(con: duckdb.DuckDBPyConnection) -> dict[str, Any]:
    """Cohorts of the last 24 months: size, and how many bought in each month after (or later)."""
    return rows(
        con,
        "select cohort_month, months_since, customers, active, active_or_later, is_final, final_on from marts.retention_cohorts "
        "where cohort_month > (select max(cohort_month) from marts.retention_cohorts) - interval 24 month "
        "order by cohort_month, months_since",
    )


def hours(con: duckdb.DuckDBPyConnection) -> dict[str, Any]:
    """Inbound contacts by month, hour of the day and channel."""
    return rows(
        con,
        "select cast(date_trunc('month', metric_date) as date) as month, hour, channel, cast(sum(inbound) as bigint) as inbound "
        "from marts.contact_volume_daily group by all order by all",
    )


def restated(con: duckdb.DuckDBPyConnection) -> dict[str, Any]:
    """What earlier releases said otherwise, one row a release, metric, kind and cause; the newest 200.

    A release's come with the most values that moved first, those last of which only the parts did. `was`, `becomes` and the
    parts are of the value that moved most; the parts are there only where it hardly did, and they are what there is to say.
    """
    return rows(
        con,
        """
        with moves as (
            select *, coalesce(abs(new_value - old_value), if(old_value is distinct from new_value, 1e-9, 0)) as change
            from marts.restatements
        ),
        told as (
            select
                published_at, metric, kind, cause, count(*) as cells, min(metric_date) as first_day, max(metric_date) as last_day,
                count(*) filter (change > 0) as moved, max(change) as largest,
                arg_max({'was': old_value, 'becomes': new_value, 'had': old_parts, 'has': new_parts}, change) as most
            from moves group by published_at, metric, kind, cause
        )
        select
            published_at, metric, kind, cause, cells, first_day, last_day, most.was as was, most.becomes as becomes,
            if(largest <= 0.001 * greatest(1, abs(most.was)), most.had, null) as parts_were,
            if(largest <= 0.001 * greatest(1, abs(most.was)), most.has, null) as parts_are
        from told
        order by published_at desc, (kind = 'restatement') desc, moved desc, cells desc, metric, cause limit 200
        """,
    )


def releases(con: duckdb.DuckDBPyConnection) -> dict[str, Any]:
    """The newest 30 releases, how many metrics each one had of those that are on now, and how many cells it restated.

    The log names every metric of a mart that was on, those too that wait for another feed.
    """
    return rows(
        con,
        "select r.release, r.published_at, r.data_through, "
        "len(list_intersect(r.metrics, (select list(metric) from marts.metrics where is_on))) as metrics, "
        "count(x.metric) filter (x.kind = 'restatement') as restated, "
        "count(x.metric) filter (x.kind = 'provisional') as provisional "
        "from marts.releases r left join marts.restatements x on x.release = r.release "
        "group by all order by r.published_at desc limit 30",
    )


def cohorts_by_segment(con: duckdb.DuckDBPyConnection) -> dict[str, Any]:
    """The same cohorts by entry channel and first product category, as far as the mart knows them."""
    return rows(
        con,
        "select dimension, segment, cohort_month, months_since, customers, active, active_or_later, is_final, final_on "
        "from marts.retention_cohorts_by_segment "
        "where cohort_month > (select max(cohort_month) from marts.retention_cohorts_by_segment) - interval 24 month "
        "and segment in (select segment from marts.retention_cohorts_by_segment where months_since = 0 "
        "  group by dimension, segment order by sum(customers) desc limit 12) "
        "order by dimension, segment, cohort_month, months_since",
    )


_CURVE_POINTS = 120


def survival(con: duckdb.DuckDBPyConnection) -> dict[str, Any]:
    """Kaplan-Meier survival of contracts by plan, as of the last month end: at most 120 points a plan."""
    return _curves(con, "survival", "plan", "tenure_days", "ended", "true")


def repurchase(con: duckdb.DuckDBPyConnection) -> dict[str, Any]:
    """Kaplan-Meier share of customers still waiting for their next order, by entry channel; at most 120 points a curve."""
    return _curves(con, "repurchase_survival", "segment", "gap_days", "came_back", "dimension in ('all', 'entry_channel')")


def _curves(con: duckdb.DuckDBPyConnection, mart: str, name: str, time: str, event: str, where: str) -> dict[str, Any]:
    # Steps that are left out lie between two that are drawn: the curve falls, so it stays between them.
    return rows(
        con,
        f"""
        with last as (
            select {name} as name, {time} as day, survival, standard_error, at_risk, {event} as events, is_final, final_on,
                   metric_date, row_number() over w as n, count(*) over (partition by {name}) as of_n
            from marts.{mart} where metric_date = (select max(metric_date) from marts.{mart}) and {where} and at_risk > 0
            window w as (partition by {name} order by {time})
        )
        select name, day, survival, standard_error, at_risk, events, is_final, final_on, metric_date from last
        where n = 1 or n = of_n or n % greatest(1, of_n // {_CURVE_POINTS}) = 0
        order by name = 'all' desc, name, day
        """,
    )


def value_by_cohort(con: duckdb.DuckDBPyConnection) -> dict[str, Any]:
    """Historic value of customers by month of first order: sums and counts, no persons."""
    return rows(
        con,
        "select cast(date_trunc('month', first_order_date) as date) as cohort_month, count(*) as customers, "
        "sum(clv_historic) as clv_historic, sum(orders) as orders from marts.clv_customer where first_order_date is not null "
        "group by all order by all desc limit 36",
    )


def predicted(con: duckdb.DuckDBPyConnection) -> dict[str, Any]:
    """Predicted value of the newest month by segment and cohort, summed, with what the backtest says of its bias."""
    return rows(
        con,
        "select metric_date, fitted_on, segment, cohort_month, customers, expected_active, expected_purchases_365d, "
        "clv_12m, clv_24m, backtest_bias, is_final, final_on from marts.clv_predicted_monthly "
        "where metric_date = (select max(metric_date) from marts.clv_predicted_monthly) "
        "and cohort_month > metric_date - interval 37 month order by segment, cohort_month",
    )


def backtests(con: duckdb.DuckDBPyConnection) -> dict[str, Any]:
    """What the newest fits foresaw in their holdout, and what came."""
    return rows(
        con,
        "select segment, model, is_preferred, calibrated_on, holdout_days, customers, purchases, expected_purchases, "
        "expected_low, expected_high, bias, value_bias from marts.clv_backtest "
        "qualify as_of_date = max(as_of_date) over (partition by segment) order by segment, is_preferred desc, model",
    )


def experience(con: duckdb.DuckDBPyConnection) -> dict[str, Any]:
    """What people of each band of experience did afterwards: of each window the newest month that is final."""
    return rows(
        con,
        "select metric_date, window_days, metric_kind, scale_id, band, persons, orders, net_amount, active_at_answer, lost, "
        "referrals, orders_per_person, net_amount_per_person, churn_rate, referrals_per_person, net_amount_difference, "
        "is_final, final_on from marts.experience_value_monthly where is_final "
        "qualify metric_date = max(metric_date) over (partition by window_days, metric_kind, scale_id) "
        "order by window_days, metric_kind, scale_id, band",
    )


def associations(con: duckdb.DuckDBPyConnection) -> dict[str, Any]:
    """How overall experience goes with what people say they will do: the newest month that has a coefficient."""
    return rows(
        con,
        "select metric_date, outcome, experience_scale_id, outcome_scale_id, persons, pearson, pearson_low, pearson_high, "
        "spearman, is_final, final_on from marts.experience_association_monthly where pearson is not null "
        "qualify metric_date = max(metric_date) over (partition by outcome, experience_scale_id, outcome_scale_id) "
        "order by outcome, experience_scale_id, outcome_scale_id",
    )


def agents(con: duckdb.DuckDBPyConnection) -> dict[str, Any]:
    """The team of each agent, on the newest day with one."""
    return rows(
        con,
        "select agent_id, arg_max(team, metric_date) as team from marts.agent_performance_daily group by agent_id "
        "order by agent_id",
    )


MAX_PERSONS = 8_000
"""So many persons make a page of two to three megabytes."""


def persons(con: duckdb.DuckDBPyConnection) -> dict[str, Any]:
    """Customers with most value first, at most MAX_PERSONS, and how many there are."""
    answer = rows(
        con,
        "select person_id, customer_state, first_order_date, last_order_date, orders, clv_historic, clv_simple, "
        "orders_trailing_365d, lapses_on, plans, contract_ends_on, owned_products, open_cases, oldest_open_case_days, "
        "last_case_topic, last_contact_date, last_nps, last_nps_date, last_csat, last_csat_of, last_csat_date, next_product, "
        "round(next_product_lift, 2) as next_product_lift, next_best_action, next_best_action_rule from marts.customer_360 "
        f"order by clv_historic desc nulls last, person_id limit {MAX_PERSONS}",
    )
    answer["of"] = con.execute("select count(*) from marts.customer_360").fetchone()[0]
    return answer
