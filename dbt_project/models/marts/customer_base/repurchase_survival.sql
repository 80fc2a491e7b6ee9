-- grain: one row per month end, dimension, segment and day of silence
{{ config(meta={
    'reach': [
      {'model': 'int_customer_days', 'entity': 'person', 'before': 0, 'after': 'open'},
      {'model': 'int_customer_segments', 'entity': 'person', 'before': 0, 'after': 'open'},
    ]
}) }}

{#
  Kaplan and Meier's estimate of the time from one purchase day to the next (macros/kaplan_meier.sql), over everything known
  at a month's end; the silence since a person's last purchase is censored at the length it has on that day. Several
  purchases of a day are one; returns are none, whatever counts as activity.

  Of those silent for N days, an estimated 1 - survival(N + H) / survival(N) come back within H more: `cx suggest
  churn-window` reads that.

  Only month ends are made: most nights make none, and read next to nothing. Gaps are counted before they meet the month
  ends: a closed one is known from the end of the month that closes it, an open one is silent at the month ends before that.
  An increment goes on from the month end before its first one, which stands in the table: there came_back has the gaps
  closed by then. It reads all purchases only of who bought since, and of everybody else the last one.
#}

with month_ends as (
  {{ month_ends("select min(activity_day) from " ~ ref('int_customer_days') ~ " where orders > 0") }}
),

bounds as (
  select max(metric_date) as last_end, cast(date_trunc('month', min(metric_date)) as date) - 1 as end_before from month_ends
),

purchases as (
  select person_id, activity_day
  from {{ ref('int_customer_days') }}
  where orders > 0 and activity_day <= (select last_end from bounds)
),

gaps_of_persons as (
  {% if is_incremental() -%}
  select person_id, activity_day, lead(activity_day) over (partition by person_id order by activity_day) as next_day
  from purchases
  where person_id in (select person_id from purchases where activity_day > (select end_before from bounds))

  union all

  select person_id, max(activity_day), null
  from purchases
  group by person_id
  having max(activity_day) <= (select end_before from bounds)
  {%- else -%}
  select person_id, activity_day, lead(activity_day) over (partition by person_id order by activity_day) as next_day
  from purchases
  {%- endif %}
),

gaps as (
  select coalesce(s.entry_channel, 'unknown') as entry_channel, g.activity_day, g.next_day
  from gaps_of_persons g
  left join (
    select person_id, entry_channel from {{ ref('int_customer_segments') }} where (select last_end from bounds) is not null
  ) s on g.person_id = s.person_id
),

closed as (
  select entry_channel, last_day(next_day) as known_from, next_day - activity_day as gap_days, count(*) as gaps
  from gaps
  where next_day is not null
  {%- if is_incremental() %} and next_day > (select end_before from bounds){% endif %}
  group by entry_channel, last_day(next_day), next_day - activity_day

  {%- if is_incremental() %}

  union all

  select segment, metric_date, gap_days, came_back
  from {{ this }}
  where metric_date = (select end_before from bounds) and dimension = 'entry_channel' and came_back > 0
  {%- endif %}
),

silent as (
  select entry_channel, activity_day, coalesce(last_day(next_day), date '9999-12-31') as silent_until, count(*) as gaps
  from gaps
  where next_day is null or last_day(next_day) > last_day(activity_day)
  group by entry_channel, activity_day, coalesce(last_day(next_day), date '9999-12-31')
),

observed_by_channel as (
  select m.metric_date, c.entry_channel, c.gap_days, sum(c.gaps) as left_here, sum(c.gaps) as came_back
  from month_ends m
  join closed c on c.known_from <= m.metric_date
  group by m.metric_date, c.entry_channel, c.gap_days

  union all

  select m.metric_date, s.entry_channel, m.metric_date - s.activity_day, sum(s.gaps), 0
  from month_ends m
  join silent s on s.activity_day <= m.metric_date and s.silent_until > m.metric_date
  group by m.metric_date, s.entry_channel, m.metric_date - s.activity_day
),

observed as (
  select metric_date, 'entry_channel' as dimension, entry_channel as segment, gap_days, left_here, came_back
  from observed_by_channel

  union all

  select metric_date, 'all', 'all', gap_days, left_here, came_back
  from observed_by_channel
),

estimates as (
  {{ kaplan_meier('observed', ['metric_date', 'dimension', 'segment'], 'gap_days', 'came_back') }}
)

select
  metric_date, dimension, segment, gap_days, at_risk, came_back, survival, standard_error,
  {{ is_final('metric_date') }} as is_final,
  {{ final_on('metric_date') }} as final_on
from estimates
