-- grain: one row per day, survey and scale with an answer in the days before it: the newest answer of each known person
{{ config(meta={
    'reach': [{'model': 'int_survey_answers', 'entity': 'response', 'before': 0, 'after': 'nps_trailing_days - 1'}]
}) }}

{#
  An answer stands for its person from its day on, until the next one or until it is as old as the window. So every count
  is a sum of starts minus ends, and a day costs what changes on it. An increment reads the answers from one window before
  its first day on: older ones stand for nobody any more.
#}

with bounds as (
  {% if is_incremental() -%}
  select min(day) as first_day, least(max(day), {{ data_through() }}) + 1 as end_day from ({{ affected_days() }})
  {%- else -%}
  select min(answered_day) as first_day, {{ data_through() }} + 1 as end_day
  from {{ ref('int_survey_answers') }} where metric_kind = 'nps' and exclusion is null
  {%- endif %}
),

answers as (
  select a.survey_id, a.scale_id, a.person_id, a.response_id, a.answered_at, a.answered_day, {{ nps_class('a.score') }} as nps_class
  from {{ ref('int_survey_answers') }} a, bounds b
  where a.metric_kind = 'nps' and a.exclusion is null
    and a.answered_day > b.first_day - {{ setting('nps_trailing_days') }} and a.answered_day < b.end_day
),

latest_of_day as (
  select * from answers
  where person_id is not null
  qualify row_number() over (
    partition by survey_id, scale_id, person_id, answered_day order by answered_at desc, response_id desc
  ) = 1
),

spells as (
  select
    survey_id, scale_id, nps_class, answered_day as from_day,
    least(
      answered_day + {{ setting('nps_trailing_days') }},
      lead(answered_day, 1, date '9999-12-31') over (partition by survey_id, scale_id, person_id order by answered_day)
    ) as to_day
  from latest_of_day
),

steps as (
  select
    survey_id, scale_id, from_day, to_day,
    cast(nps_class = 'promoter' as integer) as promoters, cast(nps_class = 'passive' as integer) as passives,
    cast(nps_class = 'detractor' as integer) as detractors, 0 as answers, 0 as answers_known
  from spells
  union all
  select
    survey_id, scale_id, answered_day, answered_day + {{ setting('nps_trailing_days') }},
    0, 0, 0, 1, cast(person_id is not null as integer)
  from answers
),

deltas as (
  select survey_id, scale_id, day,
    sum(sign * promoters) as promoters, sum(sign * passives) as passives, sum(sign * detractors) as detractors,
    sum(sign * answers) as answers, sum(sign * answers_known) as answers_known
  from (
    select s.*, greatest(s.from_day, b.first_day) as day, 1 as sign from steps s, bounds b where s.to_day > b.first_day
    union all
    select s.*, s.to_day, -1 from steps s, bounds b where s.to_day > b.first_day and s.to_day < b.end_day
  )
  group by survey_id, scale_id, day
),

spine as (
  select c.survey_id, c.scale_id, d.metric_date
  from (select distinct survey_id, scale_id from deltas) c
  cross join (
    select cast(d as date) as metric_date
    from bounds, unnest(generate_series(cast(first_day as timestamp), cast(end_day - 1 as timestamp), interval 1 day)) as g(d)
  ) d
),

running as (
  select
    s.metric_date, s.survey_id, s.scale_id,
    cast(sum(coalesce(d.promoters, 0)) over w as bigint) as promoters,
    cast(sum(coalesce(d.passives, 0)) over w as bigint) as passives,
    cast(sum(coalesce(d.detractors, 0)) over w as bigint) as detractors,
    cast(sum(coalesce(d.answers, 0)) over w as bigint) as answers,
    cast(sum(coalesce(d.answers_known, 0)) over w as bigint) as answers_known
  from spine s
  left join deltas d on s.survey_id = d.survey_id and s.scale_id = d.scale_id and s.metric_date = d.day
  window w as (partition by s.survey_id, s.scale_id order by s.metric_date rows unbounded preceding)
)

select
  metric_date, survey_id, scale_id,
  promoters + passives + detractors as persons,
  promoters, passives, detractors,
  100 * (promoters - detractors) as nps_points,
  answers, answers_known,
  {{ ratio('100 * (promoters - detractors)', 'promoters + passives + detractors') }} as nps_trailing_90d,
  {{ is_final('metric_date') }} as is_final,
  {{ final_on('metric_date') }} as final_on
from running
where answers > 0 and {{ affected_filter('metric_date') }}
