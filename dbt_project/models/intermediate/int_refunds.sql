-- grain: one row per refund, and one per order and day on which lines took goods back
{{ config(
    unique_key='order_id',
    meta={
      'changed_by': [['stg_refunds', 'order'], ['stg_order_lines', 'order'], ['stg_orders', 'order'], ['int_orders', 'order'], ['int_excluded_orders', 'order']],
      'logs': [
        {'entity': 'order', 'key': 'order_id', 'day': 'refund_day'},
        {'entity': 'person', 'key': 'person_id', 'day': 'refund_day'},
      ]
    }
) }}

with orders as (
  select order_id, person_id, order_day, country, sales_channel, currency
  from {{ ref('int_orders') }} where {{ changed_filter('order_id') }}
),

money_back as (
  select 'refund ' || refund_id as refund_key, order_id, refund_day, amount as refund_amount, cast(0 as decimal(18, 4)) as cost_amount, false as is_return
  from {{ ref('stg_refunds') }}
  where {{ changed_filter('order_id') }} and _exclusion is null

  union all

  select
    'return ' || l.order_id || ' ' || cast(coalesce(l.line_day, o.order_day) as varchar),
    l.order_id,
    -- its own day, else that of its order, which other lines may know where no header does
    coalesce(l.line_day, o.order_day),
    -sum(cast(l.quantity * l.unit_price as decimal(18, 4))),
    -- goods that come back bring their cost back
    case when count(*) = count(l.unit_cost) then sum(cast(l.quantity * l.unit_cost as decimal(18, 4))) end,
    true
  from {{ ref('stg_order_lines') }} l
  join orders o on l.order_id = o.order_id
  -- a gift card was no revenue when it was sold, and takes none away when it comes back
  where l.is_return and not coalesce(l.is_gift_card, false) and l._exclusion is null and {{ changed_filter('l.order_id') }}
    and coalesce(l.line_day, o.order_day) is not null
  group by l.order_id, coalesce(l.line_day, o.order_day)
)

-- an order that does not count has no refunds either; a refund of an order nobody delivered counts, without its customer
select
  m.refund_key,
  m.order_id,
  o.person_id,
  m.refund_day,
  coalesce(o.country, 'unknown') as country,
  coalesce(o.sales_channel, 'unknown') as sales_channel,
  coalesce(o.currency, {{ setting('reporting_currency') }}) as currency,
  m.is_return,
  cast(m.refund_amount as decimal(18, 4)) as refund_amount,
  cast(m.cost_amount as decimal(18, 4)) as cost_amount
from money_back m
left join orders o on m.order_id = o.order_id
where m.order_id not in (
  select order_id from {{ ref('stg_orders') }} where _exclusion is not null and {{ changed_filter('order_id') }}
  union all
  select order_id from {{ ref('int_excluded_orders') }} where {{ changed_filter('order_id') }}
)
