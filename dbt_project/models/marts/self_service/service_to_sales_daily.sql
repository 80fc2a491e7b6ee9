-- grain: one row per day, channel and topic of the contact
{{ config(meta={
    'matures_in': 'greatest(fcr_window_days, service_to_sales_days) + 1',
    'reach': [
      {'model': 'int_inbound_contacts', 'entity': 'contact', 'before': 0, 'after': 0},
      {'model': 'int_contact_sequels', 'entity': 'contact', 'before': 0, 'after': 0},
    ]
}) }}

{#
  Eligible are handled inbound contacts of known persons. A contact is resolved when no further one of the person on the
  topic follows within 7 x 24 h, as in FCR. It led to an order when it is resolved and the next thing the person did was
  to order within the window: an order counts once, for the last contact before it.
#}

with contacts as (
  select
    contact_id, contact_day, channel, topic, started_at,
    next_on_topic_at is null or next_on_topic_at >= {{ data_end() }}
      or next_on_topic_at > started_at + to_days({{ setting('fcr_window_days') }}) as is_resolved,
    case when next_order_at < {{ data_end() }} then next_order_at end as next_order_at
  from {{ ref('int_contact_sequels') }}
  where {{ affected_filter('contact_day') }}
),

handled as (
  select contact_day as metric_date, channel, topic, count(*) as handled_contacts
  from {{ ref('int_inbound_contacts') }}
  where outcome = 'handled' and {{ affected_filter('contact_day') }}
  group by contact_day, channel, topic
),

eligible as (
  select
    contact_day as metric_date, channel, topic,
    count(*) as eligible_contacts,
    count(*) filter (where is_resolved) as resolved_contacts,
    count(*) filter (where is_resolved and next_order_at <= started_at + to_hours({{ setting('service_to_sales_hours') }}))
      as sold_soon,
    count(*) filter (where is_resolved and next_order_at <= started_at + to_days({{ setting('service_to_sales_days') }})) as sold
  from contacts
  group by contact_day, channel, topic
)

select
  h.metric_date, h.channel, h.topic, h.handled_contacts,
  coalesce(e.eligible_contacts, 0) as eligible_contacts,
  coalesce(e.resolved_contacts, 0) as resolved_contacts,
  coalesce(e.sold_soon, 0) as sold_soon,
  coalesce(e.sold, 0) as sold,
  {{ ratio('e.sold_soon', 'e.eligible_contacts') }} as soon_sales_rate,
  {{ ratio('e.sold', 'e.eligible_contacts') }} as service_to_sales_rate,
  {{ is_final('h.metric_date', 'greatest(fcr_window_days, service_to_sales_days)') }} as is_final,
  {{ final_on('h.metric_date', 'greatest(fcr_window_days, service_to_sales_days)') }} as final_on
from handled h
left join eligible e on h.metric_date = e.metric_date and h.channel = e.channel and h.topic = e.topic
