-- grain: one row per cell of queue_daily, part and source row (macros/explain.sql)
with contacts as (
  select
    contact_day as metric_date, channel, coalesce(topic, 'unknown') as topic, coalesce(queue, 'unknown') as queue,
    contact_id as entity, 'contacts' as feed, _key, outcome, wait_seconds,
    coalesce(wait_seconds, cast((epoch_us(answered_at) - epoch_us(started_at)) / 1e6 as decimal(18, 4))) as waited,
    case
      when _exclusion is not null then _exclusion
      when direction <> 'inbound' then 'is ' || direction
      when outcome = 'abandoned' and queue is null and wait_seconds is null then 'hung up before it was in a queue'
      when outcome not in ('handled', 'abandoned') then 'was ' || outcome || ' without an agent'
    end as left_out
  from {{ ref('stg_contacts') }}
),

counted as (
  select
    *,
    outcome || coalesce(' after ' || format('{:g}', cast(waited as double)) || ' s', '') as note,
    case when left_out is null then 1 end as offered,
    case when left_out is null and outcome = 'handled' then 1 end as answered,
    case when left_out is null and outcome = 'abandoned' then 1 end as abandoned,
    case when left_out is null and is_short then 1 end as short_abandoned,
    case when left_out is null and not is_short then 1 end as offered_without_short,
    case when left_out is null and outcome = 'abandoned' and not is_short then 1 end as abandoned_without_short,
    case when left_out is null and outcome = 'handled' and waited is not null then 1 end as timed_answers,
    case when left_out is null and outcome = 'handled' then waited end as wait_seconds
  from (
    select
      * exclude (wait_seconds),
      outcome = 'abandoned' and coalesce(wait_seconds <= {{ setting('short_abandon_seconds') }}, false) as is_short
    from contacts
  )
)

{{ explained(
  'counted', ['channel', 'topic', 'queue'], [
    'offered', 'answered', 'abandoned', 'short_abandoned', 'offered_without_short', 'abandoned_without_short', 'timed_answers',
    'wait_seconds'
  ]
) }}
