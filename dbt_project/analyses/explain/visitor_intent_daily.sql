-- grain: one row per cell of visitor_intent_daily, part and source row (macros/explain.sql)
with answers as (
  select
    s.answered_day as metric_date, s.survey_id, coalesce(s.question_id, 'unknown') as question_id, coalesce(s.channel, 'unknown') as channel,
    s.response_id as entity, 'survey_responses' as feed, s._key, a.choice, a.options, coalesce(s._exclusion, a.exclusion) as left_out
  from {{ ref('stg_survey_responses') }} s
  left join {{ ref('int_survey_answers') }} a on s.response_id = a.response_id
  where s.metric_kind = 'visitor_intent'
),

options as (
  select metric_date, survey_id, question_id, channel, choice as intent from answers where left_out is null
  union
  select metric_date, survey_id, question_id, channel, trim(unnest(string_split(options, '|')))
  from answers where left_out is null and options is not null
),

-- an answer is one of those that each of the options could have had
counted as (
  select
    a.metric_date, a.survey_id, a.question_id, a.channel, o.intent, a.entity, a.feed, a._key, 'came for ' || a.choice as note, a.left_out,
    case when a.choice = o.intent then 1 end as answers,
    1 as answered
  from answers a
  join options o using (metric_date, survey_id, question_id, channel)
  where a.left_out is null

  union all

  select metric_date, survey_id, question_id, channel, null, entity, feed, _key, null, left_out, null, null
  from answers where left_out is not null
)

{{ explained('counted', ['survey_id', 'question_id', 'channel', 'intent'], ['answers', 'answered']) }}
