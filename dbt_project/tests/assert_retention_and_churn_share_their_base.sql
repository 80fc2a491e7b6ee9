-- retained + lost = active_at_start: churn is one less retention, though the two are counted from different intervals.
select metric_date, basis, period, plan, r.active_at_start, c.active_at_start as churn_base, r.retained, c.lost
from {{ ref('retention_daily') }} r
full join {{ ref('churn_daily') }} c using (metric_date, basis, period, plan)
where {{ tested_days('retention_daily') }}
  and (r.active_at_start is distinct from c.active_at_start or r.retained + c.lost is distinct from r.active_at_start)
