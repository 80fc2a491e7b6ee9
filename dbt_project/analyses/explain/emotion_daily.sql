-- grain: one row per cell of emotion_daily, part and source row (macros/explain.sql)
with segments as (
  select
    coalesce(e.emotion_day, s.segment_day) as metric_date, coalesce(e.channel, c.channel, 'unknown') as channel,
    coalesce(e.topic, c.topic, 'unknown') as topic, s.contact_id as entity, s._key, 'sentiment_segments' as feed,
    coalesce(s.sentiment, 'not scored') as note, s.sentiment,
    case
      when coalesce(c._exclusion, '') = 'spam' then 'spam'
      when s.speaker = 'agent' then 'of the agent'
      when e.contact_id is null then 'of a test person'
    end as left_out,
    e.tone_change,
    -- a contact counts on its first segment
    row_number() over (partition by s.contact_id, coalesce(s.speaker, 'customer') order by s.segment_index, s.segment_id) = 1 as is_first
  from {{ ref('stg_sentiment_segments') }} s
  left join {{ ref('int_contact_emotions') }} e on s.contact_id = e.contact_id
  left join {{ ref('stg_contacts') }} c on s.contact_id = c.contact_id
),

counted as (
  select
    *,
    case when left_out is null then cast(is_first as integer) end as contacts,
    case when left_out is null then 1 end as segments,
    case when left_out is null and sentiment is not null then 1 end as scored,
    case when left_out is null and sentiment = 'positive' then 1 end as positive,
    case when left_out is null and sentiment = 'neutral' then 1 end as neutral,
    case when left_out is null and sentiment = 'negative' then 1 end as negative,
    case when left_out is null then case sentiment when 'positive' then 1 when 'negative' then -1 end end as net_positive,
    case when left_out is null and is_first and tone_change is not null then 1 end as tone_contacts,
    case when left_out is null and is_first then tone_change end as tone_change_sum,
    case when left_out is null and is_first then tone_change * tone_change end as tone_change_sumsq
  from segments
)

{{ explained(
  'counted', ['channel', 'topic'],
  ['contacts', 'segments', 'scored', 'positive', 'neutral', 'negative', 'net_positive', 'tone_contacts', 'tone_change_sum', 'tone_change_sumsq'],
  'decimal(38, 12)'
) }}
