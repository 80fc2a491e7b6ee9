-- grain: one row per transfer_id: its newest version, excluded rows flagged in _exclusion; where it came from in _delivery and _line
{{ config(meta={'changed_by': [['raw', 'transfers']], 'logs': [{'entity': 'transfer', 'key': 'transfer_id', 'day': 'transfer_day'}]}) }}

with newest as (
  {{ newest_version('transfers') }}
)

select
  transfer_id,
  contact_id,
  kind,
  from_queue,
  to_queue,
  from_agent_id,
  to_agent_id,
  occurred_at,
  {{ business_day('occurred_at') }} as transfer_day,
  _key,
  _exclusion,
  _delivery,
  _line
from newest
