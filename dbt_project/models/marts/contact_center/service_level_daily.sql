-- grain: one row per day on which it was due, kind of target, channel, topic and queue
{{ config(meta={
    'matures_in': 'reopen_window_days',
    'reach': [
      {'model': 'int_cases', 'entity': 'due', 'before': 0, 'after': 0},
      {'model': 'int_cases', 'entity': 'response_due', 'before': 0, 'after': 0},
      {'model': 'stg_contacts', 'entity': 'contact', 'before': 0, 'after': 0},
      {'model': 'stg_service_targets', 'entity': 'target', 'before': 0, 'after': 'open'},
    ]
}) }}

{#
  A case is due at the end of its target, done or not. A contact is due on its own day once it was answered, or waited
  longer than its target: one that was given up before that was never due.
#}

with contacts as (
  select
    contact_day as day, channel, coalesce(topic, 'unknown') as topic, coalesce(queue, 'unknown') as queue, outcome,
    coalesce(wait_seconds, cast(epoch_us(answered_at) - epoch_us(started_at) as double) / 1e6) as wait_seconds
  from {{ ref('stg_contacts') }}
  where _exclusion is null and direction = 'inbound' and outcome in ('handled', 'abandoned') and {{ affected_filter('contact_day') }}
),

asked as (
  select distinct channel, queue, day from contacts
),

in_force as (
  {{ targets_in_force('asked') }}
),

due as (
  select c.day as metric_date, 'answer' as kind, c.channel, c.topic, c.queue, c.outcome = 'handled' and c.wait_seconds <= f.target_seconds as is_met
  from contacts c
  join in_force f on f.kind = 'answer' and c.channel = f.channel and c.queue = f.queue and c.day = f.day
  where c.wait_seconds is not null and (c.outcome = 'handled' or c.wait_seconds > f.target_seconds)

  union all

  select response_due_day, 'first_response', channel, topic, queue, is_answered_in_time
  from {{ ref('int_cases') }}
  where response_due_day is not null and {{ affected_filter('response_due_day') }}

  union all

  select due_day, 'resolution', channel, topic, queue, is_resolved_in_time
  from {{ ref('int_cases') }}
  where due_day is not null and {{ affected_filter('due_day') }}
)

select
  metric_date,
  kind,
  channel,
  topic,
  queue,
  count(*) as due,
  count(*) filter (where is_met) as met,
  {{ ratio('count(*) filter (where is_met)', 'count(*)') }} as service_level,
  -- a case that was solved in time may yet be reopened
  case when kind = 'resolution' then {{ is_final('metric_date', 'reopen_window_days') }} else {{ is_final('metric_date') }} end as is_final,
  case when kind = 'resolution' then {{ final_on('metric_date', 'reopen_window_days') }} else {{ final_on('metric_date') }} end as final_on
from due
group by metric_date, kind, channel, topic, queue
