-- grain: one row per day, country, sales channel and currency
{{ config(meta={
    'reach': [
      {'model': 'int_orders', 'entity': 'order', 'before': 0, 'after': 0},
      {'model': 'int_refunds', 'entity': 'order', 'before': 0, 'after': 0},
    ]
}) }}

with movements as (
  select
    order_day as metric_date, country, sales_channel, currency, cast(is_sale as integer) as orders, units,
    gross_amount, discount_amount, tax_amount, shipping_amount, cast(0 as decimal(18, 4)) as refund_amount
  from {{ ref('int_orders') }}
  where {{ affected_filter('order_day') }}

  union all

  -- a refund lands on the day of the refund, never on the day of its order
  select refund_day, country, sales_channel, currency, 0, 0, 0, 0, 0, 0, refund_amount
  from {{ ref('int_refunds') }}
  where {{ affected_filter('refund_day') }}
),

sums as (
  select
    metric_date, country, sales_channel, currency,
    sum(orders) as orders, sum(units) as units, sum(gross_amount) as gross_amount, sum(discount_amount) as discount_amount,
    sum(refund_amount) as refund_amount, sum(tax_amount) as tax_amount, sum(shipping_amount) as shipping_amount
  from movements
  group by metric_date, country, sales_channel, currency
)

select
  metric_date,
  country,
  sales_channel,
  currency,
  cast(orders as bigint) as orders,
  cast(units as decimal(18, 4)) as units,
  cast(gross_amount as decimal(18, 4)) as gross_amount,
  cast(discount_amount as decimal(18, 4)) as discount_amount,
  cast(refund_amount as decimal(18, 4)) as refund_amount,
  cast(gross_amount - discount_amount - refund_amount as decimal(18, 4)) as net_amount,
  cast(tax_amount as decimal(18, 4)) as tax_amount,
  cast(shipping_amount as decimal(18, 4)) as shipping_amount,
  {{ ratio('gross_amount - discount_amount - refund_amount', 'orders') }} as average_order_value,
  {{ is_final('metric_date') }} as is_final,
  {{ final_on('metric_date') }} as final_on
from sums
