-- grain: one row per order that counts: test orders, those of test persons and those cancelled before payment are out, with all their lines
{#
  An order in another currency is here once the exchange rate of its day is known, and until then nowhere: it is held, as
  if it had been quarantined (docs/adr/0007). `*_reporting` are the amounts in the reporting currency: each line and each
  amount of the header is converted and rounded to four decimals, then summed.
#}
{{ config(
    unique_key='order_id',
    meta={
      'changed_by': [
        ['stg_orders', 'order'],
        ['stg_order_lines', 'order'],
        ['int_excluded_orders', 'order'],
        ['int_fx_rates', 'rate', {'table': 'int_order_currencies', 'on': 'rate_key', 'key': 'order_id'}],
        ['int_person_merges', 'person', {'table': 'stg_orders', 'on': 'person_id', 'key': 'order_id'}],
        ['int_person_merges', 'person', {'table': 'stg_order_lines', 'on': 'person_id', 'key': 'order_id'}],
      ],
      'logs': [
        {'entity': 'order', 'key': 'order_id', 'day': 'order_day'},
        {'entity': 'person', 'key': 'person_id', 'day': 'order_day'},
        {'entity': 'cart', 'key': 'cart_owner', 'day': 'order_day'},
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
),

foreign_orders as (
  select c.order_id, r.rate
  from {{ ref('int_order_currencies') }} c
  left join {{ ref('int_fx_rates') }} r on c.rate_key = r.rate_key
  where c.is_of_order and {{ changed_filter('c.order_id') }}
),

converted as (
  select
    l.order_id,
    sum(cast(cast(l.quantity * l.unit_price as decimal(18, 4)) * f.rate as decimal(18, 4))) as gross_amount,
    sum(cast(l.discount_amount * f.rate as decimal(18, 4))) as discount_amount,
    sum(cast(cast(l.quantity * l.unit_cost as decimal(18, 4)) * f.rate as decimal(18, 4))) as cost_amount
  from {{ ref('stg_order_lines') }} l
  join foreign_orders f on l.order_id = f.order_id
  where l._exclusion is null and not coalesce(l.is_return, false) and not coalesce(l.is_gift_card, false)
    and {{ changed_filter('l.order_id') }}
  group by l.order_id
),

orders as (
  select
    coalesce(h.order_id, s.order_id) as order_id,
    coalesce(m.survivor_id, case when h.order_id is null then s.person_id else h.person_id end) as person_id,
    h.cart_id,
    -- as stg_cart_events names whose cart it may be
    case
      when h.order_id is null then 'person ' || s.person_id
      else coalesce(h.cart_id, 'visitor ' || h.visitor_id, 'person ' || h.person_id)
    end as cart_owner,
    coalesce(h.ordered_at, s.ordered_at) as ordered_at,
    coalesce(h.order_day, s.order_day) as order_day,
    coalesce(h.country, s.country, 'unknown') as country,
    coalesce(h.sales_channel, 'unknown') as sales_channel,
    coalesce(h.currency, s.currency, 'unknown') as currency,
    coalesce(s.sale_lines, 0) > 0 as is_sale,
    cast(coalesce(s.units, 0) as decimal(18, 4)) as units,
    cast(coalesce(s.gross_amount, 0) as decimal(18, 4)) as gross_amount,
    cast(coalesce(s.discount_amount, 0) as decimal(18, 4)) as line_discount_amount,
    -- a header whose lines have not arrived sells nothing yet, and so discounts nothing
    cast(case when s.sale_lines > 0 then coalesce(h.discount_amount, 0) else 0 end as decimal(18, 4)) as header_discount_amount,
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
)

select
  o.order_id, o.person_id, o.cart_id, o.cart_owner, o.ordered_at, o.order_day, o.country, o.sales_channel, o.currency, o.is_sale, o.units,
  o.gross_amount,
  cast(case when o.is_sale then o.line_discount_amount + o.header_discount_amount else 0 end as decimal(18, 4)) as discount_amount,
  o.tax_amount, o.shipping_amount, o.cost_amount,
  case when f.order_id is null then o.gross_amount else cast(coalesce(c.gross_amount, 0) as decimal(18, 4)) end
    as gross_amount_reporting,
  cast(case
    when not o.is_sale then 0
    when f.order_id is null then o.line_discount_amount + o.header_discount_amount
    else coalesce(c.discount_amount, 0) + cast(o.header_discount_amount * f.rate as decimal(18, 4))
  end as decimal(18, 4)) as discount_amount_reporting,
  case when f.order_id is null then o.tax_amount else cast(o.tax_amount * f.rate as decimal(18, 4)) end as tax_amount_reporting,
  case when f.order_id is null then o.shipping_amount else cast(o.shipping_amount * f.rate as decimal(18, 4)) end
    as shipping_amount_reporting,
  case
    when o.cost_amount is null or f.order_id is null then o.cost_amount
    else cast(coalesce(c.cost_amount, 0) as decimal(18, 4))
  end as cost_amount_reporting
from orders o
left join foreign_orders f on o.order_id = f.order_id
left join converted c on o.order_id = c.order_id
where f.order_id is null or f.rate is not null
