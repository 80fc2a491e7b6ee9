-- The contacts FCR looks at are those contact_volume_daily calls handled, less those of test persons, day and channel by day
-- and channel. (They are no customers, but they were work.)
with handled as (
  select metric_date, channel, handled as n
  from {{ ref('contact_volume_daily') }} where {{ tested_days('fcr_daily') }}

  union all

  select contact_day, channel, -1
  from {{ ref('stg_contacts') }}
  where person_id in (select person_id from {{ ref('int_excluded_persons') }})
    and _exclusion is null and direction = 'inbound' and outcome = 'handled' and contact_day <= {{ data_through() }}
    and {{ tested_days('fcr_daily', 'contact_day') }}
),

expected as (
  select metric_date, channel, sum(n) as n from handled group by 1, 2
),

actual as (
  select metric_date, channel, sum(eligible_contacts) as n
  from {{ ref('fcr_daily') }} where {{ tested_days('fcr_daily') }} group by 1, 2
)

select metric_date, channel, e.n as handled, a.n as eligible
from expected e full join actual a using (metric_date, channel)
where coalesce(e.n, 0) <> coalesce(a.n, 0)
