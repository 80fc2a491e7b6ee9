-- grain: one row per day of the answer, kind, survey, question, scale and channel
{{ config(meta={'reach': [{'model': 'int_survey_answers', 'entity': 'response', 'before': 0, 'after': 0}]}) }}

with answers as (
  select
    *,
    case when metric_kind = 'nps' and exclusion is null then {{ nps_class('score') }} end as nps_class
  from {{ ref('int_survey_answers') }}
  where metric_kind not in {{ choice_kinds() }} and {{ affected_filter('answered_day') }}
),

sums as (
  select
    answered_day as metric_date, metric_kind, survey_id, question_id, scale_id, channel,
    count(*) filter (where exclusion is null) as answered,
    count(*) filter (where exclusion is not null) as left_out,
    case when metric_kind = 'nps' then count(*) filter (where nps_class = 'promoter') end as promoters,
    case when metric_kind = 'nps' then count(*) filter (where nps_class = 'passive') end as passives,
    case when metric_kind = 'nps' then count(*) filter (where nps_class = 'detractor') end as detractors,
    count(*) filter (where exclusion is null and favourable_from is not null) as judged,
    count(*) filter (where exclusion is null and ease >= favourable_from) as favourable,
    -- mirrored once more: on a scale where 1 is very easy, the upper end is hard
    case when metric_kind = 'ces' then count(*) filter (where exclusion is null and low + high - ease >= difficult_from) end as difficult,
    count(*) filter (where exclusion is null and score >= case when high = 10 then 9 else high end) as top_box,
    cast(coalesce(sum(score) filter (where exclusion is null), 0) as decimal(18, 4)) as score_sum,
    cast(coalesce(sum(score * score) filter (where exclusion is null), 0) as decimal(18, 4)) as score_sumsq
  from answers
  group by metric_date, metric_kind, survey_id, question_id, scale_id, channel
)

select
  metric_date, metric_kind, survey_id, question_id, scale_id, channel, answered, left_out, promoters, passives, detractors,
  100 * (promoters - detractors) as nps_points,
  judged, favourable, difficult, top_box, score_sum, score_sumsq,
  {{ ratio('100 * (promoters - detractors)', 'promoters + passives + detractors') }} as nps,
  {{ ratio('promoters', 'promoters + passives + detractors') }} as would_recommend_rate,
  {{ ratio('favourable', 'judged') }} as favourable_rate,
  {{ ratio('difficult', 'judged') }} as difficult_rate,
  {{ ratio('top_box', 'answered') }} as top_box_rate,
  {{ ratio('score_sum', 'answered') }} as mean_score,
  {{ is_final('metric_date') }} as is_final,
  {{ final_on('metric_date') }} as final_on
from sums
