-- grain: one row per day, basis, plan and period: who was active at its start, and what became of them
{{ config(
    incremental_strategy='affected_days',
    pre_hook={"sql": "{{ mark_affected() }}", "transaction": false},
    meta={
      'matures_in': 'contract_grace_days',
      'reach': [
        {'model': 'int_customer_days', 'entity': 'person', 'before': 0, 'after': 'open'},
        {'model': 'int_contract_spells', 'entity': 'person', 'before': 0, 'after': 'open'},
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

  An increment goes on from the day before the first affected one, which stands in the table, and reads only people who
  begin or lapse where an interval of the affected days may begin or end: from 31 days before them, which the first day of
  the month of the day before never precedes. Everybody else counts alike on all of these days.
#}

with affected as (
  {% if is_incremental() -%}
  select day as metric_date from ({{ affected_days() }}) where day <= {{ data_through() }}
  {%- else -%}
  select cast(d as date) as metric_date
  from (
    select min(start_day) as first_day
    from (
      select min(start_day) as start_day from {{ ref('int_order_spells') }} where basis = 'inactivity'
      union all
      select min(start_day) from {{ ref('int_contract_spells') }}
    )
  ) s, unnest(generate_series(cast(s.first_day as timestamp), cast({{ data_through() }} as timestamp), interval 1 day)) as g(d)
  {%- endif %}
),

bounds as (
  select
    min(metric_date) as first_day,
    max(metric_date) + 1 as end_day,
    min(metric_date) - 31 as read_from
  from affected
),

every_spell as (
  select person_id, basis, plan, start_day, end_day from {{ ref('int_order_spells') }} where basis = 'inactivity'
  union all
  select person_id, basis, plan, start_day, end_day from {{ ref('int_contract_spells') }}
),

spells as (
  select * from every_spell
  {%- if is_incremental() %}
  where person_id in (
    select s.person_id from every_spell s, bounds b
    where (s.start_day >= b.read_from and s.start_day < b.end_day) or (s.end_day >= b.read_from and s.end_day < b.end_day)
  )
  {%- endif %}
),

whole as (
  select
    person_id, basis, start_day, end_day,
    lead(start_day, 1, date '9999-12-31') over (partition by person_id, basis order by start_day) as next_start
  from spells where plan = 'all'
),

months as (
  select cast(m as date) as month_start, cast(m + interval 1 month as date) as next_month
  from bounds,
    unnest(generate_series(date_trunc('month', first_day - 1), date_trunc('month', end_day - 1), interval 1 month)) as g(m)
),

-- states at S moved to the days D they are the start of
base as (
  select person_id, basis, plan, p.period, start_day + p.days as from_day,
    case when end_day < date '9999-01-01' then end_day + p.days else end_day end as to_day
  from spells, (values ('day', 1), ('trailing_30d', 30)) as p(period, days)
  union all
  select s.person_id, s.basis, s.plan, 'month', m.month_start, m.next_month
  from spells s join months m on s.start_day < m.month_start and s.end_day >= m.month_start
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

  select 'reactivated', g.basis, s.plan, g.period, greatest(g.from_day, s.start_day), least(g.to_day, s.end_day)
  from shifted_gaps g join spells s on g.person_id = s.person_id and g.basis = s.basis
  where greatest(g.from_day, s.start_day) < least(g.to_day, s.end_day)
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
  where day >= (select first_day from bounds) and day < (select end_day from bounds)
  group by basis, plan, period, day
),

-- where the sums stood at the end of the day before
before as (
  {% if is_incremental() -%}
  select basis, plan, period, active_at_start as base, retained, lost, reactivated
  from {{ this }} where metric_date = (select first_day - 1 from bounds)
  {%- else -%}
  select 'all' as basis, 'all' as plan, 'all' as period, 0 as base, 0 as retained, 0 as lost, 0 as reactivated where false
  {%- endif %}
),

-- every combination has a row on every day since its first: a plan nobody holds any more shows zero, not nothing
combinations as (
  select basis, plan, period, min(first_day) as first_day
  from (
    select basis, plan, period, b.first_day from before, bounds b
    union all
    select s.basis, s.plan, p.period, s.start_day
    from spells s, bounds b, (values ('day'), ('trailing_30d'), ('month')) as p(period)
    where s.start_day >= b.first_day
  )
  group by basis, plan, period
),

spine as (
  select c.basis, c.plan, c.period, d.metric_date
  from combinations c
  join (
    select cast(d as date) as metric_date
    from bounds, unnest(generate_series(cast(first_day as timestamp), cast(end_day - 1 as timestamp), interval 1 day)) as g(d)
  ) d on d.metric_date >= c.first_day
),

running as (
  select
    s.basis, s.plan, s.period, s.metric_date,
    coalesce(b.base, 0) + sum(coalesce(d.base, 0)) over w as active_at_start,
    coalesce(b.retained, 0) + sum(coalesce(d.retained, 0)) over w as retained,
    coalesce(b.lost, 0) + sum(coalesce(d.lost, 0)) over w as lost,
    coalesce(b.reactivated, 0) + sum(coalesce(d.reactivated, 0)) over w as reactivated
  from spine s
  left join before b on s.basis = b.basis and s.plan = b.plan and s.period = b.period
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
