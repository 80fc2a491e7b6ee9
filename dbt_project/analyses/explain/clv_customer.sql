-- grain: one row per person of clv_customer, part and source row (macros/explain.sql); metric_date is the last complete day
with source_rows as (
  select *, coalesce(gross_amount, 0) - coalesce(discount_amount, 0) - coalesce(refund_amount, 0) as net_amount
  from ({{ order_rows() }})
  where person_id is not null and day <= {{ data_through() }}
),

known as (
  select *, min(case when orders = 1 then day end) over (partition by person_id) as first_order_day
  from source_rows
),

rows_of_persons as (
  select
    {{ data_through() }} as metric_date, person_id, order_id as entity, feed, _key, note || ', ' || day as note,
    case when first_order_day is null then 'of a person without an order' else left_out end as left_out,
    case when first_order_day is not null then orders end as orders,
    case when first_order_day is not null then gross_amount end as gross_amount,
    case when first_order_day is not null then discount_amount end as discount_amount,
    case when first_order_day is not null then refund_amount end as refund_amount,
    case when first_order_day is not null then net_amount end as net_amount,
    case when first_order_day is not null then net_amount end as clv_historic,
    case when day > {{ data_through() }} - 365 then orders end as orders_trailing_365d,
    case when greatest(day, first_order_day) > {{ data_through() }} - 365 then net_amount end as net_amount_trailing_365d
  from known
)

{{ explained(
  'rows_of_persons', ['person_id'],
  ['orders', 'gross_amount', 'discount_amount', 'refund_amount', 'net_amount', 'clv_historic', 'orders_trailing_365d',
   'net_amount_trailing_365d']
) }}
