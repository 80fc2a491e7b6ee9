-- grain: one row per day of first order and window after it
{{ config(meta={
    'matures_in': '365',
    'reach': [{'model': 'int_customer_starts', 'entity': 'buyer', 'before': 0, 'after': 0}]
}) }}

with firsts as (
  select
    first_order_day as metric_date,
    case when second_order_day <= {{ data_through() }} then second_order_day - first_order_day end as days_between
  from {{ ref('int_customer_starts') }}
  where first_order_day is not null and {{ affected_filter('first_order_day') }}
),

sums as (
  select
    f.metric_date, w.window_days,
    count(*) as first_time_buyers,
    count(*) filter (where f.days_between <= w.window_days) as bought_again_so_far
  from firsts f, (values (30), (60), (90), (180), (365)) as w(window_days)
  group by f.metric_date, w.window_days
),

judged as (
  select *, metric_date + window_days <= {{ data_through() }} as has_passed from sums
)

select
  metric_date, window_days, first_time_buyers, bought_again_so_far,
  case when has_passed then first_time_buyers else 0 end as judged,
  case when has_passed then bought_again_so_far else 0 end as bought_again,
  {{ ratio('case when has_passed then bought_again_so_far end', 'first_time_buyers') }} as second_purchase_rate,
  {{ is_final('metric_date', 'window_days') }} as is_final,
  {{ final_on('metric_date', 'window_days') }} as final_on
from judged
