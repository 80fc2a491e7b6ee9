-- What is summed up over a month is the sum of its days, in every month with a day that this run rebuilt: totals and single dimensions.
with touched as (
  select distinct cast(date_trunc('month', metric_date) as date) as month
  from {{ ref('metric_daily') }}
  where {{ tested_days('metric_daily') }} and grain = 'day' and breakdown <> 'cell'
),

days as (
  select
    metric, breakdown, dimensions, cast(date_trunc('month', metric_date) as date) as month,
    sum(coalesce(numerator, 0)) as numerator, sum(coalesce(denominator, 0)) as denominator, sum(coalesce(n, 0)) as n
  from {{ ref('metric_daily') }}
  where grain = 'day' and breakdown <> 'cell' and date_trunc('month', metric_date) in (select month from touched)
  group by all
),

months as (
  select metric, breakdown, dimensions, period_start as month, numerator, denominator, n
  from {{ ref('metric_daily') }}
  where grain = 'month' and breakdown <> 'cell' and period_start in (select month from touched)
)

select
  metric, month, dimensions, d.numerator as numerator_of_days, m.numerator as numerator_of_month,
  d.denominator as denominator_of_days, m.denominator as denominator_of_month, d.n as n_of_days, m.n as n_of_month
from days d full join months m using (metric, breakdown, dimensions, month)
where d.month is null or m.month is null
  -- days are published as doubles, which a sum may round
  or abs(d.numerator - coalesce(m.numerator, 0)) > 1e-6 * greatest(1, abs(d.numerator))
  or abs(d.denominator - coalesce(m.denominator, 0)) > 1e-6 * greatest(1, abs(d.denominator))
  or d.n <> coalesce(m.n, 0)
