-- grain: one row per cell of social_daily, part and source row (macros/explain.sql)
with mentions as (
  select
    mention_day as metric_date, network, case when is_repost then 'repost' else 'original' end as kind,
    mention_id as entity, coalesce(sentiment, 'not scored') as note, 'social_mentions' as feed, _key, _exclusion as left_out,
    sentiment,
    _exclusion is null and not coalesce(is_referral, false) as is_mention,
    _exclusion is null and coalesce(is_referral, false) as is_recommendation
  from {{ ref('stg_social_mentions') }}
),

counted as (
  select
    *,
    case when is_mention then 1 end as mentions,
    case when is_mention and sentiment = 'positive' then 1 end as positive,
    case when is_mention and sentiment = 'neutral' then 1 end as neutral,
    case when is_mention and sentiment = 'negative' then 1 end as negative,
    case when is_mention and sentiment is null then 1 end as unscored,
    case when is_mention then case sentiment when 'positive' then 1 when 'negative' then -1 end end as net_positive,
    case when is_recommendation then 1 end as referral_mentions
  from mentions
)

{{ explained(
  'counted', ['network', 'kind'],
  ['mentions', 'positive', 'neutral', 'negative', 'unscored', 'net_positive', 'referral_mentions']
) }}
