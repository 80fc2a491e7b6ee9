-- The buckets of a day hold the cases resolved on it, by calendar, and those with a calendar, by business hours.
with expected as (
  select metric_date, channel, topic, queue, 'calendar' as clock, cases_resolved as n
  from {{ ref('resolution_daily') }} where {{ tested_days('resolution_histogram_daily') }}
  union all
  select metric_date, channel, topic, queue, 'business', cases_with_calendar
  from {{ ref('resolution_daily') }} where {{ tested_days('resolution_histogram_daily') }}
),

actual as (
  select metric_date, channel, topic, queue, clock, sum(cases) as n
  from {{ ref('resolution_histogram_daily') }} where {{ tested_days('resolution_histogram_daily') }} group by all
)

select metric_date, channel, topic, queue, clock, e.n as resolved, a.n as in_buckets
from expected e full join actual a using (metric_date, channel, topic, queue, clock)
where coalesce(e.n, 0) <> coalesce(a.n, 0)
