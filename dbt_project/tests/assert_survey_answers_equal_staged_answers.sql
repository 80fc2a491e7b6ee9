-- Answers of survey_daily, those left out included = completed answers staged that are no choice, by day and kind.
with expected as (
  select answered_day as metric_date, metric_kind, count(*) as n
  from {{ ref('stg_survey_responses') }}
  where status = 'completed' and metric_kind not in {{ choice_kinds() }} and {{ tested_days('survey_daily', 'answered_day') }}
  group by 1, 2
),

actual as (
  select metric_date, metric_kind, sum(answered + left_out) as n
  from {{ ref('survey_daily') }} where {{ tested_days('survey_daily') }} group by 1, 2
)

select metric_date, metric_kind, e.n as staged, a.n as mart
from expected e full join actual a using (metric_date, metric_kind)
where metric_date <= {{ data_through() }} and coalesce(e.n, 0) <> coalesce(a.n, 0)
