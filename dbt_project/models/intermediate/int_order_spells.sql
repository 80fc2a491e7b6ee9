-- grain: one row per known person and unbroken stretch of activity: a day with an order keeps a person active for N days
{{ config(
    unique_key='person_id',
    meta={
      'changed_by': [['int_customer_days', 'person']],
      'logs': []
    }
) }}

with days as (
  select
    person_id,
    activity_day,
    lag(activity_day) over (partition by person_id order by activity_day) as previous_day
  from {{ ref('int_customer_days') }}
  where is_activity and {{ changed_filter('person_id') }}
),

numbered as (
  select
    *,
    -- an order exactly on the lapse day d + N keeps the customer (methods: active in (D - N, D])
    count(*) filter (where previous_day is null or activity_day > previous_day + {{ setting('churn_inactive_days') }})
      over (partition by person_id order by activity_day rows unbounded preceding) as spell
  from days
)

select
  person_id,
  'inactivity' as basis,
  'all' as plan,
  min(activity_day) as start_day,
  -- first day without activity: the lapse day
  max(activity_day) + {{ setting('churn_inactive_days') }} as end_day
from numbered
group by person_id, spell
