-- Carts of the mart, emptied ones included, = distinct carts staged less those of test persons, by the day of their last event.
with last_events as (
  -- events before the first tested day end no cart that counts on one
  select cart_id, max(event_day) as metric_date
  from {{ ref('stg_cart_events') }}
  where _exclusion is null and cart_id not in (select cart_id from {{ ref('int_excluded_carts') }}) and event_day >= (
    select min(metric_date)
    from (
      select event_day as metric_date from {{ ref('stg_cart_events') }} where {{ tested_days('cart_abandonment_daily', 'event_day') }}
    )
  )
  group by cart_id
),

expected as (
  select metric_date, count(*) as n from last_events where {{ tested_days('cart_abandonment_daily') }} group by 1
),

actual as (
  select metric_date, sum(carts + emptied) as n
  from {{ ref('cart_abandonment_daily') }} where {{ tested_days('cart_abandonment_daily') }} group by 1
)

select metric_date, e.n as staged, a.n as mart
from expected e full join actual a using (metric_date)
where metric_date <= {{ data_through() }} and coalesce(e.n, 0) <> coalesce(a.n, 0)
