-- grain: one row per complete calendar month (its last day), window after the answer, kind, scale and band of experience
{#
  What persons who said they were content are worth later, beside those who said they were not: an association, no cause.
  A person is one answer a month, kind and scale: the last. The window begins on the day after the answer, and a month has
  a row for a window once that is over for every day of the month. Lost is who was active on the day of the answer and is
  not on the last day of the window (methods: a running total per person, looked up on both days; no join over a range).

  By days and not whole: a night then reads the answers of the months it may move, the last twelve and those with late
  rows, and no older ones. What happens on a day moves answers of the 365 days before it; an order keeps its person active
  for N days, which answers of these days see; and a month stands on its last day, up to 30 days after the answer.
#}
{{ config(meta={
    'matures_in': '365',
    'reach': [
      {'model': 'int_survey_answers', 'entity': 'response', 'before': 0, 'after': 30},
      {'model': 'int_customer_days', 'entity': 'person', 'before': 365, 'after': 'churn_inactive_days + 30'},
      {'model': 'int_referrals', 'entity': 'referrer', 'before': 365, 'after': 30},
    ]
}) }}

with answers as (
  select
    last_day(answered_day) as metric_date, metric_kind, scale_id, person_id, answered_day,
    case
      when metric_kind = 'nps' then {{ nps_class('score') }}
      when ease >= favourable_from then 'favourable'
      else 'unfavourable'
    end as band
  from {{ ref('int_survey_answers') }}
  where exclusion is null and person_id is not null
    and (metric_kind = 'nps' or (metric_kind = 'overall_experience' and favourable_from is not null))
    and {{ affected_filter('last_day(answered_day)') }}
  qualify row_number() over (
    partition by last_day(answered_day), metric_kind, scale_id, person_id order by answered_at desc, response_id desc
  ) = 1
),

windows as (
  select a.*, w.window_days, cast(a.answered_day + w.window_days as date) as end_day
  from answers a, (values (90), (180), (365)) as w(window_days)
  where a.metric_date + w.window_days <= {{ data_through() }}
),

moments as (
  select person_id, answered_day as day from windows
  union
  select person_id, end_day from windows
),

bought as (
  select
    person_id, activity_day,
    sum(orders) over to_date as orders,
    sum(gross_amount - discount_amount - refund_amount) over to_date as net_amount
  from {{ ref('int_customer_days') }}
  where person_id in (select person_id from moments)
  window to_date as (partition by person_id order by activity_day rows unbounded preceding)
),

shared as (
  select person_id, shared_day, sum(referrals) over (partition by person_id order by shared_day rows unbounded preceding) as referrals
  from (
    select referrer_id as person_id, shared_day, count(*) as referrals
    from {{ ref('int_referrals') }}
    where referrer_id in (select person_id from moments)
    group by referrer_id, shared_day
  )
),

known as (
  select
    m.person_id, m.day,
    coalesce(b.orders, 0) as orders,
    coalesce(b.net_amount, 0) as net_amount,
    coalesce(r.referrals, 0) as referrals,
    coalesce(m.day < s.end_day, false) as is_active
  from moments m
  asof left join bought b on m.person_id = b.person_id and m.day >= b.activity_day
  asof left join shared r on m.person_id = r.person_id and m.day >= r.shared_day
  asof left join (
    select person_id, start_day, end_day from {{ ref('int_order_spells') }} where basis = 'inactivity'
  ) s on m.person_id = s.person_id and m.day >= s.start_day
),

sums as (
  select
    w.metric_date, w.window_days, w.metric_kind, w.scale_id, w.band,
    count(*) as persons,
    cast(sum(after_.orders - before_.orders) as bigint) as orders,
    cast(sum(after_.net_amount - before_.net_amount) as decimal(18, 4)) as net_amount,
    count(*) filter (where before_.is_active) as active_at_answer,
    count(*) filter (where before_.is_active and not after_.is_active) as lost,
    cast(sum(after_.referrals - before_.referrals) as bigint) as referrals
  from windows w
  join known before_ on w.person_id = before_.person_id and w.answered_day = before_.day
  join known after_ on w.person_id = after_.person_id and w.end_day = after_.day
  group by w.metric_date, w.window_days, w.metric_kind, w.scale_id, w.band
)

select
  *,
  {{ ratio('orders', 'persons') }} as orders_per_person,
  {{ ratio('net_amount', 'persons') }} as net_amount_per_person,
  {{ ratio('lost', 'active_at_answer') }} as churn_rate,
  {{ ratio('referrals', 'persons') }} as referrals_per_person,
  {{ ratio('net_amount', 'persons') }} - max({{ ratio('net_amount', 'persons') }}) filter (where band in ('detractor', 'unfavourable'))
    over (partition by metric_date, window_days, metric_kind, scale_id) as net_amount_difference,
  {{ is_final('metric_date', 'window_days') }} as is_final,
  {{ final_on('metric_date', 'window_days') }} as final_on
from sums
