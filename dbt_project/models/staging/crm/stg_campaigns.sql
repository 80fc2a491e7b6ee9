-- grain: one row per campaign_id: its newest version, excluded rows flagged in _exclusion; where it came from in _delivery and _line
{{ config(meta={'changed_by': [['raw', 'campaigns']], 'logs': [{'entity': 'campaign', 'key': 'campaign_id', 'day': 'null'}]}) }}

with newest as (
  {{ newest_version('campaigns') }}
)

select
  campaign_id,
  name,
  channel,
  started_on,
  ended_on,
  updated_at,
  _key,
  _exclusion,
  _delivery,
  _line
from newest
