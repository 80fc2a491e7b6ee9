-- Contacts of the mart = inbound contacts staged that are no test person's, and its orders = orders that count, by day.
with expected as (
  select metric_date, sum(contacts) as contacts, sum(orders) as orders
  from (
    select contact_day as metric_date, count(*) as contacts, 0 as orders
    from {{ ref('stg_contacts') }}
    where _exclusion is null and direction = 'inbound' and {{ tested_days('contacts_per_order_daily', 'contact_day') }}
      and coalesce(person_id, '') not in (select person_id from {{ ref('int_excluded_persons') }})
    group by 1
    union all
    select order_day, 0, count(*)
    from {{ ref('int_orders') }}
    where is_sale and {{ tested_days('contacts_per_order_daily', 'order_day') }}
    group by 1
  )
  group by 1
),

actual as (
  select metric_date, contacts, orders from {{ ref('contacts_per_order_daily') }} where {{ tested_days('contacts_per_order_daily') }}
)

select metric_date, e.contacts as staged_contacts, a.contacts, e.orders as staged_orders, a.orders
from expected e full join actual a using (metric_date)
where metric_date <= {{ data_through() }}
  and (coalesce(e.contacts, 0) <> coalesce(a.contacts, 0) or coalesce(e.orders, 0) <> coalesce(a.orders, 0))
