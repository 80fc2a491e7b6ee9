-- grain: one row per mention_id: its newest version, excluded rows flagged in _exclusion; where it came from in _delivery and _line
{{ config(meta={'changed_by': [['raw', 'social_mentions']], 'logs': [{'entity': 'mention', 'key': 'mention_id', 'day': 'mention_day'}]}) }}

with newest as (
  {{ newest_version('social_mentions') }}
)

select
  mention_id,
  network,
  published_at,
  sentiment,
  is_repost,
  is_referral,
  language,
  updated_at,
  {{ business_day('published_at') }} as mention_day,
  _key,
  _exclusion,
  _delivery,
  _line
from newest
