-- grain: one row per day of the last resolution, channel, topic and queue
{{ config(meta={
    'matures_in': 'reopen_window_days',
    'reach': [{'model': 'int_cases', 'entity': 'case', 'before': 0, 'after': 0}]
}) }}

select
  resolved_day as metric_date,
  channel,
  topic,
  queue,
  count(*) as cases_resolved,
  -- summed in the order of ids: a floating-point sum depends on its order, and an increment must equal a rebuild
  sum(resolution_minutes order by case_id) as resolution_minutes,
  count(resolution_business_minutes) as cases_with_calendar,
  coalesce(sum(resolution_business_minutes order by case_id), 0.0) as business_minutes,
  count(due_at) as cases_with_target,
  count(due_at) filter (where is_resolved_in_time) as resolved_in_time,
  count(*) filter (where is_one_touch) as one_touch_cases,
  {{ ratio('sum(resolution_minutes order by case_id)', 'count(*)') }} as average_resolution_minutes,
  {{ ratio('sum(resolution_business_minutes order by case_id)', 'count(resolution_business_minutes)') }} as average_business_minutes,
  {{ quantile_minutes('resolution_minutes', 5) }} as resolution_p50_minutes,
  {{ quantile_minutes('resolution_minutes', 9) }} as resolution_p90_minutes,
  {{ quantile_minutes('resolution_business_minutes', 5) }} as business_p50_minutes,
  {{ quantile_minutes('resolution_business_minutes', 9) }} as business_p90_minutes,
  {{ ratio('count(due_at) filter (where is_resolved_in_time)', 'count(due_at)') }} as resolved_in_time_rate,
  {{ ratio('count(*) filter (where is_one_touch)', 'count(*)') }} as one_touch_rate,
  {{ is_final('resolved_day', 'reopen_window_days') }} as is_final,
  {{ final_on('resolved_day', 'reopen_window_days') }} as final_on
from {{ ref('int_cases') }}
where resolved_day is not null and resolution_minutes is not null and {{ affected_filter('resolved_day') }}
group by resolved_day, channel, topic, queue
