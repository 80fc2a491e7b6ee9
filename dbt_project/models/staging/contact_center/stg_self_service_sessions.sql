-- grain: one row per session_id: its newest version, excluded rows flagged in _exclusion; where it came from in _delivery and _line
{{ config(meta={'changed_by': [['raw', 'self_service_sessions']], 'logs': [{'entity': 'session', 'key': 'session_id', 'day': 'session_day'}]}) }}

with newest as (
  {{ newest_version('self_service_sessions') }}
)

select
  session_id,
  channel,
  person_id,
  topic,
  started_at,
  ended_at,
  outcome,
  goal_reached,
  handed_off_at,
  contact_id,
  updated_at,
  {{ business_day('started_at') }} as session_day,
  _key,
  _exclusion,
  _delivery,
  _line
from newest
