-- grain: one row per day on which anybody got in touch or ordered, or an order was delivered
{{ config(meta={
    'matures_in': 'order_contact_days + 1',
    'reach': [
      {'model': 'int_inbound_contacts', 'entity': 'contact', 'before': 0, 'after': 0},
      {'model': 'int_orders', 'entity': 'order', 'before': 0, 'after': 0},
      {'model': 'int_order_journeys', 'entity': 'order', 'before': 0, 'after': 0},
      {'model': 'int_order_journeys', 'entity': 'delivery', 'before': 0, 'after': 0},
    ]
}) }}

{#
  Gross: the contacts and the orders of the day, whoever they are of. Net: of the day's orders of known persons, those
  with a contact of that person within 30 x 24 h; `known_person_orders` is the coverage. Journeys: the orders of known
  persons that were delivered on the day, and the contacts from the order to its delivery; nothing of them is open.
#}

with parts as (
  select contact_day as metric_date, count(*) as contacts, 0 as orders, 0 as known_person_orders, 0 as contacted_orders,
    0 as journeys, 0 as journey_contacts
  from {{ ref('int_inbound_contacts') }}
  where {{ affected_filter('contact_day') }}
  group by contact_day

  union all

  select order_day, 0, count(*), 0, 0, 0, 0
  from {{ ref('int_orders') }}
  where is_sale and {{ affected_filter('order_day') }}
  group by order_day

  union all

  select
    order_day, 0, 0, count(*),
    count(*) filter (where next_contact_at <= ordered_at + to_days({{ setting('order_contact_days') }}) and next_contact_at < {{ data_end() }}),
    0, 0
  from {{ ref('int_order_journeys') }}
  where {{ affected_filter('order_day') }}
  group by order_day

  union all

  select delivered_day, 0, 0, 0, 0, count(*), sum(contacts_until_delivery)
  from {{ ref('int_order_journeys') }}
  where {{ affected_filter('delivered_day') }}
  group by delivered_day
),

sums as (
  select
    metric_date,
    cast(sum(contacts) as bigint) as contacts,
    cast(sum(orders) as bigint) as orders,
    cast(sum(known_person_orders) as bigint) as known_person_orders,
    cast(sum(contacted_orders) as bigint) as contacted_orders,
    cast(sum(journeys) as bigint) as journeys,
    cast(sum(journey_contacts) as bigint) as journey_contacts
  from parts
  group by metric_date
)

select
  metric_date, contacts, orders, known_person_orders, contacted_orders, journeys, journey_contacts,
  {{ ratio('contacts', 'orders') }} as contacts_per_order,
  {{ ratio('contacted_orders', 'known_person_orders') }} as contacted_order_rate,
  {{ ratio('journey_contacts', 'journeys') }} as contacts_per_journey,
  {{ is_final('metric_date', 'order_contact_days') }} as is_final,
  {{ final_on('metric_date', 'order_contact_days') }} as final_on,
  {{ is_final('metric_date') }} as gross_is_final,
  {{ final_on('metric_date') }} as gross_final_on
from sums
