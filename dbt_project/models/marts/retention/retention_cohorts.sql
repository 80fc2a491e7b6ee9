-- grain: one row per month of first activity and month since
{#
  Rebuilt whole, months squared: a late first order moves the size of its cohort, and with it every cell of that row.
#}
{{ config(
    materialized='table',
    pre_hook={"sql": "{{ declare_reach() }}", "transaction": false},
    meta={'reach': [{'model': 'int_customer_days', 'entity': 'person', 'before': 31, 'after': 'open'}]}
) }}

with active as (
  select cohort_month, activity_month, active from {{ ref('int_cohort_months') }}
),

-- the last month in which somebody was active up to the last complete day, for `in month k or later`
last_months as (
  select cohort_month, last_month, count(*) as persons
  from (
    select
      cast(date_trunc('month', c.first_activity_day) as date) as cohort_month,
      cast(date_trunc('month', case when c.last_activity_day <= {{ data_through() }} then c.last_activity_day else d.last_day end) as date)
        as last_month
    from {{ ref('int_customers') }} c
    left join (
      -- who is known to be active on a day that is not complete yet
      select person_id, max(activity_day) as last_day
      from {{ ref('int_customer_days') }}
      where is_activity and activity_day <= {{ data_through() }}
        and person_id in (select person_id from {{ ref('int_customers') }} where last_activity_day > {{ data_through() }})
      group by person_id
    ) d on c.person_id = d.person_id
    where c.first_activity_day <= {{ data_through() }}
  )
  group by cohort_month, last_month
),

cohorts as (
  select cohort_month, active as customers from active where activity_month = cohort_month
),

cells as (
  select
    c.cohort_month, c.customers, cast(m as integer) as months_since,
    cast(c.cohort_month + to_months(cast(m as integer)) as date) as activity_month
  from cohorts c, unnest(generate_series(0, datediff('month', c.cohort_month, {{ data_through() }}))) as g(m)
)

select
  c.cohort_month,
  c.months_since,
  c.customers,
  c.active,
  c.active_or_later,
  {{ ratio('c.active', 'c.customers') }} as retention_rate,
  {{ ratio('c.active_or_later', 'c.customers') }} as rolling_retention_rate,
  {{ is_final('last_day(c.activity_month)') }} as is_final,
  {{ final_on('last_day(c.activity_month)') }} as final_on,
  -- somebody may come back at any time
  false as rolling_is_final,
  date '9999-12-31' as rolling_final_on
from (
  select
    c.cohort_month, c.months_since, c.activity_month, c.customers,
    coalesce(a.active, 0) as active,
    cast(sum(coalesce(l.persons, 0)) over (partition by c.cohort_month order by c.months_since desc) as bigint) as active_or_later
  from cells c
  left join active a on c.cohort_month = a.cohort_month and c.activity_month = a.activity_month
  left join last_months l on c.cohort_month = l.cohort_month and c.activity_month = l.last_month
) c
