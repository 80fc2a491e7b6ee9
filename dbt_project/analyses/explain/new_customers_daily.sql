-- grain: one row per cell of new_customers_daily, part and source row (macros/explain.sql)
with signs as (
  {{ first_signs() }}
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
