-- grain: one row per cell of new_customers_daily, part and source row (macros/explain.sql)
with signs as (
  -- one row a person and day: an order before a contract
  select person_id, day, feed, _key, note
  from (
    select person_id, day, 'orders' as kind, feed, _key, note from ({{ order_rows() }}) where orders = 1
    union all
    select t.person_id, t.started_day, 'subscriptions', 'subscriptions', s._key, 'contract'
    from {{ ref('int_contract_terms') }} t
    join {{ ref('stg_subscriptions') }} s on t.subscription_id = s.subscription_id
  )
  where person_id is not null and day is not null
  qualify row_number() over (partition by person_id order by day, kind, feed, _key) = 1
),

parts as (
  select
    s.acquired_day as metric_date, case when s.is_referred then 'referral' else 'unknown' end as channel,
    s.person_id as entity, g.feed, g._key, 'first ' || g.note as note, cast(null as varchar) as left_out,
    1 as new_customers, cast(null as decimal(18, 4)) as media_spend, cast(null as decimal(18, 4)) as acquisition_spend
  from {{ ref('int_customer_starts') }} s
  join signs g on s.person_id = g.person_id and s.acquired_day = g.day

  union all

  select
    spend_date, channel, spend_id, 'marketing_spend', _key, cost_category, _exclusion,
    null,
    case when _exclusion is null and cost_category = 'media' then amount end,
    case when _exclusion is null then amount end
  from {{ ref('stg_marketing_spend') }}

  union all

  select day, null, order_id, feed, _key, null, coalesce(left_out, 'of no known person'), null, null, null
  from ({{ order_rows() }})
  where (left_out is not null and orders is null) or (person_id is null and orders = 1)
)

{{ explained('parts', ['channel'], ['new_customers', 'media_spend', 'acquisition_spend']) }}
