-- grain: one row per refund, and one per order and day on which lines took goods back
{#
  Money goes back at the rate of its order: that of the order's day, also where it is in another currency than the order.
  A refund whose rate is not known, or whose order is held for want of one, is held with it.
#}
{{ config(
    unique_key='order_id',
    meta={
      'changed_by': [
        ['stg_refunds', 'order'], ['stg_order_lines', 'order'], ['stg_orders', 'order'], ['int_orders', 'order'],
        ['int_excluded_orders', 'order'],
        ['int_fx_rates', 'rate', {'table': 'int_order_currencies', 'on': 'rate_key', 'key': 'order_id'}],
      ],
      'logs': [
        {'entity': 'order', 'key': 'order_id', 'day': 'refund_day'},
        {'entity': 'person', 'key': 'person_id', 'day': 'refund_day'},
      ]
    }
) }}

with orders as (
  select order_id, person_id, order_day, country, sales_channel, currency, cost_amount is not null as is_cost_known
  from {{ ref('int_orders') }} where {{ changed_filter('order_id') }}
),

currencies as (
  select c.order_id, c.currency, c.rate_day, c.is_of_order, r.rate
  from {{ ref('int_order_currencies') }} c
  left join {{ ref('int_fx_rates') }} r on c.rate_key = r.rate_key
  where {{ changed_filter('c.order_id') }}
),

-- orders that do not count, or not yet
left_out as (
  select order_id from {{ ref('stg_orders') }} where _exclusion is not null and {{ changed_filter('order_id') }}
  union
  select order_id from {{ ref('int_excluded_orders') }} where {{ changed_filter('order_id') }}
  union
  select order_id from currencies where is_of_order and rate is null
),

money_back as (
  select
    'refund ' || r.refund_id as refund_key, r.order_id, r.refund_day, r.currency,
    r.amount as refund_amount,
    case when c.order_id is null then r.amount else cast(r.amount * c.rate as decimal(18, 4)) end as refund_amount_reporting,
    cast(0 as decimal(18, 4)) as cost_amount,
    cast(0 as decimal(18, 4)) as cost_amount_reporting,
    false as is_return
  from {{ ref('stg_refunds') }} r
  left join orders o on r.order_id = o.order_id
  left join currencies c
    on r.order_id = c.order_id and r.currency = c.currency and c.rate_day = coalesce(o.order_day, r.refund_day)
  where {{ changed_filter('r.order_id') }} and r._exclusion is null and (c.order_id is null or c.rate is not null)

  union all

  select
    'return ' || l.order_id || ' ' || cast(coalesce(l.line_day, o.order_day) as varchar),
    l.order_id,
    -- its own day, else that of its order, which other lines may know where no header does
    coalesce(l.line_day, o.order_day),
    any_value(o.currency),
    -sum(cast(l.quantity * l.unit_price as decimal(18, 4))),
    -sum(
      case when c.order_id is null then cast(l.quantity * l.unit_price as decimal(18, 4))
        else cast(cast(l.quantity * l.unit_price as decimal(18, 4)) * c.rate as decimal(18, 4)) end
    ),
    -- goods that come back bring their cost back
    case when count(*) = count(l.unit_cost) then sum(cast(l.quantity * l.unit_cost as decimal(18, 4))) end,
    case when count(*) = count(l.unit_cost) then sum(
      case when c.order_id is null then cast(l.quantity * l.unit_cost as decimal(18, 4))
        else cast(cast(l.quantity * l.unit_cost as decimal(18, 4)) * c.rate as decimal(18, 4)) end
    ) end,
    true
  from {{ ref('stg_order_lines') }} l
  join orders o on l.order_id = o.order_id
  left join currencies c on l.order_id = c.order_id and c.is_of_order
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
  m.currency,
  m.is_return,
  -- a margin needs the cost of all that was sold
  coalesce(o.is_cost_known, false) and m.cost_amount is not null as is_cost_known,
  cast(m.refund_amount as decimal(18, 4)) as refund_amount,
  cast(m.cost_amount as decimal(18, 4)) as cost_amount,
  cast(m.refund_amount_reporting as decimal(18, 4)) as refund_amount_reporting,
  cast(m.cost_amount_reporting as decimal(18, 4)) as cost_amount_reporting
from money_back m
left join orders o on m.order_id = o.order_id
where m.order_id not in (from left_out)
