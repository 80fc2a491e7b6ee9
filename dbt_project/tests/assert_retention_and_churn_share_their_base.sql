-- retained + lost = active_at_start: churn is one less retention, though the two are counted from different intervals.
with retention as (
  select * from {{ ref('retention_daily') }} where {{ tested_days('retention_daily') }}
),

churn as (
  select * from {{ ref('churn_daily') }} where {{ tested_days('retention_daily') }}
)

select metric_date, basis, period, plan, r.active_at_start, c.active_at_start as churn_base, r.retained, c.lost
from retention r
full join churn c using (metric_date, basis, period, plan)
where r.active_at_start is distinct from c.active_at_start or r.retained + c.lost is distinct from r.active_at_start
