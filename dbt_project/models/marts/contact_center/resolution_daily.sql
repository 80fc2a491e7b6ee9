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
  count(*) filter (where is_one_touch) as one_touch_cases,
  {{ ratio('sum(resolution_minutes order by case_id)', 'count(*)') }} as average_resolution_minutes,
  {{ ratio('count(*) filter (where is_one_touch)', 'count(*)') }} as one_touch_rate,
  {{ is_final('resolved_day', 'reopen_window_days') }} as is_final,
  {{ final_on('resolved_day', 'reopen_window_days') }} as final_on
from {{ ref('int_cases') }}
where resolved_day is not null and resolution_minutes is not null and {{ affected_filter('resolved_day') }}
group by resolved_day, channel, topic, queue
