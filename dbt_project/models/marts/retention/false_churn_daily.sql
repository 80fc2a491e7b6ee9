-- grain: one row per day on which somebody lapsed and window after it
{{ config(meta={
    'matures_in': '365',
    'reach': [{'model': 'int_customer_days', 'entity': 'person', 'before': 365, 'after': 'churn_inactive_days'}]
}) }}

{#
  Who counts as lost by inactivity and came back: the price of churn_inactive_days, beside churn_daily (its `lost` by day is
  `lapsed` here, which a test holds). A mart of its own, and no columns of churn_daily: that is a ledger of who is active,
  which goes on from the day before and is final at once; this one looks a year ahead from each lapse, and rewrites its
  last year as people come back.

  An order of a day moves the lapse it puts off, at most churn_inactive_days later, and the return it is, at most 365 days
  after a lapse.
#}

with stretches as (
  -- a later stretch ends later: those that end before the first of these days tell nothing about them
  select end_day as metric_date, lead(start_day) over (partition by person_id order by start_day) as back_on
  from {{ ref('int_order_spells') }}
  where basis = 'inactivity'
  {%- if is_incremental() %} and end_day >= (select min(day) from ({{ affected_days() }})){% endif %}
),

lapses as (
  select metric_date, case when back_on <= {{ data_through() }} then back_on - metric_date end as days_away
  from stretches
  where {{ affected_filter('metric_date') }}
),

sums as (
  select
    l.metric_date, w.window_days,
    count(*) as lapsed,
    count(*) filter (where l.days_away <= w.window_days) as came_back_so_far
  from lapses l, (values (180), (365)) as w(window_days)
  group by l.metric_date, w.window_days
),

judged as (
  select *, metric_date + window_days <= {{ data_through() }} as has_passed from sums
)

select
  metric_date, window_days, lapsed, came_back_so_far,
  case when has_passed then lapsed else 0 end as judged,
  case when has_passed then came_back_so_far else 0 end as came_back,
  {{ ratio('case when has_passed then came_back_so_far end', 'lapsed') }} as false_churn_rate,
  {{ is_final('metric_date', 'window_days') }} as is_final,
  {{ final_on('metric_date', 'window_days') }} as final_on
from judged
