-- grain: one row per day, channel and topic of the contact that opened the issue
{{ config(meta={
    'matures_in': 'fcr_window_days',
    'reach': [
      {'model': 'int_contacts', 'entity': 'contact', 'before': 'fcr_window_days + 1', 'after': 'fcr_window_days + 1'},
      {'model': 'stg_case_events', 'entity': 'case', 'before': 'fcr_window_days + 1', 'after': 0},
    ]
}) }}

{#
  An issue opens with a contact that has no earlier one of the same person and topic within the window of 7 x 24 h, and
  is resolved by it when none follows within the window and its case is not reopened in it. Both are local, one lag and
  one lead, so the scan needs one window (and a day for the time of day) on either side of the affected days.
#}

with eligible as (
  select * from {{ ref('int_contacts') }}
  where contact_day <= {{ data_through() }}
    and {{ affected_range('contact_day', setting('fcr_window_days + 1'), setting('fcr_window_days + 1')) }}
),

neighbours as (
  select
    *,
    lag(started_at) over w as previous_at,
    lead(started_at) over w as next_at,
    started_at + to_days({{ setting('fcr_window_days') }}) as window_ends_at
  from eligible
  -- a contact without a person has no neighbours: unknown people are not one person
  window w as (partition by person_id, topic, case when person_id is null then contact_id end order by started_at, contact_id)
),

reopened as (
  select distinct n.contact_id
  from neighbours n
  join {{ ref('stg_case_events') }} e
    on n.case_id = e.case_id and e.occurred_at >= n.started_at and e.occurred_at <= n.window_ends_at
  where e.event = 'reopened' and e._exclusion is null and e.event_day <= {{ data_through() }}
),

issues as (
  select
    n.*,
    n.person_id is not null
      and (previous_at is null or started_at > previous_at + to_days({{ setting('fcr_window_days') }})) as is_issue,
    (next_at is null or next_at > window_ends_at) and r.contact_id is null as is_resolved
  from neighbours n
  left join reopened r on n.contact_id = r.contact_id
)

select
  contact_day as metric_date,
  channel,
  topic,
  count(*) as eligible_contacts,
  count(person_id) as known_person_contacts,
  count(*) filter (where is_issue) as issues,
  count(*) filter (where is_issue and is_resolved) as resolved_first_contact,
  {{ ratio('count(*) filter (where is_issue and is_resolved)', 'count(*) filter (where is_issue)') }} as fcr_rate,
  {{ is_final('contact_day', 'fcr_window_days') }} as is_final,
  {{ final_on('contact_day', 'fcr_window_days') }} as final_on
from issues
where {{ affected_filter('contact_day') }}
group by contact_day, channel, topic
