-- Every calendar day since a symbol's first price has its price, and no other day has one.
with firsts as (
  select symbol, min(trading_day) as first_day from {{ ref('stg_stock_prices') }} where _exclusion is null group by symbol
),

days as (
  select cast(d as date) as metric_date
  from (select min(first_day) as first_day from firsts) f,
    unnest(generate_series(cast(f.first_day as timestamp), cast({{ data_through() }} as timestamp), interval 1 day)) as g(d)
),

expected as (
  select d.metric_date, f.symbol from days d join firsts f on d.metric_date >= f.first_day
  where {{ tested_days('stock_daily', 'd.metric_date') }}
),

actual as (
  select metric_date, symbol from {{ ref('stock_daily') }} where {{ tested_days('stock_daily') }}
)

select coalesce(e.metric_date, a.metric_date) as metric_date, coalesce(e.symbol, a.symbol) as symbol
from expected e full join actual a on e.metric_date = a.metric_date and e.symbol = a.symbol
where e.symbol is null or a.symbol is null
