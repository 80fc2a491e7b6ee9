-- grain: one row per day and period that ends on it, where somebody visited or was a customer
{{ config(meta={
    'matures_in': 'engagement_settling_days',
    'reach': [
      {'model': 'int_engagement_days', 'entity': 'person', 'before': 0, 'after': 30},
      {'model': 'int_customer_days', 'entity': 'person', 'before': 0, 'after': 364},
    ]
}) }}

{#
  Every count is a sum of starts minus ends of intervals of days, so that nobody is compared with every day. A visit on
  day d makes its person a visitor of the periods that end on d .. the last one that holds d; the next visit takes over
  where it falls before that, so that a person is one on every day. Week and month run up to the day: the last day of one
  holds it whole.
#}

with affected as (
  {% if is_incremental() -%}
  select day as metric_date from ({{ affected_days() }}) where day <= {{ data_through() }}
  {%- else -%}
  select cast(d as date) as metric_date
  from (
    select min(first_day) as first_day
    from (
      select min(engagement_day) as first_day from {{ ref('int_engagement_days') }}
      union all
      select min(start_day) from {{ ref('int_order_spells') }} where basis = 'purchase'
    )
  ) f, unnest(generate_series(cast(f.first_day as timestamp), cast({{ data_through() }} as timestamp), interval 1 day)) as g(d)
  {%- endif %}
),

bounds as (
  select min(metric_date) as first_day, max(metric_date) + 1 as end_day from affected
),

days as (
  select * from {{ ref('int_engagement_days') }}
  -- a month is the longest period
  where engagement_day >= (select first_day - 31 from bounds) and engagement_day < (select end_day from bounds)
),

visits as (
  select
    d.person_id, d.touches, d.is_engaged, p.period, d.engagement_day as from_day,
    case p.period
      when 'day' then d.engagement_day + 1
      when 'week' then cast(date_trunc('week', d.engagement_day) as date) + 7
      when 'month' then cast(date_trunc('month', d.engagement_day) + interval 1 month as date)
      else d.engagement_day + 30
    end as to_day
  from days d, (values ('day'), ('week'), ('month'), ('trailing_30d')) as p(period)
),

visitors as (
  select
    person_id, period, from_day,
    least(to_day, lead(from_day, 1, date '9999-12-31') over (partition by person_id, period order by from_day)) as to_day
  from visits
),

engaged as (
  select
    person_id, period, from_day,
    least(to_day, lead(from_day, 1, date '9999-12-31') over (partition by person_id, period order by from_day)) as to_day
  from visits
  where is_engaged
),

customers as (
  select person_id, start_day as from_day, end_day as to_day
  from {{ ref('int_order_spells') }}
  where basis = 'purchase'
    and end_day > (select first_day from bounds) and start_day < (select end_day from bounds)
),

pieces as (
  select period, from_day, to_day, 'visiting' as part, 1 as n from visitors
  union all
  select period, from_day, to_day, 'engaged', 1 from engaged
  union all
  select p.period, c.from_day, c.to_day, 'active', 1
  from customers c, (values ('day'), ('week'), ('month'), ('trailing_30d')) as p(period)
  union all
  select e.period, greatest(e.from_day, c.from_day), least(e.to_day, c.to_day), 'engaged active', 1
  from engaged e join customers c on e.person_id = c.person_id
  where greatest(e.from_day, c.from_day) < least(e.to_day, c.to_day)
  union all
  select period, from_day, to_day, 'person days', 1 from visits
  union all
  select period, from_day, to_day, 'touches', touches from visits
),

deltas as (
  select period, part, day, sum(n) as n
  from (
    select period, part, greatest(from_day, first_day) as day, n from pieces, bounds where to_day > first_day and from_day < end_day
    union all
    select period, part, to_day, -n from pieces, bounds where to_day > first_day and to_day < end_day
  )
  group by period, part, day
),

by_day as (
  select
    period, day,
    sum(n) filter (where part = 'visiting') as visiting_customers,
    sum(n) filter (where part = 'engaged') as engaged_customers,
    sum(n) filter (where part = 'active') as active_customers,
    sum(n) filter (where part = 'engaged active') as engaged_active_customers,
    sum(n) filter (where part = 'person days') as person_days,
    sum(n) filter (where part = 'touches') as touches
  from deltas
  group by period, day
),

spine as (
  select p.period, cast(d as date) as metric_date
  from bounds,
    unnest(generate_series(cast(first_day as timestamp), cast(end_day - 1 as timestamp), interval 1 day)) as g(d),
    (values ('day'), ('week'), ('month'), ('trailing_30d')) as p(period)
),

running as (
  select
    s.metric_date, s.period,
    cast(coalesce(sum(d.visiting_customers) over w, 0) as bigint) as visiting_customers,
    cast(coalesce(sum(d.engaged_customers) over w, 0) as bigint) as engaged_customers,
    cast(coalesce(sum(d.active_customers) over w, 0) as bigint) as active_customers,
    cast(coalesce(sum(d.engaged_active_customers) over w, 0) as bigint) as engaged_active_customers,
    cast(coalesce(sum(d.person_days) over w, 0) as bigint) as person_days,
    cast(coalesce(sum(d.touches) over w, 0) as bigint) as touches
  from spine s
  left join by_day d on s.period = d.period and s.metric_date = d.day
  window w as (partition by s.period order by s.metric_date rows unbounded preceding)
)

select
  metric_date, period, visiting_customers, engaged_customers, active_customers, engaged_active_customers, person_days, touches,
  {{ ratio('engaged_active_customers', 'active_customers') }} as engaged_customer_rate,
  {{ ratio('touches', 'person_days') }} as touches_per_person_day,
  {{ is_final('metric_date', 'engagement_settling_days') }} as is_final,
  {{ final_on('metric_date', 'engagement_settling_days') }} as final_on
from running
where metric_date in (select metric_date from affected) and (visiting_customers > 0 or active_customers > 0)
