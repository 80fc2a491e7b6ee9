-- grain: one row per symbol, trading_day: its newest version, excluded rows flagged in _exclusion; where it came from in _delivery and _line
{{ config(meta={'changed_by': [['raw', 'stock_prices']], 'logs': [{'entity': 'symbol', 'key': 'symbol', 'day': 'trading_day'}]}) }}

with newest as (
  {{ newest_version('stock_prices') }}
)

select
  symbol,
  trading_day,
  close,
  adjusted_close,
  currency,
  updated_at,
  _key,
  _exclusion,
  _delivery,
  _line
from newest
