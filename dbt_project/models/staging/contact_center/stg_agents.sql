-- grain: one row per agent_id: its newest version, excluded rows flagged in _exclusion; where it came from in _delivery and _line
{{ config(meta={'changed_by': [['raw', 'agents']], 'logs': [
  {'entity': 'agent', 'key': 'agent_id', 'day': 'null'},
  {'entity': 'team', 'key': 'agent_id', 'day': 'since', 'compare': ['_key', 'agent_id', 'team', 'since', '_exclusion']},
]}) }}

with newest as (
  {{ newest_version('agents') }}
)

select
  agent_id,
  name,
  team,
  queue,
  site,
  hired_on,
  left_on,
  updated_at,
  -- the feed holds no history: whose team is told otherwise, is told so for all days
  date '1990-01-01' as since,
  _key,
  _exclusion,
  _delivery,
  _line
from newest
