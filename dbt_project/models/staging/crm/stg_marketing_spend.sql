-- grain: one row per spend_id: its newest version, excluded rows flagged in _exclusion; where it came from in _delivery and _line
{{ config(meta={'changed_by': [['raw', 'marketing_spend']], 'logs': [{'entity': 'spend', 'key': 'spend_id', 'day': 'spend_date'}]}) }}

with newest as (
  {{ newest_version('marketing_spend') }}
)

select
  spend_id,
  spend_date,
  channel,
  campaign_id,
  cost_category,
  amount,
  currency,
  updated_at,
  _key,
  _exclusion,
  _delivery,
  _line
from newest
