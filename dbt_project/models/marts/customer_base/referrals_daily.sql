-- grain: one row per day
{{ config(meta={
    'reach': [
      {'model': 'int_customer_starts', 'entity': 'customer', 'before': 0, 'after': 0},
      {'model': 'int_referrals', 'entity': 'referrer', 'before': 0, 'after': 365},
      {'model': 'int_customer_days', 'entity': 'person', 'before': 0, 'after': 'open'},
      {'model': 'int_orders', 'entity': 'order', 'before': 0, 'after': 'open'},
    ]
}) }}

with new_customers as (
  select acquired_day as metric_date, count(*) as new_customers, count(*) filter (where is_referred) as referred_customers
  from {{ ref('int_customer_starts') }}
  where acquired_day is not null and {{ affected_filter('acquired_day') }}
  group by acquired_day
),

active as (
  select metric_date, active_customers
  from {{ ref('int_active_customers') }}
  where basis = 'orders' and period = 'trailing_365d' and {{ affected_filter('metric_date') }}
),

-- a link makes its owner a referrer for 365 days, or until the next link
shares as (
  select
    referrer_id as person_id, shared_day as start_day,
    least(shared_day + 365, lead(shared_day, 1, date '9999-12-31') over (partition by referrer_id order by shared_day)) as end_day
  from (select distinct referrer_id, shared_day from {{ ref('int_referrals') }})
),

both_ as (
  select greatest(a.start_day, s.start_day) as start_day, least(a.end_day, s.end_day) as end_day
  from shares a
  join {{ ref('int_order_spells') }} s on a.person_id = s.person_id and s.basis = 'purchase'
  where greatest(a.start_day, s.start_day) < least(a.end_day, s.end_day)
),

referrers as (
  select day as from_day, lead(day, 1, date '9999-12-31') over (order by day) as to_day, sum(delta) over (order by day) as referrers
  from (
    select day, sum(delta) as delta
    from (
      select start_day as day, 1 as delta from both_
      union all
      select end_day, -1 from both_
    )
    group by day
  )
)

select
  metric_date,
  coalesce(n.new_customers, 0) as new_customers,
  coalesce(n.referred_customers, 0) as referred_customers,
  coalesce(a.active_customers, 0) as active_customers,
  cast(coalesce(r.referrers, 0) as bigint) as referrers,
  {{ ratio('coalesce(n.referred_customers, 0)', 'coalesce(n.new_customers, 0)') }} as referral_rate,
  {{ ratio('coalesce(r.referrers, 0)', 'coalesce(a.active_customers, 0)') }} as referrer_rate,
  {{ is_final('metric_date') }} as is_final,
  {{ final_on('metric_date') }} as final_on
from active a
full join new_customers n using (metric_date)
left join referrers r on metric_date >= r.from_day and metric_date < r.to_day
