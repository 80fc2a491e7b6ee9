-- grain: one row per currency, to_currency, rate_date: its newest version, excluded rows flagged in _exclusion; where it came from in _delivery and _line
{{ config(meta={'changed_by': [['raw', 'fx_rates']], 'logs': [{'entity': 'rate', 'key': 'currency', 'day': 'rate_date'}]}) }}

with newest as (
  {{ newest_version('fx_rates') }}
)

select
  currency,
  to_currency,
  rate_date,
  rate,
  updated_at,
  _key,
  _exclusion,
  _delivery,
  _line
from newest
