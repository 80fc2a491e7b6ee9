-- Selections of the mart = selections staged whose session is not a tester's, by day; and their shares are all of the day.
with expected as (
  select event_day as metric_date, count(*) as n
  from {{ ref('stg_ivr_events') }}
  where _exclusion is null and event = 'selection' and {{ tested_days('ivr_requests_daily', 'event_day') }}
    and session_id not in (select session_id from {{ ref('stg_self_service_sessions') }} where _exclusion is not null)
  group by 1
),

actual as (
  select metric_date, sum(selections) as n, sum(share_of_day) as shares
  from {{ ref('ivr_requests_daily') }} where {{ tested_days('ivr_requests_daily') }} group by 1
)

select metric_date, e.n as staged, a.n as mart, a.shares
from expected e full join actual a using (metric_date)
where metric_date <= {{ data_through() }} and (coalesce(e.n, 0) <> coalesce(a.n, 0) or abs(a.shares - 1) > 1e-9)
