-- grain: one row per visit that no bot and no test person made: what the tracker says of it, else what its events add up to
{{ config(
    unique_key='session_id',
    meta={
      'changed_by': [
        ['stg_web_sessions', 'session'],
        ['stg_page_events', 'session'],
        ['int_excluded_sessions', 'session'],
        ['int_person_merges', 'person', {'table': 'stg_web_sessions', 'on': 'person_id', 'key': 'session_id'}],
        ['int_person_merges', 'person', {'table': 'stg_page_events', 'on': 'person_id', 'key': 'session_id'}],
      ],
      'logs': [
        {'entity': 'session', 'key': 'session_id', 'day': 'session_day'},
        {'entity': 'person', 'key': 'person_id', 'day': 'session_day'},
      ]
    }
) }}

{#
  Where both are exported, the session's own counters count: trackers take out what they saw twice, and sample events.
  What the session does not say, and sessions that were never exported, come from the events. One event of a bot makes
  the whole session a bot's.
#}

with headers as (
  select * from {{ ref('stg_web_sessions') }} where {{ changed_filter('session_id') }}
),

events as (
  select
    session_id,
    min(occurred_at) as started_at,
    -- arg_min passes over NULL: the first that is known
    arg_min(person_id, (occurred_at, event_id)) as person_id,
    arg_min(device, (occurred_at, event_id)) as device,
    sum(engaged_seconds) as engaged_seconds,
    count(*) filter (where event = 'page_view') as page_views,
    count(*) filter (where event = 'click') as clicks,
    bool_or(event = 'key_event') as has_key_event,
    bool_or(_exclusion is not null) as is_bot
  from {{ ref('stg_page_events') }}
  where {{ changed_filter('session_id') }}
  group by session_id
),

sessions as (
  select
    coalesce(h.session_id, e.session_id) as session_id,
    coalesce(h.person_id, e.person_id) as person_id,
    coalesce(h.started_at, e.started_at) as started_at,
    coalesce(h.device, e.device, 'unknown') as device,
    coalesce(h.channel, 'unknown') as channel,
    coalesce(h.engaged_seconds, e.engaged_seconds, 0) as engaged_seconds,
    coalesce(h.page_views, e.page_views, 0) as page_views,
    coalesce(h.clicks, e.clicks, 0) as clicks,
    coalesce(h.has_key_event, e.has_key_event, false) as has_key_event
  from headers h
  full join events e on h.session_id = e.session_id
  where h._exclusion is null and not coalesce(e.is_bot, false)
)

select
  s.session_id,
  coalesce(m.survivor_id, s.person_id) as person_id,
  {{ business_day('s.started_at') }} as session_day,
  s.device,
  s.channel,
  cast(s.engaged_seconds as decimal(18, 4)) as engaged_seconds,
  cast(s.page_views as bigint) as page_views,
  cast(s.clicks as bigint) as clicks,
  s.engaged_seconds >= {{ setting('engaged_session_seconds') }}
    or s.page_views >= {{ setting('engaged_session_pages') }}
    or s.has_key_event as is_engaged
from sessions s
left join {{ ref('int_person_merges') }} m on s.person_id = m.person_id
where s.session_id not in (select session_id from {{ ref('int_excluded_sessions') }} where {{ changed_filter('session_id') }})
