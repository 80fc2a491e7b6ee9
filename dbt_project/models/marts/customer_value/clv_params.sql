-- grain: one row per fit and model: every set of parameters that ever was, also those that score nobody
{{ config(materialized='table', pre_hook="") }}
-- depends_on: {{ ref('int_customer_purchases') }}

select
  fit_id, segment, currency, as_of_date, model, is_used, unit_days, customers, repeat_customers,
  r, alpha, a, b, s, beta, p, q, v,
  r_se, alpha_se, a_se, b_se, s_se, beta_se, p_se, q_se, v_se,
  log_likelihood, converged, message, source, fitted_at
from {{ source('ops', 'clv_fits') }}
where as_of_date <= {{ data_through() }}
