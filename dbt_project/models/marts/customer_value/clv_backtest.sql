-- grain: one row per fit and model: what it would have forecast before the last days, and what came
{{ config(materialized='table', pre_hook="") }}
-- written with the fits, depends_on: {{ source('ops', 'clv_fits') }}, {{ ref('int_customer_purchases') }}

select
  fit_id, segment, as_of_date, model, is_preferred, calibrated_on, holdout_days, customers,
  purchases, expected_purchases, expected_low, expected_high, bias, mae, rmse, auc, top_decile_share,
  value, expected_value, value_bias
from {{ ops('clv_backtests') }}
where as_of_date <= {{ data_through() }}
