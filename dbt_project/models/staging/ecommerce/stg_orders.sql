-- grain: one row per order_id: its newest version, excluded rows flagged in _exclusion; where it came from in _delivery and _line
{{ config(meta={'changed_by': [['raw', 'orders']], 'logs': [{'entity': 'order', 'key': 'order_id', 'day': 'order_day'}]}) }}

with newest as (
  {{ newest_version('orders') }}
)

select
  order_id,
  person_id,
  visitor_id,
  cart_id,
  ordered_at,
  status,
  currency,
  sales_channel,
  country,
  discount_amount,
  tax_amount,
  shipping_amount,
  updated_at,
  {{ business_day('ordered_at') }} as order_day,
  _key,
  _exclusion,
  _delivery,
  _line
from newest
