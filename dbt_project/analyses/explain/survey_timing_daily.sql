-- grain: one row per cell of survey_timing_daily, part and source row (macros/explain.sql)
with answers as (
  select
    s.answered_day as metric_date, s.survey_id, s.metric_kind, s.response_id as entity, s._key, a.order_id, o.is_before_delivery,
    case
      when coalesce(s._exclusion, a.exclusion) is not null then coalesce(s._exclusion, a.exclusion)
      when a.order_id is null then 'about no order'
      when o.response_id is null then 'about an order of which no parcel is known'
    end as left_out
  from {{ ref('stg_survey_responses') }} s
  left join {{ ref('int_survey_answers') }} a on s.response_id = a.response_id
  left join {{ ref('int_order_answers') }} o on s.response_id = o.response_id
),

counted as (
  select
    metric_date, survey_id, metric_kind, entity, 'survey_responses' as feed, _key, left_out,
    'about ' || order_id || case when is_before_delivery then ', before it was delivered' else ', after it was delivered' end as note,
    case when left_out is null then 1 end as order_answers,
    case when left_out is null and is_before_delivery then 1 end as before_delivery
  from answers

  union all

  -- parcels that tell whether it was
  select
    a.metric_date, a.survey_id, a.metric_kind, a.entity, 'shipments', p._key, null,
    'parcel of ' || a.order_id || coalesce(', delivered at ' || p.delivered_at || ' UTC', ', not delivered yet'), 0, null
  from answers a
  join {{ ref('stg_shipments') }} p on a.order_id = p.order_id
  where a.left_out is null and p._exclusion is null and coalesce(p.status, 'shipped') not in ('lost', 'returned')
)

{{ explained('counted', ['survey_id', 'metric_kind'], ['order_answers', 'before_delivery']) }}
