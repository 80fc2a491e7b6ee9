-- grain: one row per cell of retention_cohorts, part and source row (macros/explain.sql); metric_date is the month of activity
with activity as (
  select
    *,
    cast(date_trunc('month', day) as date) as activity_month,
    -- a person is counted once a month, on the first sign of life in it
    min(day) over (partition by person_id, date_trunc('month', day)) as counted_on,
    cast(date_trunc('month', min(day) over (partition by person_id)) as date) as cohort_month,
    max(day) over (partition by person_id) as last_day
  from ({{ activity_rows() }})
  where day <= {{ data_through() }}
),

months as (
  select
    c.cohort_month,
    cast(m as integer) as months_since,
    cast(c.cohort_month + to_months(cast(m as integer)) as date) as activity_month
  from (select distinct cohort_month from activity) c,
    unnest(generate_series(0, datediff('month', c.cohort_month, {{ data_through() }}))) as g(m)
),

persons as (
  select
    m.activity_month as metric_date, m.cohort_month, m.months_since, a.person_id as entity, a.feed, a._key,
    'first activity' as note, cast(null as varchar) as left_out,
    a.adds as customers, cast(null as integer) as active, cast(null as integer) as active_or_later
  from months m
  join activity a on a.cohort_month = m.cohort_month and a.activity_month = m.cohort_month and a.day = a.counted_on

  union all

  select
    m.activity_month, m.cohort_month, m.months_since, a.person_id, a.feed, a._key,
    'first activity of the month', null, null, a.adds, null
  from months m
  join activity a on a.cohort_month = m.cohort_month and a.activity_month = m.activity_month and a.day = a.counted_on

  union all

  select
    m.activity_month, m.cohort_month, m.months_since, a.person_id, a.feed, a._key,
    'last activity so far', null, null, null, a.adds
  from months m
  join activity a on a.cohort_month = m.cohort_month and a.activity_month >= m.activity_month and a.day = a.last_day

  union all

  select cast(date_trunc('month', day) as date), null, null, order_id, feed, _key, null, coalesce(left_out, 'of no known person'), null, null, null
  from ({{ order_rows() }})
  where (left_out is not null and orders is null) or (person_id is null and {{ counts_as_activity() }})
)

{{ explained('persons', ['cohort_month', 'months_since'], ['customers', 'active', 'active_or_later']) }}
