-- grain: one row per session with a machine (IVR, SMS, bot) that counts, with who it was after merges; not of test persons
{{ config(
    unique_key='session_id',
    meta={
      'changed_by': [
        ['stg_self_service_sessions', 'session'],
        ['int_person_merges', 'person', {'table': 'stg_self_service_sessions', 'on': 'person_id', 'key': 'session_id'}],
        ['int_excluded_persons', 'person', {'table': 'stg_self_service_sessions', 'on': 'person_id', 'key': 'session_id'}],
      ],
      'logs': [
        {'entity': 'session', 'key': 'session_id', 'day': 'session_day'},
        {'entity': 'person', 'key': 'person_id', 'day': 'session_day'},
      ]
    }
) }}

select
  s.session_id,
  coalesce(m.survivor_id, s.person_id) as person_id,
  s.channel,
  coalesce(s.topic, 'unknown') as topic,
  s.outcome,
  coalesce(s.goal_reached, false) as has_reached_goal,
  s.started_at,
  s.session_day
from {{ ref('stg_self_service_sessions') }} s
left join {{ ref('int_person_merges') }} m on s.person_id = m.person_id
left join {{ ref('int_excluded_persons') }} x on s.person_id = x.person_id
where s._exclusion is null and x.person_id is null and {{ changed_filter('s.session_id') }}
