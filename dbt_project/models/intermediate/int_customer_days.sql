-- grain: one row per known person and day with an order or a refund; guests are nobody, what nothing dates is on no day
{# Amounts are in the reporting currency. #}
{{ config(
    unique_key='person_id',
    meta={
      'changed_by': [['int_orders', 'person'], ['int_refunds', 'person']],
      'matched_on_day': 'activity_day',
      'logs': [{'entity': 'person', 'key': 'person_id', 'day': 'activity_day'}]
    }
) }}

with movements as (
  select
    person_id, order_day as activity_day, cast(is_sale as integer) as orders,
    gross_amount_reporting as gross_amount, discount_amount_reporting as discount_amount,
    cast(0 as decimal(18, 4)) as refund_amount, cost_amount_reporting as cost_amount, is_sale as is_activity
  from {{ ref('int_orders') }}
  where person_id is not null and order_day is not null and is_sale and {{ changed_filter('person_id', 'order_day') }}

  union all

  select
    person_id, refund_day, 0, 0, 0, refund_amount_reporting, cost_amount_reporting, is_return and {{ setting('returns_are_activity') }}
  from {{ ref('int_refunds') }}
  where person_id is not null and refund_day is not null and {{ changed_filter('person_id', 'refund_day') }}
)

select
  person_id,
  activity_day,
  cast(sum(orders) as bigint) as orders,
  cast(sum(gross_amount) as decimal(18, 4)) as gross_amount,
  cast(sum(discount_amount) as decimal(18, 4)) as discount_amount,
  cast(sum(refund_amount) as decimal(18, 4)) as refund_amount,
  -- NULL as soon as one order of the day has an unknown cost
  case when count(*) = count(cost_amount) then cast(sum(cost_amount) as decimal(18, 4)) end as cost_amount,
  bool_or(is_activity) as is_activity
from movements
group by person_id, activity_day
