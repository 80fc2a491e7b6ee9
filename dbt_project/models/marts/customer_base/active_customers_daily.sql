-- grain: one row per day, basis and period
{{ config(meta={
    'reach': [
      {'model': 'int_customer_days', 'entity': 'person', 'before': 0, 'after': 'open'},
      {'model': 'int_orders', 'entity': 'order', 'before': 0, 'after': 'open'},
      {'model': 'int_contract_terms', 'entity': 'subscription', 'before': 0, 'after': 'open'},
    ]
}) }}

select
  metric_date, basis, period, active_customers, new_customers, reactivated_customers, lapsed_customers, known_records, records,
  {{ ratio('known_records', 'records') }} as coverage,
  {{ is_final('metric_date') }} as is_final,
  {{ final_on('metric_date') }} as final_on
from {{ ref('int_active_customers') }}
where period in ('trailing_30d', 'trailing_90d', 'trailing_365d', 'running') and {{ affected_filter('metric_date') }}
