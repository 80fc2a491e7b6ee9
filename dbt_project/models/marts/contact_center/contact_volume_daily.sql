-- grain: one row per day, hour of the business day, channel, topic and queue
{{ config(meta={
    'reach': [{'model': 'stg_contacts', 'entity': 'contact', 'before': 0, 'after': 0}]
}) }}

select
  contact_day as metric_date,
  contact_hour as hour,
  channel,
  coalesce(topic, 'unknown') as topic,
  coalesce(queue, 'unknown') as queue,
  count(*) as inbound,
  count(*) filter (where outcome = 'handled') as handled,
  count(*) filter (where outcome = 'abandoned') as abandoned,
  count(*) filter (where outcome = 'contained') as contained,
  {{ is_final('contact_day') }} as is_final,
  {{ final_on('contact_day') }} as final_on
from {{ ref('stg_contacts') }}
where _exclusion is null and direction = 'inbound' and {{ affected_filter('contact_day') }}
group by contact_day, contact_hour, channel, coalesce(topic, 'unknown'), coalesce(queue, 'unknown')
