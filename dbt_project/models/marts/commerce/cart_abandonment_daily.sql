-- grain: one row per day of the last cart event and device
{{ config(meta={
    'matures_in': 'greatest(cast(ceil(cart_timeout_hours / 24.0) as integer), cart_recovery_days)',
    'reach': [{'model': 'int_carts', 'entity': 'cart', 'before': 0, 'after': 0}]
}) }}

with carts as (
  select
    *,
    last_event_at + to_hours({{ setting('cart_timeout_hours') }}) as timeout_at,
    last_event_at + to_days({{ setting('cart_recovery_days') }}) as recovery_ends_at
  from {{ ref('int_carts') }}
  where {{ affected_filter('last_event_day') }}
),

judged as (
  select
    last_event_day as metric_date,
    device,
    had_checkout,
    case
      -- first: shops empty a cart once it is ordered
      when ordered_at <= timeout_at then 'converted'
      when not has_item then 'emptied'
      when timeout_at > {{ data_end() }} then 'open'
      else 'abandoned'
    end as outcome,
    coalesce(ordered_at > timeout_at and ordered_at <= recovery_ends_at, false) as is_recovered
  from carts
),

sums as (
  select
    metric_date, device,
    count(*) filter (where outcome <> 'emptied') as carts,
    count(*) filter (where outcome = 'abandoned') as abandoned,
    count(*) filter (where outcome = 'converted') as converted,
    count(*) filter (where outcome = 'open') as open,
    count(*) filter (where outcome = 'abandoned' and is_recovered) as recovered,
    count(*) filter (where outcome = 'emptied') as emptied,
    count(*) filter (where outcome <> 'emptied' and had_checkout) as checkout_carts,
    count(*) filter (where outcome = 'abandoned' and had_checkout) as checkout_abandoned
  from judged
  group by metric_date, device
)

select
  metric_date, device, carts, abandoned, converted, open, recovered, emptied, checkout_carts, checkout_abandoned,
  {{ ratio('abandoned', 'abandoned + converted') }} as abandonment_rate,
  {{ is_final('metric_date', 'cast(ceil(cart_timeout_hours / 24.0) as integer)') }} as is_final,
  {{ final_on('metric_date', 'cast(ceil(cart_timeout_hours / 24.0) as integer)') }} as final_on,
  {{ is_final('metric_date', 'cart_recovery_days') }} as recovered_is_final,
  {{ final_on('metric_date', 'cart_recovery_days') }} as recovered_final_on
from sums
