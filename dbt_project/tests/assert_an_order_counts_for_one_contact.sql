-- Handled contacts of the mart = handled contacts staged that are no test person's, by day; and no order is the next one of two contacts.
with expected as (
  select contact_day as metric_date, count(*) as n
  from {{ ref('stg_contacts') }}
  where _exclusion is null and direction = 'inbound' and outcome = 'handled' and {{ tested_days('service_to_sales_daily', 'contact_day') }}
    and coalesce(person_id, '') not in (select person_id from {{ ref('int_excluded_persons') }})
  group by 1
),

actual as (
  select metric_date, sum(handled_contacts) as n
  from {{ ref('service_to_sales_daily') }} where {{ tested_days('service_to_sales_daily') }} group by 1
)

select 'contacts' as what, cast(metric_date as varchar) as place, e.n as expected, a.n as actual
from expected e full join actual a using (metric_date)
where metric_date <= {{ data_through() }} and coalesce(e.n, 0) <> coalesce(a.n, 0)

union all

-- two contacts lead to orders at one instant only where the second one came at that instant, too
select 'order counted twice', person_id || ' ' || next_order_at, 1, count(*)
from {{ ref('int_contact_sequels') }}
where next_order_at is not null and {{ tested_days('service_to_sales_daily', 'contact_day') }}
group by person_id, next_order_at
having count(*) > 1
