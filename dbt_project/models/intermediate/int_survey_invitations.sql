-- grain: one row per invitation, except those of test persons: who was asked after merges, and what came of it within the response window
{{ config(
    unique_key='invitation_id',
    meta={
      'changed_by': [
        ['stg_survey_invitations', 'invitation'],
        ['stg_survey_responses', 'invitation'],
        ['int_person_merges', 'person', {'table': 'stg_survey_invitations', 'on': 'person_id', 'key': 'invitation_id'}],
        ['int_excluded_persons', 'person', {'table': 'stg_survey_invitations', 'on': 'person_id', 'key': 'invitation_id'}],
        ['int_excluded_persons', 'person', {'table': 'stg_survey_responses', 'on': 'person_id', 'key': 'invitation_id'}],
      ],
      'logs': [{'entity': 'invitation', 'key': 'invitation_id', 'day': 'sent_day'}]
    }
) }}

with invitations as (
  select * from {{ ref('stg_survey_invitations') }} where _exclusion is null and {{ changed_filter('invitation_id') }}
),

came_back as (
  select
    i.invitation_id,
    bool_or(r.status = 'completed' and r.answered_at <= i.sent_at + to_days({{ setting('response_window_days') }})) as is_answered,
    bool_or(r.status = 'completed') as is_answered_some_time,
    bool_or(r.status = 'partial' and r.answered_at <= i.sent_at + to_days({{ setting('response_window_days') }})) as is_partial,
    bool_or(r.status = 'dismissed' and r.answered_at <= i.sent_at + to_days({{ setting('response_window_days') }})) as is_dismissed
  from invitations i
  -- partial and dismissed ones are excluded as answers, and count here; previews, tests and what test persons say are nobody's
  join {{ ref('stg_survey_responses') }} r on i.invitation_id = r.invitation_id
  left join {{ ref('int_excluded_persons') }} x on r.person_id = x.person_id
  where x.person_id is null
  group by i.invitation_id
)

select
  i.invitation_id,
  i.survey_id,
  coalesce(m.survivor_id, i.person_id) as person_id,
  coalesce(i.channel, 'unknown') as channel,
  i.order_id,
  i.status,
  i.sent_at,
  i.sent_day,
  -- an invitation that asks three questions and gets one answer is answered
  case
    when c.is_answered then 'answered'
    when c.is_partial then 'partial'
    when c.is_dismissed then 'dismissed'
    when c.is_answered_some_time then 'late'
    else 'none'
  end as outcome
from invitations i
left join came_back c on i.invitation_id = c.invitation_id
left join {{ ref('int_person_merges') }} m on i.person_id = m.person_id
left join {{ ref('int_excluded_persons') }} x on i.person_id = x.person_id
where x.person_id is null
