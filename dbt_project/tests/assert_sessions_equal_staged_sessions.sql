-- Sessions of the mart = distinct sessions staged that no bot or test person touched, by the day they started, taken without int_sessions.
with left_out as (
  select session_id from {{ ref('stg_web_sessions') }}
  where _exclusion is not null or person_id in (select person_id from {{ ref('int_excluded_persons') }})
  union
  select session_id from {{ ref('stg_page_events') }}
  where _exclusion is not null or person_id in (select person_id from {{ ref('int_excluded_persons') }})
),

headed as (
  select session_id, session_day as metric_date
  from {{ ref('stg_web_sessions') }}
  where {{ tested_days('engagement_daily', 'session_day') }}
),

-- a session without a row of its own starts on its first event's day
seen as (
  select distinct session_id from {{ ref('stg_page_events') }} where {{ tested_days('engagement_daily', 'event_day') }}
),

headless as (
  select session_id, min(event_day) as metric_date
  from {{ ref('stg_page_events') }}
  where session_id in (
    select session_id from seen
    except
    select session_id from {{ ref('stg_web_sessions') }} where session_id in (from seen)
  )
  group by session_id
),

expected as (
  select metric_date, count(*) as n
  from (select * from headed union all select * from headless where {{ tested_days('engagement_daily') }})
  where session_id not in (from left_out)
  group by 1
),

actual as (
  select metric_date, sum(sessions) as n from {{ ref('engagement_daily') }} where {{ tested_days('engagement_daily') }} group by 1
)

select metric_date, e.n as staged, a.n as mart
from expected e full join actual a using (metric_date)
where metric_date <= {{ data_through() }} and coalesce(e.n, 0) <> coalesce(a.n, 0)
