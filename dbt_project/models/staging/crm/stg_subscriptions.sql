-- grain: one row per subscription_id: its newest version, excluded rows flagged in _exclusion; where it came from in _delivery and _line
{{ config(meta={'changed_by': [['raw', 'subscriptions']], 'logs': [{'entity': 'subscription', 'key': 'subscription_id', 'day': 'started_day'}]}) }}

with newest as (
  {{ newest_version('subscriptions') }}
)

select
  subscription_id,
  person_id,
  account_id,
  plan,
  mrr,
  currency,
  started_at,
  ended_at,
  status,
  cancel_reason,
  updated_at,
  {{ business_day('started_at') }} as started_day,
  {{ business_day('ended_at') }} as ended_day,
  _key,
  _exclusion,
  _delivery,
  _line
from newest
