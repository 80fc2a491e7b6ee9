-- grain: one row per calendar and stretch of time it is open, as UTC instants, with the time it was open before
{#
  The open time between two instants is the difference of what was open before each of them (macro `open_us`): one row to
  find for an instant, however many days lie between. Openings that touch or overlap are one stretch.

  A wall-clock time is turned into an instant by the offset of its part of the day. A day on which the clock changes has
  two parts, so what the clock shows twice is open twice, and what it skips is not open.

  The days are fixed, not those up to today: what was counted must not depend on when. Outside them nothing is counted.
#}
{{ config(
    unique_key='calendar_id',
    meta={
      'changed_by': [['stg_business_calendars', 'calendar'], ['stg_holidays', 'calendar']],
      'logs': [{'entity': 'calendar', 'key': 'calendar_id', 'day': 'null'}]
    }
) }}

with openings as (
  select
    calendar_id,
    weekday,
    to_minutes(60 * cast(opens[1:2] as integer) + cast(opens[4:5] as integer)) as opens,
    to_minutes(60 * cast(closes[1:2] as integer) + cast(closes[4:5] as integer)) as closes
  from {{ ref('stg_business_calendars') }}
  where _exclusion is null and {{ changed_filter('calendar_id') }}
),

midnights as (
  select cast(d as date) as day, timezone('UTC', timezone({{ setting('timezone') }}, d)) as midnight
  from unnest(generate_series(timestamp '1990-01-01', timestamp '2070-01-01', interval 1 day)) as g(d)
  where exists (from openings)
),

days as (
  -- where the clock shows midnight twice, the day begins with the first one
  select day, case when {{ business_day('midnight - interval 1 hour') }} = day then midnight - interval 1 hour else midnight end as starts_at
  from midnights
),

whole_days as (
  select
    *,
    epoch_us({{ business_time('starts_at') }}) - epoch_us(starts_at) as offset_us,
    epoch_us({{ business_time("ends_at - interval 1 minute") }}) - epoch_us(ends_at - interval 1 minute) as last_offset_us
  from (select day, starts_at, lead(starts_at) over (order by day) as ends_at from days)
  where ends_at is not null
),

clock_changes as (
  select day, min(t) as changes_at
  from (
    -- the last minute of the day is there at the latest, so where the series ends is all the same
    select day, last_offset_us, unnest(generate_series(starts_at, ends_at, interval 1 minute)) as t
    from whole_days where offset_us <> last_offset_us
  )
  where epoch_us({{ business_time('t') }}) - epoch_us(t) = last_offset_us
  group by day
),

parts_of_days as (
  select w.day, w.starts_at, coalesce(c.changes_at, w.ends_at) as ends_at, w.offset_us
  from whole_days w left join clock_changes c on w.day = c.day
  union all
  select w.day, c.changes_at, w.ends_at, w.last_offset_us from whole_days w join clock_changes c on w.day = c.day
),

stretches as (
  select
    o.calendar_id,
    greatest(p.day + o.opens - to_microseconds(p.offset_us), p.starts_at) as opens_at,
    least(p.day + o.closes - to_microseconds(p.offset_us), p.ends_at) as closes_at
  from openings o
  join parts_of_days p on o.weekday = isodow(p.day)
  left join {{ ref('stg_holidays') }} h on o.calendar_id = h.calendar_id and p.day = h.holiday_date and h._exclusion is null
  where h.holiday_date is null
),

joined as (
  select
    calendar_id,
    min(opens_at) as opens_at,
    max(closes_at) as closes_at
  from (
    select *, sum(cast(is_apart as integer)) over (partition by calendar_id order by opens_at, closes_at rows unbounded preceding) as stretch
    from (
      select
        *,
        coalesce(opens_at > max(closes_at) over (
          partition by calendar_id order by opens_at, closes_at rows between unbounded preceding and 1 preceding
        ), true) as is_apart
      from stretches where opens_at < closes_at
    )
  )
  group by calendar_id, stretch
)

select
  calendar_id,
  opens_at,
  closes_at,
  cast(coalesce(sum(epoch_us(closes_at) - epoch_us(opens_at)) over (
    partition by calendar_id order by opens_at rows between unbounded preceding and 1 preceding
  ), 0) as bigint) as open_us_before
from joined
