-- grain: one row per month, month of first order, dimension and segment of the persons who ordered in it
{{ config(
    incremental_strategy='affected_days',
    pre_hook={"sql": "{{ mark_affected() }}", "transaction": false},
    meta={
      'day': 'least(last_day(activity_month), ' ~ data_through() ~ ')',
      'reach': [
        {'model': 'int_customer_days', 'entity': 'person', 'before': 0, 'after': 'open'},
        {'model': 'int_customer_segments', 'entity': 'person', 'before': 0, 'after': 'open'},
      ]
    }
) }}

{# A month stands on its last complete day, as in int_cohort_months. #}

with active as (
  select distinct person_id, cast(date_trunc('month', activity_day) as date) as activity_month
  from {{ ref('int_customer_days') }}
  where orders > 0 and activity_day <= {{ data_through() }}
  {%- if is_incremental() %}
    and activity_day >= (select date_trunc('month', min(day)) from ({{ affected_days() }}))
  {%- endif %}
),

by_segment as (
  select
    a.activity_month,
    cast(date_trunc('month', s.first_order_day) as date) as cohort_month,
    g.dimension,
    g.segment,
    count(*) as active
  from active a
  join {{ ref('int_customer_segments') }} s on a.person_id = s.person_id
  cross join lateral (values ('first_product_category', s.first_product_category), ('entry_channel', s.entry_channel)) as g(dimension, segment)
  group by a.activity_month, date_trunc('month', s.first_order_day), g.dimension, g.segment
)

select * from by_segment
