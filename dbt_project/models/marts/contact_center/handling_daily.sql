-- grain: one row per day, channel, topic and queue: of legs their own, of contacts those of the contact
{{ config(meta={
    'reach': [
      {'model': 'int_legs', 'entity': 'leg', 'before': 0, 'after': 0},
      {'model': 'int_legs', 'entity': 'contact', 'before': 0, 'after': 0},
    ]
}) }}

{#
  A leg counts in the queue and on the day of its own, a contact with all of its legs in those of its first one. An agent
  holds several messaging conversations at a time, so their minutes are no working time: they stand apart.
#}

with legs as (
  select
    leg_day as metric_date, channel, topic, queue,
    list_contains(string_split({{ setting('messaging_channels') }}, ','), channel) as is_messaging,
    1 as legs, handle_seconds, 0 as contacts, 0 as contact_seconds
  from {{ ref('int_legs') }}
  where handle_seconds is not null and {{ affected_filter('leg_day') }}
),

contacts as (
  select
    contact_day as metric_date, contact_channel, contact_topic, contact_queue,
    list_contains(string_split({{ setting('messaging_channels') }}, ','), contact_channel) as is_messaging,
    0, 0, 1, sum(handle_seconds)
  from {{ ref('int_legs') }}
  where handle_seconds is not null and {{ affected_filter('contact_day') }}
  group by root_contact_id, contact_day, contact_channel, contact_topic, contact_queue
),

counted as (
  select
    metric_date, channel, topic, queue,
    {%- for name, condition in [('', 'not is_messaging'), ('messaging_', 'is_messaging')] %}
    cast(coalesce(sum(legs) filter (where {{ condition }}), 0) as bigint) as {{ name }}legs,
    cast(coalesce(sum(handle_seconds) filter (where {{ condition }}), 0) as decimal(18, 4)) as {{ name }}leg_seconds,
    cast(coalesce(sum(contacts) filter (where {{ condition }}), 0) as bigint) as {{ name }}contacts,
    cast(coalesce(sum(contact_seconds) filter (where {{ condition }}), 0) as decimal(18, 4)) as {{ name }}contact_seconds
    {{- ',' if not loop.last }}
    {%- endfor %}
  from (from legs union all from contacts)
  group by metric_date, channel, topic, queue
)

select
  *,
  {{ ratio('leg_seconds', 'legs') }} as aht,
  {{ ratio('contact_seconds', 'contacts') }} as aht_per_contact,
  {{ ratio('messaging_leg_seconds', 'messaging_legs') }} as aht_messaging,
  {{ ratio('messaging_contact_seconds', 'messaging_contacts') }} as aht_messaging_per_contact,
  {{ is_final('metric_date') }} as is_final,
  {{ final_on('metric_date') }} as final_on
from counted
