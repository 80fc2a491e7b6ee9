-- grain: one row per fit, model and band of the predicted probability: how many bought in the days held out
{{ config(materialized='table', pre_hook="") }}
-- written with the fits, depends_on: {{ source('ops', 'clv_fits') }}, {{ ref('int_customer_purchases') }}

from {{ ops('clv_calibration') }}
