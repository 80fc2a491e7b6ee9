-- grain: one row per month of first order, month since, dimension and segment
{#
  Rebuilt whole, months squared times segments: see retention_cohorts. A cohort is told by orders alone here: what it is
  split by is a property of the first one.
#}
{{ config(
    materialized='table',
    pre_hook={"sql": "{{ declare_reach() }}", "transaction": false},
    meta={
      'reach': [
        {'model': 'int_customer_days', 'entity': 'person', 'before': 31, 'after': 'open'},
        {'model': 'int_customer_segments', 'entity': 'person', 'before': 31, 'after': 'open'},
      ]
    }
) }}

with active as (
  select cohort_month, activity_month, dimension, segment, active from {{ ref('int_cohort_segment_months') }}
),

last_months as (
  select cohort_month, last_month, g.dimension, g.segment, count(*) as persons
  from (
    select
      cast(date_trunc('month', s.first_order_day) as date) as cohort_month,
      cast(date_trunc('month', case when c.last_order_day <= {{ data_through() }} then c.last_order_day else d.last_day end) as date)
        as last_month,
      s.first_product_category,
      s.entry_channel
    from {{ ref('int_customer_segments') }} s
    join {{ ref('int_customers') }} c on s.person_id = c.person_id
    left join (
      -- who is known to order on a day that is not complete yet
      select person_id, max(activity_day) as last_day
      from {{ ref('int_customer_days') }}
      where orders > 0 and activity_day <= {{ data_through() }}
        and person_id in (select person_id from {{ ref('int_customers') }} where last_order_day > {{ data_through() }})
      group by person_id
    ) d on s.person_id = d.person_id
    where s.first_order_day <= {{ data_through() }}
  ) p
  cross join lateral (values ('first_product_category', p.first_product_category), ('entry_channel', p.entry_channel)) as g(dimension, segment)
  group by cohort_month, last_month, g.dimension, g.segment
),

cells as (
  select
    c.cohort_month, c.dimension, c.segment, c.active as customers, cast(m as integer) as months_since,
    cast(c.cohort_month + to_months(cast(m as integer)) as date) as activity_month
  from active c, unnest(generate_series(0, datediff('month', c.cohort_month, {{ data_through() }}))) as g(m)
  where c.activity_month = c.cohort_month
),

counted as (
  select
    c.*,
    coalesce(a.active, 0) as active,
    cast(
      sum(coalesce(l.persons, 0)) over (partition by c.cohort_month, c.dimension, c.segment order by c.months_since desc) as bigint
    ) as active_or_later
  from cells c
  left join active a
    on c.cohort_month = a.cohort_month and c.activity_month = a.activity_month and c.dimension = a.dimension and c.segment = a.segment
  left join last_months l
    on c.cohort_month = l.cohort_month and c.activity_month = l.last_month and c.dimension = l.dimension and c.segment = l.segment
)

select
  cohort_month, months_since, dimension, segment, customers, active, active_or_later,
  {{ ratio('active', 'customers') }} as retention_rate,
  {{ ratio('active_or_later', 'customers') }} as rolling_retention_rate,
  {{ is_final('last_day(activity_month)') }} as is_final,
  {{ final_on('last_day(activity_month)') }} as final_on,
  false as rolling_is_final,
  date '9999-12-31' as rolling_final_on
from counted
