-- grain: one row per cell of resolution_histogram_daily, part and source row (macros/explain.sql)
with clocks as (
  select *, 'calendar' as clock, resolution_minutes as minutes from ({{ case_rows() }})
  union all
  select *, 'business', resolution_business_minutes from ({{ case_rows() }})
),

counted as (
  select
    resolved_day as metric_date, channel, topic, queue, clock, {{ bucket('minutes') }} as bucket, case_id as entity, feed, _key,
    told_by || ', ' || format('{:.1f}', minutes) || ' minutes' as note, cast(null as varchar) as left_out, adds as cases
  from clocks
  where resolved_day is not null and minutes is not null

  union all

  select null, null, null, null, null, null, case_id, 'cases', _key, null, _exclusion, null
  from {{ ref('stg_cases') }}
  where _exclusion is not null
)

{{ explained('counted', ['channel', 'topic', 'queue', 'clock', 'bucket'], ['cases']) }}
