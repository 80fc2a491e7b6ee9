-- grain: one row per complete calendar month (its last day), segment and month of the first purchase
{#
  Predicted value of everybody with a purchase up to the last day of a month, by the fit that was newest then. Months before
  the first fit of all customers have the nearest one's parameters, a year back at most: `fitted_on` is later than the month there, so that is hindsight.
  Scores are rounded before they are added up, so that sums do not depend on their order.
#}
{{ config(meta={
    'reach': [
      {'model': 'int_customer_purchases', 'entity': 'person', 'before': 0, 'after': 'open'},
      {'model': 'int_customer_segments', 'entity': 'person', 'before': 0, 'after': 'open'},
      {'model': 'clv_fits', 'entity': 'fit', 'before': 366, 'after': 'open'},
    ]
}) }}

with bounds as (
  select
    {%- if is_incremental() %}
    (select min(day) from ({{ affected_days() }})) as first_day,
    {%- else %}
    (select min(purchase_day) from {{ ref('int_customer_purchases') }}) as first_day,
    {%- endif %}
    (select min(fitted_on) - 366 from {{ ref('int_clv_parameters') }} where segment = 'all') as first_scored
),

-- none without a fit
months as (
  select month_end
  from (
    select last_day(cast(m as date)) as month_end
    from bounds,
      unnest(generate_series(
        cast(date_trunc('month', case when first_day > first_scored then first_day else first_scored end) as timestamp),
        cast({{ data_through() }} as timestamp), interval 1 month
      )) as g(m)
  )
  where {{ affected_filter('month_end') }}
),

rfm as materialized (
  {{ customer_rfm(ref('int_customer_purchases'), ref('int_customer_segments'), 'month_end', 'months') }}
),

{{ clv_scores() }}

select
  as_of_date as metric_date,
  segment,
  cast(date_trunc('month', first_purchase_day) as date) as cohort_month,
  any_value(fitted_on) as fitted_on,
  count(*) as customers,
  cast(sum(cast(p_alive as decimal(9, 6))) as decimal(18, 6)) as expected_active,
  cast(sum(cast(expected_purchases_365d as decimal(18, 6))) as decimal(18, 6)) as expected_purchases_365d,
  cast(sum(cast(clv_12m as decimal(18, 4))) as decimal(18, 4)) as clv_12m,
  cast(sum(cast(clv_24m as decimal(18, 4))) as decimal(18, 4)) as clv_24m,
  {{ ratio('sum(cast(p_alive as decimal(9, 6)))', 'count(*)') }} as expected_active_share,
  {{ ratio('sum(cast(expected_purchases_365d as decimal(18, 6)))', 'count(*)') }} as expected_purchases_365d_mean,
  {{ ratio('sum(cast(clv_12m as decimal(18, 4)))', 'count(*)') }} as clv_12m_mean,
  {{ ratio('sum(cast(clv_24m as decimal(18, 4)))', 'count(*)') }} as clv_24m_mean,
  cast(quantile_disc(cast(clv_12m as decimal(18, 4)), 0.5) as double) as clv_12m_p50,
  cast(quantile_disc(cast(clv_12m as decimal(18, 4)), 0.9) as double) as clv_12m_p90,
  any_value(backtest_bias) as backtest_bias,
  {{ is_final('as_of_date') }} as is_final,
  {{ final_on('as_of_date') }} as final_on
from scores
group by as_of_date, segment, cohort_month
