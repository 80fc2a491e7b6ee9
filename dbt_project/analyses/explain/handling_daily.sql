-- grain: one row per cell of handling_daily, part and source row (macros/explain.sql)
with legs as (
  select i.*, s._key from {{ ref('int_legs') }} i join {{ ref('stg_contacts') }} s on i.contact_id = s.contact_id
),

-- a leg counts where it was taken, and its contact, with all of its legs, where the first one was
cells as (
  select
    leg_day as metric_date, channel, topic, queue, contact_id as entity, _key,
    case when contact_id = root_contact_id then 'contact' else 'leg of ' || root_contact_id end as note,
    handle_seconds, 1 as legs, null as contacts
  from legs where handle_seconds is not null

  union all

  select
    contact_day, contact_channel, contact_topic, contact_queue, root_contact_id, _key,
    case when contact_id = root_contact_id then 'contact' else 'its leg ' || contact_id end,
    handle_seconds, null,
    cast(row_number() over (partition by root_contact_id order by contact_id <> root_contact_id, contact_id) = 1 as integer)
  from legs where handle_seconds is not null
),

counted as (
  select
    metric_date, channel, topic, queue, entity, 'contacts' as feed, _key, note, cast(null as varchar) as left_out,
    {%- for name, condition in [('', 'not is_messaging'), ('messaging_', 'is_messaging')] %}
    case when {{ condition }} then legs end as {{ name }}legs,
    case when {{ condition }} and legs is not null then handle_seconds end as {{ name }}leg_seconds,
    case when {{ condition }} then contacts end as {{ name }}contacts,
    case when {{ condition }} and contacts is not null then handle_seconds end as {{ name }}contact_seconds
    {{- ',' if not loop.last }}
    {%- endfor %}
  from (
    select *, list_contains(string_split({{ setting('messaging_channels') }}, ','), channel) as is_messaging from cells
  )

  union all

  select
    l.contact_day, l.channel, coalesce(l.topic, r.topic, 'unknown'), coalesce(l.queue, 'unknown'), l.contact_id, 'contacts', l._key, null,
    case
      when i.contact_id is not null then 'neither talk, hold nor wrap seconds are told'
      when coalesce(l._exclusion, 'transfer_leg') <> 'transfer_leg' then l._exclusion
      when l.outcome <> 'handled' then 'nobody handled it: ' || l.outcome
      when r.contact_id is null then 'a leg of a contact that has not come'
      when r.contact_id <> l.contact_id then 'its contact is left out: ' || {{ not_handled('r') }}
      else {{ not_handled('r') }}
    end,
    null, null, null, null, null, null, null, null
  from {{ ref('stg_contacts') }} l
  left join {{ ref('stg_contacts') }} r on r.contact_id = coalesce(l.root_contact_id, l.contact_id)
  left join {{ ref('int_legs') }} i on l.contact_id = i.contact_id
  where i.contact_id is null or i.handle_seconds is null
)

{{ explained(
  'counted', ['channel', 'topic', 'queue'], [
    'legs', 'leg_seconds', 'contacts', 'contact_seconds',
    'messaging_legs', 'messaging_leg_seconds', 'messaging_contacts', 'messaging_contact_seconds'
  ]
) }}
