-- grain: one row per day of publication, network and kind (original, repost)
{{ config(meta={
    'reach': [{'model': 'stg_social_mentions', 'entity': 'mention', 'before': 0, 'after': 0}]
}) }}

with mentions as (
  select
    mention_day as metric_date,
    network,
    case when is_repost then 'repost' else 'original' end as kind,
    coalesce(is_referral, false) as is_referral,
    sentiment
  from {{ ref('stg_social_mentions') }}
  where _exclusion is null and {{ affected_filter('mention_day') }}
),

sums as (
  select
    metric_date, network, kind,
    count(*) filter (where not is_referral) as mentions,
    count(*) filter (where not is_referral and sentiment = 'positive') as positive,
    count(*) filter (where not is_referral and sentiment = 'neutral') as neutral,
    count(*) filter (where not is_referral and sentiment = 'negative') as negative,
    count(*) filter (where not is_referral and sentiment is null) as unscored,
    count(*) filter (where not is_referral and sentiment = 'positive')
      - count(*) filter (where not is_referral and sentiment = 'negative') as net_positive,
    count(*) filter (where is_referral) as referral_mentions
  from mentions
  group by metric_date, network, kind
)

select
  metric_date, network, kind, mentions, positive, neutral, negative, unscored, net_positive, referral_mentions,
  {{ ratio('net_positive', 'mentions') }} as social_sentiment,
  {{ is_final('metric_date') }} as is_final,
  {{ final_on('metric_date') }} as final_on
from sums
