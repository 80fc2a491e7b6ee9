-- grain: one row per known person with an order or a refund: what all of their days add up to
{{ config(
    unique_key='person_id',
    meta={
      'changed_by': [['int_customer_days', 'person']],
      'logs': []
    }
) }}

{# Days after the last complete one are in the sums: who reads totals takes them off (see clv_customer). #}

with days as (
  select
    *,
    min(activity_day) filter (where orders > 0) over (partition by person_id) as first_order_day
  from {{ ref('int_customer_days') }}
  where {{ changed_filter('person_id') }}
)

select
  person_id,
  any_value(first_order_day) as first_order_day,
  max(activity_day) filter (where orders > 0) as last_order_day,
  min(activity_day) filter (where is_activity) as first_activity_day,
  max(activity_day) filter (where is_activity) as last_activity_day,
  cast(sum(orders) as bigint) as orders,
  cast(sum(gross_amount) as decimal(18, 4)) as gross_amount,
  cast(sum(discount_amount) as decimal(18, 4)) as discount_amount,
  cast(sum(refund_amount) as decimal(18, 4)) as refund_amount,
  case when count(*) = count(cost_amount) then cast(sum(cost_amount) as decimal(18, 4)) end as cost_amount,
  -- goods brought back before somebody's first order
  cast(coalesce(
    sum(gross_amount - discount_amount - refund_amount) filter (where activity_day < first_order_day), 0
  ) as decimal(18, 4)) as net_amount_before_first_order
from days
group by person_id
