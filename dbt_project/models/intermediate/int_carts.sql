-- grain: one row per cart, except those of test persons: its last event, whether it still holds an item, and the first order that came of it
{#
  Which events are one cart: macros/carts.sql. An order without a cart id, of a visitor whose events have none either, comes
  of the last cart that the visitor began before it.
#}
{{ config(
    unique_key='cart_owner',
    meta={
      'changed_by': [['stg_cart_events', 'cart'], ['int_orders', 'cart'], ['int_excluded_carts', 'cart']],
      'logs': [{'entity': 'cart', 'key': 'cart_id', 'day': 'last_event_day'}]
    }
) }}

with visitor_events as (
  {{ visitor_cart_events(changed_filter('cart_owner')) }}
),

visitor_carts as (
  select *, lead(first_event_at, 1, timestamp 'infinity') over (partition by cart_owner order by first_event_at) as next_cart_at
  from (select cart_id, cart_owner, min(occurred_at) as first_event_at from visitor_events group by cart_id, cart_owner)
),

events as (
  select
    *,
    max(case when event = 'empty' then occurred_at end) over (partition by cart_id) as emptied_at
  from (
    select * from {{ ref('stg_cart_events') }} where _exclusion is null and cart_id is not null and {{ changed_filter('cart_owner') }}
    union all by name
    from visitor_events
  )
  where cart_id not in (select cart_id from {{ ref('int_excluded_carts') }} where {{ changed_filter('cart_owner') }})
),

carts as (
  select
    cart_id,
    max(occurred_at) as last_event_at,
    -- arg_max passes over NULL: the last that is known
    arg_max(device, (occurred_at, event_id)) as device,
    sum(case event when 'add' then coalesce(quantity, 1) when 'remove' then -coalesce(quantity, 1) else 0 end)
      filter (where emptied_at is null or occurred_at > emptied_at) as items,
    bool_or(person_id is not null) as has_person,
    bool_or(event = 'checkout') as had_checkout
  from events
  group by cart_id
),

ordered_carts as (
  select cart_id, ordered_at
  from {{ ref('int_orders') }}
  where cart_id is not null and {{ changed_filter('cart_owner') }}

  union all

  select c.cart_id, o.ordered_at
  from {{ ref('int_orders') }} o
  -- an asof join would sort all orders, also of a shop whose carts all have ids
  join visitor_carts c on o.cart_owner = c.cart_owner and o.ordered_at >= c.first_event_at and o.ordered_at < c.next_cart_at
  where o.cart_id is null
),

orders as (
  select cart_id, min(ordered_at) as ordered_at from ordered_carts group by cart_id
)

select
  c.cart_id,
  coalesce(v.cart_owner, c.cart_id) as cart_owner,
  c.last_event_at,
  {{ business_day('c.last_event_at') }} as last_event_day,
  coalesce(c.device, 'unknown') as device,
  coalesce(c.items, 0) > 0 as has_item,
  c.had_checkout,
  c.has_person,
  o.ordered_at
from carts c
left join visitor_carts v on c.cart_id = v.cart_id
left join orders o on c.cart_id = o.cart_id
