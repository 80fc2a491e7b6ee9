-- grain: one row per person_id: its newest version, excluded rows flagged in _exclusion; where it came from in _delivery and _line
{{ config(meta={'changed_by': [['raw', 'persons']], 'logs': [{'entity': 'person', 'key': 'person_id', 'day': 'null'}]}) }}

with newest as (
  {{ newest_version('persons') }}
)

select
  person_id,
  email,
  phone,
  name,
  country,
  timezone,
  created_at,
  merged_into_id,
  updated_at,
  _key,
  _exclusion,
  _delivery,
  _line
from newest
