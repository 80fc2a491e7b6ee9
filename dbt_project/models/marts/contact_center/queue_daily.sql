-- grain: one row per day of the contact, channel, topic and queue
{{ config(meta={
    'reach': [{'model': 'stg_contacts', 'entity': 'contact', 'before': 0, 'after': 0}]
}) }}

with offered as (
  select
    *, coalesce(wait_seconds, cast((epoch_us(answered_at) - epoch_us(started_at)) / 1e6 as decimal(18, 4))) as waited
  from {{ ref('stg_contacts') }}
  where _exclusion is null and direction = 'inbound'
    -- who gave up with neither a queue nor a waiting time hung up in the voice menu, and was offered to nobody
    and (outcome = 'handled' or (outcome = 'abandoned' and (queue is not null or wait_seconds is not null)))
    and {{ affected_filter('contact_day') }}
),

counted as (
  select
    contact_day as metric_date,
    channel,
    coalesce(topic, 'unknown') as topic,
    coalesce(queue, 'unknown') as queue,
    count(*) as offered,
    count(*) filter (where outcome = 'handled') as answered,
    count(*) filter (where outcome = 'abandoned') as abandoned,
    count(*) filter (where outcome = 'abandoned' and wait_seconds <= {{ setting('short_abandon_seconds') }}) as short_abandoned,
    count(waited) filter (where outcome = 'handled') as timed_answers,
    cast(coalesce(sum(waited) filter (where outcome = 'handled'), 0) as decimal(18, 4)) as wait_seconds
  from offered
  group by all
)

select
  metric_date, channel, topic, queue, offered, answered, abandoned, short_abandoned, timed_answers, wait_seconds,
  offered - short_abandoned as offered_without_short,
  abandoned - short_abandoned as abandoned_without_short,
  {{ ratio('abandoned', 'offered') }} as queue_abandonment_rate,
  {{ ratio('abandoned - short_abandoned', 'offered - short_abandoned') }} as queue_abandonment_rate_without_short,
  {{ ratio('wait_seconds', 'timed_answers') }} as average_wait_seconds,
  {{ is_final('metric_date') }} as is_final,
  {{ final_on('metric_date') }} as final_on
from counted
