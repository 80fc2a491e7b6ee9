-- First-time buyers of a day are the persons without an order before it, once in every window.
with firsts as (
  select first_order_day as metric_date, count(*) as n
  from (select person_id, min(activity_day) as first_order_day from {{ ref('int_customer_days') }} where orders > 0 group by person_id)
  where {{ tested_days('second_purchase_daily', 'first_order_day') }}
  group by first_order_day
),

mart as (
  select metric_date, min(first_time_buyers) as least, max(first_time_buyers) as most, count(*) as windows
  from {{ ref('second_purchase_daily') }} where {{ tested_days('second_purchase_daily') }}
  group by metric_date
)

select metric_date, f.n, m.least, m.most, m.windows
from firsts f full join mart m using (metric_date)
where metric_date <= {{ data_through() }}
  and (f.n is distinct from m.least or f.n is distinct from m.most or m.windows is distinct from 5)
