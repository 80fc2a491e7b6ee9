-- grain: one row per order of a known person, with the first contact after it and the contacts until it was delivered
{#
  Contacts until delivery are those up to the delivery less those before the order: two readings of one running count,
  and no join of orders with contacts. A contact at the instant of the order or of the delivery lies between the two. By
  person, as a contact concerns every order that is open; what is said here does not depend on the day it is said.
#}
{{ config(
    unique_key='person_id',
    meta={
      'changed_by': [
        ['int_orders', 'person'],
        ['int_inbound_contacts', 'person'],
        ['stg_shipments', 'order', {'table': 'int_orders', 'on': 'order_id', 'key': 'person_id'}],
      ],
      'logs': [
        {'entity': 'order', 'key': 'order_id', 'day': 'order_day'},
        {'entity': 'delivery', 'key': 'order_id', 'day': 'delivered_day'},
      ]
    }
) }}

with orders as (
  select order_id, person_id, ordered_at, order_day
  from {{ ref('int_orders') }}
  where person_id is not null and is_sale and ordered_at is not null and {{ changed_filter('person_id') }}
),

-- an order is delivered with its last parcel; one that the carrier lost is not waited for
deliveries as (
  select o.order_id, any_value(o.person_id) as person_id, max(s.delivered_at) as delivered_at, max(s.delivered_day) as delivered_day
  from orders o
  join {{ ref('stg_shipments') }} s on o.order_id = s.order_id
  where s._exclusion is null and coalesce(s.status, '') <> 'lost'
  group by o.order_id
  having count(*) = count(s.delivered_at) and max(s.delivered_at) >= any_value(o.ordered_at)
),

events as (
  select person_id, ordered_at as occurred_at, 0 as place, order_id from orders
  union all
  select person_id, started_at, 1, null
  from {{ ref('int_inbound_contacts') }}
  where person_id is not null and {{ changed_filter('person_id') }}
  union all
  select person_id, delivered_at, 2, order_id from deliveries
),

counted as (
  select
    *,
    sum(case when place = 1 then 1 else 0 end) over (
      partition by person_id order by occurred_at, place rows between unbounded preceding and current row
    ) as contacts_so_far,
    min(case when place = 1 then occurred_at end) over (
      partition by person_id order by occurred_at, place rows between current row and unbounded following
    ) as next_contact_at
  from events
)

select
  o.order_id,
  o.person_id,
  o.ordered_at,
  o.order_day,
  b.next_contact_at,
  d.delivered_at,
  d.delivered_day,
  cast(e.contacts_so_far - b.contacts_so_far as bigint) as contacts_until_delivery
from orders o
join counted b on o.order_id = b.order_id and b.place = 0
left join deliveries d on o.order_id = d.order_id
left join counted e on o.order_id = e.order_id and e.place = 2
