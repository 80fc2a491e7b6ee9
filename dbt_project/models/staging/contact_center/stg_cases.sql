-- grain: one row per case_id: its newest version, excluded rows flagged in _exclusion; where it came from in _delivery and _line
{{ config(meta={'changed_by': [['raw', 'cases']], 'logs': [{'entity': 'case', 'key': 'case_id', 'day': 'null'}]}) }}

with newest as (
  {{ newest_version('cases') }}
)

select
  case_id,
  person_id,
  channel,
  topic,
  priority,
  queue,
  agent_id,
  status,
  opened_at,
  resolved_at,
  closed_at,
  due_at,
  reassignment_count,
  reopen_count,
  updated_at,
  _key,
  _exclusion,
  _delivery,
  _line
from newest
