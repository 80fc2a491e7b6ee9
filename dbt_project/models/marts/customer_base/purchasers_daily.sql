-- grain: one row per day and period
{{ config(meta={
    'reach': [
      {'model': 'int_customer_days', 'entity': 'person', 'before': 0, 'after': 'open'},
      {'model': 'int_orders', 'entity': 'order', 'before': 0, 'after': 'open'},
    ]
}) }}

select
  metric_date, period,
  active_customers as purchasers,
  repeat_customers as repeat_purchasers,
  known_records as known_orders,
  records as orders,
  {{ ratio('repeat_customers', 'active_customers') }} as repeat_purchase_rate,
  {{ ratio('known_records', 'active_customers') }} as purchase_frequency,
  {{ ratio('known_records', 'records') }} as coverage,
  {{ is_final('metric_date') }} as is_final,
  {{ final_on('metric_date') }} as final_on
from {{ ref('int_active_customers') }}
where basis = 'orders' and period <> 'trailing_90d' and {{ affected_filter('metric_date') }}
