-- grain: one row per refund_id: its newest version, excluded rows flagged in _exclusion; where it came from in _delivery and _line
{{ config(meta={'changed_by': [['raw', 'refunds']], 'logs': [{'entity': 'order', 'key': 'order_id', 'day': 'refund_day'}]}) }}

with newest as (
  {{ newest_version('refunds') }}
)

select
  refund_id,
  order_id,
  refunded_at,
  amount,
  currency,
  reason,
  {{ business_day('refunded_at') }} as refund_day,
  _key,
  _exclusion,
  _delivery,
  _line
from newest
