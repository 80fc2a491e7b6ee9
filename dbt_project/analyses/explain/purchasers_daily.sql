-- grain: one row per cell of purchasers_daily, part and source row (macros/explain.sql)
with counted as (
  select
    metric_date, period, entity, feed, _key, note, cast(null as varchar) as left_out,
    active as purchasers, repeaters as repeat_purchasers, known_records as known_orders, records as orders
  from ({{ active_order_rows() }})
  where period <> 'trailing_90d'

  union all

  select day, null, order_id, feed, _key, null, left_out, null, null, null, null
  from ({{ order_rows() }})
  where left_out is not null and orders is null
)

{{ explained('counted', ['period'], ['purchasers', 'repeat_purchasers', 'known_orders', 'orders']) }}
