-- grain: one row per case that counts, from its newest row, its events and its contacts, with what was due when
{{ config(
    unique_key='case_id',
    meta={
      'changed_by': [
        ['stg_cases', 'case'],
        ['stg_case_events', 'case'],
        ['stg_contacts', 'case'],
        ['int_business_hours', 'calendar', {'table': 'stg_cases', 'key': 'case_id'}],
        ['int_business_hours', 'calendar', {'table': 'stg_case_events', 'key': 'case_id'}],
        ['stg_service_targets', 'target', {'table': 'stg_cases', 'key': 'case_id'}],
        ['stg_service_targets', 'target', {'table': 'stg_case_events', 'key': 'case_id'}],
      ],
      'logs': [
        {'entity': 'case', 'key': 'case_id', 'day': 'resolved_day'},
        {'entity': 'responded', 'key': 'case_id', 'day': 'first_response_day', 'compare': [
          'case_id', 'channel', 'topic', 'queue', 'first_response_day', 'first_response_minutes', 'first_response_business_minutes'
        ]},
        {'entity': 'due', 'key': 'case_id', 'day': 'due_day', 'compare': [
          'case_id', 'channel', 'topic', 'queue', 'due_day', 'is_resolved_in_time'
        ]},
        {'entity': 'response_due', 'key': 'case_id', 'day': 'response_due_day', 'compare': [
          'case_id', 'channel', 'topic', 'queue', 'response_due_day', 'is_answered_in_time'
        ]},
      ]
    }
) }}

with cases as (
  select * from {{ ref('stg_cases') }} where {{ changed_filter('case_id') }}
),

every_event as (
  select *, event = 'replied' and coalesce(actor_type, 'agent') = 'agent' as is_human_reply
  from {{ ref('stg_case_events') }}
  where _exclusion is null and {{ changed_filter('case_id') }}
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
  from every_event
  group by case_id
),

joined as (
  select
    coalesce(c.case_id, e.case_id) as case_id,
    c.person_id,
    coalesce(c.channel, 'unknown') as channel,
    coalesce(c.topic, 'unknown') as topic,
    coalesce(c.queue, 'unknown') as queue,
    c.agent_id,
    c.due_at as said_due_at,
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
  select
    * replace (case when resolved_at >= raised_at or raised_at is null then resolved_at end as resolved_at),
    {{ business_day('raised_at') }} as raised_day
  from joined
  where _exclusion is null
),

{#
  A human answers by a reply to the case, or by taking a contact about it. A case raised while somebody was on the line is
  answered at once.
#}
answers as (
  select case_id, occurred_at as answered_at, occurred_at as until from every_event where is_human_reply
  union all
  select case_id, answered_at, coalesce(ended_at, answered_at)
  from {{ ref('stg_contacts') }}
  where _exclusion is null and outcome = 'handled' and answered_at is not null and {{ changed_filter('case_id') }}
),

responses as (
  select t.case_id, min(greatest(a.answered_at, t.raised_at)) as first_response_at
  from timed t join answers a on t.case_id = a.case_id and a.until >= t.raised_at
  group by t.case_id
),

asked as (
  select distinct channel, queue, raised_day as day from timed where raised_day is not null
),

in_force as (
  {{ targets_in_force('asked') }}
),

calendars as (
  select distinct calendar_id from {{ ref('int_business_hours') }}
),

facts as (
  select
    t.*,
    r.first_response_at,
    -- the calendar that has the queue's name, else the channel's, else the one called default
    coalesce(q.calendar_id, c.calendar_id, d.calendar_id) as calendar_id,
    s.target_seconds as resolution_seconds, s.clock as resolution_clock,
    a.target_seconds as response_seconds, a.clock as response_clock
  from timed t
  left join responses r on t.case_id = r.case_id
  left join calendars q on t.queue = q.calendar_id
  left join calendars c on t.channel = c.calendar_id
  left join calendars d on d.calendar_id = 'default'
  left join in_force s on s.kind = 'resolution' and t.channel = s.channel and t.queue = s.queue and t.raised_day = s.day
  left join in_force a on a.kind = 'first_response' and t.channel = a.channel and t.queue = a.queue and t.raised_day = a.day
),

counted as (
  select
    f.*,
    case when f.calendar_id is not null then {{ open_us('f.raised_at', 'h') }} end as open_us_at_raised,
    {{ open_us('f.resolved_at', 'i') }} as open_us_at_resolved,
    {{ open_us('f.first_response_at', 'j') }} as open_us_at_response
  from facts f
  asof left join {{ ref('int_business_hours') }} h on f.calendar_id = h.calendar_id and f.raised_at >= h.opens_at
  asof left join {{ ref('int_business_hours') }} i on f.calendar_id = i.calendar_id and f.resolved_at >= i.opens_at
  asof left join {{ ref('int_business_hours') }} j on f.calendar_id = j.calendar_id and f.first_response_at >= j.opens_at
),

-- due at the last instant that meets the target: one that runs out at closing time is met until the next opening
due as (
  select
    c.*,
    coalesce(said_due_at, case
      when resolution_clock = 'calendar' then raised_at + to_microseconds(1000000 * resolution_seconds)
      when resolution_clock = 'business' then h.opens_at + to_microseconds(open_us_at_raised + 1000000 * resolution_seconds - h.open_us_before)
    end) as due_at,
    case
      when response_clock = 'calendar' then raised_at + to_microseconds(1000000 * response_seconds)
      when response_clock = 'business' then i.opens_at + to_microseconds(open_us_at_raised + 1000000 * response_seconds - i.open_us_before)
    end as response_due_at
  from counted c
  asof left join {{ ref('int_business_hours') }} h
    on c.calendar_id = h.calendar_id and c.open_us_at_raised + 1000000 * c.resolution_seconds >= h.open_us_before
  asof left join {{ ref('int_business_hours') }} i
    on c.calendar_id = i.calendar_id and c.open_us_at_raised + 1000000 * c.response_seconds >= i.open_us_before
)

select
  case_id, person_id, channel, topic, queue, agent_id, raised_at, resolved_at,
  {{ business_day('resolved_at') }} as resolved_day,
  -- exact to the microsecond of the instants; whole minutes would lose a third of a minute on average
  cast(epoch_us(resolved_at) - epoch_us(raised_at) as double) / 60e6 as resolution_minutes,
  reassignments = 0 and reopens = 0 as is_one_touch,
  calendar_id,
  case when resolved_at is not null then cast(open_us_at_resolved - open_us_at_raised as double) / 60e6 end as resolution_business_minutes,
  first_response_at,
  {{ business_day('first_response_at') }} as first_response_day,
  cast(epoch_us(first_response_at) - epoch_us(raised_at) as double) / 60e6 as first_response_minutes,
  case when first_response_at is not null then cast(open_us_at_response - open_us_at_raised as double) / 60e6 end
    as first_response_business_minutes,
  due_at,
  {{ business_day('due_at') }} as due_day,
  coalesce(resolved_at <= due_at, false) as is_resolved_in_time,
  response_due_at,
  {{ business_day('response_due_at') }} as response_due_day,
  coalesce(first_response_at <= response_due_at, false) as is_answered_in_time
from due
