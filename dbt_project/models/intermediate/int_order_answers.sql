-- grain: one row per answer about an order that is on its way or delivered: whether it was given before the delivery
{{ config(
    unique_key='response_id',
    meta={
      'changed_by': [
        ['int_survey_answers', 'response'],
        ['stg_shipments', 'order', {'table': 'int_survey_answers', 'on': 'order_id', 'key': 'response_id'}],
      ],
      'logs': [{'entity': 'response', 'key': 'response_id', 'day': 'answered_day'}]
    }
) }}

with answers as (
  select * from {{ ref('int_survey_answers') }}
  where order_id is not null and exclusion is null and {{ changed_filter('response_id') }}
),

-- an order is delivered with its last parcel; a lost or returned one is not waited for
deliveries as (
  select order_id, max(delivered_at) as delivered_at, bool_or(delivered_at is null) as is_waiting
  from {{ ref('stg_shipments') }}
  where _exclusion is null and coalesce(status, 'shipped') not in ('lost', 'returned') and order_id in (select order_id from answers)
  group by order_id
)

select
  a.response_id, a.survey_id, a.metric_kind, a.order_id, a.answered_day,
  d.is_waiting or a.answered_at < d.delivered_at as is_before_delivery
from answers a
join deliveries d on a.order_id = d.order_id
