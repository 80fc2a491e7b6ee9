-- grain: one row per cell of resolution_daily, part and source row (macros/explain.sql)
with case_rows as (
  select case_id, 'cases' as feed, _key, 'case' as note, 0 as place, {{ business_day('coalesce(resolved_at, closed_at)') }} as said_day, _exclusion
  from {{ ref('stg_cases') }}

  union all

  select
    case_id, 'case_events', _key, event,
    row_number() over (partition by case_id order by event in ('resolved', 'closed') desc, occurred_at desc, event_id),
    case when event in ('resolved', 'closed') then event_day end,
    _exclusion
  from {{ ref('stg_case_events') }}
),

source_rows as (
  select
    r.*, c.resolved_day, c.channel, c.topic, c.queue, c.resolution_minutes, c.is_one_touch,
    c.resolution_business_minutes, c.due_at, c.is_resolved_in_time,
    coalesce(r._exclusion, 'its case is left out: ' || s._exclusion) as exclusion,
    -- a case counts on its own row, or on the event that resolved it where the export has no cases
    cast(row_number() over (partition by r.case_id, r._exclusion is null order by r.place) = 1 as integer) as adds
  from case_rows r
  left join {{ ref('int_cases') }} c on r.case_id = c.case_id
  left join {{ ref('stg_cases') }} s on r.case_id = s.case_id
),

counted as (
  select
    resolved_day as metric_date, channel, topic, queue, case_id as entity, feed, _key, note,
    case when resolution_minutes is null then 'nothing tells when it was raised' end as left_out,
    case when resolution_minutes is not null then adds end as cases_resolved,
    resolution_minutes * adds as resolution_minutes,
    case when resolution_minutes is not null and resolution_business_minutes is not null then adds end as cases_with_calendar,
    resolution_business_minutes * adds as business_minutes,
    case when resolution_minutes is not null and due_at is not null then adds end as cases_with_target,
    case when resolution_minutes is not null and is_resolved_in_time then adds end as resolved_in_time,
    case when resolution_minutes is not null and is_one_touch then adds end as one_touch_cases
  from source_rows
  where exclusion is null and resolved_day is not null

  union all

  -- a resolution on this day that is not the case's last one, or no resolution at all
  select
    said_day, channel, topic, queue, case_id, feed, _key, null,
    case
      when exclusion is not null then exclusion
      when resolved_day is null then 'the case is open: reopened since, or this was before it was raised'
      else 'the case was resolved again later'
    end,
    null, null, null, null, null, null, null
  from source_rows
  where said_day is not null and (exclusion is not null or resolved_day is null or said_day < resolved_day)
)

{{ explained(
  'counted', ['channel', 'topic', 'queue'], [
    'cases_resolved', 'resolution_minutes', 'cases_with_calendar', 'business_minutes', 'cases_with_target', 'resolved_in_time',
    'one_touch_cases'
  ], 'double'
) }}
