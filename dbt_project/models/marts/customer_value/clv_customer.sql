-- grain: one row per known person with an order, as of the last complete day
{#
  Rebuilt whole: the values of everybody move with the day (tenure, lifespan of the base). History is recomputed, not
  stored: the same query over int_customer_days up to a day gives that day.
#}
{{ config(materialized='table', pre_hook="") }}

with days as (
  select *, min(activity_day) filter (where orders > 0) over (partition by person_id) as first_order_date
  from {{ ref('int_customer_days') }}
  where activity_day <= {{ data_through() }}
),

totals as (
  select
    person_id,
    any_value(first_order_date) as first_order_date,
    max(activity_day) filter (where orders > 0) as last_order_date,
    sum(orders) as orders,
    sum(gross_amount) as gross_amount,
    sum(discount_amount) as discount_amount,
    sum(refund_amount) as refund_amount,
    sum(gross_amount - discount_amount - refund_amount) as net_amount,
    sum(orders) filter (where activity_day > {{ data_through() }} - 365) as orders_trailing_365d,
    -- as clv_daily dates it, so that the two add up
    sum(gross_amount - discount_amount - refund_amount)
      filter (where greatest(activity_day, first_order_date) > {{ data_through() }} - 365) as net_amount_trailing_365d,
    case when count(*) = count(cost_amount) then sum(gross_amount - discount_amount - refund_amount - cost_amount) end as margin_amount
  from days
  where first_order_date is not null
  group by person_id
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
  t.first_order_date,
  t.last_order_date,
  cast(t.orders as bigint) as orders,
  cast(t.gross_amount as decimal(18, 4)) as gross_amount,
  cast(t.discount_amount as decimal(18, 4)) as discount_amount,
  cast(t.refund_amount as decimal(18, 4)) as refund_amount,
  cast(t.net_amount as decimal(18, 4)) as net_amount,
  cast(t.margin_amount as decimal(18, 4)) as margin_amount,
  cast(t.net_amount as decimal(18, 4)) as clv_historic,
  cast(coalesce(t.orders_trailing_365d, 0) as bigint) as orders_trailing_365d,
  cast(coalesce(t.net_amount_trailing_365d, 0) as decimal(18, 4)) as net_amount_trailing_365d,
  -- average order value x orders a year x lifespan of the base x margin share: over all persons it adds up to clv_daily
  {{ ratio('t.net_amount_trailing_365d', 't.orders_trailing_365d') }} * t.orders_trailing_365d
    * l.years * {{ setting('margin_share') }} as clv_simple
from totals t
left join lifespan l on true
