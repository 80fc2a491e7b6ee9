-- The floor of the benchmark: the same six marts of a shop that exports order lines, in one bare DuckDB script. No ledger,
-- no quarantine, no lineage, no increments, no gates, no release. {files}, {through} are filled in by tests/bench.py.
create or replace table lines as
select InvoiceNo as order_id, Quantity as quantity, UnitPrice as unit_price, InvoiceDate as ordered_at,
  cast(InvoiceDate as date) as day, regexp_replace(CustomerID, '\.0$', '') as person_id, Country as country,
  InvoiceNo like 'C%' as is_return
from read_csv({files}, header = true, auto_detect = false, columns = {{
  'InvoiceNo': 'VARCHAR', 'StockCode': 'VARCHAR', 'Description': 'VARCHAR', 'Quantity': 'DECIMAL(18,4)',
  'InvoiceDate': 'TIMESTAMP', 'UnitPrice': 'DECIMAL(18,4)', 'CustomerID': 'VARCHAR', 'Country': 'VARCHAR'}});

create or replace table orders as
select order_id, min(day) as day, min(person_id) as person_id, min(country) as country, is_return,
  sum(quantity) as units, sum(cast(quantity * unit_price as decimal(18, 4))) as amount
from lines group by order_id, is_return;

create or replace table sales_daily as
select day as metric_date, country, count(*) filter (where not is_return) as orders,
  sum(case when is_return then 0 else units end) as units, sum(case when is_return then 0 else amount end) as gross_amount,
  sum(case when is_return then -amount else 0 end) as refund_amount, sum(amount) as net_amount
from orders group by day, country;

create or replace table days as
select person_id, day, count(*) filter (where not is_return) as orders, sum(amount) as net_amount
from orders where person_id is not null group by person_id, day;

create or replace table retention_cohorts as
with months as (select distinct person_id, cast(date_trunc('month', day) as date) as m from days),
placed as (select person_id, m, min(m) over (partition by person_id) as cohort from months),
cells as (select cohort, m, count(*) as active from placed group by cohort, m)
select cohort as cohort_month, datediff('month', cohort, m) as months_since,
  first_value(active) over (partition by cohort order by m) as customers, active
from cells;

create or replace table spells as
with n as (select person_id, day, lag(day) over (partition by person_id order by day) as p from days),
k as (select *, count(*) filter (where p is null or day > p + 180) over (partition by person_id order by day) as k from n)
select person_id, min(day) as s, max(day) + 180 as e from k group by person_id, k;

create or replace table retention_daily as
with calendar as (
  select cast(d as date) as d from (select min(day) as f from days) x,
    unnest(generate_series(cast(f as timestamp), timestamp '{through}', interval 1 day)) as g(d)
),
months as (
  select distinct cast(date_trunc('month', d) as date) as m1, cast(date_trunc('month', d) + interval 1 month as date) as m2
  from calendar
),
base as (
  select person_id, 'day' as period, s + 1 as f, e + 1 as t from spells
  union all select person_id, 'trailing_30d', s + 30, e + 30 from spells
  union all select person_id, 'month', m1, m2 from spells join months on s < m1 and e >= m1
),
kept as (
  select period, greatest(f, s) as f, least(t, e) as t from base join spells using (person_id) where greatest(f, s) < least(t, e)
),
moves as (
  select period, day, sum(b) as b, sum(r) as r from (
    select period, f as day, 1 as b, 0 as r from base union all select period, t, -1, 0 from base
    union all select period, f, 0, 1 from kept union all select period, t, 0, -1 from kept)
  group by period, day
)
select c.d as metric_date, p.period, sum(coalesce(b, 0)) over w6 as active_at_start, sum(coalesce(r, 0)) over w6 as retained
from calendar c cross join (values ('day'), ('trailing_30d'), ('month')) as p(period)
left join moves m on m.day = c.d and m.period = p.period
window w6 as (partition by p.period order by c.d);

create or replace table churn_daily as
select metric_date, period, active_at_start, active_at_start - retained as lost from retention_daily;

create or replace table clv_customer as
select person_id, min(day) filter (where orders > 0) as first_order_date, sum(orders) as orders, sum(net_amount) as net_amount
from days group by person_id having sum(orders) > 0;

create or replace table clv_daily as
with d as (
  select greatest(d.day, c.first_order_date) as day, sum(d.orders) as orders, sum(d.net_amount) as net_amount
  from days d join clv_customer c using (person_id) group by 1
),
f as (select first_order_date as day, count(*) as n from clv_customer group by 1)
select metric_date, sum(coalesce(n, 0)) over w9 as customers_to_date, sum(coalesce(orders, 0)) over w9 as orders_to_date,
  sum(coalesce(net_amount, 0)) over w9 as net_amount_to_date
from (select distinct metric_date from retention_daily) c
left join d on d.day = c.metric_date left join f on f.day = c.metric_date
window w9 as (order by metric_date);
