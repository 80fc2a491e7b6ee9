-- grain: one row per event_id: its newest version, excluded rows flagged in _exclusion; where it came from in _delivery and _line
{{ config(meta={'changed_by': [['raw', 'page_events']], 'logs': [{'entity': 'session', 'key': 'session_id', 'day': 'event_day'}]}) }}

with newest as (
  {{ newest_version('page_events') }}
)

select
  event_id,
  session_id,
  person_id,
  visitor_id,
  event,
  occurred_at,
  page,
  engaged_seconds,
  device,
  updated_at,
  {{ business_day('occurred_at') }} as event_day,
  _key,
  _exclusion,
  _delivery,
  _line
from newest
