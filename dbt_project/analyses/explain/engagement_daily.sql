-- grain: one row per cell of engagement_daily, part and source row (macros/explain.sql)
with counted as (
  {{ visit_rows() }}
)

{{ explained(
  'counted', ['device', 'channel'],
  ['sessions', 'engaged_sessions', 'known_sessions', 'engaged_seconds', 'page_views', 'clicks', 'touches']
) }}
