"""Did a metric move oddly? Shares, means and scores of the newest final day against the same weekdays before it.

Belongs here: that comparison. Does not: volumes of marts (`gates`), what follows from a move (`data_quality.suites.marts`).

A move is measured in standard errors, after the method of the metric's interval in the registry:

wilson   score test of the day's share against the pooled share of the weekdays before it: E. B. Wilson (1927), as in
         dbt_project/macros/intervals.sql; and the same after the arcsine transformation, which takes the skew of rare
         events out. The smaller of the two counts.
nps      the variance of a difference of two shares of the same answers, B. Rocks (2016)
normal   s^2 / n of the published sums

The standard error holds both what chance makes of the day's n and of the weekdays' n, and is not smaller than what these
weekdays differ among themselves: answers of one campaign, or calls of one outage, are not independent.
"""

from __future__ import annotations

from datetime import date
from statistics import NormalDist
from typing import Any, NamedTuple

import duckdb

WEEKDAYS, AT_LEAST, DAYS = 8, 4, 57
LONGEST_LAG = 35
"""Metrics that are final later are not judged: what moved five weeks ago is no news."""

_MOVES = f"""
with days as (
    select
        d.mart, d.metric, d.dimensions, d.metric_date as day, d.value, d.final_on, m.interval, m.min_n,
        d.numerator as k, d.denominator as n,
        case m.interval
            when 'wilson' then d.value * (1 - d.value)
            -- of an interval that ends at the score's bound the other half is whole
            else pow(greatest(d.interval_high - d.value, d.value - d.interval_low) / 1.96, 2) * d.denominator
        end as variance
    from marts.metric_daily d join marts.metrics m on d.metric = m.metric
    where d.metric_date > cast($1 as date) - {DAYS + LONGEST_LAG} and d.metric_date <= $1
        and d.grain = 'day' and d.breakdown = 'total' and d.final_on <= $1 and not d.is_stale
        and m.interval in ('wilson', 'nps', 'normal') and d.denominator > 0 and isfinite(d.value)
        and d.metric_date not in (select unnest(cast($2 as date[])))
),
-- The day that became final tonight; an older one was judged before.
newest as (
    select * from days where final_on = $1 and n >= coalesce(cast($3 as integer), min_n)
    qualify row_number() over (partition by metric, dimensions order by day desc) = 1
),
before as (
    select t.metric, t.dimensions, d.value, d.k, d.n, d.variance
    from newest t join days d
        on d.metric = t.metric and d.dimensions = t.dimensions and d.day < t.day and d.day > t.day - {DAYS}
        and isodow(d.day) = isodow(t.day)
),
usual as (
    select
        metric, dimensions, count(*) as known, sum(n) as n, sum(value * n) / sum(n) as mean,
        (sum(k) + 0.5) / (sum(n) + 1) as share, sum(variance * n) / sum(n) as variance,
        var_samp(value) * (1 + 1.0 / count(*)) as between_days
    from before group by all having count(*) >= {AT_LEAST}
),
measured as (
    select
        t.mart, t.metric, t.dimensions, t.day, t.value, t.n, u.mean, u.known,
        sqrt(greatest(
            case t.interval when 'wilson' then u.share * (1 - u.share) else u.variance end * (1 / t.n + 1 / u.n), u.between_days
        )) as error,
        case t.interval when 'wilson' then
            2 * (asin(sqrt(least(1, greatest(0, t.value)))) - asin(sqrt(u.share))) / sqrt(1 / t.n + 1 / u.n)
        end as arcsine
    from newest t join usual u on t.metric = u.metric and t.dimensions = u.dimensions
)
select
    mart, metric, dimensions, day, value, cast(n as bigint), mean, known,
    case when error > 0 then sign(value - mean) * least(abs(value - mean) / error, coalesce(abs(arcsine), 1e9)) else 0 end as z
from measured order by abs(z) desc, metric, dimensions
"""


class Move(NamedTuple):
    """How far one metric's headline is from what its weekday had before."""

    mart: str
    metric: str
    dimensions: str
    day: date
    value: float
    n: int
    usual: float
    known: int
    z: float

    def sentence(self) -> str:
        """The metric, its day and figures."""
        of = "" if self.dimensions == "{}" else f" {self.dimensions}"
        return f"{self.metric}{of} {self.day}: {self.value:.4g} (n {self.n}), usual {self.usual:.4g}, z {self.z:+.1f}"


def move_limit(judged: int) -> float:
    """How many standard errors are odd where so many metrics are judged: 3 of one.

    Of many metrics one is beyond 3 every other night, by chance; here a whole night alarms by chance as rarely as one test.
    """
    return -NormalDist().inv_cdf(NormalDist().cdf(-3) / max(judged, 1))


def moves(con: duckdb.DuckDBPyConnection, through: date, closed: list[date], min_n: int | None = None) -> list[Move]:
    """Every metric with an interval that can be judged on the day that became final on `through`, largest move first.

    A day with fewer observations than the metric's `min_n` is not judged, nor one without 4 same weekdays before it. Days
    on which the company is closed are neither judged nor usual. `min_n` holds for all metrics instead of their own.
    """
    rows: list[tuple[Any, ...]] = con.execute(_MOVES, [through, closed, min_n]).fetchall()
    return [Move(*row) for row in rows]
