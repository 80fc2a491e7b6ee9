-- The contacts FCR looks at are those contact_volume_daily calls handled, day and channel by day and channel.
with expected as (
  select metric_date, channel, sum(handled) as n
  from {{ ref('contact_volume_daily') }} where {{ tested_days('fcr_daily') }} group by 1, 2
),

actual as (
  select metric_date, channel, sum(eligible_contacts) as n
  from {{ ref('fcr_daily') }} where {{ tested_days('fcr_daily') }} group by 1, 2
)

select metric_date, channel, e.n as handled, a.n as eligible
from expected e full join actual a using (metric_date, channel)
where coalesce(e.n, 0) <> coalesce(a.n, 0)
