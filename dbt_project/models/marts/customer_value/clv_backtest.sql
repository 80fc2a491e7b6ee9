-- grain: one row per fit and model: what it would have forecast before the last days, and what came
{{ config(materialized='table', pre_hook="") }}
-- written with the fits, depends_on: {{ source('ops', 'clv_fits') }}, {{ ref('int_customer_purchases') }}

from {{ ops('clv_backtests') }}
