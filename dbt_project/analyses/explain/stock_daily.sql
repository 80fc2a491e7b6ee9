-- grain: one row per cell of stock_daily, part and source row (macros/explain.sql)
with prices as (
  select
    symbol, trading_day, close, adjusted_close, _key,
    lead(trading_day, 1, date '9999-12-31') over (partition by symbol order by trading_day) as next_day
  from {{ ref('stg_stock_prices') }}
  where trading_day <= {{ data_through() }}
),

days as (
  select cast(d as date) as metric_date
  from (select min(trading_day) as first_day from prices) p,
    unnest(generate_series(cast(p.first_day as timestamp), cast({{ data_through() }} as timestamp), interval 1 day)) as g(d)
),

held as (
  select
    d.metric_date, p.symbol, p.symbol as entity,
    case when d.metric_date = p.trading_day then 'close of the day' else 'last close, of ' || p.trading_day end as note,
    'stock_prices' as feed, p._key, cast(null as varchar) as left_out, p.close, p.adjusted_close
  from days d
  join prices p on d.metric_date >= p.trading_day and d.metric_date < p.next_day
)

{{ explained('held', ['symbol'], ['close', 'adjusted_close']) }}
