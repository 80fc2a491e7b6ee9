-- grain: one row per cell of ivr_requests_daily, part and source row (macros/explain.sql)
with events as (
  select
    e.event_day as metric_date, coalesce(e.intent, 'unknown') as intent, e.session_id as entity, e._key, 'ivr_events' as feed,
    case when e.event <> 'selection' then 'is no choice: ' || e.event else coalesce(s._exclusion, x.reason) end as left_out,
    'chosen' || coalesce(' on level ' || e.depth, '') as note,
    e.depth
  from {{ ref('stg_ivr_events') }} e
  left join {{ ref('stg_self_service_sessions') }} s on e.session_id = s.session_id
  left join {{ ref('int_excluded_persons') }} x on coalesce(s.person_id, e.person_id) = x.person_id
),

counted as (
  select
    *,
    case when left_out is null then 1 end as selections,
    case when left_out is null then depth end as depth_sum,
    case when left_out is null and depth is not null then 1 end as depth_count
  from events
)

{{ explained('counted', ['intent'], ['selections', 'depth_sum', 'depth_count']) }}
