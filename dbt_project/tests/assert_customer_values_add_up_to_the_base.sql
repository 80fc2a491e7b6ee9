-- Persons, orders and net revenue of clv_customer add up to the last day of clv_daily, and both to the orders and
-- refunds of known persons with an order, taken without int_customer_days.
with customers as (
  select
    count(*) as customers, sum(orders) as orders, sum(net_amount) as net_amount,
    sum(net_amount_trailing_365d) as net_amount_trailing_365d
  from {{ ref('clv_customer') }}
),

base as (
  select customers_to_date, orders_to_date, net_amount_to_date, net_amount_trailing_365d as base_trailing_365d
  from {{ ref('clv_daily') }} where metric_date = {{ data_through() }}
),

buyers as (
  select person_id, count(*) as orders, sum(gross_amount - discount_amount) as amount
  from {{ ref('int_orders') }}
  where is_sale and person_id is not null and order_day <= {{ data_through() }}
  group by person_id
),

sales as (
  select
    count(*) as sales_customers, sum(orders) as sales_orders,
    sum(amount) - coalesce((
      select sum(refund_amount) from {{ ref('int_refunds') }}
      where refund_day <= {{ data_through() }} and person_id in (select person_id from buyers)
    ), 0) as sales_amount
  from buyers
)

select *
from customers left join base on true left join sales on true
where customers > 0
  and (customers is distinct from customers_to_date or orders is distinct from orders_to_date
    or net_amount is distinct from net_amount_to_date or net_amount_trailing_365d is distinct from base_trailing_365d
    or sales_orders is distinct from orders or sales_customers is distinct from customers
    or sales_amount is distinct from net_amount)
