-- grain: one row per known person, day of purchase and day from which an amount of it is known
{#
  What purchase models are fitted to and score. A refund is taken off the day on which its order was placed, and known from
  the day the money went back: so what was known on any day is the rows up to it, and each day of purchase has one row that
  was known on the day itself. Amounts are in the reporting currency.
  The hook keeps the history as of a day callable for what is not dbt, too (orchestration/lib/clv_fit.py).
#}
{{ config(
    unique_key='person_id',
    meta={'changed_by': [['int_orders', 'person'], ['int_refunds', 'person']], 'logs': [{'entity': 'person', 'key': 'person_id', 'day': 'known_day'}]},
    post_hook="{{ define_customer_rfm(ref('int_customer_segments')) }}"
) }}

with movements as (
  select person_id, order_day as purchase_day, order_day as known_day, gross_amount_reporting - discount_amount_reporting as amount
  from {{ ref('int_orders') }}
  where person_id is not null and order_day is not null and is_sale and {{ changed_filter('person_id') }}

  union all

  select o.person_id, o.order_day, greatest(r.refund_day, o.order_day), -r.refund_amount_reporting
  from {{ ref('int_refunds') }} r
  join {{ ref('int_orders') }} o on r.order_id = o.order_id
  where o.person_id is not null and o.order_day is not null and o.is_sale and r.refund_day is not null and {{ changed_filter('o.person_id') }}
)

select
  person_id, purchase_day, known_day,
  min(purchase_day) over (partition by person_id) as first_purchase_day,
  cast(sum(amount) as decimal(18, 4)) as amount
from movements
group by person_id, purchase_day, known_day
