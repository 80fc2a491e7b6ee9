-- grain: one row per handled inbound contact of a known person, with the next one on its topic and the order that came of it
{#
  An order counts for the last contact before it, so a contact is followed by an order exactly when the next thing the
  person does, contact or order, is an order. An order at the very instant of a contact comes after it. By person, as
  either can move the other; what is said here does not depend on the day it is said.
#}
{{ config(
    unique_key='person_id',
    meta={
      'changed_by': [['int_inbound_contacts', 'person'], ['int_orders', 'person']],
      'logs': [{'entity': 'contact', 'key': 'contact_id', 'day': 'contact_day'}]
    }
) }}

with events as (
  select person_id, started_at as occurred_at, 0 as is_order, contact_id, channel, topic, contact_day
  from {{ ref('int_inbound_contacts') }}
  where person_id is not null and outcome = 'handled' and {{ changed_filter('person_id') }}

  union all

  select person_id, ordered_at, 1, null, null, null, null
  from {{ ref('int_orders') }}
  where person_id is not null and is_sale and ordered_at is not null and {{ changed_filter('person_id') }}
),

followed as (
  select
    *,
    lead(is_order) over per_person = 1 as is_order_next,
    lead(occurred_at) over per_person as next_at,
    lead(occurred_at) over per_topic as next_on_topic_at
  from events
  window
    per_person as (partition by person_id order by occurred_at, is_order, contact_id),
    per_topic as (partition by person_id, is_order, topic order by occurred_at, contact_id)
)

select
  contact_id,
  person_id,
  channel,
  topic,
  occurred_at as started_at,
  contact_day,
  next_on_topic_at,
  case when is_order_next then next_at end as next_order_at
from followed
where is_order = 0
