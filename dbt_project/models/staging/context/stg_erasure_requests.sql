-- grain: one row per request_id: its newest version, excluded rows flagged in _exclusion; where it came from in _delivery and _line
{{ config(meta={'changed_by': [['raw', 'erasure_requests']], 'logs': [{'entity': 'person', 'key': 'person_id', 'day': 'null'}]}) }}

with newest as (
  {{ newest_version('erasure_requests') }}
)

select
  request_id,
  person_id,
  requested_at,
  _key,
  _exclusion,
  _delivery,
  _line
from newest
