-- grain: one row per cell of journey_emotion_daily, part and source row (macros/explain.sql)
with segments as (
  select
    j.last_day as metric_date, j.channel, j.journey_id as entity, 'sentiment_segments' as feed, s._key, cast(null as varchar) as left_out,
    'touch of ' || e.emotion || case when e.emotion = j.peak then ', as far from neutral as the peak' else '' end as note,
    cast((j.peak + j.last_emotion) * 0.5 as decimal(18, 7)) as peak_end,
    -- a journey counts on the first segment of its last touch
    row_number() over (partition by j.journey_id order by e.started_at desc, e.contact_id desc, s.segment_index, s.segment_id) = 1 as is_last
  from {{ ref('int_journey_emotions') }} j
  join {{ ref('int_contact_emotions') }} e on j.journey_id = e.journey_id and e.emotion is not null
  join {{ ref('stg_sentiment_segments') }} s on e.contact_id = s.contact_id
  where s._exclusion is null and coalesce(s.speaker, 'customer') = 'customer'
),

counted as (
  select
    *,
    cast(is_last as integer) as journeys,
    case when is_last then peak_end else 0 end as peak_end_sum,
    case when is_last then peak_end * peak_end else 0 end as peak_end_sumsq
  from segments
)

{{ explained('counted', ['channel'], ['journeys', 'peak_end_sum', 'peak_end_sumsq'], 'decimal(38, 14)') }}
