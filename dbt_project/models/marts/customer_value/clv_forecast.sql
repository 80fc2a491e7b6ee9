-- grain: one row per fit and horizon: purchases of the customers known on its day, with the interval of their total
{{ config(materialized='table', pre_hook="") }}
-- written with the fits, depends_on: {{ source('ops', 'clv_fits') }}, {{ ref('int_customer_purchases') }}

select fit_id, segment, as_of_date, model, horizon_days, customers, expected_purchases, expected_low, expected_high
from {{ ops('clv_forecasts') }}
where as_of_date <= {{ data_through() }}
