-- grain: one row per cell of first_response_daily, part and source row (macros/explain.sql)
with cases as (
  select case_id, channel, topic, queue, raised_at, first_response_at, first_response_day as metric_date
  from {{ ref('int_cases') }}
),

answers as (
  select
    e.case_id, e._key, e.event_day, c.metric_date, c.channel, c.topic, c.queue,
    case
      when e._exclusion is not null then e._exclusion
      when coalesce(e.actor_type, 'agent') <> 'agent' then 'no human reply: of a ' || e.actor_type
      when s._exclusion is not null then 'its case is left out: ' || s._exclusion
      when c.raised_at is null then 'nothing tells when its case was raised'
      when e.occurred_at < c.raised_at then 'comes before its case was raised'
      when e.occurred_at > c.first_response_at then 'the case was answered before'
    end as left_out
  from {{ ref('stg_case_events') }} e
  left join cases c on e.case_id = c.case_id
  left join {{ ref('stg_cases') }} s on e.case_id = s.case_id
  where e.event = 'replied'
),

counted as (
  select
    first_response_day as metric_date, channel, topic, queue, case_id as entity, feed, _key, cast(null as varchar) as left_out,
    told_by || ', raised at ' || raised_at || ' UTC, answered at ' || first_response_at || ' UTC' as note,
    adds as cases_answered,
    first_response_minutes * adds as response_minutes,
    case when first_response_business_minutes is not null then adds end as cases_with_calendar,
    first_response_business_minutes * adds as business_minutes
  from ({{ case_rows() }})
  where first_response_day is not null

  union all

  select metric_date, channel, topic, queue, case_id, 'case_events', _key, null, 'the first reply', 0, 0, null, null
  from answers where left_out is null

  union all

  select c.metric_date, c.channel, c.topic, c.queue, c.case_id, 'contacts', t._key, null, 'somebody took a contact about it', 0, 0, null, null
  from {{ ref('stg_contacts') }} t
  join cases c on t.case_id = c.case_id
  where t._exclusion is null and t.outcome = 'handled' and coalesce(t.ended_at, t.answered_at) >= c.raised_at
    and greatest(t.answered_at, c.raised_at) = c.first_response_at

  union all

  select event_day, channel, topic, queue, case_id, 'case_events', _key, left_out, null, null, null, null, null
  from answers where left_out is not null
)

{{ explained(
  'counted', ['channel', 'topic', 'queue'], ['cases_answered', 'response_minutes', 'cases_with_calendar', 'business_minutes'], 'double'
) }}
