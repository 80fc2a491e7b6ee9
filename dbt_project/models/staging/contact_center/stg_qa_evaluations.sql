-- grain: one row per evaluation_id, criterion: its newest version, excluded rows flagged in _exclusion; where it came from in _delivery and _line
{{ config(meta={'changed_by': [['raw', 'qa_evaluations']], 'logs': [{'entity': 'evaluation', 'key': 'evaluation_id', 'day': 'evaluated_day'}]}) }}

with newest as (
  {{ newest_version('qa_evaluations') }}
)

select
  evaluation_id,
  criterion,
  contact_id,
  agent_id,
  evaluator_id,
  evaluated_at,
  form_version,
  weight,
  points_earned,
  points_possible,
  is_not_applicable,
  is_auto_fail,
  updated_at,
  {{ business_day('evaluated_at') }} as evaluated_day,
  _key,
  _exclusion,
  _delivery,
  _line
from newest
