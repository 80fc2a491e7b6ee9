-- grain: one row per cell of self_service_daily, part and source row (macros/explain.sql)
with sessions as (
  select
    g.session_day as metric_date, g.channel, coalesce(g.topic, 'unknown') as topic, g.session_id as entity, g._key,
    'self_service_sessions' as feed, coalesce(g._exclusion, x.reason) as left_out, s.person_id, s.outcome,
    coalesce(s.outcome = 'contained' and s.has_reached_goal, false) as has_reached_goal,
    case
      when n.next_contact_at <= s.started_at + to_days({{ setting('containment_window_days') }}) and n.next_contact_at < {{ data_end() }}
        then n.next_contact_at
    end as contacted_at
  from {{ ref('stg_self_service_sessions') }} g
  left join {{ ref('int_self_service_sessions') }} s on g.session_id = s.session_id
  left join {{ ref('int_excluded_persons') }} x on g.person_id = x.person_id
  left join {{ ref('int_self_service_sequels') }} n on g.session_id = n.session_id
),

counted as (
  select
    *,
    coalesce(outcome, '') || case when has_reached_goal then ', goal reached' else '' end
      || coalesce(', contact on the topic at ' || contacted_at, '') as note,
    case when left_out is null then 1 end as sessions,
    case when outcome = 'contained' then 1 end as contained,
    case when outcome = 'handed_off' then 1 end as handed_off,
    case when has_reached_goal then 1 end as goal_reached,
    case when person_id is not null then 1 end as known_person_sessions,
    case when person_id is not null and has_reached_goal and contacted_at is null then 1 end as resolved_contained
  from sessions
)

{{ explained(
  'counted', ['channel', 'topic'],
  ['sessions', 'contained', 'handed_off', 'goal_reached', 'known_person_sessions', 'resolved_contained']
) }}
