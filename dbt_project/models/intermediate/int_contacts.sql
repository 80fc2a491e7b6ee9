-- grain: one row per inbound contact that somebody handled, with who it was after merges; not of test persons
{{ config(
    unique_key='contact_id',
    meta={
      'changed_by': [
        ['stg_contacts', 'contact'],
        ['int_person_merges', 'person', {'table': 'stg_contacts', 'on': 'person_id', 'key': 'contact_id'}],
        ['int_excluded_persons', 'person', {'table': 'stg_contacts', 'on': 'person_id', 'key': 'contact_id'}],
      ],
      'logs': [
        {'entity': 'contact', 'key': 'contact_id', 'day': 'contact_day'},
        {'entity': 'person', 'key': 'person_id', 'day': 'contact_day'},
        {'entity': 'case', 'key': 'case_id', 'day': 'contact_day'},
      ]
    }
) }}

select
  c.contact_id,
  c.case_id,
  coalesce(m.survivor_id, c.person_id) as person_id,
  c.channel,
  coalesce(c.topic, 'unknown') as topic,
  c.started_at,
  c.contact_day
from {{ ref('stg_contacts') }} c
left join {{ ref('int_person_merges') }} m on c.person_id = m.person_id
left join {{ ref('int_excluded_persons') }} x on c.person_id = x.person_id
where c._exclusion is null and x.person_id is null and c.direction = 'inbound' and c.outcome = 'handled' and {{ changed_filter('c.contact_id') }}
