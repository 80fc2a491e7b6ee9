{# Marts with metrics. Written by orchestration/lib/dbt_manifest.py from models/semantic whenever that changes. #}
{% macro metric_marts() -%}
  {%- do return([
    'cart_abandonment_daily',
    'churn_daily',
    'clv_daily',
    'contact_volume_daily',
    'fcr_daily',
    'resolution_daily',
    'retention_cohorts',
    'retention_daily',
    'sales_daily',
  ]) -%}
{%- endmacro %}
