-- grain: one row per day of the contact, channel, topic and queue
{{ config(meta={
    'reach': [
      {'model': 'stg_contacts', 'entity': 'contact', 'before': 0, 'after': 0},
      {'model': 'int_transfers', 'entity': 'contact', 'before': 0, 'after': 0},
    ]
}) }}

with transfers as (
  select contact_id, count(*) as transfers, count(*) filter (where kind = 'warm') as warm, count(*) filter (where kind = 'blind') as blind
  from {{ ref('int_transfers') }}
  where {{ affected_filter('contact_day') }}
  group by contact_id
),

counted as (
  select
    c.contact_day as metric_date,
    c.channel,
    coalesce(c.topic, 'unknown') as topic,
    coalesce(c.queue, 'unknown') as queue,
    count(*) as handled,
    count(t.transfers) as transferred,
    cast(coalesce(sum(t.transfers), 0) as bigint) as transfers,
    cast(coalesce(sum(t.warm), 0) as bigint) as warm_transfers,
    cast(coalesce(sum(t.blind), 0) as bigint) as blind_transfers
  from {{ ref('stg_contacts') }} c
  left join transfers t on c.contact_id = t.contact_id
  where c._exclusion is null and c.direction = 'inbound' and c.outcome = 'handled' and {{ affected_filter('c.contact_day') }}
  group by all
)

select
  *,
  {{ ratio('transferred', 'handled') }} as transfer_rate,
  {{ ratio('transfers', 'handled') }} as transfers_per_contact,
  {{ is_final('metric_date') }} as is_final,
  {{ final_on('metric_date') }} as final_on
from counted
