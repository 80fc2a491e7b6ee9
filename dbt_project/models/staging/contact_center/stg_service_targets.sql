-- grain: one row per kind, channel, queue and first day: its newest version, excluded rows flagged in _exclusion; where it came from in _delivery and _line
{{ config(meta={'changed_by': [['raw', 'service_targets']], 'logs': [{'entity': 'target', 'key': 'kind', 'day': 'valid_from'}]}) }}

with newest as (
  {{ newest_version('service_targets') }}
)

select
  kind,
  channel,
  queue,
  valid_from,
  target_seconds,
  clock,
  updated_at,
  _key,
  _exclusion,
  _delivery,
  _line
from newest
