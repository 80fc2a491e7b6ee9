-- grain: one row per known person with an order, as of the last complete day
{#
  Rebuilt whole: everybody grows a day older every night. No row without a fit. Any past day is the same with another
  as-of day (`cx clv as-of DAY`); it needs no store.
#}
{{ config(materialized='table', pre_hook="") }}

with rfm as materialized (
  select x.*, {{ clv_segment('s') }} as segment
  from ({{ customer_rfm(ref('int_customer_purchases'), data_through()) }}) x
  left join {{ ref('int_customer_segments') }} s on x.person_id = s.person_id
),

{{ clv_scores() }}

select
  person_id,
  as_of_date,
  segment,
  cast(date_trunc('month', first_purchase_day) as date) as cohort_month,
  fitted_on,
  fit_segment,
  model,
  frequency,
  recency_days,
  age_days,
  mean_value,
  p_alive,
  expected_purchases_90d,
  expected_purchases_180d,
  expected_purchases_365d,
  p_purchase_90d,
  p_purchase_180d,
  p_purchase_365d,
  expected_spend,
  clv_12m,
  clv_24m,
  backtest_bias
from scores
