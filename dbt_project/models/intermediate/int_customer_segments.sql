-- grain: one row per known person with an order: what cohorts are split by
{{ config(
    unique_key='person_id',
    meta={
      'changed_by': [
        ['int_first_orders', 'person'],
        ['stg_products', 'product', {'table': 'int_first_orders', 'on': 'product_id', 'key': 'person_id'}],
      ],
      'logs': [{'entity': 'person', 'key': 'person_id', 'day': 'first_order_day'}]
    }
) }}

select f.person_id, f.first_order_day, f.entry_channel, coalesce(p.category, 'unknown') as first_product_category
from {{ ref('int_first_orders') }} f
left join {{ ref('stg_products') }} p on f.product_id = p.product_id and p._exclusion is null
where {{ changed_filter('f.person_id') }}
