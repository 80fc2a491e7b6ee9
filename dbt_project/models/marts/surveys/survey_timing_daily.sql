-- grain: one row per day of the answer, survey and kind, of answers about an order
{{ config(meta={'reach': [{'model': 'int_order_answers', 'entity': 'response', 'before': 0, 'after': 0}]}) }}

with sums as (
  select
    answered_day as metric_date, survey_id, metric_kind,
    count(*) as order_answers,
    count(*) filter (where is_before_delivery) as before_delivery
  from {{ ref('int_order_answers') }}
  where {{ affected_filter('answered_day') }}
  group by answered_day, survey_id, metric_kind
)

select
  *,
  {{ ratio('before_delivery', 'order_answers') }} as answered_before_delivery_share,
  {{ is_final('metric_date') }} as is_final,
  {{ final_on('metric_date') }} as final_on
from sums
