-- Of each dimension, the segments of a cohort hold everybody with a first order in its month, once.
with firsts as (
  select cast(date_trunc('month', min(activity_day)) as date) as cohort_month, person_id
  from {{ ref('int_customer_days') }} where orders > 0 and activity_day <= {{ data_through() }}
  group by person_id
),

expected as (
  select cohort_month, g.dimension, count(*) as n
  from firsts cross join (values ('first_product_category'), ('entry_channel')) as g(dimension)
  group by cohort_month, g.dimension
),

actual as (
  select cohort_month, dimension, sum(customers) as n
  from {{ ref('retention_cohorts_by_segment') }} where months_since = 0
  group by cohort_month, dimension
)

select cohort_month, dimension, e.n as persons, a.n as in_mart
from expected e full join actual a using (cohort_month, dimension)
where e.n is distinct from a.n
