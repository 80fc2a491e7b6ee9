-- grain: one row per case that counts, from its newest row and its events
{{ config(
    unique_key='case_id',
    meta={
      'changed_by': [['stg_cases', 'case'], ['stg_case_events', 'case']],
      'logs': [{'entity': 'case', 'key': 'case_id', 'day': 'resolved_day'}]
    }
) }}

with cases as (
  select * from {{ ref('stg_cases') }} where {{ changed_filter('case_id') }}
),

events as (
  select
    case_id,
    min(occurred_at) filter (where event = 'opened') as opened_at,
    max(occurred_at) filter (where event = 'resolved') as resolved_at,
    max(occurred_at) filter (where event = 'reopened') as reopened_at,
    max(occurred_at) filter (where event = 'closed') as closed_at,
    count(*) filter (where event = 'assigned') as assignments,
    count(*) filter (where event = 'reopened') as reopens
  from {{ ref('stg_case_events') }}
  where _exclusion is null and {{ changed_filter('case_id') }}
  group by case_id
),

joined as (
  select
    coalesce(c.case_id, e.case_id) as case_id,
    c.person_id,
    coalesce(c.channel, 'unknown') as channel,
    coalesce(c.topic, 'unknown') as topic,
    coalesce(c.queue, 'unknown') as queue,
    coalesce(c.opened_at, e.opened_at) as raised_at,
    -- the source's own word first; then the last resolution; then a closing without one: each unless a reopening undid it
    coalesce(
      case when e.reopened_at is null or c.resolved_at >= e.reopened_at then c.resolved_at end,
      case when e.reopened_at is null or e.resolved_at > e.reopened_at then e.resolved_at end,
      case when e.reopened_at is null or coalesce(c.closed_at, e.closed_at) > e.reopened_at then coalesce(c.closed_at, e.closed_at) end
    ) as resolved_at,
    coalesce(c.reassignment_count, greatest(e.assignments - 1, 0), 0) as reassignments,
    coalesce(c.reopen_count, e.reopens, 0) as reopens,
    c._exclusion
  from cases c
  full join events e on c.case_id = e.case_id
),

-- an event before the case was raised resolves nothing
timed as (
  select * replace (case when resolved_at >= raised_at or raised_at is null then resolved_at end as resolved_at)
  from joined
)

select
  case_id, person_id, channel, topic, queue, raised_at, resolved_at,
  {{ business_day('resolved_at') }} as resolved_day,
  -- exact to the microsecond of the instants; whole minutes would lose a third of a minute on average
  cast(epoch_us(resolved_at) - epoch_us(raised_at) as double) / 60e6 as resolution_minutes,
  reassignments = 0 and reopens = 0 as is_one_touch
from timed
where _exclusion is null
