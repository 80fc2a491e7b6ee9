-- grain: one row per event_id: its newest version, excluded rows flagged in _exclusion; where it came from in _delivery and _line
{{ config(meta={'changed_by': [['raw', 'case_events']], 'logs': [{'entity': 'case', 'key': 'case_id', 'day': 'event_day'}]}) }}

with newest as (
  {{ newest_version('case_events') }}
)

select
  event_id,
  case_id,
  event,
  occurred_at,
  actor_type,
  actor_id,
  {{ business_day('occurred_at') }} as event_day,
  _key,
  _exclusion,
  _delivery,
  _line
from newest
