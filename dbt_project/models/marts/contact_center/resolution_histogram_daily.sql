-- grain: one row per day of the last resolution, channel, topic, queue, clock and bucket of the duration
{{ config(meta={
    'matures_in': 'reopen_window_days',
    'reach': [{'model': 'int_cases', 'entity': 'case', 'before': 0, 'after': 0}]
}) }}

with durations as (
  select resolved_day, channel, topic, queue, 'calendar' as clock, resolution_minutes as minutes from {{ ref('int_cases') }}
  union all
  select resolved_day, channel, topic, queue, 'business', resolution_business_minutes from {{ ref('int_cases') }}
)

select
  resolved_day as metric_date,
  channel,
  topic,
  queue,
  clock,
  {{ bucket('minutes') }} as bucket,
  any_value({{ bucket_minutes(bucket('minutes')) }}) as bucket_minutes,
  count(*) as cases,
  {{ is_final('resolved_day', 'reopen_window_days') }} as is_final,
  {{ final_on('resolved_day', 'reopen_window_days') }} as final_on
from durations
where resolved_day is not null and minutes is not null and {{ affected_filter('resolved_day') }}
group by resolved_day, channel, topic, queue, clock, {{ bucket('minutes') }}
