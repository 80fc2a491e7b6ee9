-- Who lapsed on a day is who churn by inactivity lost from the day before to it, in every window.
with lost as (
  select metric_date, lost from {{ ref('churn_daily') }}
  where {{ tested_days('false_churn_daily') }} and basis = 'inactivity' and period = 'day' and plan = 'all'
),

mart as (
  select metric_date, min(lapsed) as least, max(lapsed) as most, count(*) as windows
  from {{ ref('false_churn_daily') }} where {{ tested_days('false_churn_daily') }}
  group by metric_date
)

select metric_date, l.lost, m.least, m.most, m.windows
from lost l full join mart m using (metric_date)
where coalesce(l.lost, 0) <> coalesce(m.least, 0) or m.least <> m.most or m.windows <> 2
