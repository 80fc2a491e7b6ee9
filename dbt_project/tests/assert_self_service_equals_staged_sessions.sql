-- Sessions of the mart = sessions staged without test sessions and those of test persons, by the day they started.
with expected as (
  select session_day as metric_date, count(*) as n
  from {{ ref('stg_self_service_sessions') }}
  where _exclusion is null and {{ tested_days('self_service_daily', 'session_day') }}
    and coalesce(person_id, '') not in (select person_id from {{ ref('int_excluded_persons') }})
  group by 1
),

actual as (
  select metric_date, sum(sessions) as n
  from {{ ref('self_service_daily') }} where {{ tested_days('self_service_daily') }} group by 1
)

select metric_date, e.n as staged, a.n as mart
from expected e full join actual a using (metric_date)
where metric_date <= {{ data_through() }} and coalesce(e.n, 0) <> coalesce(a.n, 0)
