-- grain: one row per resolved case whose first contact opened an issue, with whose it is and when it was known not to be resolved by it
{#
  What an issue is and what undoes its first contact is said in `fcr_daily`. The first contact about a case is the earliest
  one, whoever made it; the case is one of first contact resolution where that contact opened an issue: a case raised by a
  repeated contact was not begun by it. The day on which it was undone is kept, not whether it was: marts know nothing
  of days that are not complete.
#}
{{ config(
    unique_key='case_id',
    meta={
      'changed_by': [
        ['int_cases', 'case'],
        ['stg_case_events', 'case'],
        ['int_contacts', 'case'],
        ['int_contacts', 'person', {'table': 'int_contacts', 'on': 'person_id', 'key': 'case_id'}],
      ],
      'logs': [{'entity': 'case', 'key': 'case_id', 'day': 'resolved_day'}]
    }
) }}

with cases as (
  select case_id, agent_id, channel, topic, resolved_at, resolved_day
  from {{ ref('int_cases') }}
  where agent_id is not null and resolution_minutes is not null and {{ changed_filter('case_id') }}
),

firsts as (
  select f.case_id, f.contact_id, f.person_id, f.started_at
  from {{ ref('int_contacts') }} f
  where f.case_id in (select case_id from cases)
  qualify row_number() over (partition by f.case_id order by f.started_at, f.contact_id) = 1
),

neighbours as (
  select
    contact_id,
    lag(started_at) over w as previous_at,
    lead(started_at) over w as next_at,
    lead(contact_day) over w as next_day
  from {{ ref('int_contacts') }}
  where person_id in (select person_id from firsts)
  window w as (partition by person_id, topic order by started_at, contact_id)
),

opened as (
  select f.*, n.next_at, n.next_day, f.started_at + to_days({{ setting('fcr_window_days') }}) as window_ends_at
  from firsts f
  join neighbours n on f.contact_id = n.contact_id
  where n.previous_at is null or f.started_at > n.previous_at + to_days({{ setting('fcr_window_days') }})
),

reopened as (
  select o.case_id, min(e.event_day) as reopened_day
  from opened o
  join {{ ref('stg_case_events') }} e
    on o.case_id = e.case_id and e.occurred_at >= o.started_at and e.occurred_at <= o.window_ends_at
  where e.event = 'reopened' and e._exclusion is null
  group by o.case_id
)

select
  c.case_id,
  c.agent_id,
  c.channel,
  c.topic,
  o.contact_id as first_contact_id,
  c.resolved_day,
  least(case when o.next_at <= o.window_ends_at then o.next_day end, r.reopened_day) as undone_day
from cases c
join opened o on c.case_id = o.case_id
left join reopened r on c.case_id = r.case_id
-- a case that was solved before anybody called about it has no first contact
where o.started_at <= c.resolved_at
