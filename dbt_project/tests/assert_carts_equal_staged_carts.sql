-- Carts of the mart, emptied ones included, = distinct carts staged less those of test persons, by the day of their last event.
-- Without cart ids, an event that the same visitor follows by none within cart_gap_minutes ends one.
with events as (
  -- events before the first tested day end no cart that counts on one
  select event_id, cart_id, cart_owner, occurred_at, event_day
  from {{ ref('stg_cart_events') }}
  where _exclusion is null and event_day >= (
    select min(metric_date)
    from (
      select event_day as metric_date from {{ ref('stg_cart_events') }} where {{ tested_days('cart_abandonment_daily', 'event_day') }}
    )
  )
),

followed as (
  select event_day, occurred_at, lead(occurred_at) over (partition by cart_owner order by occurred_at, event_id) as followed_at
  from events
  where cart_id is null
),

last_events as (
  select max(event_day) as metric_date, 1 as n from events where cart_id is not null group by cart_id
  union all
  select event_day, 1 from followed
  where followed_at is null or followed_at - occurred_at >= to_minutes({{ setting('cart_gap_minutes') }})
  union all
  select last_event_day, -1 from {{ ref('int_excluded_carts') }}
),

expected as (
  select metric_date, sum(n) as n from last_events where {{ tested_days('cart_abandonment_daily') }} group by 1
),

actual as (
  select metric_date, sum(carts + emptied) as n
  from {{ ref('cart_abandonment_daily') }} where {{ tested_days('cart_abandonment_daily') }} group by 1
)

select metric_date, e.n as staged, a.n as mart
from expected e full join actual a using (metric_date)
where metric_date <= {{ data_through() }} and coalesce(e.n, 0) <> coalesce(a.n, 0)
