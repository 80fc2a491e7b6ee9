-- grain: one row per day of the first human reply, channel, topic and queue
{{ config(meta={
    'reach': [{'model': 'int_cases', 'entity': 'responded', 'before': 0, 'after': 0}]
}) }}

select
  first_response_day as metric_date,
  channel,
  topic,
  queue,
  count(*) as cases_answered,
  sum(first_response_minutes order by case_id) as response_minutes,
  count(first_response_business_minutes) as cases_with_calendar,
  coalesce(sum(first_response_business_minutes order by case_id), 0.0) as business_minutes,
  {{ ratio('sum(first_response_minutes order by case_id)', 'count(*)') }} as average_response_minutes,
  {{ ratio('sum(first_response_business_minutes order by case_id)', 'count(first_response_business_minutes)') }} as average_business_minutes,
  {{ is_final('first_response_day') }} as is_final,
  {{ final_on('first_response_day') }} as final_on
from {{ ref('int_cases') }}
where first_response_day is not null and {{ affected_filter('first_response_day') }}
group by first_response_day, channel, topic, queue
