-- grain: one row per cell of active_customers_daily, part and source row (macros/explain.sql)
with terms as (
  select t.subscription_id, t.person_id, t.started_day, t.ended_day, s._key
  from {{ ref('int_contract_terms') }} t
  join {{ ref('stg_subscriptions') }} s on t.subscription_id = s.subscription_id
),

-- unbroken stretches of days on which a person has a contract
covers as (
  select person_id, cover, cover = 1 as is_first, min(started_day) as start_day, max(end_day) as end_day
  from (
    select *, count(*) filter (where covered_until is null or started_day > covered_until) over (
      partition by person_id order by started_day
    ) as cover
    from (
      select
        person_id, started_day, max(ended_day) as end_day,
        max(max(ended_day)) over (partition by person_id order by started_day rows between unbounded preceding and 1 preceding) as covered_until
      from terms where person_id is not null
      group by person_id, started_day
    )
  )
  group by person_id, cover
),

running as (
  select
    t.*, cast(d as date) as metric_date,
    t.person_id is not null and row_number() over (partition by cast(d as date), t.person_id order by t.started_day, t.subscription_id) = 1 as adds
  from terms t, unnest(generate_series(
    cast(t.started_day as timestamp), cast(least(t.ended_day - 1, {{ data_through() }}) as timestamp), interval 1 day
  )) as g(d)
),

counted as (
  select
    metric_date, 'orders' as basis, period, entity, feed, _key, note, cast(null as varchar) as left_out,
    records, known_records, active as active_customers, new_customers, reactivated as reactivated_customers, lapsed as lapsed_customers
  from ({{ active_order_rows() }})
  where period in ('trailing_30d', 'trailing_90d', 'trailing_365d')

  union all

  select
    metric_date, 'contracts', 'running', coalesce(person_id, subscription_id), 'subscriptions', _key, 'runs since ' || started_day, null,
    1, case when person_id is not null then 1 end, case when adds then 1 end, null, null, null
  from running

  union all

  select
    c.start_day, 'contracts', 'running', c.person_id, 'subscriptions', min(t._key), 'begins, under no other contract', null,
    null, null, null, case when c.is_first then 1 end, case when not c.is_first then 1 end, null
  from covers c
  join terms t on c.person_id = t.person_id and c.start_day = t.started_day
  group by c.person_id, c.start_day, c.is_first

  union all

  select
    c.end_day, 'contracts', 'running', c.person_id, 'subscriptions', min(t._key), 'ends, and no other contract runs', null,
    null, null, null, null, null, 1
  from covers c
  join terms t on c.person_id = t.person_id and c.end_day = t.ended_day
  group by c.person_id, c.end_day

  union all

  select day, 'orders', null, order_id, feed, _key, null, left_out, null, null, null, null, null, null
  from ({{ order_rows() }})
  where left_out is not null and orders is null

  union all

  select
    k.started_day, 'contracts', 'running', coalesce(k.person_id, k.subscription_id), 'subscriptions', k._key, null,
    coalesce(k._exclusion, x.reason, 'ends on the day it starts, or before'), null, null, null, null, null, null
  from {{ ref('stg_subscriptions') }} k
  left join {{ ref('int_excluded_persons') }} x on k.person_id = x.person_id
  where k._exclusion is not null or x.person_id is not null or k.ended_day <= k.started_day
)

{{ explained(
  'counted', ['basis', 'period'],
  ['records', 'known_records', 'active_customers', 'new_customers', 'reactivated_customers', 'lapsed_customers']
) }}
