-- grain: one row per product_id: its newest version, excluded rows flagged in _exclusion; where it came from in _delivery and _line
{{ config(meta={'changed_by': [['raw', 'products']], 'logs': [{'entity': 'product', 'key': 'product_id', 'day': 'null'}]}) }}

with newest as (
  {{ newest_version('products') }}
)

select
  product_id,
  name,
  category,
  unit_cost,
  currency,
  is_gift_card,
  updated_at,
  _key,
  _exclusion,
  _delivery,
  _line
from newest
