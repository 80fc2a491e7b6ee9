-- Persons, orders and net revenue of clv_customer add up to the last day of clv_daily, and to known persons' sales.
with customers as (
  select count(*) as customers, sum(orders) as orders, sum(net_amount) as net_amount from {{ ref('clv_customer') }}
),

base as (
  select customers_to_date, orders_to_date from {{ ref('clv_daily') }} where metric_date = {{ data_through() }}
),

sales as (
  select count(*) as orders, count(distinct person_id) as customers
  from {{ ref('int_orders') }} where is_sale and person_id is not null and order_day <= {{ data_through() }}
)

select customers.*, base.*, sales.orders as sales_orders, sales.customers as sales_customers
from customers left join base on true left join sales on true
where customers.customers > 0
  and (customers.customers is distinct from customers_to_date or customers.orders is distinct from orders_to_date
    or sales.orders is distinct from customers.orders or sales.customers is distinct from customers.customers)
