-- grain: one row per cell of cart_abandonment_daily, part and source row (macros/explain.sql)
with carts as (
  select
    *,
    last_event_at + to_hours({{ setting('cart_timeout_hours') }}) as timeout_at,
    last_event_at + to_days({{ setting('cart_recovery_days') }}) as recovery_ends_at
  from {{ ref('int_carts') }}
),

judged as (
  select
    cart_id, last_event_day, device, had_checkout,
    case
      when ordered_at <= timeout_at then 'converted'
      when not has_item then 'emptied'
      when timeout_at > {{ data_end() }} then 'open'
      else 'abandoned'
    end as outcome,
    coalesce(ordered_at > timeout_at and ordered_at <= recovery_ends_at, false) as is_recovered
  from carts
),

source_rows as (
  -- a cart counts on its last event
  select
    cart_id, 'cart_events' as feed, _key, event as note, cast(null as varchar) as left_out,
    cast(row_number() over (partition by cart_id order by occurred_at desc, event_id desc) = 1 as integer) as adds
  from ({{ cart_events() }})

  union all

  select cart_id, 'orders', _key, 'first order of the cart', null, 0
  from (
    select c.cart_id, h._key
    from {{ ref('int_carts') }} c
    join {{ ref('int_orders') }} o on c.cart_owner = o.cart_owner and c.ordered_at = o.ordered_at
    join {{ ref('stg_orders') }} h on o.order_id = h.order_id
    qualify row_number() over (partition by c.cart_id order by o.order_id) = 1
  )

  union all

  select o.cart_id, 'orders', o._key, null, 'an order of it is left out: ' || coalesce(o._exclusion, x.reason), null
  from {{ ref('stg_orders') }} o
  left join {{ ref('int_excluded_orders') }} x on o.order_id = x.order_id
  where o._exclusion is not null or x.order_id is not null
),

rows_of_carts as (
  select
    c.last_event_day as metric_date, c.device, c.cart_id as entity, r.feed, r._key,
    c.outcome || ': ' || r.note as note,
    case when r.left_out is not null then r.left_out when c.outcome = 'emptied' and r.adds = 1 then 'emptied: no item in it at the end' end as left_out,
    case when c.outcome <> 'emptied' then r.adds end as carts,
    case when c.outcome = 'abandoned' then r.adds end as abandoned,
    case when c.outcome = 'converted' then r.adds end as converted,
    case when c.outcome = 'open' then r.adds end as open,
    case when c.outcome = 'abandoned' and c.is_recovered then r.adds end as recovered,
    case when c.outcome = 'emptied' then r.adds end as emptied,
    case when c.outcome <> 'emptied' and c.had_checkout then r.adds end as checkout_carts,
    case when c.outcome = 'abandoned' and c.had_checkout then r.adds end as checkout_abandoned
  from judged c
  join source_rows r on c.cart_id = r.cart_id

  union all

  select
    e.event_day, null, coalesce(e.cart_id, e.cart_owner), 'cart_events', e._key, null, coalesce(e._exclusion, x.reason),
    null, null, null, null, null, null, null, null
  from (
    {{ cart_events() }}
    union all by name
    select * from {{ ref('stg_cart_events') }} where _exclusion is not null
  ) e
  left join {{ ref('int_excluded_carts') }} x on e.cart_id = x.cart_id
  where e._exclusion is not null or x.cart_id is not null
)

{{ explained(
  'rows_of_carts', ['device'],
  ['carts', 'abandoned', 'converted', 'open', 'recovered', 'emptied', 'checkout_carts', 'checkout_abandoned']
) }}
