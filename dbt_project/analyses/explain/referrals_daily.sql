-- grain: one row per day of referrals_daily, part and source row (macros/explain.sql)
with signs as (
  {{ first_signs() }}
),

active as (
  select metric_date, entity as person_id, feed, _key, note
  from ({{ active_order_rows() }})
  where period = 'trailing_365d' and active = 1
),

links as (
  select r.referrer_id, r.referred_id, r.shared_day, s._key
  from {{ ref('int_referrals') }} r
  join {{ ref('stg_referrals') }} s on r.referral_id = s.referral_id
),

-- the link by which somebody is a referrer, and the one by which somebody came
shares as (
  select *, lead(shared_day, 1, date '9999-12-31') over (partition by referrer_id order by shared_day) as next_day
  from (select referrer_id, shared_day, min(_key) as _key from links group by referrer_id, shared_day)
),

arrivals as (
  select referred_id, min(shared_day) as shared_day, arg_min(_key, (shared_day, _key)) as _key
  from links where referred_id is not null
  group by referred_id
),

counted as (
  select
    s.acquired_day as metric_date, s.person_id as entity, g.feed, g._key, 'first ' || g.note as note, cast(null as varchar) as left_out,
    1 as new_customers, case when s.is_referred then 1 end as referred_customers,
    cast(null as integer) as active_customers, cast(null as integer) as referrers
  from {{ ref('int_customer_starts') }} s
  join signs g on s.person_id = g.person_id and s.acquired_day = g.day

  union all

  select s.acquired_day, s.person_id, 'referrals', a._key, 'came by a link of ' || a.shared_day, null, null, 0, null, null
  from {{ ref('int_customer_starts') }} s
  join arrivals a on s.person_id = a.referred_id
  where s.is_referred

  union all

  select metric_date, person_id, feed, _key, note, null, null, null, 1, null
  from active

  union all

  select a.metric_date, a.person_id, 'referrals', s._key, 'shared a link on ' || s.shared_day, null, null, null, null, 1
  from active a
  join shares s on a.person_id = s.referrer_id and a.metric_date >= s.shared_day and a.metric_date < least(s.next_day, s.shared_day + 365)

  union all

  select
    r.created_day, r.referrer_id, 'referrals', r._key, null, coalesce(r._exclusion, x.reason, y.reason, 'by a link of their own'),
    null, null, null, null
  from {{ ref('stg_referrals') }} r
  left join {{ ref('int_excluded_persons') }} x on r.referrer_id = x.person_id
  left join {{ ref('int_excluded_persons') }} y on r.referred_id = y.person_id
  where r.referral_id not in (select referral_id from {{ ref('int_referrals') }})

  union all

  select day, order_id, feed, _key, null, coalesce(left_out, 'of no known person'), null, null, null, null
  from ({{ order_rows() }})
  where (left_out is not null and orders is null) or (person_id is null and orders = 1)
)

{{ explained('counted', [], ['new_customers', 'referred_customers', 'active_customers', 'referrers']) }}
