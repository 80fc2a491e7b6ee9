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
  select
    person_id, activity_day, is_activity, orders > 0 as is_purchase,
    max(case when is_activity then activity_day end) over before as active_before,
    max(case when orders > 0 then activity_day end) over before as bought_before
  from {{ ref('int_customer_days') }}
  where (is_activity or orders > 0) and {{ changed_filter('person_id') }}
  window before as (partition by person_id order by activity_day rows between unbounded preceding and 1 preceding)
),

numbered as (
  select
    *,
    -- an order exactly on the lapse day d + N keeps the customer (methods: active in (D - N, D])
    count(*) filter (where is_activity and (active_before is null or activity_day > active_before + {{ setting('churn_inactive_days') }}))
      over to_date as active_spell,
    count(*) filter (where is_purchase and (bought_before is null or activity_day > bought_before + 365)) over to_date as purchase_spell
  from days
  window to_date as (partition by person_id order by activity_day rows unbounded preceding)
)

-- the first day after a stretch is its lapse day
select
  person_id, 'inactivity' as basis, 'all' as plan, min(activity_day) as start_day,
  max(activity_day) + {{ setting('churn_inactive_days') }} as end_day
from numbered
where is_activity
group by person_id, active_spell

union all

select person_id, 'purchase', 'all', min(activity_day), max(activity_day) + 365
from numbered
where is_purchase
group by person_id, purchase_spell
