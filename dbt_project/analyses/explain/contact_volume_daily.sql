-- grain: one row per cell of contact_volume_daily, part and source row (macros/explain.sql)
with contacts as (
  select
    contact_day as metric_date, contact_hour as hour, channel, coalesce(topic, 'unknown') as topic, coalesce(queue, 'unknown') as queue,
    contact_id as entity, outcome as note, 'contacts' as feed, _key, outcome,
    case when _exclusion is not null then _exclusion when direction <> 'inbound' then 'is ' || direction end as left_out
  from {{ ref('stg_contacts') }}
),

counted as (
  select
    *,
    case when left_out is null then 1 end as inbound,
    case when left_out is null and outcome = 'handled' then 1 end as handled,
    case when left_out is null and outcome = 'abandoned' then 1 end as abandoned,
    case when left_out is null and outcome = 'contained' then 1 end as contained
  from contacts
)

{{ explained('counted', ['hour', 'channel', 'topic', 'queue'], ['inbound', 'handled', 'abandoned', 'contained']) }}
