-- grain: one row per known person with an order: the first one, where it was placed and the product most was spent on
{{ config(
    unique_key='person_id',
    meta={
      'changed_by': [
        ['int_orders', 'person'],
        ['stg_order_lines', 'order', {'table': 'int_orders', 'on': 'order_id', 'key': 'person_id'}],
      ],
      'logs': [{'entity': 'person', 'key': 'person_id', 'day': 'first_order_day'}]
    }
) }}

with firsts as (
  select
    person_id,
    arg_min(order_id, (ordered_at, order_id)) as order_id,
    arg_min(order_day, (ordered_at, order_id)) as first_order_day,
    arg_min(sales_channel, (ordered_at, order_id)) as entry_channel
  from {{ ref('int_orders') }}
  where person_id is not null and order_day is not null and is_sale and {{ changed_filter('person_id') }}
  group by person_id
),

products as (
  select order_id, arg_min(product_id, (-cast(quantity * unit_price as decimal(18, 4)), line_id)) as product_id
  from {{ ref('stg_order_lines') }}
  where _exclusion is null and not coalesce(is_return, false) and product_id is not null
    and order_id in (select order_id from firsts)
  group by order_id
)

select f.person_id, f.order_id, f.first_order_day, f.entry_channel, p.product_id
from firsts f
left join products p on f.order_id = p.order_id
