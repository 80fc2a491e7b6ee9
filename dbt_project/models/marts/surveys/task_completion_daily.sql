-- grain: one row per day of the answer, survey, question, intent of the visit and channel
{{ config(meta={'reach': [{'model': 'int_survey_answers', 'entity': 'response', 'before': 0, 'after': 0}]}) }}

with sums as (
  select
    answered_day as metric_date, survey_id, question_id, intent, channel,
    count(*) filter (where choice = 'yes') as completed,
    count(*) filter (where choice = 'no') as not_completed,
    count(*) filter (where choice = 'partly') as partly,
    count(*) filter (where choice = 'unmapped') as unmapped
  from {{ ref('int_survey_answers') }}
  where metric_kind = 'task_completion' and exclusion is null and {{ affected_filter('answered_day') }}
  group by answered_day, survey_id, question_id, intent, channel
)

select
  *,
  {{ ratio('completed', 'completed + not_completed') }} as task_completion_rate,
  {{ is_final('metric_date') }} as is_final,
  {{ final_on('metric_date') }} as final_on
from sums
