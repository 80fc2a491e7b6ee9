-- Contacts answered in a queue are those contact_volume_daily calls handled; it offers no contact that was not counted there.
with expected as (
  select metric_date, channel, topic, queue, sum(handled) as handled, sum(handled + abandoned) as reached
  from {{ ref('contact_volume_daily') }} where {{ tested_days('queue_daily') }} group by all
),

actual as (
  select metric_date, channel, topic, queue, answered, offered
  from {{ ref('queue_daily') }} where {{ tested_days('queue_daily') }}
)

select metric_date, channel, topic, queue, e.handled, a.answered, e.reached, a.offered
from expected e full join actual a using (metric_date, channel, topic, queue)
where coalesce(e.handled, 0) <> coalesce(a.answered, 0) or coalesce(a.offered, 0) > coalesce(e.reached, 0)
