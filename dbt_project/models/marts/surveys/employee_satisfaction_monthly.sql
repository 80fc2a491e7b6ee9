-- grain: one row per complete calendar month (its last day), kind, survey, scale and team with enough answers
{{ config(meta={'reach': [{'model': 'stg_employee_surveys', 'entity': 'response', 'before': 0, 'after': 30}]}) }}

{#
  Employees answer under the promise that nobody is recognised. So there are no days, whose differences would give single
  answers away, and no row of a group below the minimum: such teams are one group together, where they are enough for that,
  else they are not published. There is no row of all teams either: less the published ones it would be the small team.
#}

with answers as (
  select
    last_day(answered_day) as metric_date, metric_kind, survey_id, coalesce(team, 'unknown') as team, score,
    case
      when metric_kind = 'satisfaction' then coalesce(favourable_from, {{ usual_favourable_from("'satisfaction'", 'scale_min', 'scale_max') }})
    end as favourable_from,
    scale_min, scale_max
  from {{ ref('stg_employee_surveys') }}
  where _exclusion is null and {{ affected_filter('last_day(answered_day)') }}
    -- an eNPS is asked from 0 or 1 to 10
    and (metric_kind <> 'enps' or (scale_max = 10 and scale_min in (0, 1)))
),

sized as (
  select
    *,
    {{ scale_id('metric_kind', 'scale_min', 'scale_max', "'high_is_good'", 'favourable_from') }} as scale_id
  from answers
),

grouped as (
  select
    * exclude (team),
    case when count(*) over (partition by metric_date, metric_kind, survey_id, scale_id, team) < {{ setting('min_group_answers') }}
      then 'small teams' else team end as team
  from sized
),

sums as (
  select
    metric_date, metric_kind, survey_id, scale_id, team,
    count(*) as answered,
    count(*) filter (where favourable_from is not null) as judged,
    count(*) filter (where score >= favourable_from) as satisfied,
    case when metric_kind = 'enps' then count(*) filter (where {{ nps_class('score') }} = 'promoter') end as promoters,
    case when metric_kind = 'enps' then count(*) filter (where {{ nps_class('score') }} = 'passive') end as passives,
    case when metric_kind = 'enps' then count(*) filter (where {{ nps_class('score') }} = 'detractor') end as detractors
  from grouped
  group by metric_date, metric_kind, survey_id, scale_id, team
)

select
  *,
  100 * (promoters - detractors) as enps_points,
  {{ ratio('satisfied', 'judged') }} as employee_satisfaction,
  {{ ratio('100 * (promoters - detractors)', 'promoters + passives + detractors') }} as enps,
  {{ is_final('metric_date') }} as is_final,
  {{ final_on('metric_date') }} as final_on
from sums
where answered >= {{ setting('min_group_answers') }}
