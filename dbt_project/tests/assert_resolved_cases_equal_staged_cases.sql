-- Cases of the mart = cases with a resolution, by day; nothing is lost between the case table and its dimensions.
with expected as (
  select resolved_day as metric_date, count(*) as n from {{ ref('int_cases') }}
  where resolution_minutes is not null and {{ tested_days('resolution_daily', 'resolved_day') }} group by 1
),

actual as (
  select metric_date, sum(cases_resolved) as n
  from {{ ref('resolution_daily') }} where {{ tested_days('resolution_daily') }} group by 1
)

select metric_date, e.n as staged, a.n as mart
from expected e full join actual a using (metric_date)
where metric_date <= {{ data_through() }} and coalesce(e.n, 0) <> coalesce(a.n, 0)
