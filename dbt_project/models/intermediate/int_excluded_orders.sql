-- grain: one row per order that its feed counts and no metric does, because of who placed it, with the reason
{{ config(
    unique_key='order_id',
    meta={
      'changed_by': [
        ['stg_orders', 'order'],
        ['stg_order_lines', 'order'],
        ['int_excluded_persons', 'person', {'table': 'stg_orders', 'on': 'person_id', 'key': 'order_id'}],
        ['int_excluded_persons', 'person', {'table': 'stg_order_lines', 'on': 'person_id', 'key': 'order_id'}],
      ],
      'logs': [{'entity': 'order', 'key': 'order_id', 'day': 'order_day'}]
    }
) }}

with headers as (
  select order_id, person_id, order_day, _exclusion from {{ ref('stg_orders') }} where {{ changed_filter('order_id') }}
),

-- the lines say who, where the shop exports no header
headless as (
  select order_id, min(line_day) as order_day, arg_min(person_id, _key) as person_id
  from {{ ref('stg_order_lines') }}
  where {{ changed_filter('order_id') }} and _exclusion is null and order_id not in (select order_id from headers)
  group by order_id
),

orders as (
  select order_id, person_id, order_day from headers where _exclusion is null
  union all
  select order_id, person_id, order_day from headless
)

select o.order_id, o.order_day, x.reason
from orders o
join {{ ref('int_excluded_persons') }} x on o.person_id = x.person_id
