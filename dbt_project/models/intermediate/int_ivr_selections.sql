-- grain: one row per choice made in the voice menu; those of test sessions are out
{{ config(
    unique_key='session_id',
    meta={
      'changed_by': [['stg_ivr_events', 'session'], ['stg_self_service_sessions', 'session']],
      'logs': [{'entity': 'session', 'key': 'session_id', 'day': 'event_day'}]
    }
) }}

select e.event_id, e.session_id, coalesce(e.intent, 'unknown') as intent, e.depth, e.event_day
from {{ ref('stg_ivr_events') }} e
left join {{ ref('stg_self_service_sessions') }} s on e.session_id = s.session_id
where e._exclusion is null and e.event = 'selection' and s._exclusion is null and {{ changed_filter('e.session_id') }}
