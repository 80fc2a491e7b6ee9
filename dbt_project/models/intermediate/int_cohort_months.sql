-- grain: one row per month, and month of first activity of the persons active in it
{{ config(
    incremental_strategy='affected_days',
    pre_hook={"sql": "{{ mark_affected() }}", "transaction": false},
    meta={
      'day': 'least(last_day(activity_month), ' ~ data_through() ~ ')',
      'reach': [{'model': 'int_customer_days', 'entity': 'person', 'before': 0, 'after': 'open'}]
    }
) }}

{#
  A month stands on its last complete day. A change moves its own month and, where it moves a first activity, every later
  month of that person: all of them have their last complete day among the affected ones.
#}

with active as (
  select distinct person_id, cast(date_trunc('month', activity_day) as date) as activity_month
  from {{ ref('int_customer_days') }}
  where is_activity and activity_day <= {{ data_through() }}
  {%- if is_incremental() %}
    and activity_day >= (select date_trunc('month', min(day)) from ({{ affected_days() }}))
  {%- endif %}
)

select
  a.activity_month,
  cast(date_trunc('month', c.first_activity_day) as date) as cohort_month,
  count(*) as active
from active a
join {{ ref('int_customers') }} c on a.person_id = c.person_id
group by a.activity_month, date_trunc('month', c.first_activity_day)
