-- grain: one row per known person with an order, as of the last complete day
{#
  Rebuilt whole: the values of everybody move with the day (tenure, lifespan of the base). History is recomputed, not
  stored: the same query over int_customer_days up to a day gives that day. What days add up to stands in int_customers;
  only the trailing year, and the few people with days after the last complete one, are read day by day.
#}
{{ config(materialized='table', pre_hook="") }}

with ahead as (
  select distinct person_id from {{ ref('int_customer_days') }} where activity_day > {{ data_through() }}
),

totals as (
  select person_id, first_order_day, last_order_day, orders, gross_amount, discount_amount, refund_amount, cost_amount
  from {{ ref('int_customers') }}
  where first_order_day is not null and person_id not in (select person_id from ahead)

  union all

  select
    person_id, min(activity_day) filter (where orders > 0), max(activity_day) filter (where orders > 0), sum(orders),
    sum(gross_amount), sum(discount_amount), sum(refund_amount), case when count(*) = count(cost_amount) then sum(cost_amount) end
  from {{ ref('int_customer_days') }}
  where activity_day <= {{ data_through() }} and person_id in (select person_id from ahead)
  group by person_id
  having sum(orders) > 0
),

last_year as (
  select
    person_id,
    sum(orders) as orders,
    sum(gross_amount - discount_amount - refund_amount) as net_amount
  from {{ ref('int_customer_days') }}
  where activity_day > {{ data_through() }} - 365 and activity_day <= {{ data_through() }}
  group by person_id
),

valued as (
  select
    t.*,
    t.gross_amount - t.discount_amount - t.refund_amount as net_amount,
    coalesce(y.orders, 0) as orders_trailing_365d,
    -- as clv_daily dates it, so that the two add up: what came before somebody's first order counts on its day
    case
      when t.first_order_day > {{ data_through() }} - 365 then t.gross_amount - t.discount_amount - t.refund_amount
      else coalesce(y.net_amount, 0)
    end as net_amount_trailing_365d
  from totals t
  left join last_year y on t.person_id = y.person_id
),

lifespan as (
  select
    case when metric_date >= first_day + {{ setting('min_history_days') }} and active_365d_ago > 0 then least(coalesce({{ ratio('active_365d_ago', 'lost_since_365d') }}, {{ setting('max_lifespan_years') }}), {{ setting('max_lifespan_years') }}) end as years
  from {{ ref('clv_daily') }}
  cross join (select min(metric_date) as first_day from {{ ref('clv_daily') }})
  where metric_date = {{ data_through() }}
)

select
  t.person_id,
  {{ data_through() }} as as_of_date,
  t.first_order_day as first_order_date,
  t.last_order_day as last_order_date,
  cast(t.orders as bigint) as orders,
  cast(t.gross_amount as decimal(18, 4)) as gross_amount,
  cast(t.discount_amount as decimal(18, 4)) as discount_amount,
  cast(t.refund_amount as decimal(18, 4)) as refund_amount,
  cast(t.net_amount as decimal(18, 4)) as net_amount,
  cast(t.net_amount - t.cost_amount as decimal(18, 4)) as margin_amount,
  cast(t.net_amount as decimal(18, 4)) as clv_historic,
  cast(t.orders_trailing_365d as bigint) as orders_trailing_365d,
  cast(t.net_amount_trailing_365d as decimal(18, 4)) as net_amount_trailing_365d,
  -- average order value x orders a year x lifespan of the base x margin share: over all persons it adds up to clv_daily
  {{ ratio('t.net_amount_trailing_365d', 't.orders_trailing_365d') }} * t.orders_trailing_365d
    * l.years * {{ setting('margin_share') }} as clv_simple
from valued t
left join lifespan l on true
