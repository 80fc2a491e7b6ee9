-- grain: one row per day, country, sales channel and currency
{#
  Amounts stand twice: in the currency of the row, and as `*_reporting` in the reporting currency, which may be added up
  over all rows. The margin is that of orders with a known cost of every line, and of the money and goods of these that
  went back.
#}
{{ config(meta={
    'reach': [
      {'model': 'int_orders', 'entity': 'order', 'before': 0, 'after': 0},
      {'model': 'int_refunds', 'entity': 'order', 'before': 0, 'after': 0},
    ]
}) }}

with movements as (
  select
    order_day as metric_date, country, sales_channel, currency, cast(is_sale as integer) as orders, units,
    gross_amount, discount_amount, tax_amount, shipping_amount, cast(0 as decimal(18, 4)) as refund_amount,
    gross_amount_reporting, discount_amount_reporting, tax_amount_reporting, shipping_amount_reporting,
    cast(0 as decimal(18, 4)) as refund_amount_reporting,
    case when cost_amount is not null then gross_amount_reporting - discount_amount_reporting else 0 end as revenue_with_cost_reporting,
    coalesce(cost_amount_reporting, 0) as cost_reporting
  from {{ ref('int_orders') }}
  where {{ affected_filter('order_day') }}

  union all

  -- a refund lands on the day of the refund, never on the day of its order
  select
    refund_day, country, sales_channel, currency, 0, 0, 0, 0, 0, 0, refund_amount, 0, 0, 0, 0, refund_amount_reporting,
    case when is_cost_known then -refund_amount_reporting else 0 end,
    case when is_cost_known then cost_amount_reporting else 0 end
  from {{ ref('int_refunds') }}
  where {{ affected_filter('refund_day') }}
),

sums as (
  select
    metric_date, country, sales_channel, currency,
    sum(orders) as orders, sum(units) as units, sum(gross_amount) as gross_amount, sum(discount_amount) as discount_amount,
    sum(refund_amount) as refund_amount, sum(tax_amount) as tax_amount, sum(shipping_amount) as shipping_amount,
    sum(gross_amount_reporting) as gross_amount_reporting, sum(discount_amount_reporting) as discount_amount_reporting,
    sum(refund_amount_reporting) as refund_amount_reporting, sum(tax_amount_reporting) as tax_amount_reporting,
    sum(shipping_amount_reporting) as shipping_amount_reporting,
    sum(revenue_with_cost_reporting) as revenue_with_cost_reporting, sum(cost_reporting) as cost_reporting
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
  cast(gross_amount_reporting as decimal(18, 4)) as gross_amount_reporting,
  cast(discount_amount_reporting as decimal(18, 4)) as discount_amount_reporting,
  cast(refund_amount_reporting as decimal(18, 4)) as refund_amount_reporting,
  cast(gross_amount_reporting - discount_amount_reporting - refund_amount_reporting as decimal(18, 4)) as net_amount_reporting,
  cast(tax_amount_reporting as decimal(18, 4)) as tax_amount_reporting,
  cast(shipping_amount_reporting as decimal(18, 4)) as shipping_amount_reporting,
  cast(revenue_with_cost_reporting as decimal(18, 4)) as revenue_with_cost_reporting,
  cast(cost_reporting as decimal(18, 4)) as cost_reporting,
  cast(revenue_with_cost_reporting - cost_reporting as decimal(18, 4)) as margin_reporting,
  {{ ratio('gross_amount_reporting - discount_amount_reporting - refund_amount_reporting', 'orders') }} as average_order_value,
  {{ ratio('revenue_with_cost_reporting - cost_reporting', 'revenue_with_cost_reporting') }} as margin_rate,
  {{ is_final('metric_date') }} as is_final,
  {{ final_on('metric_date') }} as final_on
from sums
