-- grain: one row per response_id: its newest version, excluded rows flagged in _exclusion; where it came from in _delivery and _line
{{ config(meta={'changed_by': [['raw', 'survey_responses']], 'logs': [{'entity': 'response', 'key': 'response_id', 'day': 'answered_day'}]}) }}

with newest as (
  {{ newest_version('survey_responses') }}
)

select
  response_id,
  survey_id,
  metric_kind,
  person_id,
  case_id,
  score,
  scale_min,
  scale_max,
  answered_at,
  status,
  updated_at,
  {{ business_day('answered_at') }} as answered_day,
  _key,
  _exclusion,
  _delivery,
  _line
from newest
