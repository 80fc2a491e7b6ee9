-- grain: one row per response_id: its newest version, excluded rows flagged in _exclusion; where it came from in _delivery and _line
{{ config(meta={'changed_by': [['raw', 'employee_surveys']], 'logs': [{'entity': 'response', 'key': 'response_id', 'day': 'answered_day'}]}) }}

with newest as (
  {{ newest_version('employee_surveys') }}
)

select
  response_id,
  survey_id,
  metric_kind,
  team,
  score,
  scale_min,
  scale_max,
  favourable_from,
  answered_at,
  status,
  updated_at,
  {{ business_day('answered_at') }} as answered_day,
  _key,
  _exclusion,
  _delivery,
  _line
from newest
