-- grain: one row per visit that no bot made, of somebody in whom no metric is interested: the day it started, and the reason
{{ config(
    unique_key='session_id',
    meta={
      'changed_by': [
        ['stg_web_sessions', 'session'],
        ['stg_page_events', 'session'],
        ['int_excluded_persons', 'person', {'table': 'stg_web_sessions', 'on': 'person_id', 'key': 'session_id'}],
        ['int_excluded_persons', 'person', {'table': 'stg_page_events', 'on': 'person_id', 'key': 'session_id'}],
      ],
      'logs': [{'entity': 'session', 'key': 'session_id', 'day': 'session_day'}]
    }
) }}

{# One event of a known tester is enough: before they signed in they were a visitor. #}
with of_testers as (
  select session_id, min(reason) as reason
  from (
    select s.session_id, x.reason
    from {{ ref('stg_web_sessions') }} s
    join {{ ref('int_excluded_persons') }} x on s.person_id = x.person_id
    where {{ changed_filter('s.session_id') }}
    union all
    select e.session_id, x.reason
    from {{ ref('stg_page_events') }} e
    join {{ ref('int_excluded_persons') }} x on e.person_id = x.person_id
    where {{ changed_filter('e.session_id') }}
  )
  group by session_id
),

events as (
  select session_id, min(occurred_at) as started_at, bool_or(_exclusion is not null) as is_bot
  from {{ ref('stg_page_events') }}
  where session_id in (select session_id from of_testers)
  group by session_id
)

select t.session_id, {{ business_day('coalesce(s.started_at, e.started_at)') }} as session_day, t.reason
from of_testers t
left join {{ ref('stg_web_sessions') }} s on t.session_id = s.session_id
left join events e on t.session_id = e.session_id
where s._exclusion is null and not coalesce(e.is_bot, false)
