-- grain: one row per cell of service_level_daily, part and source row (macros/explain.sql)
with contacts as (
  select
    contact_id, _key, contact_day as day, channel, coalesce(topic, 'unknown') as topic, coalesce(queue, 'unknown') as queue, outcome,
    coalesce(wait_seconds, cast(epoch_us(answered_at) - epoch_us(started_at) as double) / 1e6) as wait_seconds,
    case
      when _exclusion is not null then _exclusion
      when direction <> 'inbound' then 'is ' || direction
      when outcome not in ('handled', 'abandoned') then 'was ' || outcome || ' without an agent'
    end as left_out
  from {{ ref('stg_contacts') }}
),

asked as (
  select distinct channel, queue, day from contacts where left_out is null
),

in_force as (
  {{ targets_in_force('asked') }}
),

counted as (
  select
    c.day as metric_date, 'answer' as kind, c.channel, c.topic, c.queue, c.contact_id as entity, 'contacts' as feed, c._key,
    c.outcome || ' after ' || format('{:g}', cast(c.wait_seconds as double)) || ' s, target ' || f.target_seconds || ' s' as note,
    case
      when c.left_out is not null then c.left_out
      when f.target_seconds is null then 'no target was in force'
      when c.wait_seconds is null then 'nothing tells how long it waited'
      when c.outcome <> 'handled' and c.wait_seconds <= f.target_seconds then 'gave up before it was due'
    end as reason,
    1 as due,
    case when c.outcome = 'handled' and c.wait_seconds <= f.target_seconds then 1 end as met
  from contacts c
  left join in_force f on f.kind = 'answer' and c.channel = f.channel and c.queue = f.queue and c.day = f.day

  union all

  select
    response_due_day, 'first_response', channel, topic, queue, case_id, feed, _key,
    told_by || ', due at ' || response_due_at || ' UTC' || coalesce(', answered at ' || first_response_at || ' UTC', ''), null,
    adds, case when is_answered_in_time then adds end
  from ({{ case_rows() }})
  where response_due_day is not null

  union all

  select
    due_day, 'resolution', channel, topic, queue, case_id, feed, _key,
    told_by || ', due at ' || due_at || ' UTC' || coalesce(', resolved at ' || resolved_at || ' UTC', ''), null,
    adds, case when is_resolved_in_time then adds end
  from ({{ case_rows() }})
  where due_day is not null

  union all

  select
    {{ business_day('due_at') }}, null, coalesce(channel, 'unknown'), coalesce(topic, 'unknown'), coalesce(queue, 'unknown'),
    case_id, 'cases', _key, null, _exclusion, null, null
  from {{ ref('stg_cases') }}
  where _exclusion is not null
),

judged as (
  select
    * exclude (reason, due, met), reason as left_out,
    case when reason is null then due end as due,
    case when reason is null then met end as met
  from counted
)

{{ explained('judged', ['kind', 'channel', 'topic', 'queue'], ['due', 'met']) }}
