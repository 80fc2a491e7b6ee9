-- grain: one row per choice made in the voice menu; those of test sessions and of test persons are out
{{ config(
    unique_key='session_id',
    meta={
      'changed_by': [
        ['stg_ivr_events', 'session'],
        ['stg_self_service_sessions', 'session'],
        ['int_excluded_persons', 'person', {'table': 'stg_ivr_events', 'on': 'person_id', 'key': 'session_id'}],
        ['int_excluded_persons', 'person', {'table': 'stg_self_service_sessions', 'on': 'person_id', 'key': 'session_id'}],
      ],
      'logs': [{'entity': 'session', 'key': 'session_id', 'day': 'event_day'}]
    }
) }}

select e.event_id, e.session_id, coalesce(e.intent, 'unknown') as intent, e.depth, e.event_day
from {{ ref('stg_ivr_events') }} e
left join {{ ref('stg_self_service_sessions') }} s on e.session_id = s.session_id
-- who chose is told by the session or, where it does not know, by the event
left join {{ ref('int_excluded_persons') }} x on coalesce(s.person_id, e.person_id) = x.person_id
where e._exclusion is null and e.event = 'selection' and s._exclusion is null and x.person_id is null
  and {{ changed_filter('e.session_id') }}
