-- grain: one row per transfer of an inbound contact that was handled; from the IVR to a queue is none
{{ config(
    unique_key='transfer_id',
    meta={
      'changed_by': [
        ['stg_transfers', 'transfer'],
        ['stg_contacts', 'contact', {'table': 'stg_transfers', 'on': 'contact_id', 'key': 'transfer_id'}],
      ],
      'logs': [
        {'entity': 'transfer', 'key': 'transfer_id', 'day': 'transfer_day'},
        {'entity': 'contact', 'key': 'transfer_id', 'day': 'contact_day'},
      ]
    }
) }}

select
  t.transfer_id,
  t.contact_id,
  t.kind,
  t.from_agent_id,
  t.transfer_day,
  c.contact_day,
  c.channel,
  coalesce(c.topic, 'unknown') as topic,
  coalesce(c.queue, 'unknown') as queue
from {{ ref('stg_transfers') }} t
join {{ ref('stg_contacts') }} c on t.contact_id = c.contact_id
where t._exclusion is null and t.kind <> 'ivr'
  and c._exclusion is null and c.direction = 'inbound' and c.outcome = 'handled'
  and {{ changed_filter('t.transfer_id') }}
