-- grain: one row per calendar day; what MetricFlow joins days to
{{ config(materialized='view', schema='intermediate') }}

select cast(d as date) as date_day
from unnest(generate_series(timestamp '1990-01-01', timestamp '2099-12-31', interval 1 day)) as g(d)
