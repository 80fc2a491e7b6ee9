-- grain: one row per cell of sales_daily, part and source row (macros/explain.sql)
with source_rows as (
  {{ order_rows() }}
),

movements as (
  select
    day as metric_date, country, sales_channel, currency, order_id as entity, note, left_out, feed, _key,
    orders, units, gross_amount, discount_amount, refund_amount, tax_amount, shipping_amount,
    case when coalesce(gross_amount, discount_amount, refund_amount) is not null
      then coalesce(gross_amount, 0) - coalesce(discount_amount, 0) - coalesce(refund_amount, 0) end as net_amount,
    gross_amount_reporting, discount_amount_reporting, refund_amount_reporting, tax_amount_reporting, shipping_amount_reporting,
    case when coalesce(gross_amount, discount_amount, refund_amount) is not null
      then coalesce(gross_amount_reporting, 0) - coalesce(discount_amount_reporting, 0) - coalesce(refund_amount_reporting, 0)
      end as net_amount_reporting,
    revenue_with_cost_reporting, cost_reporting, revenue_with_cost_reporting - cost_reporting as margin_reporting
  from source_rows
)

{{ explained(
  'movements', ['country', 'sales_channel', 'currency'],
  ['orders', 'units', 'gross_amount', 'discount_amount', 'refund_amount', 'net_amount', 'tax_amount', 'shipping_amount',
   'gross_amount_reporting', 'discount_amount_reporting', 'refund_amount_reporting', 'net_amount_reporting',
   'tax_amount_reporting', 'shipping_amount_reporting', 'revenue_with_cost_reporting', 'cost_reporting', 'margin_reporting']
) }}
