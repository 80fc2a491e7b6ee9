-- grain: one row per cell of false_churn_daily, part and source row (macros/explain.sql)
with signs as (
  select
    person_id, day, order_id, feed, _key, note, adds,
    lead(day) over (partition by person_id order by day) as next_day
  from ({{ activity_rows() }})
  where adds = 1
),

windows as (
  from (values (180), (365)) as w(window_days)
),

lapses as (
  select
    s.person_id, s.day, s.next_day, s.day + {{ setting('churn_inactive_days') }} as metric_date, w.window_days,
    s.day + {{ setting('churn_inactive_days') }} + w.window_days <= {{ data_through() }} as has_passed
  from signs s cross join windows w
  where s.next_day is null or s.next_day > s.day + {{ setting('churn_inactive_days') }}
),

persons as (
  select
    l.metric_date, l.window_days, l.person_id as entity, s.feed, s._key,
    'last activity before the lapse, ' || s.order_id as note, cast(null as varchar) as left_out,
    1 as lapsed, null as came_back_so_far, case when l.has_passed then 1 end as judged, null as came_back
  from lapses l
  join signs s on l.person_id = s.person_id and l.day = s.day

  union all

  select
    l.metric_date, l.window_days, l.person_id, s.feed, s._key,
    'came back, ' || s.order_id, null,
    null, 1, null, case when l.has_passed then 1 end
  from lapses l
  join signs s on l.person_id = s.person_id and l.next_day = s.day
  where s.day <= l.metric_date + l.window_days and s.day <= {{ data_through() }}

  union all

  -- what would have been somebody's last activity before a lapse
  select
    day + {{ setting('churn_inactive_days') }}, null, order_id, feed, _key, null, coalesce(left_out, 'of no known person'), null, null, null, null
  from ({{ order_rows() }})
  where (left_out is not null and orders is null) or (person_id is null and {{ counts_as_activity() }})
)

{{ explained('persons', ['window_days'], ['lapsed', 'came_back_so_far', 'judged', 'came_back']) }}
