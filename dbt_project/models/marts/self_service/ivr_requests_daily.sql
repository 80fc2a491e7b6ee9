-- grain: one row per day of the choice in the voice menu and intent
{{ config(meta={
    'reach': [{'model': 'int_ivr_selections', 'entity': 'session', 'before': 0, 'after': 0}]
}) }}

with sums as (
  select
    event_day as metric_date,
    intent,
    count(*) as selections,
    cast(coalesce(sum(depth), 0) as bigint) as depth_sum,
    count(depth) as depth_count
  from {{ ref('int_ivr_selections') }}
  where {{ affected_filter('event_day') }}
  group by event_day, intent
)

select
  metric_date, intent, selections, depth_sum, depth_count,
  {{ ratio('depth_sum', 'depth_count') }} as depth_mean,
  {{ ratio('selections', 'sum(selections) over (partition by metric_date)') }} as share_of_day,
  -- intents chosen as often share a place
  cast(rank() over (partition by metric_date order by selections desc) as integer) as rank_of_day,
  {{ is_final('metric_date') }} as is_final,
  {{ final_on('metric_date') }} as final_on
from sums
