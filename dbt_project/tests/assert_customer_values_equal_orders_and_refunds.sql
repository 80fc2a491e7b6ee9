-- Orders and net revenue of a person in clv_customer = those of their orders and refunds, taken without int_customer_days;
-- of everybody whose orders or refunds moved, after a full build of everybody.
with tested as (
  select key as person_id from {{ ops('changes') }} where model in ('int_orders', 'int_refunds') and entity = 'person'
  union
  -- no day is that late, so that nothing is read unless everything was built
  select person_id from {{ ref('int_orders') }}
  where person_id is not null and order_day >= (
    select coalesce(min(date '0001-01-01'), date '9999-12-31') from {{ ops('affected') }} where mart = 'clv_daily' and day is null
  )
),

bought as (
  select person_id, count(*) as orders, sum(gross_amount_reporting - discount_amount_reporting) as amount
  from {{ ref('int_orders') }}
  where is_sale and order_day <= {{ data_through() }} and person_id in (select person_id from tested)
  group by person_id
),

refunded as (
  select person_id, sum(refund_amount_reporting) as amount
  from {{ ref('int_refunds') }}
  where refund_day <= {{ data_through() }} and person_id in (select person_id from tested)
  group by person_id
),

customers as (
  select person_id, orders, net_amount from {{ ref('clv_customer') }} where person_id in (select person_id from tested)
)

select person_id, b.orders as sales_orders, c.orders, b.amount - coalesce(r.amount, 0) as sales_amount, c.net_amount
from bought b
full join customers c using (person_id)
left join refunded r using (person_id)
where b.orders is distinct from c.orders or b.amount - coalesce(r.amount, 0) is distinct from c.net_amount
