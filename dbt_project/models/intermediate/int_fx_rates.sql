-- grain: one row per currency and day: the rate to the reporting currency that holds on it
{#
  The rate of the day, else the last one before it, no older than fx_max_age_days: banks publish none on weekends and
  holidays. `rate_key` is what amounts of a currency and a day ask for (int_order_currencies).
#}
{{ config(
    unique_key='currency',
    meta={
      'changed_by': [['stg_fx_rates', 'rate']],
      'logs': [{'entity': 'rate', 'key': 'rate_key', 'day': 'rate_day'}]
    }
) }}

with rates as (
  select
    currency, rate_date, rate,
    lead(rate_date, 1, date '9999-12-31') over (partition by currency order by rate_date) as next_date
  from {{ ref('stg_fx_rates') }}
  where _exclusion is null and to_currency = {{ setting('reporting_currency') }} and {{ changed_filter('currency') }}
)

select
  currency || ' ' || cast(cast(d as date) as varchar) as rate_key,
  currency,
  cast(d as date) as rate_day,
  rate,
  rate_date as published_on
from rates,
  unnest(generate_series(
    cast(rate_date as timestamp),
    cast(least(next_date - 1, rate_date + {{ setting('fx_max_age_days') }}) as timestamp),
    interval 1 day
  )) as g(d)
