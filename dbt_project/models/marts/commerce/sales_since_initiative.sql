-- grain: one row per initiative and day since its start, up to its end and initiative_days at most
{{ config(meta={
    'reach': [
      {'model': 'stg_initiatives', 'entity': 'initiative', 'before': 0, 'after': 'open'},
      {'model': 'int_orders', 'entity': 'order', 'before': 0, 'after': 'open'},
      {'model': 'int_refunds', 'entity': 'order', 'before': 0, 'after': 'open'},
    ]
}) }}

{#
  Everything from the first day to the metric day is held against as many days right before the start, and against the
  same days 52 weeks before, which have the same weekdays. A baseline that begins before the first sale ever delivered is
  not known: NULL. A sum of days is the difference of two running totals, so a day costs a look-up, however long ago the
  initiative began.
#}

with totals as (
  select metric_date as day, sum(net_amount_reporting) as net_amount, sum(orders) as orders
  from {{ ref('sales_daily') }}
  group by metric_date
),

first_sale as (
  select min(day) as first_day from totals
),

running as (
  select
    cast(d as date) as day,
    sum(t.net_amount) over to_date as net_amount,
    sum(t.orders) over to_date as orders
  from first_sale f,
    unnest(generate_series(cast(f.first_day as timestamp), cast({{ data_through() }} as timestamp), interval 1 day)) as g(d)
  left join totals t on t.day = cast(d as date)
  window to_date as (order by d rows unbounded preceding)
),

days as (
  {% if is_incremental() -%}
  select day from ({{ affected_days() }}) where day <= {{ data_through() }}
  {%- else -%}
  select cast(d as date) as day
  from (select min(start_date) as first_day from {{ ref('stg_initiatives') }} where _exclusion is null) s,
    unnest(generate_series(cast(s.first_day as timestamp), cast({{ data_through() }} as timestamp), interval 1 day)) as g(d)
  {%- endif %}
),

watched as (
  select
    d.day as metric_date, i.initiative_id, i.name as initiative, i.start_date, cast(d.day - i.start_date as integer) as days_since,
    coalesce(i.start_date - cast(d.day - i.start_date + 1 as integer) >= f.first_day, false) as has_before,
    coalesce(i.start_date - 364 >= f.first_day, false) as has_last_year
  from {{ ref('stg_initiatives') }} i
  cross join first_sale f
  join days d on d.day >= i.start_date and d.day < i.start_date + {{ setting('initiative_days') }}
  where i._exclusion is null and d.day <= coalesce(i.end_date, d.day)
),

sums as (
  select
    w.*,
    coalesce(since.net_amount, 0) - coalesce(start.net_amount, 0) as net_amount_since,
    case when w.has_before then coalesce(start.net_amount, 0) - coalesce(before.net_amount, 0) end as net_amount_before,
    case when w.has_last_year then coalesce(year_end.net_amount, 0) - coalesce(year_start.net_amount, 0) end as net_amount_last_year,
    coalesce(since.orders, 0) - coalesce(start.orders, 0) as orders_since,
    case when w.has_before then coalesce(start.orders, 0) - coalesce(before.orders, 0) end as orders_before,
    case when w.has_last_year then coalesce(year_end.orders, 0) - coalesce(year_start.orders, 0) end as orders_last_year
  from watched w
  left join running since on since.day = w.metric_date
  left join running start on start.day = w.start_date - 1
  left join running before on before.day = w.start_date - w.days_since - 2
  left join running year_end on year_end.day = w.metric_date - 364
  left join running year_start on year_start.day = w.start_date - 365
)

select
  metric_date,
  initiative_id,
  initiative,
  start_date,
  cast(days_since as bigint) as days_since,
  cast(net_amount_since as decimal(18, 4)) as net_amount_since,
  cast(net_amount_before as decimal(18, 4)) as net_amount_before,
  cast(net_amount_last_year as decimal(18, 4)) as net_amount_last_year,
  cast(orders_since as bigint) as orders_since,
  cast(orders_before as bigint) as orders_before,
  cast(orders_last_year as bigint) as orders_last_year,
  {{ ratio('net_amount_since', 'net_amount_before') }} as sales_index,
  {{ ratio('net_amount_since', 'net_amount_last_year') }} as sales_index_last_year,
  {{ ratio('orders_since', 'orders_before') }} as orders_index,
  {{ is_final('metric_date') }} as is_final,
  {{ final_on('metric_date') }} as final_on
from sums
