-- grain: one row per day of the session, channel (ivr, sms, bot) and topic
{{ config(meta={
    'matures_in': 'containment_window_days + 1',
    'reach': [
      {'model': 'int_self_service_sessions', 'entity': 'session', 'before': 0, 'after': 0},
      {'model': 'int_self_service_sequels', 'entity': 'session', 'before': 0, 'after': 0},
    ]
}) }}

{#
  Contained and handed off are what the session says, and all of them. Resolved also needs the goal reached and no contact
  of the person on the topic within the window of 7 x 24 h from the start of the session. That can only be said of a
  known person, so it is a share of the sessions of known persons; `known_person_sessions` is the coverage.
#}

with sessions as (
  select
    s.session_day as metric_date, s.channel, s.topic, s.person_id, s.outcome,
    s.outcome = 'contained' and s.has_reached_goal as has_reached_goal,
    coalesce(
      n.next_contact_at <= s.started_at + to_days({{ setting('containment_window_days') }}) and n.next_contact_at < {{ data_end() }},
      false
    ) as has_contact
  from {{ ref('int_self_service_sessions') }} s
  left join {{ ref('int_self_service_sequels') }} n on s.session_id = n.session_id and {{ affected_filter('n.session_day') }}
  where {{ affected_filter('s.session_day') }}
),

sums as (
  select
    metric_date, channel, topic,
    count(*) as sessions,
    count(*) filter (where outcome = 'contained') as contained,
    count(*) filter (where outcome = 'handed_off') as handed_off,
    count(*) filter (where has_reached_goal) as goal_reached,
    count(person_id) as known_person_sessions,
    count(person_id) filter (where has_reached_goal and not has_contact) as resolved_contained
  from sessions
  group by metric_date, channel, topic
)

select
  metric_date, channel, topic, sessions, contained, handed_off, goal_reached, known_person_sessions, resolved_contained,
  {{ ratio('contained', 'sessions') }} as containment_rate,
  {{ ratio('resolved_contained', 'known_person_sessions') }} as resolved_containment_rate,
  {{ is_final('metric_date', 'containment_window_days') }} as is_final,
  {{ final_on('metric_date', 'containment_window_days') }} as final_on,
  {{ is_final('metric_date') }} as containment_is_final,
  {{ final_on('metric_date') }} as containment_final_on
from sums
