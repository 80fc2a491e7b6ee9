-- grain: one row per leg that an agent handled of an inbound contact that was handled, the contact's own leg included
{{ config(
    unique_key='contact_id',
    meta={
      'changed_by': [
        ['stg_contacts', 'contact'],
        ['stg_contacts', 'contact', {'table': 'stg_contacts', 'on': 'root_contact_id', 'key': 'contact_id'}],
      ],
      'logs': [
        {'entity': 'leg', 'key': 'contact_id', 'day': 'leg_day'},
        {'entity': 'contact', 'key': 'contact_id', 'day': 'contact_day'},
      ]
    }
) }}

select
  l.contact_id,
  r.contact_id as root_contact_id,
  l.agent_id,
  l.contact_day as leg_day,
  l.channel,
  coalesce(l.topic, r.topic, 'unknown') as topic,
  coalesce(l.queue, 'unknown') as queue,
  -- of the contact it belongs to
  r.contact_day,
  r.channel as contact_channel,
  coalesce(r.topic, 'unknown') as contact_topic,
  coalesce(r.queue, 'unknown') as contact_queue,
  -- known as soon as one of the three is
  case when coalesce(l.talk_seconds, l.hold_seconds, l.wrap_seconds) is not null
    then coalesce(l.talk_seconds, 0) + coalesce(l.hold_seconds, 0) + coalesce(l.wrap_seconds, 0) end as handle_seconds
from {{ ref('stg_contacts') }} l
join {{ ref('stg_contacts') }} r on r.contact_id = coalesce(l.root_contact_id, l.contact_id)
where coalesce(l._exclusion, 'transfer_leg') = 'transfer_leg' and l.outcome = 'handled'
  and r._exclusion is null and r.direction = 'inbound' and r.outcome = 'handled'
  and {{ changed_filter('l.contact_id') }}
