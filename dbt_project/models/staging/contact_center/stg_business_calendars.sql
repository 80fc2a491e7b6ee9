-- grain: one row per calendar_id, weekday, opens: its newest version, excluded rows flagged in _exclusion; where it came from in _delivery and _line
{{ config(meta={'changed_by': [['raw', 'business_calendars']], 'logs': [{'entity': 'calendar', 'key': 'calendar_id', 'day': 'null'}]}) }}

with newest as (
  {{ newest_version('business_calendars') }}
)

select
  calendar_id,
  weekday,
  opens,
  closes,
  updated_at,
  _key,
  _exclusion,
  _delivery,
  _line
from newest
