-- Orders and gross of the mart equal the staged lines of orders that count and are not held for a rate, day by day, without int_orders.
with headed as (
  select order_id, order_day as metric_date
  from {{ ref('stg_orders') }}
  where _exclusion is null and {{ tested_days('sales_daily', 'order_day') }}
),

-- orders that may have no header: where the shop exports none, an order is on the first day of its lines
dated_lines as (
  select distinct order_id from {{ ref('stg_order_lines') }} where _exclusion is null and {{ tested_days('sales_daily', 'line_day') }}
),

headless as (
  select order_id, min(line_day) as metric_date
  from {{ ref('stg_order_lines') }}
  where _exclusion is null
    and order_id in (
      select order_id from dated_lines
      except
      select order_id from {{ ref('stg_orders') }} where order_id in (select order_id from dated_lines)
    )
  group by order_id
),

orders as (
  select * from headed where order_id not in (select order_id from {{ ref('int_excluded_orders') }})
  union all
  select * from headless
  where {{ tested_days('sales_daily') }} and order_id not in (select order_id from {{ ref('int_excluded_orders') }})
),

expected as (
  select
    o.metric_date,
    count(distinct l.order_id) as orders,
    sum(case when not coalesce(l.is_gift_card, false) then cast(l.quantity * l.unit_price as decimal(18, 4)) else 0 end) as gross_amount
  from {{ ref('stg_order_lines') }} l
  join orders o on l.order_id = o.order_id
  where l._exclusion is null and not coalesce(l.is_return, false)
    and o.order_id not in (
      select order_id from {{ ref('int_order_currencies') }}
      where is_of_order and (rate_key is null or rate_key not in (select rate_key from {{ ref('int_fx_rates') }}))
    )
  group by o.metric_date
),

actual as (
  select metric_date, sum(orders) as orders, sum(gross_amount) as gross_amount
  from {{ ref('sales_daily') }} where {{ tested_days('sales_daily') }} group by metric_date
)

select metric_date, e.orders as staged_orders, a.orders as mart_orders, e.gross_amount as staged_gross, a.gross_amount as mart_gross
from expected e full join actual a using (metric_date)
where metric_date <= {{ data_through() }}
  and (coalesce(e.orders, 0) <> coalesce(a.orders, 0) or coalesce(e.gross_amount, 0) <> coalesce(a.gross_amount, 0))
