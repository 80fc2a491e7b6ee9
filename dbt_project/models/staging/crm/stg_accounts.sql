-- grain: one row per account_id: its newest version, excluded rows flagged in _exclusion; where it came from in _delivery and _line
{{ config(meta={'changed_by': [['raw', 'accounts']], 'logs': [{'entity': 'account', 'key': 'account_id', 'day': 'null'}]}) }}

with newest as (
  {{ newest_version('accounts') }}
)

select
  account_id,
  name,
  segment,
  country,
  owner_id,
  created_at,
  updated_at,
  _key,
  _exclusion,
  _delivery,
  _line
from newest
