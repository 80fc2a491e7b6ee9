-- grain: one row per known person, product and day: units bought less units brought back; gift cards are no products
{{ config(
    unique_key='person_id',
    meta={
      'changed_by': [
        ['int_orders', 'person'],
        ['stg_order_lines', 'order', {'table': 'int_orders', 'on': 'order_id', 'key': 'person_id'}],
      ],
      'logs': []
    }
) }}

select
  o.person_id,
  l.product_id,
  -- goods come back on their own day
  coalesce(case when l.is_return then l.line_day end, o.order_day) as day,
  cast(sum(l.quantity) as decimal(18, 4)) as units
from {{ ref('int_orders') }} o
join {{ ref('stg_order_lines') }} l on o.order_id = l.order_id
where o.person_id is not null
  and l.product_id is not null
  and l._exclusion is null
  and not coalesce(l.is_gift_card, false)
  and coalesce(case when l.is_return then l.line_day end, o.order_day) is not null
  and {{ changed_filter('o.person_id') }}
group by o.person_id, l.product_id, coalesce(case when l.is_return then l.line_day end, o.order_day)
