-- grain: one row per day of clv_daily, part and source row (macros/explain.sql)
with source_rows as (
  select *,
    coalesce(gross_amount_reporting, 0) - coalesce(discount_amount_reporting, 0) - coalesce(refund_amount_reporting, 0) as net_amount
  from ({{ order_rows() }})
),

-- the base is people with an order: goods brought back before somebody's first order count from that order on
known as (
  select
    *,
    greatest(day, first_order_day) as counted_on,
    -- 1 on one order of each person and day
    cast(row_number() over (partition by person_id, day, orders = 1 order by feed, _key) = 1 and orders = 1 as integer) as adds
  from (
    select *, min(case when orders = 1 then day end) over (partition by person_id) as first_order_day
    from source_rows where person_id is not null and day is not null
  )
  where first_order_day is not null
),

activity as (
  {{ activity_rows() }}
),

calendar as (
  select cast(d as date) as metric_date
  from (select min(first_order_day) as first_day from known) f,
    unnest(generate_series(cast(f.first_day as timestamp), cast({{ data_through() }} as timestamp), interval 1 day)) as g(d)
),

purchase_steps as (
  select person_id, day, lead(day, 1, date '9999-12-31') over (partition by person_id order by day) as next_day
  from known where adds = 1
),

purchasers as (
  select c.metric_date, s.person_id, s.day
  from calendar c
  join purchase_steps s on s.day <= c.metric_date and c.metric_date < s.next_day and c.metric_date < s.day + 365
),

activity_steps as (
  select
    person_id, day, day + {{ setting('churn_inactive_days') }} as lapse_day,
    lead(day, 1, date '9999-12-31') over (partition by person_id order by day) as next_day
  from activity where adds = 1
),

-- of those active 365 days ago, who is not any more
base as (
  select c.metric_date, a.person_id, a.day as start_sign, b.day as end_sign, b.lapse_day
  from calendar c
  join activity_steps a on a.day <= c.metric_date - 365 and c.metric_date - 365 < least(a.next_day, a.lapse_day)
  join activity_steps b on b.person_id = a.person_id and b.day <= c.metric_date and c.metric_date < b.next_day
),

rows_of_days as (
  select
    c.metric_date, k.person_id as entity, k.feed, k._key, k.note || ' of ' || k.order_id || ', ' || k.day as note, cast(null as varchar) as left_out,
    case when k.day = k.first_order_day and k.orders = 1 then k.adds end as customers_to_date,
    k.orders as orders_to_date,
    k.net_amount as net_amount_to_date,
    case when k.counted_on > c.metric_date - 365 then k.orders end as orders_trailing_365d,
    case when k.counted_on > c.metric_date - 365 then k.net_amount end as net_amount_trailing_365d,
    cast(null as integer) as purchasers_trailing_365d,
    cast(null as integer) as active_365d_ago,
    cast(null as integer) as lost_since_365d
  from calendar c
  join known k on k.counted_on <= c.metric_date

  union all

  select p.metric_date, p.person_id, k.feed, k._key, 'last order, ' || k.day, null, null, null, null, null, null, k.adds, null, null
  from purchasers p
  join known k on k.person_id = p.person_id and k.day = p.day and k.orders = 1

  union all

  select b.metric_date, b.person_id, a.feed, a._key, 'last activity 365 days ago, ' || a.day, null, null, null, null, null, null, null, a.adds, null
  from base b
  join activity a on a.person_id = b.person_id and a.day = b.start_sign

  union all

  select
    b.metric_date, b.person_id, a.feed, a._key, 'last activity, ' || a.day || '; lapsed on ' || b.lapse_day,
    null, null, null, null, null, null, null, null, a.adds
  from base b
  join activity a on a.person_id = b.person_id and a.day = b.end_sign
  where b.lapse_day <= b.metric_date

  union all

  select
    day, coalesce(person_id, order_id), feed, _key, null,
    case when left_out is not null then left_out when person_id is null then 'of no known person' else 'of a person without an order' end,
    null, null, null, null, null, null, null, null
  from source_rows
  where left_out is not null or person_id is null or person_id not in (select person_id from known)
)

{{ explained(
  'rows_of_days', [],
  ['customers_to_date', 'orders_to_date', 'net_amount_to_date', 'orders_trailing_365d', 'net_amount_trailing_365d',
   'purchasers_trailing_365d', 'active_365d_ago', 'lost_since_365d']
) }}
