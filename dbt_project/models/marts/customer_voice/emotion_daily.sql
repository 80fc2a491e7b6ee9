-- grain: one row per day of the contact's first segment, channel and topic
{{ config(meta={
    'reach': [{'model': 'int_contact_emotions', 'entity': 'contact', 'before': 0, 'after': 0}]
}) }}

with sums as (
  select
    emotion_day as metric_date, channel, topic,
    count(*) as contacts,
    cast(sum(segments) as bigint) as segments,
    cast(sum(positive + neutral + negative) as bigint) as scored,
    cast(sum(positive) as bigint) as positive,
    cast(sum(neutral) as bigint) as neutral,
    cast(sum(negative) as bigint) as negative,
    cast(sum(positive) - sum(negative) as bigint) as net_positive,
    count(tone_change) as tone_contacts,
    cast(coalesce(sum(tone_change), 0) as decimal(18, 6)) as tone_change_sum,
    cast(coalesce(sum(tone_change * tone_change), 0) as decimal(38, 12)) as tone_change_sumsq
  from {{ ref('int_contact_emotions') }}
  where {{ affected_filter('emotion_day') }}
  group by emotion_day, channel, topic
)

select
  metric_date, channel, topic, contacts, segments, scored, positive, neutral, negative, net_positive,
  tone_contacts, tone_change_sum, tone_change_sumsq,
  {{ ratio('net_positive', 'scored') }} as net_emotion,
  {{ ratio('tone_change_sum', 'tone_contacts') }} as tone_change,
  {{ is_final('metric_date') }} as is_final,
  {{ final_on('metric_date') }} as final_on
from sums
