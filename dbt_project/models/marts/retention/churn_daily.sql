-- grain: one row per day, basis, period and plan
{{ config(meta={
    'matures_in': 'contract_grace_days',
    'reach': [
      {'model': 'int_customer_days', 'entity': 'person', 'before': 0, 'after': 'open'},
      {'model': 'int_contract_spells', 'entity': 'person', 'before': 0, 'after': 'open'},
    ]
}) }}

select
  metric_date, basis, period, plan, active_at_start, lost, reactivated,
  {{ ratio('lost', 'active_at_start') }} as churn_rate,
  is_final, final_on
from {{ ref('int_retention') }}
where {{ affected_filter('metric_date') }}
