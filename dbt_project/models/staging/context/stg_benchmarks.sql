-- grain: one row per benchmark_id: its newest version, excluded rows flagged in _exclusion; where it came from in _delivery and _line
{{ config(meta={'changed_by': [['raw', 'benchmarks']], 'logs': [{'entity': 'benchmark', 'key': 'benchmark_id', 'day': 'null'}]}) }}

with newest as (
  {{ newest_version('benchmarks') }}
)

select
  benchmark_id,
  metric,
  kind,
  industry,
  source,
  value,
  valid_from,
  valid_to,
  updated_at,
  _key,
  _exclusion,
  _delivery,
  _line
from newest
