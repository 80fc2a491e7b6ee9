-- grain: one row per response_id: its newest version, excluded rows flagged in _exclusion; where it came from in _delivery and _line
{{ config(meta={'changed_by': [['raw', 'survey_responses']], 'logs': [
    {'entity': 'response', 'key': 'response_id', 'day': 'answered_day'},
    {'entity': 'invitation', 'key': 'invitation_id', 'day': 'answered_day'},
]}) }}

with newest as (
  {{ newest_version('survey_responses') }}
)

select
  response_id,
  survey_id,
  question_id,
  question_version,
  metric_kind,
  invitation_id,
  person_id,
  order_id,
  case_id,
  contact_id,
  channel,
  score,
  answer,
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
