-- grain: one row per calendar_id, holiday_date: its newest version, excluded rows flagged in _exclusion; where it came from in _delivery and _line
{{ config(meta={'changed_by': [['raw', 'holidays']], 'logs': [{'entity': 'calendar', 'key': 'calendar_id', 'day': 'holiday_date'}]}) }}

with newest as (
  {{ newest_version('holidays') }}
)

select
  calendar_id,
  holiday_date,
  name,
  updated_at,
  _key,
  _exclusion,
  _delivery,
  _line
from newest
