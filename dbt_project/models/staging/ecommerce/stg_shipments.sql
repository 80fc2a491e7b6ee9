-- grain: one row per shipment_id: its newest version, excluded rows flagged in _exclusion; where it came from in _delivery and _line
{{ config(meta={'changed_by': [['raw', 'shipments']], 'logs': [{'entity': 'order', 'key': 'order_id', 'day': 'shipped_day'}]}) }}

with newest as (
  {{ newest_version('shipments') }}
)

select
  shipment_id,
  order_id,
  shipped_at,
  promised_at,
  delivered_at,
  carrier,
  status,
  updated_at,
  {{ business_day('shipped_at') }} as shipped_day,
  {{ business_day('delivered_at') }} as delivered_day,
  _key,
  _exclusion,
  _delivery,
  _line
from newest
