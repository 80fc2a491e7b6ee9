-- grain: one row per cell of service_to_sales_daily, part and source row (macros/explain.sql)
with contacts as (
  select
    c.contact_day as metric_date, c.channel, coalesce(c.topic, 'unknown') as topic, c.contact_id as entity, c._key,
    'contacts' as feed,
    case
      when c._exclusion is not null then c._exclusion
      when c.direction <> 'inbound' then 'is ' || c.direction
      when c.outcome <> 'handled' then 'nobody handled it: ' || c.outcome
      else x.reason
    end as left_out,
    s.contact_id is not null as is_eligible,
    s.contact_id is not null and (
      s.next_on_topic_at is null or s.next_on_topic_at >= {{ data_end() }}
      or s.next_on_topic_at > s.started_at + to_days({{ setting('fcr_window_days') }})
    ) as is_resolved,
    s.started_at,
    s.next_on_topic_at,
    case when s.next_order_at < {{ data_end() }} then s.next_order_at end as next_order_at
  from {{ ref('stg_contacts') }} c
  left join {{ ref('int_excluded_persons') }} x on c.person_id = x.person_id
  left join {{ ref('int_contact_sequels') }} s on c.contact_id = s.contact_id
),

counted as (
  select
    *,
    case
      when not is_eligible then 'of no known person'
      when not is_resolved then 'again on the topic at ' || next_on_topic_at
      when next_order_at is not null then 'an order at ' || next_order_at || ' is the next thing the person did'
      else 'no order came of it'
    end as note,
    case when left_out is null then 1 end as handled_contacts,
    case when is_eligible then 1 end as eligible_contacts,
    case when is_resolved then 1 end as resolved_contacts,
    case when is_resolved and next_order_at <= started_at + to_hours({{ setting('service_to_sales_hours') }}) then 1 end as sold_soon,
    case when is_resolved and next_order_at <= started_at + to_days({{ setting('service_to_sales_days') }}) then 1 end as sold
  from contacts
)

{{ explained(
  'counted', ['channel', 'topic'],
  ['handled_contacts', 'eligible_contacts', 'resolved_contacts', 'sold_soon', 'sold']
) }}
