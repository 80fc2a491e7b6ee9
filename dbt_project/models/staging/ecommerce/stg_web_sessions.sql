-- grain: one row per session_id: its newest version, excluded rows flagged in _exclusion; where it came from in _delivery and _line
{{ config(meta={'changed_by': [['raw', 'web_sessions']], 'logs': [{'entity': 'session', 'key': 'session_id', 'day': 'session_day'}]}) }}

with newest as (
  {{ newest_version('web_sessions') }}
)

select
  session_id,
  person_id,
  visitor_id,
  started_at,
  ended_at,
  engaged_seconds,
  page_views,
  clicks,
  has_key_event,
  device,
  channel,
  campaign_id,
  country,
  updated_at,
  {{ business_day('started_at') }} as session_day,
  _key,
  _exclusion,
  _delivery,
  _line
from newest
