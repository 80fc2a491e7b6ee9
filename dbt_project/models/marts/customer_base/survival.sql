-- grain: one row per month end, plan and day of tenure
{{ config(meta={
    'matures_in': 'contract_grace_days',
    'reach': [{'model': 'int_contract_spells', 'entity': 'person', 'before': 0, 'after': 'open'}]
}) }}

{#
  Kaplan and Meier's estimate over everything known at a month's end (macros/kaplan_meier.sql). A contract is an unbroken
  stretch of cover: a renewal within the grace goes on. One that runs on the month's last day is censored at its tenure of
  that day.
#}

with month_ends as (
  {{ month_ends("select min(start_day) from " ~ ref('int_contract_spells')) }}
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
    s.contracts as left_here,
    case when s.end_day <= m.metric_date then s.contracts else 0 end as ended
  from month_ends m
  join spells s on s.start_day <= m.metric_date
),

estimates as (
  {{ kaplan_meier('observed', ['metric_date', 'plan'], 'tenure_days', 'ended') }}
)

select
  metric_date, plan, tenure_days, at_risk, ended, survival, standard_error,
  {{ is_final('metric_date', 'contract_grace_days') }} as is_final,
  {{ final_on('metric_date', 'contract_grace_days') }} as final_on
from estimates
