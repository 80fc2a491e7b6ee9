-- grain: one row per event_id: its newest version, excluded rows flagged in _exclusion; where it came from in _delivery and _line
{{ config(meta={'changed_by': [['raw', 'cart_events']], 'logs': [{'entity': 'cart', 'key': 'cart_owner', 'day': 'event_day'}]}) }}

with newest as (
  {{ newest_version('cart_events') }}
)

select
  event_id,
  cart_id,
  -- whose events make carts where the shop has no cart ids (macros/carts.sql)
  coalesce(cart_id, 'visitor ' || visitor_id, 'person ' || person_id) as cart_owner,
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
