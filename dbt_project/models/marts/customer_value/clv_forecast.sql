-- grain: one row per fit and horizon: purchases of the customers known on its day, with the interval of their total
{{ config(materialized='table', pre_hook="") }}
-- written with the fits, depends_on: {{ source('ops', 'clv_fits') }}, {{ ref('int_customer_purchases') }}

from {{ ops('clv_forecasts') }}
