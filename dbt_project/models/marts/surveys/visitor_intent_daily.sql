-- grain: one row per day of the answer, survey, question, channel and option; options that nobody chose have a row, too
{{ config(meta={'reach': [{'model': 'int_survey_answers', 'entity': 'response', 'before': 0, 'after': 0}]}) }}

with answers as (
  select * from {{ ref('int_survey_answers') }}
  where metric_kind = 'visitor_intent' and exclusion is null and {{ affected_filter('answered_day') }}
),

cells as (
  select answered_day, survey_id, question_id, channel, count(*) as answered
  from answers
  group by answered_day, survey_id, question_id, channel
),

-- without a row of nought, a share over several days would miss the days on which nobody chose the option
options as (
  select answered_day, survey_id, question_id, channel, choice as intent from answers
  union
  select answered_day, survey_id, question_id, channel, trim(unnest(string_split(options, '|'))) from answers where options is not null
),

chosen as (
  select answered_day, survey_id, question_id, channel, choice as intent, count(*) as answers
  from answers
  group by answered_day, survey_id, question_id, channel, choice
)

select
  o.answered_day as metric_date, o.survey_id, o.question_id, o.channel, o.intent,
  coalesce(n.answers, 0) as answers,
  c.answered,
  {{ ratio('coalesce(n.answers, 0)', 'c.answered') }} as visitor_intent_share,
  {{ is_final('o.answered_day') }} as is_final,
  {{ final_on('o.answered_day') }} as final_on
from options o
join cells c using (answered_day, survey_id, question_id, channel)
left join chosen n using (answered_day, survey_id, question_id, channel, intent)
