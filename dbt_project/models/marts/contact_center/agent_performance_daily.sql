-- grain: one row per day and agent
{{ config(meta={
    'matures_in': 'greatest(quality_window_days, reopen_window_days, fcr_window_days)',
    'reach': [
      {'model': 'int_legs', 'entity': 'leg', 'before': 0, 'after': 0},
      {'model': 'int_transfers', 'entity': 'transfer', 'before': 0, 'after': 0},
      {'model': 'int_cases', 'entity': 'case', 'before': 0, 'after': 0},
      {'model': 'int_case_first_contacts', 'entity': 'case', 'before': 0, 'after': 0},
      {'model': 'int_case_ratings', 'entity': 'response', 'before': 0, 'after': 0},
      {'model': 'int_evaluations', 'entity': 'evaluation', 'before': 0, 'after': 0},
      {'model': 'stg_agents', 'entity': 'team', 'before': 0, 'after': 'open'},
    ]
}) }}

{#
  What is expected of an agent is what the team did on that day in the same channels and on the same topics: for each cell
  of channel and topic the agent's own volume times the team's average. Who takes the long calls is not slow. Agents
  whose team nobody knows are measured against each other. Actual and expected add up over days, their quotient does not.
#}

-- each part where it is known; a column that a branch does not have is nothing
with work as (
  select
    leg_day as metric_date, agent_id, channel, topic,
    1 as handled_legs, cast(handle_seconds is not null as integer) as timed_legs, handle_seconds
  from {{ ref('int_legs') }}
  where agent_id is not null and {{ affected_filter('leg_day') }}
  union all by name
  select transfer_day as metric_date, from_agent_id as agent_id, channel, topic, 1 as transfers
  from {{ ref('int_transfers') }}
  where from_agent_id is not null and {{ affected_filter('transfer_day') }}
  union all by name
  select
    resolved_day as metric_date, agent_id, channel, topic, 1 as cases_resolved, cast(is_one_touch as integer) as one_touch_cases
  from {{ ref('int_cases') }}
  where agent_id is not null and resolution_minutes is not null and {{ affected_filter('resolved_day') }}
  union all by name
  select
    resolved_day as metric_date, agent_id, channel, topic, 1 as fcr_cases,
    -- what undid it after the last complete day is not known yet
    cast(undone_day is null or undone_day > {{ data_through() }} as integer) as fcr_resolved
  from {{ ref('int_case_first_contacts') }}
  where {{ affected_filter('resolved_day') }}
  union all by name
  select
    resolved_day as metric_date, agent_id, channel, topic, 1 as csat_answers, cast(is_satisfied as integer) as csat_satisfied
  from {{ ref('int_case_ratings') }}
  where {{ affected_filter('resolved_day') }}
  union all by name
  select contact_day as metric_date, agent_id, channel, topic, 1 as evaluations, points_earned, points_possible
  from {{ ref('int_evaluations') }}
  where agent_id is not null and {{ affected_filter('contact_day') }}
),

cells as (
  select
    w.metric_date, w.agent_id, coalesce(a.team, 'unknown') as team, w.channel, w.topic,
    coalesce(sum(w.handled_legs), 0) as handled_legs,
    coalesce(sum(w.timed_legs), 0) as timed_legs,
    coalesce(sum(w.handle_seconds), 0) as handle_seconds,
    coalesce(sum(w.transfers), 0) as transfers,
    coalesce(sum(w.cases_resolved), 0) as cases_resolved,
    coalesce(sum(w.one_touch_cases), 0) as one_touch_cases,
    coalesce(sum(w.fcr_cases), 0) as fcr_cases,
    coalesce(sum(w.fcr_resolved), 0) as fcr_resolved,
    coalesce(sum(w.csat_answers), 0) as csat_answers,
    coalesce(sum(w.csat_satisfied), 0) as csat_satisfied,
    coalesce(sum(w.evaluations), 0) as evaluations,
    coalesce(sum(w.points_earned), 0) as points_earned,
    coalesce(sum(w.points_possible), 0) as points_possible
  from work w
  left join {{ ref('stg_agents') }} a on w.agent_id = a.agent_id
  where a._exclusion is null
  group by all
),

compared as (
  select
    *,
    timed_legs * {{ ratio('sum(handle_seconds) over team_cell', 'sum(timed_legs) over team_cell') }} as expected_handle_seconds,
    handled_legs * {{ ratio('sum(transfers) over team_cell', 'sum(handled_legs) over team_cell') }} as expected_transfers,
    cases_resolved * {{ ratio('sum(one_touch_cases) over team_cell', 'sum(cases_resolved) over team_cell') }} as expected_one_touch_cases,
    fcr_cases * {{ ratio('sum(fcr_resolved) over team_cell', 'sum(fcr_cases) over team_cell') }} as expected_fcr_resolved,
    csat_answers * {{ ratio('sum(csat_satisfied) over team_cell', 'sum(csat_answers) over team_cell') }} as expected_csat_satisfied,
    points_possible * {{ ratio('sum(points_earned) over team_cell', 'sum(points_possible) over team_cell') }} as expected_points_earned
  from cells
  window team_cell as (partition by metric_date, team, channel, topic)
),

counted as (
  select
    metric_date, agent_id, team,
    cast(sum(handled_legs) as bigint) as handled_legs,
    cast(sum(timed_legs) as bigint) as timed_legs,
    cast(sum(handle_seconds) as decimal(18, 4)) as handle_seconds,
    cast(sum(transfers) as bigint) as transfers,
    cast(sum(cases_resolved) as bigint) as cases_resolved,
    cast(sum(one_touch_cases) as bigint) as one_touch_cases,
    cast(sum(fcr_cases) as bigint) as fcr_cases,
    cast(sum(fcr_resolved) as bigint) as fcr_resolved,
    cast(sum(csat_answers) as bigint) as csat_answers,
    cast(sum(csat_satisfied) as bigint) as csat_satisfied,
    cast(sum(evaluations) as bigint) as evaluations,
    cast(sum(points_earned) as decimal(18, 4)) as points_earned,
    cast(sum(points_possible) as decimal(18, 4)) as points_possible,
    coalesce(sum(expected_handle_seconds order by channel, topic), 0.0) as expected_handle_seconds,
    coalesce(sum(expected_transfers order by channel, topic), 0.0) as expected_transfers,
    coalesce(sum(expected_one_touch_cases order by channel, topic), 0.0) as expected_one_touch_cases,
    coalesce(sum(expected_fcr_resolved order by channel, topic), 0.0) as expected_fcr_resolved,
    coalesce(sum(expected_csat_satisfied order by channel, topic), 0.0) as expected_csat_satisfied,
    coalesce(sum(expected_points_earned order by channel, topic), 0.0) as expected_points_earned
  from compared
  group by metric_date, agent_id, team
)

select
  *,
  {{ ratio('handle_seconds', 'timed_legs') }} as aht,
  {{ ratio('handle_seconds', 'expected_handle_seconds') }} as aht_to_team,
  {{ ratio('transfers', 'handled_legs') }} as transfers_per_leg,
  {{ ratio('transfers', 'expected_transfers') }} as transfers_to_team,
  {{ ratio('one_touch_cases', 'cases_resolved') }} as one_touch_rate,
  {{ ratio('one_touch_cases', 'expected_one_touch_cases') }} as one_touch_to_team,
  {{ ratio('fcr_resolved', 'fcr_cases') }} as fcr,
  {{ ratio('fcr_resolved', 'expected_fcr_resolved') }} as fcr_to_team,
  {{ ratio('csat_satisfied', 'csat_answers') }} as csat,
  {{ ratio('csat_satisfied', 'expected_csat_satisfied') }} as csat_to_team,
  {{ ratio('points_earned', 'points_possible') }} as quality_score,
  {{ ratio('points_earned', 'expected_points_earned') }} as quality_to_team,
  handled_legs < {{ setting('agent_min_n') }} as is_small_sample,
  {{ is_final('metric_date', 'greatest(quality_window_days, reopen_window_days, fcr_window_days)') }} as is_final,
  {{ final_on('metric_date', 'greatest(quality_window_days, reopen_window_days, fcr_window_days)') }} as final_on
from counted
