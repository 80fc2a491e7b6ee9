-- grain: one row per order that counts: test orders, those of test persons and those cancelled before payment are out, with all their lines
{{ config(
    unique_key='order_id',
    meta={
      'changed_by': [
        ['stg_orders', 'order'],
        ['stg_order_lines', 'order'],
        ['int_excluded_orders', 'order'],
        ['int_person_merges', 'person', {'table': 'stg_orders', 'on': 'person_id', 'key': 'order_id'}],
        ['int_person_merges', 'person', {'table': 'stg_order_lines', 'on': 'person_id', 'key': 'order_id'}],
      ],
      'logs': [
        {'entity': 'order', 'key': 'order_id', 'day': 'order_day'},
        {'entity': 'person', 'key': 'person_id', 'day': 'order_day'},
        {'entity': 'cart', 'key': 'cart_id', 'day': 'order_day'},
      ]
    }
) }}

with headers as (
  select * from {{ ref('stg_orders') }} where {{ changed_filter('order_id') }}
),

sums as (
  select
    order_id,
    -- what stands in for a header where the shop exports none
    min(ordered_at) as ordered_at,
    min(line_day) as order_day,
    arg_min(person_id, _key) as person_id,
    arg_min(country, _key) as country,
    arg_min(currency, _key) as currency,
    count(*) filter (where not coalesce(is_return, false)) as sale_lines,
    sum(quantity) filter (where not coalesce(is_return, false) and not coalesce(is_gift_card, false)) as units,
    sum(cast(quantity * unit_price as decimal(18, 4)))
      filter (where not coalesce(is_return, false) and not coalesce(is_gift_card, false)) as gross_amount,
    -- gift cards are not revenue, so what is taken off their price takes nothing off revenue
    sum(discount_amount) filter (where not coalesce(is_return, false) and not coalesce(is_gift_card, false)) as discount_amount,
    sum(cast(quantity * unit_cost as decimal(18, 4)))
      filter (where not coalesce(is_return, false) and not coalesce(is_gift_card, false)) as cost_amount,
    -- a margin needs the cost of every line that earns something
    count(*) filter (where not coalesce(is_return, false) and not coalesce(is_gift_card, false) and unit_cost is null) = 0
      as is_cost_known
  from {{ ref('stg_order_lines') }}
  where {{ changed_filter('order_id') }} and _exclusion is null
  group by order_id
)

select
  coalesce(h.order_id, s.order_id) as order_id,
  coalesce(m.survivor_id, case when h.order_id is null then s.person_id else h.person_id end) as person_id,
  h.cart_id,
  coalesce(h.ordered_at, s.ordered_at) as ordered_at,
  coalesce(h.order_day, s.order_day) as order_day,
  coalesce(h.country, s.country, 'unknown') as country,
  coalesce(h.sales_channel, 'unknown') as sales_channel,
  coalesce(h.currency, s.currency, 'unknown') as currency,
  coalesce(s.sale_lines, 0) > 0 as is_sale,
  cast(coalesce(s.units, 0) as decimal(18, 4)) as units,
  cast(coalesce(s.gross_amount, 0) as decimal(18, 4)) as gross_amount,
  -- a header whose lines have not arrived sells nothing yet, and so discounts nothing
  cast(case when s.sale_lines > 0 then coalesce(h.discount_amount, 0) + coalesce(s.discount_amount, 0) else 0 end as decimal(18, 4)) as discount_amount,
  cast(case when s.sale_lines > 0 then coalesce(h.tax_amount, 0) else 0 end as decimal(18, 4)) as tax_amount,
  cast(case when s.sale_lines > 0 then coalesce(h.shipping_amount, 0) else 0 end as decimal(18, 4)) as shipping_amount,
  case when s.is_cost_known then cast(coalesce(s.cost_amount, 0) as decimal(18, 4)) end as cost_amount
from headers h
full join sums s on h.order_id = s.order_id
left join {{ ref('int_person_merges') }} m on case when h.order_id is null then s.person_id else h.person_id end = m.person_id
where h._exclusion is null
  and coalesce(h.order_id, s.order_id) not in (
    select order_id from {{ ref('int_excluded_orders') }} where {{ changed_filter('order_id') }}
  )
