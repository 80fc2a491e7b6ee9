-- grain: one row per event_id: its newest version, excluded rows flagged in _exclusion; where it came from in _delivery and _line
{{ config(meta={'changed_by': [['raw', 'cart_events']], 'logs': [{'entity': 'cart', 'key': 'cart_id', 'day': 'event_day'}]}) }}

with newest as (
  {{ newest_version('cart_events') }}
)

select
  event_id,
  cart_id,
  person_id,
  visitor_id,
  event,
  occurred_at,
  product_id,
  quantity,
  unit_price,
  device,
  {{ business_day('occurred_at') }} as event_day,
  _key,
  _exclusion,
  _delivery,
  _line
from newest
