-- grain: one row per day since the first order of a known person
{{ config(meta={
    'reach': [{'model': 'int_customer_days', 'entity': 'person', 'before': 0, 'after': 'open'}]
}) }}

{#
  Historic value is a running sum, simple value the textbook formula over trailing_year 365 days: average order value x orders
  a year x lifespan in years x margin share, lifespan = 1 / annual churn. Time is multiplied once.
#}

with first_orders_of as (
  select person_id, min(activity_day) filter (where orders > 0) as first_order_day
  from {{ ref('int_customer_days') }}
  where activity_day <= {{ data_through() }}
  group by person_id
),

by_day as (
  select
    -- the base is people with an order: goods brought back before somebody's first order count from that order on
    greatest(d.activity_day, f.first_order_day) as activity_day,
    sum(d.orders) as orders,
    sum(d.gross_amount - d.discount_amount - d.refund_amount) as net_amount
  from {{ ref('int_customer_days') }} d
  join first_orders_of f on d.person_id = f.person_id
  where d.activity_day <= {{ data_through() }} and f.first_order_day is not null
  group by greatest(d.activity_day, f.first_order_day)
),

first_orders as (
  select first_order_day, count(*) as new_customers
  from first_orders_of where first_order_day is not null
  group by first_order_day
),

-- a person is a purchaser of the trailing 365 days from an order until the next one or 365 days later
purchaser_days as (
  select
    activity_day as from_day,
    least(
      lead(activity_day, 1, date '9999-12-31') over (partition by person_id order by activity_day), activity_day + 365
    ) as to_day
  from {{ ref('int_customer_days') }}
  where orders > 0
),

purchaser_moves as (
  select day, sum(delta) as delta
  from (select from_day as day, 1 as delta from purchaser_days union all select to_day, -1 from purchaser_days)
  group by day
),

-- of those active 365 days ago (inactivity basis), who is not any more
spells as (
  select
    person_id, start_day, end_day,
    lead(start_day, 1, date '9999-12-31') over (partition by person_id order by start_day) as next_start
  from {{ ref('int_order_spells') }}
),

churn_moves as (
  select day, sum(active_delta) as active_delta, sum(lost_delta) as lost_delta
  from (
    select start_day + 365 as day, 1 as active_delta, 0 as lost_delta from spells
    union all
    select end_day + 365, -1, 0 from spells
    union all
    select greatest(a.start_day + 365, b.end_day), 0, 1
    from spells a join spells b on a.person_id = b.person_id
    where greatest(a.start_day + 365, b.end_day) < least(a.end_day + 365, b.next_start)
    union all
    select least(a.end_day + 365, b.next_start), 0, -1
    from spells a join spells b on a.person_id = b.person_id
    where greatest(a.start_day + 365, b.end_day) < least(a.end_day + 365, b.next_start)
  )
  group by day
),

calendar as (
  select cast(d as date) as metric_date, first_day
  from (select min(first_order_day) as first_day from first_orders) f,
    unnest(generate_series(cast(f.first_day as timestamp), cast({{ data_through() }} as timestamp), interval 1 day)) as g(d)
),

running as (
  select
    c.metric_date,
    c.first_day,
    sum(coalesce(f.new_customers, 0)) over to_date as customers_to_date,
    sum(coalesce(b.orders, 0)) over to_date as orders_to_date,
    sum(coalesce(b.net_amount, 0)) over to_date as net_amount_to_date,
    sum(coalesce(b.orders, 0)) over trailing_year as orders_trailing_365d,
    sum(coalesce(b.net_amount, 0)) over trailing_year as net_amount_trailing_365d,
    sum(coalesce(p.delta, 0)) over to_date as purchasers_trailing_365d,
    sum(coalesce(m.active_delta, 0)) over to_date as active_365d_ago,
    sum(coalesce(m.lost_delta, 0)) over to_date as lost_since_365d
  from calendar c
  left join by_day b on c.metric_date = b.activity_day
  left join first_orders f on c.metric_date = f.first_order_day
  left join purchaser_moves p on c.metric_date = p.day
  left join churn_moves m on c.metric_date = m.day
  window
    to_date as (order by c.metric_date rows unbounded preceding),
    trailing_year as (order by c.metric_date rows 364 preceding)
)

select
  metric_date,
  cast(customers_to_date as bigint) as customers_to_date,
  cast(orders_to_date as bigint) as orders_to_date,
  cast(net_amount_to_date as decimal(18, 4)) as net_amount_to_date,
  {{ ratio('net_amount_to_date', 'customers_to_date') }} as clv_historic_mean,
  cast(orders_trailing_365d as bigint) as orders_trailing_365d,
  cast(net_amount_trailing_365d as decimal(18, 4)) as net_amount_trailing_365d,
  cast(purchasers_trailing_365d as bigint) as purchasers_trailing_365d,
  cast(active_365d_ago as bigint) as active_365d_ago,
  cast(lost_since_365d as bigint) as lost_since_365d,
  case when metric_date >= first_day + {{ setting('min_history_days') }} then
    {{ ratio('net_amount_trailing_365d', 'orders_trailing_365d') }}
    * {{ ratio('orders_trailing_365d', 'purchasers_trailing_365d') }}
    * case when active_365d_ago > 0 then least(coalesce({{ ratio('active_365d_ago', 'lost_since_365d') }}, {{ setting('max_lifespan_years') }}), {{ setting('max_lifespan_years') }}) end
    * {{ setting('margin_share') }}
  end as clv_simple,
  {{ is_final('metric_date') }} as is_final,
  {{ final_on('metric_date') }} as final_on
from running
where {{ affected_filter('metric_date') }}
