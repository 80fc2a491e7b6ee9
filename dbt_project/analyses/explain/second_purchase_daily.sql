-- grain: one row per cell of second_purchase_daily, part and source row (macros/explain.sql)
with orders as (
  select
    person_id, day, feed, _key, order_id, note,
    row_number() over (partition by person_id order by day, feed, _key) as place
  from ({{ order_rows() }})
  where person_id is not null and day is not null and orders = 1
),

windows as (
  from (values (30), (60), (90), (180), (365)) as w(window_days)
),

buyers as (
  select f.person_id, f.day as metric_date, w.window_days, f.day + w.window_days <= {{ data_through() }} as has_passed
  from orders f cross join windows w
  where f.place = 1
),

persons as (
  select
    b.metric_date, b.window_days, b.person_id as entity, o.feed, o._key,
    'first order, ' || o.order_id as note, cast(null as varchar) as left_out,
    1 as first_time_buyers, null as bought_again_so_far, case when b.has_passed then 1 end as judged, null as bought_again
  from buyers b
  join orders o on b.person_id = o.person_id and o.place = 1

  union all

  select
    b.metric_date, b.window_days, b.person_id, o.feed, o._key,
    'second order, ' || o.order_id, null,
    null, 1, null, case when b.has_passed then 1 end
  from buyers b
  join orders o on b.person_id = o.person_id and o.place = 2
  where o.day <= b.metric_date + b.window_days and o.day <= {{ data_through() }}

  union all

  select day, null, order_id, feed, _key, null, coalesce(left_out, 'of no known person'), null, null, null, null
  from ({{ order_rows() }})
  where (left_out is not null and orders is null) or (person_id is null and orders = 1)
)

{{ explained('persons', ['window_days'], ['first_time_buyers', 'bought_again_so_far', 'judged', 'bought_again']) }}
