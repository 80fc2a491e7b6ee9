-- grain: one row per cell of contacts_per_order_daily, part and source row (macros/explain.sql)
with order_heads as (
  -- an order counts on its header, or on its first line that sells where the shop exports no header
  select h.order_id, 'orders' as feed, h._key, h._exclusion as left_out, h.order_day
  from {{ ref('stg_orders') }} h

  union all

  select l.order_id, 'order_lines', l._key, null, null
  from {{ ref('stg_order_lines') }} l
  where l._exclusion is null and not coalesce(l.is_return, false)
    and l.order_id not in (select order_id from {{ ref('stg_orders') }})
  qualify row_number() over (partition by l.order_id order by l._key) = 1
),

orders as (
  select
    coalesce(o.order_day, h.order_day) as order_day, h.order_id, h.feed, h._key,
    coalesce(h.left_out, case when not coalesce(o.is_sale, false) then 'no line of it that sells has arrived' end) as left_out,
    j.order_id is not null as is_known,
    case
      when j.next_contact_at <= j.ordered_at + to_days({{ setting('order_contact_days') }}) and j.next_contact_at < {{ data_end() }}
        then j.next_contact_at
    end as contacted_at,
    j.delivered_day
  from order_heads h
  left join {{ ref('int_orders') }} o on h.order_id = o.order_id
  left join {{ ref('int_order_journeys') }} j on h.order_id = j.order_id
),

rows_of_days as (
  select
    c.contact_day as metric_date, c.contact_id as entity, 'contacts' as feed, c._key, c.outcome as note,
    case when c._exclusion is not null then c._exclusion when c.direction <> 'inbound' then 'is ' || c.direction else x.reason end as left_out,
    case when c._exclusion is null and c.direction = 'inbound' and x.person_id is null then 1 end as contacts,
    null as orders, null as known_person_orders, null as contacted_orders, null as journeys, null as journey_contacts
  from {{ ref('stg_contacts') }} c
  left join {{ ref('int_excluded_persons') }} x on c.person_id = x.person_id

  union all

  select
    order_day, order_id, feed, _key,
    case
      when not is_known then 'of no known person'
      when contacted_at is null then 'no contact followed'
      else 'contact at ' || contacted_at
    end,
    left_out, null,
    case when left_out is null then 1 end,
    case when left_out is null and is_known then 1 end,
    case when left_out is null and contacted_at is not null then 1 end,
    null, null
  from orders

  union all

  select delivered_day, order_id, feed, _key, 'delivered', null, null, null, null, null, 1, null
  from orders
  where delivered_day is not null

  union all

  select j.delivered_day, j.order_id, 'contacts', c._key, 'between order and delivery', null, null, null, null, null, null, 1
  from {{ ref('int_order_journeys') }} j
  join {{ ref('int_inbound_contacts') }} i
    on j.person_id = i.person_id and i.started_at >= j.ordered_at and i.started_at <= j.delivered_at
  join {{ ref('stg_contacts') }} c on i.contact_id = c.contact_id
)

{{ explained(
  'rows_of_days', [],
  ['contacts', 'orders', 'known_person_orders', 'contacted_orders', 'journeys', 'journey_contacts']
) }}
