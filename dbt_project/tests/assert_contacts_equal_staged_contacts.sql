-- Contacts in the mart = inbound contacts staged, day by day.
with expected as (
  select contact_day as metric_date, count(*) as n
  from {{ ref('stg_contacts') }}
  where _exclusion is null and direction = 'inbound' and {{ tested_days('contact_volume_daily', 'contact_day') }}
  group by 1
),

actual as (
  select metric_date, sum(inbound) as n
  from {{ ref('contact_volume_daily') }} where {{ tested_days('contact_volume_daily') }} group by 1
)

select metric_date, e.n as staged, a.n as mart
from expected e full join actual a using (metric_date)
where metric_date <= {{ data_through() }} and coalesce(e.n, 0) <> coalesce(a.n, 0)
