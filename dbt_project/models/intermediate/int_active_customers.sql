-- grain: one row per day, basis and period: who is active in it, who came and went on the day, and how many records know their person
{{ config(
    incremental_strategy='affected_days',
    pre_hook={"sql": "{{ mark_affected() }}", "transaction": false},
    meta={
      'reach': [
        {'model': 'int_customer_days', 'entity': 'person', 'before': 0, 'after': 'open'},
        {'model': 'int_orders', 'entity': 'order', 'before': 0, 'after': 'open'},
        {'model': 'int_contract_terms', 'entity': 'subscription', 'before': 0, 'after': 'open'},
      ]
    }
) }}

{#
  orders      a person is active in a period that ends on the day if they ordered in it: day, week, month, quarter (to
              date) or the trailing 30, 90 or 365 days. An order keeps a person in a trailing period until the next order
              or for N days, whichever is earlier (methods: lead and a ledger of what changes on a day). A calendar
              period begins at nothing.
  contracts   a person is active on a day on which one of their contracts runs, without any grace.

  An increment goes on from the day before the first affected one, which stands in the table, and reads only people for
  whom something changes on an affected day: with an order on it, or one that ends its N days on it.
#}

{%- set trailing = [30, 90, 365] %}

with affected as (
  {% if is_incremental() -%}
  select day as metric_date from ({{ affected_days() }}) where day <= {{ data_through() }}
  {%- else -%}
  select cast(d as date) as metric_date
  from (
    select min(day) as first_day
    from (
      select min(order_day) as day from {{ ref('int_orders') }} where is_sale
      union all
      select min(started_day) from {{ ref('int_contract_terms') }}
    )
  ) s, unnest(generate_series(cast(s.first_day as timestamp), cast({{ data_through() }} as timestamp), interval 1 day)) as g(d)
  {%- endif %}
),

bounds as (
  select min(metric_date) as first_day, max(metric_date) + 1 as end_day from affected
),

windows as (
  from (values {% for n in trailing %}('trailing_{{ n }}d', {{ n }}){{ ', ' if not loop.last }}{% endfor %}) as w(period, n)
),

calendar as (
  from (values ('day'), ('week'), ('month'), ('quarter')) as c(period)
),

days as (
  select
    person_id, activity_day as day, life_orders, life_orders - orders as orders_before,
    lag(activity_day) over of_person as previous_day,
    lead(activity_day) over of_person as next_day
  from (
    select person_id, activity_day, orders, sum(orders) over (partition by person_id order by activity_day) as life_orders
    from {{ ref('int_customer_days') }}
    where orders > 0
    {%- if is_incremental() %}
      and person_id in (
        select d.person_id
        from {{ ref('int_customer_days') }} d, bounds b
        where d.orders > 0 and (
          (d.activity_day >= b.first_day and d.activity_day < b.end_day)
          {%- for n in trailing %}
          or (d.activity_day >= b.first_day - {{ n }} and d.activity_day < b.end_day - {{ n }})
          {%- endfor %}
        )
      )
    {%- endif %}
  )
  window of_person as (partition by person_id order by activity_day)
),

of_orders as (
  -- comes into the window: new, or back after more than N days
  select
    period, date '0001-01-01' as period_start, day, 1 as active, cast(life_orders >= 2 as integer) as repeaters,
    cast(previous_day is null as integer) as new_customers, cast(previous_day is not null as integer) as reactivated, 0 as lapsed
  from days cross join windows
  where previous_day is null or day > previous_day + n

  union all

  -- stays in it, and buys for the second time
  select period, date '0001-01-01', day, 0, 1, 0, 0, 0
  from days cross join windows
  where day <= previous_day + n and life_orders >= 2 and orders_before < 2

  union all

  -- an order exactly on the N-th day keeps the person
  select period, date '0001-01-01', day + n, -1, -cast(life_orders >= 2 as integer), 0, 0, 1
  from days cross join windows
  where next_day is null or next_day > day + n

  union all

  select
    period, cast(date_trunc(period, day) as date), day,
    cast(is_first as integer),
    cast(life_orders >= 2 and (is_first or orders_before < 2) as integer),
    0, 0, 0
  from (
    select *, previous_day is null or date_trunc(period, previous_day) < date_trunc(period, day) as is_first
    from days cross join calendar
  )
),

order_records as (
  select order_day as day, count(*) as records, count(person_id) as known_records
  from {{ ref('int_orders') }}, bounds b
  where is_sale and (
    (order_day >= b.first_day and order_day < b.end_day)
    {%- for n in trailing %}
    or (order_day >= b.first_day - {{ n }} and order_day < b.end_day - {{ n }})
    {%- endfor %}
  )
  group by order_day
),

terms as (
  select * from {{ ref('int_contract_terms') }}
  {%- if is_incremental() %}
  where subscription_id in (
      select t.subscription_id from {{ ref('int_contract_terms') }} t, bounds b
      where (t.started_day >= b.first_day and t.started_day < b.end_day) or (t.ended_day >= b.first_day and t.ended_day < b.end_day)
    )
    or person_id in (
      select t.person_id from {{ ref('int_contract_terms') }} t, bounds b
      where (t.started_day >= b.first_day and t.started_day < b.end_day) or (t.ended_day >= b.first_day and t.ended_day < b.end_day)
    )
  {%- endif %}
),

covered as (
  select person_id, min(started_day) as start_day, max(ended_day) as end_day, cover = 1 as is_first
  from (
    select *, count(*) filter (where covered_until is null or started_day > covered_until) over (
      partition by person_id order by started_day, ended_day, subscription_id rows unbounded preceding
    ) as cover
    from (
      select *, max(ended_day) over (
        partition by person_id order by started_day, ended_day, subscription_id rows between unbounded preceding and 1 preceding
      ) as covered_until
      from terms where person_id is not null
    )
  )
  group by person_id, cover
),

events as (
  select 'orders' as basis, *, 0 as records, 0 as known_records from of_orders

  union all

  select 'orders', period, date '0001-01-01', day, 0, 0, 0, 0, 0, records, known_records from order_records cross join windows

  union all

  select 'orders', period, date '0001-01-01', day + n, 0, 0, 0, 0, 0, -records, -known_records from order_records cross join windows

  union all

  select 'orders', period, cast(date_trunc(period, day) as date), day, 0, 0, 0, 0, 0, records, known_records
  from order_records cross join calendar

  union all

  select
    'contracts', 'running', date '0001-01-01', start_day, 1, 0, cast(is_first as integer), cast(not is_first as integer), 0, 0, 0
  from covered

  union all

  select 'contracts', 'running', date '0001-01-01', end_day, -1, 0, 0, 0, 1, 0, 0 from covered

  union all

  select 'contracts', 'running', date '0001-01-01', started_day, 0, 0, 0, 0, 0, 1, cast(person_id is not null as integer) from terms

  union all

  select 'contracts', 'running', date '0001-01-01', ended_day, 0, 0, 0, 0, 0, -1, -cast(person_id is not null as integer) from terms
),

deltas as (
  select
    basis, period, period_start, day,
    sum(active) as active, sum(repeaters) as repeaters, sum(records) as records, sum(known_records) as known_records,
    sum(new_customers) as new_customers, sum(reactivated) as reactivated, sum(lapsed) as lapsed
  from events, bounds b
  where day >= b.first_day and day < b.end_day
  group by basis, period, period_start, day
),

-- where the sums stood at the end of the day before
before as (
  {% if is_incremental() -%}
  select basis, period, metric_date, active_customers as active, repeat_customers as repeaters, records, known_records
  from {{ this }} where metric_date = (select first_day - 1 from bounds)
  {%- else -%}
  select '' as basis, '' as period, date '0001-01-01' as metric_date, 0 as active, 0 as repeaters, 0 as records, 0 as known_records
  where false
  {%- endif %}
),

-- a basis has a row on every day since its first record
starts as (
  select basis, min(first_day) as first_day
  from (
    select basis, b.first_day from before, bounds b
    union all
    select basis, day from deltas where records <> 0
  )
  group by basis
),

spine as (
  select
    s.basis, p.period, d.metric_date, s.first_day,
    case when p.is_calendar then cast(date_trunc(p.period, d.metric_date) as date) else date '0001-01-01' end as period_start
  from starts s
  join (
    select 'orders' as basis, period, false as is_calendar from windows
    union all
    select 'orders', period, true from calendar
    union all
    select 'contracts', 'running', false
  ) p on s.basis = p.basis
  join (
    select cast(d as date) as metric_date
    from bounds, unnest(generate_series(cast(first_day as timestamp), cast(end_day - 1 as timestamp), interval 1 day)) as g(d)
  ) d on d.metric_date >= s.first_day
),

running as (
  select
    s.basis, s.period, s.metric_date,
    {%- for part in ['active', 'repeaters', 'records', 'known_records'] %}
    coalesce(b.{{ part }}, 0) + sum(coalesce(d.{{ part }}, 0)) over to_date as {{ part }},
    {%- endfor %}
    coalesce(d.new_customers, 0) as new_customers,
    coalesce(d.reactivated, 0) as reactivated,
    coalesce(d.lapsed, 0) as lapsed
  from spine s
  -- a calendar period goes on only where the day before is of it
  left join before b on s.basis = b.basis and s.period = b.period and b.metric_date >= s.period_start
  left join deltas d
    on s.basis = d.basis and s.period = d.period and s.period_start = d.period_start and s.metric_date = d.day
  window to_date as (partition by s.basis, s.period, s.period_start order by s.metric_date rows unbounded preceding)
)

select
  metric_date, basis, period,
  cast(active as bigint) as active_customers,
  cast(repeaters as bigint) as repeat_customers,
  cast(new_customers as bigint) as new_customers,
  cast(reactivated as bigint) as reactivated_customers,
  cast(lapsed as bigint) as lapsed_customers,
  cast(known_records as bigint) as known_records,
  cast(records as bigint) as records
from running
where metric_date in (select metric_date from affected)
