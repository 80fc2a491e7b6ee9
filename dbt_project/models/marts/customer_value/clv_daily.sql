-- grain: one row per day since the first order of a known person
{{ config(meta={
    'reach': [{'model': 'int_customer_days', 'entity': 'person', 'before': 0, 'after': 'open'}]
}) }}

{#
  Historic value is a running sum, simple value the textbook formula over trailing 365 days: average order value x orders
  a year x lifespan in years x margin share, lifespan = 1 / annual churn. Time is multiplied once.

  Every count is a running sum of what changes on a day. An increment goes on from the day before the first affected one,
  which stands in the table, and reads the moves of the affected days only.
#}

with bounds as (
  {% if is_incremental() -%}
  select min(day) as first_day, max(day) + 1 as end_day from ({{ affected_days() }}) where day <= {{ data_through() }}
  {%- else -%}
  select min(first_order_day) as first_day, {{ data_through() }} + 1 as end_day from {{ ref('int_customers') }}
  {%- endif %}
),

-- the base is people with an order: goods brought back before somebody's first order count from that order on
order_moves as (
  select d.activity_day as day, 0 as new_customers, d.orders, d.gross_amount - d.discount_amount - d.refund_amount as net_amount
  from {{ ref('int_customer_days') }} d
  join {{ ref('int_customers') }} c on d.person_id = c.person_id
  where d.activity_day >= (select first_day from bounds) and d.activity_day < (select end_day from bounds)
    and d.activity_day >= c.first_order_day
  union all
  select first_order_day, 1, 0, net_amount_before_first_order
  from {{ ref('int_customers') }}
  where first_order_day >= (select first_day from bounds) and first_order_day < (select end_day from bounds)
),

purchaser_moves as (
  select start_day as day, 1 as delta from {{ ref('int_order_spells') }} where basis = 'purchase'
  union all
  select end_day, -1 from {{ ref('int_order_spells') }} where basis = 'purchase'
),

-- of those active 365 days ago (inactivity basis), who is not any more
spells as (
  select person_id, start_day, end_day
  from {{ ref('int_order_spells') }}
  where basis = 'inactivity'
  {%- if is_incremental() %}
    -- only who began or lapsed then, or 365 days before, moves a count
    and person_id in (
      select s.person_id from {{ ref('int_order_spells') }} s, bounds b
      where s.basis = 'inactivity' and (
        (s.start_day >= b.first_day - 365 and s.start_day < b.end_day - 365)
        or (s.end_day >= b.first_day - 365 and s.end_day < b.end_day - 365)
        or (s.start_day >= b.first_day and s.start_day < b.end_day)
        or (s.end_day >= b.first_day and s.end_day < b.end_day)
      )
    )
  {%- endif %}
),

gaps as (
  select *, lead(start_day, 1, date '9999-12-31') over (partition by person_id order by start_day) as next_start
  from spells
),

lost as (
  select greatest(a.start_day + 365, b.end_day) as from_day, least(a.end_day + 365, b.next_start) as to_day
  from gaps a join gaps b on a.person_id = b.person_id
  where greatest(a.start_day + 365, b.end_day) < least(a.end_day + 365, b.next_start)
),

base_moves as (
  select start_day + 365 as day, 1 as active_delta, 0 as lost_delta from spells
  union all
  select end_day + 365, -1, 0 from spells
  union all
  select from_day, 0, 1 from lost
  union all
  select to_day, 0, -1 from lost
),

moves as (
  select day, new_customers, orders, net_amount, 0 as purchasers, 0 as active_365d_ago, 0 as lost_since_365d from order_moves
  union all
  select day, 0, 0, 0, delta, 0, 0 from purchaser_moves
  union all
  select day, 0, 0, 0, 0, active_delta, lost_delta from base_moves
),

by_day as (
  select
    day,
    sum(new_customers) as new_customers, sum(orders) as orders, sum(net_amount) as net_amount, sum(purchasers) as purchasers,
    sum(active_365d_ago) as active_365d_ago, sum(lost_since_365d) as lost_since_365d
  from moves
  where day >= (select first_day from bounds) and day < (select end_day from bounds)
  group by day
),

first_order as (
  select min(first_order_day) as first_day from {{ ref('int_customers') }}
),

calendar as (
  select cast(d as date) as metric_date
  from bounds, unnest(generate_series(cast(first_day as timestamp), cast(end_day - 1 as timestamp), interval 1 day)) as g(d)
  where d >= (select first_day from first_order)
),

-- days before the affected ones: the sums go on from the last of them, and trailing years begin in them
before as (
  {% if is_incremental() -%}
  select * from {{ this }} where metric_date < (select first_day from bounds)
  {%- else -%}
  select
    cast(null as date) as metric_date, 0 as customers_to_date, 0 as orders_to_date, 0 as net_amount_to_date,
    0 as purchasers_trailing_365d, 0 as active_365d_ago, 0 as lost_since_365d
  where false
  {%- endif %}
),

to_date as (
  select
    c.metric_date,
    coalesce(b.customers_to_date, 0) + sum(coalesce(m.new_customers, 0)) over w as customers_to_date,
    coalesce(b.orders_to_date, 0) + sum(coalesce(m.orders, 0)) over w as orders_to_date,
    coalesce(b.net_amount_to_date, 0) + sum(coalesce(m.net_amount, 0)) over w as net_amount_to_date,
    coalesce(b.purchasers_trailing_365d, 0) + sum(coalesce(m.purchasers, 0)) over w as purchasers_trailing_365d,
    coalesce(b.active_365d_ago, 0) + sum(coalesce(m.active_365d_ago, 0)) over w as active_365d_ago,
    coalesce(b.lost_since_365d, 0) + sum(coalesce(m.lost_since_365d, 0)) over w as lost_since_365d
  from calendar c
  left join by_day m on c.metric_date = m.day
  left join before b on b.metric_date = (select first_day - 1 from bounds)
  window w as (order by c.metric_date rows unbounded preceding)
),

year_before as (
  select metric_date + 365 as metric_date, orders_to_date, net_amount_to_date from before
  union all
  select metric_date + 365, orders_to_date, net_amount_to_date from to_date
),

running as (
  select
    t.*,
    (select first_day from first_order) as first_day,
    t.orders_to_date - coalesce(y.orders_to_date, 0) as orders_trailing_365d,
    t.net_amount_to_date - coalesce(y.net_amount_to_date, 0) as net_amount_trailing_365d
  from to_date t
  left join year_before y on t.metric_date = y.metric_date
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
