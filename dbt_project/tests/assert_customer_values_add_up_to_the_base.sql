-- Persons, orders and net revenue of clv_customer add up to the last day of clv_daily, and the orders of each of its days
-- to the orders of known persons; taken without int_customer_days.
with customers as (
  select
    count(*) as customers, sum(orders) as orders, sum(net_amount) as net_amount,
    sum(net_amount_trailing_365d) as net_amount_trailing_365d
  from {{ ref('clv_customer') }}
),

days as (
  select
    metric_date,
    orders_to_date - lag(orders_to_date, 1, 0) over (order by metric_date) as orders
  from {{ ref('clv_daily') }}
),

sales as (
  select order_day as metric_date, count(*) as orders
  from {{ ref('int_orders') }}
  where is_sale and person_id is not null and {{ tested_days('clv_daily', 'order_day') }}
  group by order_day
)

select 'all persons' as about, cast({{ data_through() }} as varchar) as subject, c.orders as counted, b.orders_to_date as published
from customers c
left join {{ ref('clv_daily') }} b on b.metric_date = {{ data_through() }}
where c.customers > 0
  and (c.customers is distinct from b.customers_to_date or c.orders is distinct from b.orders_to_date
    or c.net_amount is distinct from b.net_amount_to_date or c.net_amount_trailing_365d is distinct from b.net_amount_trailing_365d)

union all

select 'orders of a day', cast(metric_date as varchar), s.orders, d.orders
from (select * from days where {{ tested_days('clv_daily') }}) d
full join sales s using (metric_date)
where metric_date <= {{ data_through() }} and coalesce(s.orders, 0) <> coalesce(d.orders, 0)
