-- Carts of the mart, emptied ones included, = distinct carts staged, by the day of their last event.
with expected as (
  select metric_date, count(*) as n
  from (select cart_id, max(event_day) as metric_date from {{ ref('stg_cart_events') }} where _exclusion is null group by 1)
  group by 1
),

actual as (select metric_date, sum(carts + emptied) as n from {{ ref('cart_abandonment_daily') }} group by 1)

select metric_date, e.n as staged, a.n as mart
from expected e full join actual a using (metric_date)
where metric_date <= {{ data_through() }} and {{ tested_days('cart_abandonment_daily') }}
  and coalesce(e.n, 0) <> coalesce(a.n, 0)
