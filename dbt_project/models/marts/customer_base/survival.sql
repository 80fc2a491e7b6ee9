-- grain: one row per month end, plan and day of tenure
{{ config(meta={
    'matures_in': 'contract_grace_days',
    'reach': [{'model': 'int_contract_spells', 'entity': 'person', 'before': 0, 'after': 'open'}]
}) }}

{#
  Kaplan and Meier's estimate over everything known at a month's end. A contract is an unbroken stretch of cover: a
  renewal within the grace goes on. One that runs on the month's last day is censored at its tenure of that day.
  Logarithms are summed as decimals: sums of doubles depend on the order in which they are added, and so on what else
  is built in the same run.
#}

with month_ends as (
  {% if is_incremental() -%}
  select day as metric_date from ({{ affected_days() }}) where day = last_day(day) and day <= {{ data_through() }}
  {%- else -%}
  select last_day(cast(m as date)) as metric_date
  from (select min(start_day) as first_day from {{ ref('int_contract_spells') }}) s,
    unnest(generate_series(
      date_trunc('month', s.first_day), date_trunc('month', cast({{ data_through() }} as timestamp)), interval 1 month
    )) as g(m)
  where last_day(cast(m as date)) <= {{ data_through() }}
  {%- endif %}
),

-- the plan is the one it began with
spells as (
  select g.plan, w.start_day, w.end_day, count(*) as contracts
  from {{ ref('int_contract_spells') }} w
  join {{ ref('int_contract_spells') }} p on w.person_id = p.person_id and w.start_day = p.start_day and p.plan <> 'all'
  cross join lateral (select unnest(['all', p.plan]) as plan) as g
  where w.plan = 'all'
  group by g.plan, w.start_day, w.end_day
),

observed as (
  select
    m.metric_date, s.plan,
    least(s.end_day, m.metric_date + 1) - s.start_day as tenure_days,
    sum(s.contracts) as left_here,
    coalesce(sum(s.contracts) filter (where s.end_day <= m.metric_date), 0) as ended
  from month_ends m
  join spells s on s.start_day <= m.metric_date
  group by m.metric_date, s.plan, least(s.end_day, m.metric_date + 1) - s.start_day
),

tenures as (
  select c.metric_date, c.plan, cast(t as bigint) as tenure_days
  from (select metric_date, plan, max(tenure_days) as longest from observed group by metric_date, plan) c,
    unnest(generate_series(1, c.longest)) as g(t)
),

at_risk as (
  select
    t.metric_date, t.plan, t.tenure_days,
    cast(coalesce(o.ended, 0) as bigint) as ended,
    cast(sum(coalesce(o.left_here, 0)) over (partition by t.metric_date, t.plan order by t.tenure_days desc) as bigint) as at_risk
  from tenures t
  left join observed o using (metric_date, plan, tenure_days)
),

sums as (
  select
    *,
    sum(case when ended < at_risk then cast(ln(1 - ended / at_risk) as decimal(38, 18)) end) over to_date as log_survival,
    count(*) filter (where ended = at_risk) over to_date > 0 as is_nobody_left,
    sum(case when ended < at_risk then cast(ended / (at_risk * (at_risk - ended)) as decimal(38, 18)) end) over to_date as greenwood
  from at_risk
  window to_date as (partition by metric_date, plan order by tenure_days rows unbounded preceding)
),

estimates as (
  select *, case when is_nobody_left then 0.0 else exp(cast(coalesce(log_survival, 0) as double)) end as survival from sums
)

select
  metric_date, plan, cast(tenure_days as integer) as tenure_days, at_risk, ended, survival,
  survival * sqrt(cast(coalesce(greenwood, 0) as double)) as standard_error,
  {{ is_final('metric_date', 'contract_grace_days') }} as is_final,
  {{ final_on('metric_date', 'contract_grace_days') }} as final_on
from estimates
