-- Selections of the mart = selections staged of no test session and no test person, by day; and their shares are all of the day.
with expected as (
  select e.event_day as metric_date, count(*) as n
  from {{ ref('stg_ivr_events') }} e
  left join {{ ref('stg_self_service_sessions') }} s on e.session_id = s.session_id
  where e._exclusion is null and s._exclusion is null and e.event = 'selection' and {{ tested_days('ivr_requests_daily', 'event_day') }}
    and coalesce(s.person_id, e.person_id, '') not in (select person_id from {{ ref('int_excluded_persons') }})
  group by 1
),

actual as (
  select metric_date, sum(selections) as n, sum(share_of_day) as shares
  from {{ ref('ivr_requests_daily') }} where {{ tested_days('ivr_requests_daily') }} group by 1
)

select metric_date, e.n as staged, a.n as mart, a.shares
from expected e full join actual a using (metric_date)
where metric_date <= {{ data_through() }} and (coalesce(e.n, 0) <> coalesce(a.n, 0) or abs(a.shares - 1) > 1e-9)
