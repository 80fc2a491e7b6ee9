-- grain: one row per cell of nps_trailing_daily, part and source row (macros/explain.sql)
with answers as (
  select
    a.survey_id, a.scale_id, a.response_id, a.person_id, a.answered_at, a.answered_day, a.score, a.exclusion, s._key,
    {{ nps_class('a.score') }} as nps_class
  from {{ ref('int_survey_answers') }} a
  join {{ ref('stg_survey_responses') }} s on a.response_id = s.response_id
  where a.metric_kind = 'nps'
),

-- an answer stands for its person until the next one
followed as (
  select
    *, lead(answered_day) over (partition by survey_id, scale_id, person_id order by answered_at, response_id) as next_day
  from answers
  where exclusion is null and person_id is not null

  union all

  select *, null from answers where exclusion is null and person_id is null
),

days as (
  select
    f.*, cast(d as date) as metric_date,
    case
      when person_id is null then 'of no known person'
      when next_day <= cast(d as date) then 'a newer answer of the person counts'
    end as left_out
  from followed f, unnest(generate_series(
    cast(answered_day as timestamp),
    cast(least(answered_day + {{ setting('nps_trailing_days') }} - 1, {{ data_through() }}) as timestamp), interval 1 day
  )) as g(d)
),

counted as (
  select
    metric_date, survey_id, scale_id, coalesce(person_id, response_id) as entity, 'survey_responses' as feed, _key, left_out,
    format('{:g}', cast(score as double)) || ', answered on ' || answered_day as note,
    case when left_out is null then 1 end as persons,
    case when left_out is null and nps_class = 'promoter' then 1 end as promoters,
    case when left_out is null and nps_class = 'passive' then 1 end as passives,
    case when left_out is null and nps_class = 'detractor' then 1 end as detractors,
    case when left_out is null then case nps_class when 'promoter' then 100 when 'passive' then 0 else -100 end end as nps_points
  from days

  union all

  select answered_day, survey_id, null, coalesce(person_id, response_id), 'survey_responses', _key, exclusion, null, null, null, null, null, null
  from answers where exclusion is not null

  union all

  select answered_day, survey_id, null, response_id, 'survey_responses', _key, _exclusion, null, null, null, null, null, null
  from {{ ref('stg_survey_responses') }}
  where metric_kind = 'nps' and _exclusion is not null
)

{{ explained('counted', ['survey_id', 'scale_id'], ['persons', 'promoters', 'passives', 'detractors', 'nps_points']) }}
