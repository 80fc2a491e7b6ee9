-- grain: one row per fit and model: every set of parameters that ever was, also those that score nobody
{{ config(materialized='table', pre_hook="") }}
-- depends_on: {{ ref('int_customer_purchases') }}

select * exclude (run_id) from {{ source('ops', 'clv_fits') }}
