-- Units, gross and orders of the mart equal the staged lines of orders that count, day by day, without int_orders.
with lines as (
  select
    coalesce(h.order_day, first_value(l.line_day) over (partition by l.order_id order by l.line_day)) as metric_date,
    l.order_id, l.is_return, l.is_gift_card, l.quantity, l.unit_price
  from {{ ref('stg_order_lines') }} l
  left join {{ ref('stg_orders') }} h on l.order_id = h.order_id
  where l._exclusion is null and h._exclusion is null
),

expected as (
  select
    metric_date,
    count(distinct order_id) as orders,
    sum(case when not coalesce(is_gift_card, false) then cast(quantity * unit_price as decimal(18, 4)) else 0 end) as gross_amount
  from lines where not coalesce(is_return, false) group by metric_date
),

actual as (
  select metric_date, sum(orders) as orders, sum(gross_amount) as gross_amount from {{ ref('sales_daily') }} group by metric_date
)

select metric_date, e.orders as staged_orders, a.orders as mart_orders, e.gross_amount as staged_gross, a.gross_amount as mart_gross
from expected e full join actual a using (metric_date)
where metric_date <= {{ data_through() }} and {{ tested_days('sales_daily') }}
  and (coalesce(e.orders, 0) <> coalesce(a.orders, 0) or coalesce(e.gross_amount, 0) <> coalesce(a.gross_amount, 0))
