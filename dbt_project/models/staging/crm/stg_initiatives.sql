-- grain: one row per initiative_id: its newest version, excluded rows flagged in _exclusion; where it came from in _delivery and _line
{{ config(meta={'changed_by': [['raw', 'initiatives']], 'logs': [{'entity': 'initiative', 'key': 'initiative_id', 'day': 'start_date'}]}) }}

with newest as (
  {{ newest_version('initiatives') }}
)

select
  initiative_id,
  name,
  start_date,
  end_date,
  updated_at,
  _key,
  _exclusion,
  _delivery,
  _line
from newest
