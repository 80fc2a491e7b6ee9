-- New customers of the mart = persons whose first day with an order or a contract it is, and its spend = staged spend.
with firsts as (
  select person_id, min(day) as metric_date
  from (
    select person_id, activity_day as day from {{ ref('int_customer_days') }} where orders > 0
    union all
    select person_id, started_day from {{ ref('int_contract_terms') }} where person_id is not null
  )
  group by person_id
),

expected as (
  select metric_date, sum(persons) as persons, sum(amount) as amount
  from (
    select metric_date, 1 as persons, cast(0 as decimal(18, 4)) as amount from firsts
    union all
    select spend_date, 0, amount from {{ ref('stg_marketing_spend') }} where _exclusion is null
  )
  where {{ tested_days('new_customers_daily') }}
  group by metric_date
),

actual as (
  select metric_date, sum(new_customers) as persons, sum(acquisition_spend) as amount
  from {{ ref('new_customers_daily') }} where {{ tested_days('new_customers_daily') }}
  group by metric_date
)

select metric_date, e.persons as persons_expected, a.persons, e.amount as amount_expected, a.amount
from expected e full join actual a using (metric_date)
where metric_date <= {{ data_through() }}
  and (coalesce(e.persons, 0) <> coalesce(a.persons, 0) or coalesce(e.amount, 0) <> coalesce(a.amount, 0))
