-- grain: one row per referral_id: its newest version, excluded rows flagged in _exclusion; where it came from in _delivery and _line
{{ config(meta={'changed_by': [['raw', 'referrals']], 'logs': [{'entity': 'referral', 'key': 'referral_id', 'day': 'created_day'}]}) }}

with newest as (
  {{ newest_version('referrals') }}
)

select
  referral_id,
  referrer_id,
  referred_id,
  link_code,
  created_at,
  converted_at,
  updated_at,
  {{ business_day('created_at') }} as created_day,
  {{ business_day('converted_at') }} as converted_day,
  _key,
  _exclusion,
  _delivery,
  _line
from newest
