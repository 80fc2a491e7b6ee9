-- grain: one row per complete calendar month (its last day), outcome and pair of scales
{{ config(meta={'reach': [{'model': 'int_survey_answers', 'entity': 'response', 'before': 0, 'after': 30}]}) }}

{#
  How much what persons say of their experience goes together with what they say they will do: an association, no cause.
  A person is one pair a month: the newest answer to either question. Everything is made of sums of answers and of doubled
  ranks, which are whole numbers: the same rows give the same digits, in whatever order they are added.
#}

with answers as (
  select last_day(answered_day) as metric_date, person_id, metric_kind, scale_id, score
  from {{ ref('int_survey_answers') }}
  where exclusion is null and person_id is not null
    and metric_kind in ('overall_experience', 'nps', 'switch_likelihood', 'repurchase_likelihood')
    and {{ affected_filter('last_day(answered_day)') }}
  qualify row_number() over (
    partition by last_day(answered_day), person_id, metric_kind, scale_id order by answered_at desc, response_id desc
  ) = 1
),

pairs as (
  select
    e.metric_date, e.scale_id as experience_scale_id, o.scale_id as outcome_scale_id,
    case o.metric_kind when 'nps' then 'recommend' when 'switch_likelihood' then 'switch' else 'repurchase' end as outcome,
    e.score as x, o.score as y
  from answers e
  join answers o on e.metric_date = o.metric_date and e.person_id = o.person_id
  where e.metric_kind = 'overall_experience' and o.metric_kind <> 'overall_experience'
),

ranked as (
  select
    *,
    -- twice the mean rank of all persons with the same answer
    2 * rank() over (partition by metric_date, outcome, experience_scale_id, outcome_scale_id order by x)
      + count(*) over (partition by metric_date, outcome, experience_scale_id, outcome_scale_id, x) - 1 as x_rank,
    2 * rank() over (partition by metric_date, outcome, experience_scale_id, outcome_scale_id order by y)
      + count(*) over (partition by metric_date, outcome, experience_scale_id, outcome_scale_id, y) - 1 as y_rank
  from pairs
),

sums as (
  select
    metric_date, outcome, experience_scale_id, outcome_scale_id,
    count(*) as persons,
    cast(sum(x) as double) as sx, cast(sum(y) as double) as sy,
    cast(sum(x * x) as double) as sxx, cast(sum(y * y) as double) as syy, cast(sum(x * y) as double) as sxy,
    cast(sum(x_rank) as double) as rx, cast(sum(y_rank) as double) as ry,
    cast(sum(x_rank * x_rank) as double) as rxx, cast(sum(y_rank * y_rank) as double) as ryy, cast(sum(x_rank * y_rank) as double) as rxy
  from ranked
  group by metric_date, outcome, experience_scale_id, outcome_scale_id
),

associations as (
  select
    *,
    case when persons >= {{ setting('association_min_persons') }} and persons * sxx > sx * sx and persons * syy > sy * sy then
      greatest(-1, least(1, (persons * sxy - sx * sy) / sqrt((persons * sxx - sx * sx) * (persons * syy - sy * sy))))
    end as pearson,
    case when persons >= {{ setting('association_min_persons') }} and persons * rxx > rx * rx and persons * ryy > ry * ry then
      greatest(-1, least(1, (persons * rxy - rx * ry) / sqrt((persons * rxx - rx * rx) * (persons * ryy - ry * ry))))
    end as spearman
  from sums
),

transformed as (
  -- Fisher's z of a perfect association is infinite, and of four persons or more there is a standard error
  select
    *,
    case when abs(pearson) < 1 and persons > 3 then 0.5 * ln((1 + pearson) / (1 - pearson)) end as z,
    case when persons > 3 then 1.959963984540054 / sqrt(persons - 3) end as half_width
  from associations
)

select
  metric_date, outcome, experience_scale_id, outcome_scale_id, persons,
  round(pearson, 12) as pearson,
  round(1 - 2 / (exp(2 * (z - half_width)) + 1), 12) as pearson_low,
  round(1 - 2 / (exp(2 * (z + half_width)) + 1), 12) as pearson_high,
  round(spearman, 12) as spearman,
  {{ is_final('metric_date') }} as is_final,
  {{ final_on('metric_date') }} as final_on
from transformed
