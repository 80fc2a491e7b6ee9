-- grain: one row per contact_id: its newest version, excluded rows flagged in _exclusion; where it came from in _delivery and _line
{{ config(meta={'changed_by': [['raw', 'contacts']], 'logs': [
  {'entity': 'contact', 'key': 'contact_id', 'day': 'contact_day'},
  {'entity': 'case', 'key': 'case_id', 'day': 'null', 'compare': ['_key', 'case_id', 'answered_at', 'ended_at', 'outcome', '_exclusion']},
]}) }}

with newest as (
  {{ newest_version('contacts') }}
)

select
  contact_id,
  case_id,
  person_id,
  channel,
  direction,
  topic,
  queue,
  agent_id,
  started_at,
  answered_at,
  ended_at,
  wait_seconds,
  talk_seconds,
  hold_seconds,
  wrap_seconds,
  outcome,
  root_contact_id,
  previous_contact_id,
  updated_at,
  {{ business_day('started_at') }} as contact_day,
  cast(hour({{ business_time('started_at') }}) as integer) as contact_hour,
  _key,
  _exclusion,
  _delivery,
  _line
from newest
