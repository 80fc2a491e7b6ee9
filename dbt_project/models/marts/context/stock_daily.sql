-- grain: one row per symbol and calendar day since its first price
{#
  A day without trading carries the last close, and so a changed price reaches every day up to the next one; how many
  these are is not known before they are read. There is one row per symbol and day, so all later days are looked at.
#}
{{ config(meta={
    'reach': [{'model': 'stg_stock_prices', 'entity': 'symbol', 'before': 0, 'after': 'open'}]
}) }}

with prices as (
  select
    symbol, trading_day, currency, close, adjusted_close,
    lead(trading_day, 1, date '9999-12-31') over (partition by symbol order by trading_day) as next_day
  from {{ ref('stg_stock_prices') }}
  where _exclusion is null and trading_day <= {{ data_through() }}
),

days as (
  select cast(d as date) as metric_date
  from (select min(trading_day) as first_day from prices) p,
    unnest(generate_series(cast(p.first_day as timestamp), cast({{ data_through() }} as timestamp), interval 1 day)) as g(d)
)

select
  d.metric_date,
  p.symbol,
  p.currency,
  p.close,
  p.adjusted_close,
  p.trading_day,
  p.trading_day < d.metric_date as is_carried,
  {{ is_final('d.metric_date') }} as is_final,
  {{ final_on('d.metric_date') }} as final_on
from days d
join prices p on d.metric_date >= p.trading_day and d.metric_date < p.next_day
where {{ affected_filter('d.metric_date') }}
