-- grain: one row per day, basis, plan and period: who was active at its start, and what became of them
{{ config(
    incremental_strategy='affected_days',
    pre_hook={"sql": "{{ mark_affected() }}", "transaction": false},
    meta={
      'matures_in': 'contract_grace_days',
      'reach': [
        {'model': 'int_customer_days', 'entity': 'person', 'before': 0, 'after': 'open'},
        {'model': 'int_contract_terms', 'entity': 'person', 'before': 'contract_grace_days', 'after': 'open'},
      ]
    }
) }}

{#
  A period ends on the metric day D and starts at the end of day S: D - 1 (day), D - 30 (trailing_30d), the last day of
  the month before (month, so the month's last day holds the month). Every count is a sum of starts minus ends of
  intervals of days D, so that a day costs what changes on it:
    base         a person of the base: active at S                      the spell, moved from S to D
    retained     base and active on D                                   base intervals cut with spells
    lost         base and not active on D                               base intervals cut with the gaps between spells
    reactivated  active on D, not at S, but at some time before         spells cut with gaps, moved from S to D
  `lost` comes from gaps and not from base - retained, so that retention + churn = 1 is a test and no tautology.
#}

with spells as (
  select * from {{ ref('int_order_spells') }}
  union all
  select * from {{ ref('int_contract_spells') }}
),

whole as (
  select
    person_id, basis, start_day, end_day,
    lead(start_day, 1, date '9999-12-31') over (partition by person_id, basis order by start_day) as next_start
  from spells where plan = 'all'
),

calendar as (
  select cast(d as date) as metric_date
  from (
    select min(start_day) as first_day from spells
  ) s, unnest(generate_series(cast(s.first_day as timestamp), cast({{ data_through() }} as timestamp), interval 1 day)) as g(d)
),

affected as (
  select metric_date from calendar where {{ affected_filter('metric_date') }}
),

bounds as (
  select min(metric_date) as first_day, max(metric_date) + 1 as end_day from affected
),

months as (
  select distinct cast(date_trunc('month', metric_date) as date) as month_start,
    cast(date_trunc('month', metric_date) + interval 1 month as date) as next_month
  from affected
),

-- states at S moved to the days D they are the start of
shifted as (
  select person_id, basis, plan, p.period, start_day + p.days as from_day,
    case when end_day < date '9999-01-01' then end_day + p.days else end_day end as to_day
  from spells, (values ('day', 1), ('trailing_30d', 30)) as p(period, days)
  union all
  select s.person_id, s.basis, s.plan, 'month', m.month_start, m.next_month
  from spells s join months m on s.start_day < m.month_start and s.end_day >= m.month_start
),

base as (
  select s.person_id, s.basis, s.plan, s.period, greatest(s.from_day, b.first_day) as from_day, least(s.to_day, b.end_day) as to_day
  from shifted s, bounds b where s.from_day < b.end_day and s.to_day > b.first_day
),

shifted_gaps as (
  select person_id, basis, p.period, end_day + p.days as from_day,
    case when next_start < date '9999-01-01' then next_start + p.days else next_start end as to_day
  from whole, (values ('day', 1), ('trailing_30d', 30)) as p(period, days)
  where end_day < date '9999-01-01'
  union all
  select w.person_id, w.basis, 'month', m.month_start, m.next_month
  from whole w join months m on w.end_day < m.month_start and w.next_start >= m.month_start
),

pieces as (
  select 'base' as part, basis, plan, period, from_day, to_day from base

  union all

  select 'retained', a.basis, a.plan, a.period, greatest(a.from_day, b.start_day), least(a.to_day, b.end_day)
  from base a join whole b on a.person_id = b.person_id and a.basis = b.basis
  where greatest(a.from_day, b.start_day) < least(a.to_day, b.end_day)

  union all

  select 'lost', a.basis, a.plan, a.period, greatest(a.from_day, b.end_day), least(a.to_day, b.next_start)
  from base a join whole b on a.person_id = b.person_id and a.basis = b.basis
  where greatest(a.from_day, b.end_day) < least(a.to_day, b.next_start)

  union all

  select 'reactivated', g.basis, s.plan, g.period, greatest(g.from_day, s.start_day, b.first_day), least(g.to_day, s.end_day, b.end_day)
  from shifted_gaps g join spells s on g.person_id = s.person_id and g.basis = s.basis
  cross join bounds b
  where greatest(g.from_day, s.start_day, b.first_day) < least(g.to_day, s.end_day, b.end_day)
),

deltas as (
  select basis, plan, period, day,
    sum(delta) filter (where part = 'base') as base,
    sum(delta) filter (where part = 'retained') as retained,
    sum(delta) filter (where part = 'lost') as lost,
    sum(delta) filter (where part = 'reactivated') as reactivated
  from (
    select part, basis, plan, period, from_day as day, 1 as delta from pieces
    union all
    select part, basis, plan, period, to_day, -1 from pieces
  )
  group by basis, plan, period, day
),

-- every combination has a row on every day since its first: a plan nobody holds any more shows zero, not nothing
combinations as (
  select s.basis, s.plan, p.period, min(s.start_day) as first_day
  from spells s, (values ('day'), ('trailing_30d'), ('month')) as p(period)
  group by s.basis, s.plan, p.period
),

spine as (
  select c.basis, c.plan, c.period, d.metric_date
  from combinations c
  join (select metric_date from calendar, bounds b where metric_date >= b.first_day) d on d.metric_date >= c.first_day
),

running as (
  select
    s.basis, s.plan, s.period, s.metric_date,
    sum(coalesce(d.base, 0)) over w as active_at_start,
    sum(coalesce(d.retained, 0)) over w as retained,
    sum(coalesce(d.lost, 0)) over w as lost,
    sum(coalesce(d.reactivated, 0)) over w as reactivated
  from spine s
  left join deltas d on s.basis = d.basis and s.plan = d.plan and s.period = d.period and s.metric_date = d.day
  window w as (partition by s.basis, s.plan, s.period order by s.metric_date rows unbounded preceding)
)

select
  metric_date, basis, period, plan,
  cast(active_at_start as bigint) as active_at_start,
  cast(retained as bigint) as retained,
  cast(lost as bigint) as lost,
  cast(reactivated as bigint) as reactivated,
  case when basis = 'contractual' then {{ is_final('metric_date', 'contract_grace_days') }} else {{ is_final('metric_date') }} end as is_final,
  case when basis = 'contractual' then {{ final_on('metric_date', 'contract_grace_days') }} else {{ final_on('metric_date') }} end as final_on
from running
where metric_date in (select metric_date from affected)
