-- grain: one row per person_id: its newest version, excluded rows flagged in _exclusion; where it came from in _delivery and _line
{{ config(meta={'changed_by': [['raw', 'persons']], 'logs': [{'entity': 'person', 'key': 'person_id', 'day': 'null'}]}) }}

with newest as (
  {{ newest_version('persons') }}
)

select
  person_id,
  coalesce(source, 'crm') as source,
  external_id,
  account_id,
  email,
  email_key,
  phone,
  phone_key,
  name,
  country,
  timezone,
  acquisition_channel,
  segment,
  consent,
  created_at,
  coalesce(is_test, false) as is_test,
  merged_into_id,
  merged_at,
  coalesce(is_deleted, false) as is_deleted,
  updated_at,
  _key,
  _exclusion,
  _delivery,
  _line
from newest
