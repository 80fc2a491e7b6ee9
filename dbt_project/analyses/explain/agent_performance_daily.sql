-- grain: one row per cell of agent_performance_daily, part and source row (macros/explain.sql)
with legs as (
  select s._key, s.contact_id, i.agent_id, i.leg_day, i.channel, i.topic, i.handle_seconds
  from {{ ref('int_legs') }} i
  join {{ ref('stg_contacts') }} s on i.contact_id = s.contact_id
),

cases as (
  {{ case_rows() }}
),

work as (
  select
    leg_day as metric_date, agent_id, channel, topic, contact_id as entity, 'contacts' as feed, _key,
    case when handle_seconds is null then 'leg of unknown length' else 'leg' end as note,
    1 as handled_legs, case when handle_seconds is not null then 1 end as timed_legs, handle_seconds
  from legs
  union all by name
  select
    t.transfer_day as metric_date, t.from_agent_id as agent_id, t.channel, t.topic, t.contact_id as entity, 'transfers' as feed, s._key,
    t.kind || ' transfer' as note, 1 as transfers
  from {{ ref('int_transfers') }} t
  join {{ ref('stg_transfers') }} s on t.transfer_id = s.transfer_id
  union all by name
  select
    resolved_day as metric_date, agent_id, channel, topic, case_id as entity, feed, _key, told_by as note,
    adds as cases_resolved, case when is_one_touch then adds end as one_touch_cases
  from cases where resolved_day is not null and resolution_minutes is not null
  union all by name
  select
    f.resolved_day as metric_date, f.agent_id, f.channel, f.topic, f.case_id as entity, 'contacts' as feed, s._key,
    'first contact of the case' || case when f.undone_day <= {{ data_through() }} then ', undone on ' || f.undone_day else '' end as note,
    1 as fcr_cases, case when f.undone_day is null or f.undone_day > {{ data_through() }} then 1 end as fcr_resolved
  from {{ ref('int_case_first_contacts') }} f
  join {{ ref('stg_contacts') }} s on f.first_contact_id = s.contact_id
  union all by name
  select
    r.resolved_day as metric_date, r.agent_id, r.channel, r.topic, r.case_id as entity, 'survey_responses' as feed, s._key,
    'what the customer said of the case' as note, 1 as csat_answers, case when r.is_satisfied then 1 end as csat_satisfied
  from {{ ref('int_case_ratings') }} r
  join {{ ref('stg_survey_responses') }} s on r.response_id = s.response_id
  union all by name
  select
    contact_day as metric_date, agent_id, channel, topic, evaluation_id as entity, 'qa_evaluations' as feed, _key, criterion as note,
    case when is_first then 1 end as evaluations,
    case when applies then earned end as points_earned, case when applies then possible end as points_possible
  from ({{ criterion_rows() }})
),

owned as (
  select
    w.*, coalesce(a.team, 'unknown') as team,
    case when w.agent_id is null then 'of no known agent' else a._exclusion end as left_out
  from work w
  left join {{ ref('stg_agents') }} a on w.agent_id = a.agent_id
),

-- what is expected of an agent: for each of their own the team's average of the same channel and topic
counted as (
  select
    *,
    timed_legs * {{ ratio('sum(handle_seconds) over team_cell', 'sum(timed_legs) over team_cell') }} as expected_handle_seconds,
    handled_legs * {{ ratio('coalesce(sum(transfers) over team_cell, 0)', 'sum(handled_legs) over team_cell') }} as expected_transfers,
    cases_resolved * {{ ratio('coalesce(sum(one_touch_cases) over team_cell, 0)', 'sum(cases_resolved) over team_cell') }} as expected_one_touch_cases,
    fcr_cases * {{ ratio('coalesce(sum(fcr_resolved) over team_cell, 0)', 'sum(fcr_cases) over team_cell') }} as expected_fcr_resolved,
    csat_answers * {{ ratio('coalesce(sum(csat_satisfied) over team_cell, 0)', 'sum(csat_answers) over team_cell') }} as expected_csat_satisfied,
    points_possible * {{ ratio('sum(points_earned) over team_cell', 'sum(points_possible) over team_cell') }} as expected_points_earned
  from owned where left_out is null
  window team_cell as (partition by metric_date, team, channel, topic)

  union all by name

  select metric_date, agent_id, entity, feed, _key, left_out from owned where left_out is not null
)

{{ explained(
  'counted', ['agent_id'], [
    'handled_legs', 'timed_legs', 'handle_seconds', 'transfers', 'cases_resolved', 'one_touch_cases', 'fcr_cases', 'fcr_resolved',
    'csat_answers', 'csat_satisfied', 'evaluations', 'points_earned', 'points_possible', 'expected_handle_seconds', 'expected_transfers',
    'expected_one_touch_cases', 'expected_fcr_resolved', 'expected_csat_satisfied', 'expected_points_earned'
  ], 'double'
) }}
