-- grain: one row per cell of task_completion_daily, part and source row (macros/explain.sql)
with answers as (
  select
    s.answered_day as metric_date, s.survey_id, coalesce(s.question_id, 'unknown') as question_id, a.intent,
    coalesce(s.channel, 'unknown') as channel, s.response_id as entity, 'survey_responses' as feed, s._key,
    'said ' || a.choice as note, a.choice,
    case
      when s._exclusion is not null then s._exclusion
      when a.exclusion is not null then a.exclusion
      when a.choice not in ('yes', 'no') then 'neither yes nor no: ' || a.choice
    end as left_out
  from {{ ref('stg_survey_responses') }} s
  left join {{ ref('int_survey_answers') }} a on s.response_id = a.response_id
  where s.metric_kind = 'task_completion'
),

counted as (
  select
    *,
    case when left_out is null and choice = 'yes' then 1 end as completed,
    case when left_out is null and choice = 'no' then 1 end as not_completed
  from answers
)

{{ explained('counted', ['survey_id', 'question_id', 'intent', 'channel'], ['completed', 'not_completed']) }}
