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
  coalesce(a.active, 0) as active,
  {{ ratio('coalesce(a.active, 0)', 'c.customers') }} as retention_rate,
  {{ is_final('last_day(c.activity_month)') }} as is_final,
  {{ final_on('last_day(c.activity_month)') }} as final_on
from cells c
left join active a on c.cohort_month = a.cohort_month and c.activity_month = a.activity_month
