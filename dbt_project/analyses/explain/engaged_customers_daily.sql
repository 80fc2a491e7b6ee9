-- grain: one row per cell of engaged_customers_daily, part and source row (macros/explain.sql)
with visits as (
  select
    person_id, metric_date as day, entity, feed, _key, note || ' of ' || metric_date as note, touches,
    -- 1 on one row of each person and day, and of each one on which they were engaged
    cast(row_number() over (partition by person_id, metric_date order by sessions nulls last, feed, _key) = 1 as integer) as adds,
    case when engaged_sessions = 1 then row_number() over (
      partition by person_id, metric_date, engaged_sessions order by feed, _key
    ) end = 1 as tells_engaged
  from ({{ visit_rows() }})
  where left_out is null and person_id is not null
),

engaged as (
  select person_id, day, lead(day, 1, date '9999-12-31') over (partition by person_id order by day) as next_day
  from visits where tells_engaged
),

-- read anew by each, so that a question about one day reads that day only
customers as not materialized (
  select metric_date, entity as person_id, feed, _key, note
  from ({{ active_order_rows() }})
  where period = 'trailing_365d' and active = 1
),

periods as (
  select
    metric_date, period,
    case when period = 'trailing_30d' then metric_date - 29 else cast(date_trunc(period, metric_date) as date) end as start_day
  from (
    select cast(d as date) as metric_date
    from (select min(day) as first_day from visits) f,
      unnest(generate_series(cast(f.first_day as timestamp), cast({{ data_through() }} as timestamp), interval 1 day)) as g(d)
  )
  cross join (values ('day'), ('week'), ('month'), ('trailing_30d')) as p(period)
),

counted as (
  select
    p.metric_date, p.period, v.person_id as entity, v.feed, v._key, v.note, cast(null as varchar) as left_out,
    v.touches, v.adds as person_days,
    case when v.tells_engaged and p.metric_date < e.next_day then 1 end as engaged_customers,
    case when v.tells_engaged and p.metric_date < e.next_day and c.person_id is not null then 1 end as engaged_active_customers,
    cast(null as integer) as active_customers
  from periods p
  join visits v on v.day >= p.start_day and v.day <= p.metric_date
  left join engaged e on v.person_id = e.person_id and v.day = e.day
  left join customers c on v.person_id = c.person_id and p.metric_date = c.metric_date

  union all

  select c.metric_date, p.period, c.person_id, c.feed, c._key, c.note, null, null, null, null, null, 1
  from customers c
  cross join (values ('day'), ('week'), ('month'), ('trailing_30d')) as p(period)

  union all

  select metric_date, null, entity, feed, _key, null, coalesce(left_out, 'of no known person'), null, null, null, null, null
  from ({{ visit_rows() }})
  where left_out is not null or person_id is null
)

{{ explained(
  'counted', ['period'], ['touches', 'person_days', 'engaged_customers', 'engaged_active_customers', 'active_customers']
) }}
