-- grain: one row per cell of survey_daily, part and source row (macros/explain.sql)
with responses as (
  select
    s.answered_day as metric_date, s.metric_kind, s.survey_id,
    coalesce(s.question_id, 'unknown') as question_id, a.scale_id, coalesce(s.channel, 'unknown') as channel,
    s.response_id as entity, s._key, 'survey_responses' as feed,
    coalesce(format('{:g}', cast(a.score as double)), s.answer) || ' on ' || a.scale_id as note,
    coalesce(s._exclusion, a.exclusion) as left_out,
    a.* exclude (survey_id, question_id, metric_kind, scale_id, channel, response_id)
  from {{ ref('stg_survey_responses') }} s
  left join {{ ref('int_survey_answers') }} a on s.response_id = a.response_id
  where s.metric_kind not in {{ choice_kinds() }}
),

classed as (
  select *, case when metric_kind = 'nps' then {{ nps_class('score') }} end as nps_class
  from responses
),

counted as (
  select
    *,
    case when left_out is null then 1 end as answered,
    case when left_out is null and nps_class = 'promoter' then 1 end as promoters,
    case when left_out is null and nps_class = 'passive' then 1 end as passives,
    case when left_out is null and nps_class = 'detractor' then 1 end as detractors,
    case when left_out is null then case nps_class when 'promoter' then 100 when 'passive' then 0 when 'detractor' then -100 end end as nps_points,
    case when left_out is null and favourable_from is not null then 1 end as judged,
    case when left_out is null and ease >= favourable_from then 1 end as favourable,
    case when left_out is null and metric_kind = 'ces' and low + high - ease >= difficult_from then 1 end as difficult,
    case when left_out is null and score >= case when high = 10 then 9 else high end then 1 end as top_box,
    case when left_out is null then score end as score_sum,
    case when left_out is null then score * score end as score_sumsq
  from classed
)

{{ explained(
  'counted', ['metric_kind', 'survey_id', 'question_id', 'scale_id', 'channel'],
  ['answered', 'promoters', 'passives', 'detractors', 'nps_points', 'judged', 'favourable', 'difficult', 'top_box', 'score_sum', 'score_sumsq']
) }}
