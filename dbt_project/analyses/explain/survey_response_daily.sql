-- grain: one row per cell of survey_response_daily, part and source row (macros/explain.sql)
with invitations as (
  select
    s.sent_day as metric_date, s.survey_id, coalesce(s.channel, 'unknown') as channel, s.invitation_id as entity,
    'survey_invitations' as feed, s._key, s.status || ', came back: ' || i.outcome as note, i.status, i.outcome, s.sent_at,
    coalesce(s._exclusion, x.reason) as left_out
  from {{ ref('stg_survey_invitations') }} s
  left join {{ ref('int_survey_invitations') }} i on s.invitation_id = i.invitation_id
  left join {{ ref('int_excluded_persons') }} x on s.person_id = x.person_id
),

counted as (
  select
    metric_date, survey_id, channel, entity, feed, _key, note, left_out,
    case when left_out is null then 1 end as invited,
    case when left_out is null and status = 'bounced' then 1 end as bounced,
    case when left_out is null and status = 'suppressed' then 1 end as suppressed,
    case when left_out is null and status = 'delivered' then 1 end as delivered,
    case when left_out is null and status = 'delivered' and outcome = 'answered' then 1 end as answered,
    case when left_out is null and status = 'delivered' and outcome = 'partial' then 1 end as partial,
    case when left_out is null and status = 'delivered' and outcome = 'dismissed' then 1 end as dismissed,
    case when left_out is null and status = 'delivered' and outcome = 'late' then 1 end as answered_late
  from invitations

  union all

  -- what makes an invitation an answered one
  select
    i.metric_date, i.survey_id, i.channel, i.entity, 'survey_responses', r._key, 'answered at ' || r.answered_at || ' UTC', null,
    null, null, null, null, 0, null, null, null
  from invitations i
  join {{ ref('stg_survey_responses') }} r on i.entity = r.invitation_id
  left join {{ ref('int_excluded_persons') }} x on r.person_id = x.person_id
  where i.left_out is null and i.status = 'delivered' and i.outcome = 'answered' and x.person_id is null and r.status = 'completed'
    and r.answered_at <= i.sent_at + to_days({{ setting('response_window_days') }})
)

{{ explained(
  'counted', ['survey_id', 'channel'],
  ['invited', 'bounced', 'suppressed', 'delivered', 'answered', 'partial', 'dismissed', 'answered_late']
) }}
