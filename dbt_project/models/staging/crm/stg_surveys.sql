-- grain: one row per survey_id, question_id, question_version: its newest version, excluded rows flagged in _exclusion; where it came from in _delivery and _line
{{ config(meta={'changed_by': [['raw', 'surveys']], 'logs': [{'entity': 'question', 'key': 'survey_id', 'day': 'null'}]}) }}

with newest as (
  {{ newest_version('surveys') }}
)

select
  survey_id,
  question_id,
  question_version,
  metric_kind,
  question,
  scale_min,
  scale_max,
  direction,
  favourable_from,
  options,
  updated_at,
  _key,
  _exclusion,
  _delivery,
  _line
from newest
