-- grain: one row per order_id, line_id: its newest version, excluded rows flagged in _exclusion; where it came from in _delivery and _line
{{ config(meta={'changed_by': [['raw', 'order_lines']], 'logs': [{'entity': 'order', 'key': 'order_id', 'day': 'line_day'}]}) }}

with newest as (
  {{ newest_version('order_lines') }}
)

select
  order_id,
  line_id,
  product_id,
  product_name,
  quantity,
  unit_price,
  discount_amount,
  unit_cost,
  is_return,
  is_gift_card,
  ordered_at,
  person_id,
  currency,
  country,
  updated_at,
  {{ business_day('ordered_at') }} as line_day,
  _key,
  _exclusion,
  _delivery,
  _line
from newest
