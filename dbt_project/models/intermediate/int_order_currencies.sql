-- grain: one row per order, currency other than the reporting one in which it or a refund of it is, and day of the rate
{#
  Which rate an order needs. `is_of_order` says whether the order is in that currency, or only a refund of it. Here stands
  what is held, too: int_orders has an order only when its rate is known, so a rate that comes late finds the order here.
  Without a day there is no rate. Amounts whose currency nothing tells are in the reporting currency.
#}
{{ config(
    unique_key='order_id',
    meta={
      'changed_by': [['stg_orders', 'order'], ['stg_order_lines', 'order'], ['stg_refunds', 'order']],
      'logs': []
    }
) }}

with foreign_orders as (
  select order_id from {{ ref('stg_orders') }}
  where currency <> {{ setting('reporting_currency') }} and {{ changed_filter('order_id') }}
  union
  select order_id from {{ ref('stg_order_lines') }}
  where currency <> {{ setting('reporting_currency') }} and {{ changed_filter('order_id') }}
  union
  select order_id from {{ ref('stg_refunds') }}
  where currency <> {{ setting('reporting_currency') }} and {{ changed_filter('order_id') }}
),

headers as (
  select order_id, currency, order_day, _exclusion from {{ ref('stg_orders') }}
  where order_id in (from foreign_orders) and {{ changed_filter('order_id') }}
),

lines as (
  select order_id, arg_min(currency, _key) as currency, min(line_day) as order_day
  from {{ ref('stg_order_lines') }}
  where _exclusion is null and order_id in (from foreign_orders) and {{ changed_filter('order_id') }}
  group by order_id
),

-- as int_orders says
orders as (
  select
    coalesce(h.order_id, l.order_id) as order_id,
    coalesce(h.currency, l.currency) as currency,
    coalesce(h.order_day, l.order_day) as order_day,
    h._exclusion is null as is_counted
  from headers h
  full join lines l on h.order_id = l.order_id
),

needed as (
  select order_id, currency, order_day as rate_day, true as is_of_order
  from orders
  where is_counted and currency <> {{ setting('reporting_currency') }}

  union

  -- money given back in another currency than the order was paid in: at the rate of the order's day, too
  select r.order_id, r.currency, coalesce(o.order_day, r.refund_day), false
  from {{ ref('stg_refunds') }} r
  left join orders o on r.order_id = o.order_id
  where r._exclusion is null and r.currency <> {{ setting('reporting_currency') }} and coalesce(o.is_counted, true)
    and r.currency is distinct from o.currency and {{ changed_filter('r.order_id') }}
)

select order_id, currency, rate_day, currency || ' ' || cast(rate_day as varchar) as rate_key, is_of_order
from needed
