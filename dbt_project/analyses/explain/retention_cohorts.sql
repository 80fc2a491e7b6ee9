-- grain: one row per cell of retention_cohorts, part and source row (macros/explain.sql); metric_date is the month of activity
with persons as (
  from ({{ cohort_rows(activity_rows()) }})

  union all

  select cast(date_trunc('month', day) as date), null, null, order_id, feed, _key, null, coalesce(left_out, 'of no known person'), null, null, null
  from ({{ order_rows() }})
  where (left_out is not null and orders is null) or (person_id is null and {{ counts_as_activity() }})
)

{{ explained('persons', ['cohort_month', 'months_since'], ['customers', 'active', 'active_or_later']) }}
