-- grain: one row per cell of retention_cohorts_by_segment, part and source row (macros/explain.sql); metric_date is the month of activity
with purchases as (
  select o.person_id, o.day, o.feed, o._key, o.adds, g.dimension, g.segment
  from ({{ orders_of_life() }}) o
  join {{ ref('int_customer_segments') }} s on o.person_id = s.person_id
  cross join lateral (values ('first_product_category', s.first_product_category), ('entry_channel', s.entry_channel)) as g(dimension, segment)
),

persons as (
  from ({{ cohort_rows('from purchases', ['dimension', 'segment']) }})

  union all

  select
    cast(date_trunc('month', day) as date), null, null, null, null, order_id, feed, _key, null, coalesce(left_out, 'of no known person'),
    null, null, null
  from ({{ order_rows() }})
  where (left_out is not null and orders is null) or (person_id is null and orders = 1)
)

{{ explained('persons', ['cohort_month', 'months_since', 'dimension', 'segment'], ['customers', 'active', 'active_or_later']) }}
