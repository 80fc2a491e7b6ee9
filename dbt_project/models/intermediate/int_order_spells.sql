-- grain: one row per known person, basis and unbroken stretch of days on which an earlier day still counts
{{ config(
    unique_key='person_id',
    meta={
      'changed_by': [['int_customer_days', 'person']],
      'logs': []
    }
) }}

{#
  inactivity   a day with an order keeps a person active for N days (returns too, where they are configured to)
  purchase     an order keeps a person a purchaser of the trailing 365 days
#}

with days as (
  select person_id, 'inactivity' as basis, activity_day, {{ setting('churn_inactive_days') }} as lasts
  from {{ ref('int_customer_days') }}
  where is_activity and {{ changed_filter('person_id') }}
  union all
  select person_id, 'purchase', activity_day, 365
  from {{ ref('int_customer_days') }}
  where orders > 0 and {{ changed_filter('person_id') }}
),

previous as (
  select *, lag(activity_day) over (partition by basis, person_id order by activity_day) as previous_day
  from days
),

numbered as (
  select
    *,
    -- an order exactly on the lapse day d + N keeps the customer (methods: active in (D - N, D])
    count(*) filter (where previous_day is null or activity_day > previous_day + lasts)
      over (partition by basis, person_id order by activity_day rows unbounded preceding) as spell
  from previous
)

select
  person_id,
  basis,
  'all' as plan,
  min(activity_day) as start_day,
  -- first day without activity: the lapse day
  max(activity_day) + any_value(lasts) as end_day
from numbered
group by person_id, basis, spell
