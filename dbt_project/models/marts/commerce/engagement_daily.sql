-- grain: one row per day a visit started, device and channel
{{ config(meta={
    'matures_in': 'engagement_settling_days',
    'reach': [{'model': 'int_sessions', 'entity': 'session', 'before': 0, 'after': 0}]
}) }}

with sums as (
  select
    session_day as metric_date, device, channel,
    count(*) as sessions,
    count(*) filter (where is_engaged) as engaged_sessions,
    count(person_id) as known_sessions,
    sum(engaged_seconds) as engaged_seconds,
    sum(page_views) as page_views,
    sum(clicks) as clicks
  from {{ ref('int_sessions') }}
  where {{ affected_filter('session_day') }}
  group by session_day, device, channel
)

select
  metric_date, device, channel, sessions, engaged_sessions, known_sessions,
  cast(engaged_seconds as decimal(18, 4)) as engaged_seconds,
  cast(page_views as bigint) as page_views,
  cast(clicks as bigint) as clicks,
  cast(page_views + clicks as bigint) as touches,
  {{ ratio('engaged_sessions', 'sessions') }} as engaged_session_rate,
  {{ ratio('engaged_seconds', 'sessions') }} as average_engaged_seconds,
  {{ is_final('metric_date', 'engagement_settling_days') }} as is_final,
  {{ final_on('metric_date', 'engagement_settling_days') }} as final_on
from sums
