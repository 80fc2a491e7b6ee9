-- grain: one row per segment_id: its newest version, excluded rows flagged in _exclusion; where it came from in _delivery and _line
{{ config(meta={'changed_by': [['raw', 'sentiment_segments']], 'logs': [{'entity': 'contact', 'key': 'contact_id', 'day': 'segment_day'}]}) }}

with newest as (
  {{ newest_version('sentiment_segments') }}
)

select
  segment_id,
  contact_id,
  person_id,
  journey_id,
  segment_index,
  speaker,
  sentiment,
  score,
  started_at,
  updated_at,
  {{ business_day('started_at') }} as segment_day,
  _key,
  _exclusion,
  _delivery,
  _line
from newest
