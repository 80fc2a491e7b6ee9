-- grain: one row per day and channel of the journey's last touch
{{ config(meta={
    'matures_in': 'journey_rest_days',
    'reach': [{'model': 'int_journey_emotions', 'entity': 'journey', 'before': 0, 'after': 0}]
}) }}

with journeys as (
  select
    last_day as metric_date, channel,
    -- a half of six decimals has seven: nothing is rounded
    cast((peak + last_emotion) * 0.5 as decimal(18, 7)) as peak_end
  from {{ ref('int_journey_emotions') }}
  where {{ affected_filter('last_day') }}
),

sums as (
  select
    metric_date, channel,
    count(*) as journeys,
    cast(sum(peak_end) as decimal(18, 7)) as peak_end_sum,
    cast(sum(peak_end * peak_end) as decimal(38, 14)) as peak_end_sumsq
  from journeys
  group by metric_date, channel
)

select
  metric_date, channel, journeys, peak_end_sum, peak_end_sumsq,
  {{ ratio('peak_end_sum', 'journeys') }} as peak_end_emotion,
  {{ is_final('metric_date', 'journey_rest_days') }} as is_final,
  {{ final_on('metric_date', 'journey_rest_days') }} as final_on
from sums
