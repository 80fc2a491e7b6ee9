-- nps_trailing_daily on the last complete day = the newest answer of each known person, looked up one by one.
with newest as (
  select survey_id, scale_id, {{ nps_class('score') }} as nps_class
  from {{ ref('int_survey_answers') }}
  where metric_kind = 'nps' and exclusion is null and person_id is not null
    and answered_day > {{ data_through() }} - {{ setting('nps_trailing_days') }} and answered_day <= {{ data_through() }}
  qualify row_number() over (partition by survey_id, scale_id, person_id order by answered_at desc, response_id desc) = 1
),

expected as (
  select survey_id, scale_id, count(*) as persons, count(*) filter (where nps_class = 'promoter') as promoters,
    count(*) filter (where nps_class = 'detractor') as detractors
  from newest
  group by survey_id, scale_id
),

actual as (
  select survey_id, scale_id, persons, promoters, detractors
  from {{ ref('nps_trailing_daily') }} where metric_date = {{ data_through() }} and persons > 0
)

(from expected except all from actual)
union all
(from actual except all from expected)
