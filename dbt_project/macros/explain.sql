{#
  What the files of `analyses/explain` share. The explanation of a mart is the mart not summed up: one row per cell, part
  and source row, so that sum(contribution) of a part is the mart's column of that name. Its columns:
    metric_date, the mart's dimensions
    part            column of the mart the row adds to; NULL for a row that was left out
    entity          the order, contact, case, cart or person
    contribution    what the row adds; 0 for a further row of an entity that another row adds
    note            what the row is to the number, or why it was left out
    feed, _key      the source row, by its key in the staging model of that feed
  A row left out has NULL for a dimension that it cannot be told by, and for a day that nothing tells.

  Belongs here: lineage that several explanations need. Does not: definitions. An explanation follows the models, and a
  test holds it to every cell of every mart.
#}

{#
  The final select of an explanation, from a relation with one column a part and the columns metric_date, dimensions,
  entity, note, feed, _key, left_out (why the row is left out, else NULL).
#}
{% macro explained(relation, dimensions, parts, number='decimal(18, 4)') -%}
{%- set cell = (['metric_date'] + dimensions) | join(', ') -%}
select
  {{ cell }},
  case when part <> 'left_out' then part end as part,
  entity,
  case when part <> 'left_out' then contribution end as contribution,
  case when part <> 'left_out' then note else reason end as note,
  feed,
  _key
from (
  unpivot (
    select
      {{ cell }}, entity, note, left_out as reason, feed, _key,
      {% for part in parts -%} cast({{ part }} as {{ number }}) as {{ part }}, {% endfor %}
      case when left_out is not null then cast(0 as {{ number }}) end as left_out
    from {{ relation }}
  ) on {{ parts | join(', ') }}, left_out into name part value contribution
)
where metric_date <= {{ data_through() }} or (metric_date is null and part = 'left_out')
{%- endmacro %}

{# Why a row of stg_contacts is no inbound contact that somebody handled; NULL for one that is. #}
{% macro not_handled(c) -%}
case
  when {{ c }}._exclusion is not null then {{ c }}._exclusion
  when {{ c }}.direction <> 'inbound' then 'is ' || {{ c }}.direction
  when {{ c }}.outcome <> 'handled' then 'nobody handled it: ' || {{ c }}.outcome
end
{%- endmacro %}

{#
  One row per staged visit and event of a visit: what it adds to the visit, why it is left out, and whose visit it is. A visit counts
  on its own row, or on its first event where the export has no visits.
#}
{% macro visit_rows() -%}
with headers as (
  select * from {{ ref('stg_web_sessions') }}
),

events as (
  select
    *, row_number() over (partition by session_id order by occurred_at, event_id) = 1 as is_first,
    min(event_day) over (partition by session_id) as first_day,
    arg_min(device, (occurred_at, event_id)) over (partition by session_id) as session_device,
    min(_exclusion) over (partition by session_id) as session_exclusion
  from {{ ref('stg_page_events') }}
),

-- what a session's own row does not say, its events add up to
visits as (
  select
    h.session_id, h._key, 'web_sessions' as feed, 'visit' as note, true as adds, h.engaged_seconds, h.page_views, h.clicks, false as makes_engaged,
    h.session_day, coalesce(h.device, e.session_device, 'unknown') as device, coalesce(h.channel, 'unknown') as channel,
    coalesce(h._exclusion, 'an event of it is left out: ' || e.session_exclusion) as exclusion
  from headers h
  left join events e on h.session_id = e.session_id and e.is_first

  union all

  select
    e.session_id, e._key, 'page_events', e.event, h.session_id is null and e.is_first,
    case when h.engaged_seconds is null then e.engaged_seconds end,
    case when h.page_views is null and e.event = 'page_view' then 1 end,
    case when h.clicks is null and e.event = 'click' then 1 end,
    h.has_key_event is null and e.event = 'key_event',
    coalesce(h.session_day, e.first_day), coalesce(h.device, e.session_device, 'unknown'), coalesce(h.channel, 'unknown'),
    coalesce(e._exclusion, 'its visit is left out: ' || coalesce(h._exclusion, e.session_exclusion))
  from events e
  left join headers h on e.session_id = h.session_id
)

select
  v.session_day as metric_date, v.device, v.channel, v.session_id as entity, v.feed, v._key, v.note,
  coalesce(v.exclusion, x.reason) as left_out, i.person_id, i.is_engaged, v.adds,
  case when i.session_id is not null and v.adds then 1 end as sessions,
  case when i.is_engaged then case when v.adds then 1 when v.makes_engaged then 0 end end as engaged_sessions,
  case when v.adds and i.person_id is not null then 1 end as known_sessions,
  case when i.session_id is not null then v.engaged_seconds end as engaged_seconds,
  case when i.session_id is not null then v.page_views end as page_views,
  case when i.session_id is not null then v.clicks end as clicks,
  case when i.session_id is not null and coalesce(v.page_views, v.clicks) is not null
    then coalesce(v.page_views, 0) + coalesce(v.clicks, 0) end as touches
from visits v
left join {{ ref('int_sessions') }} i on v.session_id = i.session_id
left join {{ ref('int_excluded_sessions') }} x on v.session_id = x.session_id
{%- endmacro %}

{# Orders in another currency than the reporting one, with the rate of their day; NULL while it is not known. #}
{% macro order_rates() -%}
select c.order_id, c.rate_key, x.rate
from {{ ref('int_order_currencies') }} c
left join {{ ref('int_fx_rates') }} x on c.rate_key = x.rate_key
where c.is_of_order
{%- endmacro %}

{#
  One row per staged order header, order line and refund: whose it is, the day it counts on, and what it adds to that
  day. An order counts on its header, or on its first line where the shop exports no header. Amounts stand in the currency
  of the row, and as `*_reporting` converted.
#}
{% macro order_rows() -%}
select
  * exclude (rate, has_cost, cost),
  {%- for part in ['gross_amount', 'discount_amount', 'refund_amount', 'tax_amount', 'shipping_amount'] %}
  cast({{ part }} * coalesce(rate, 1) as decimal(18, 4)) as {{ part }}_reporting,
  {%- endfor %}
  case when has_cost then coalesce(cast(gross_amount * coalesce(rate, 1) as decimal(18, 4)), 0)
    - coalesce(cast(discount_amount * coalesce(rate, 1) as decimal(18, 4)), 0)
    - coalesce(cast(refund_amount * coalesce(rate, 1) as decimal(18, 4)), 0) end as revenue_with_cost_reporting,
  case when has_cost then cast(coalesce(cost, 0) * coalesce(rate, 1) as decimal(18, 4)) end as cost_reporting
from (
select
  'orders' as feed, h._key, h.order_id, o.person_id, h.order_day as day,
  coalesce(o.country, h.country, 'unknown') as country,
  coalesce(o.sales_channel, h.sales_channel, 'unknown') as sales_channel,
  coalesce(o.currency, h.currency, 'unknown') as currency,
  'order header' || coalesce(case when h.person_id <> o.person_id then ', delivered for ' || h.person_id end, '') as note,
  case
    when h._exclusion is not null then h._exclusion
    when e.order_id is not null then e.reason
    when r.order_id is not null and r.rate is null then 'held: no exchange rate of ' || coalesce(r.rate_key, h.currency)
    when not o.is_sale then 'no line of it that sells has arrived'
  end as left_out,
  false as is_return,
  case when o.is_sale then 1 end as orders,
  cast(null as decimal(18, 4)) as units,
  cast(null as decimal(18, 4)) as gross_amount,
  case when o.is_sale then coalesce(h.discount_amount, 0) end as discount_amount,
  cast(null as decimal(18, 4)) as refund_amount,
  case when o.is_sale then coalesce(h.tax_amount, 0) end as tax_amount,
  case when o.is_sale then coalesce(h.shipping_amount, 0) end as shipping_amount,
  r.rate,
  o.cost_amount is not null as has_cost,
  cast(null as decimal(18, 4)) as cost
from {{ ref('stg_orders') }} h
left join {{ ref('int_orders') }} o on h.order_id = o.order_id
left join {{ ref('int_excluded_orders') }} e on h.order_id = e.order_id
left join ({{ order_rates() }}) r on h.order_id = r.order_id

union all

select
  'order_lines', _key, order_id, person_id, day, country, sales_channel, currency,
  case when is_return then 'goods taken back' when is_gift_card then 'gift card' else 'order line' end
    || coalesce(case when not has_header and line_person_id <> person_id then ', delivered for ' || line_person_id end, ''),
  case
    when not counts then coalesce(_exclusion, 'its order is left out: ' || order_exclusion, 'held: no exchange rate of ' || coalesce(rate_key, currency))
    when day is null then 'neither the line nor an order header tells its day'
    when is_gift_card then 'a gift card is no revenue'
  end,
  is_return,
  case when counts and not is_return then cast(is_first and not has_header as integer) end,
  case when counts and not is_return and not is_gift_card then quantity end,
  case when counts and not is_return and not is_gift_card then amount end,
  case when counts and not is_return and not is_gift_card then coalesce(discount_amount, 0) end,
  case when counts and is_return and not is_gift_card then -amount end,
  null,
  null,
  rate,
  counts and not is_gift_card and has_cost and (not is_return or count(*) over returned = count(cost) over returned),
  cost
from (
  select
    l._key, l.order_id, o.person_id, l.person_id as line_person_id, l.is_return, l.is_gift_card, l.is_first, l.quantity, l.amount, l.discount_amount,
    l.cost, l._exclusion, coalesce(h._exclusion, e.reason) as order_exclusion, r.rate, r.rate_key, o.cost_amount is not null as has_cost,
    l._exclusion is null and h._exclusion is null and e.order_id is null and (r.order_id is null or r.rate is not null) as counts,
    h.order_id is not null as has_header,
    coalesce(case when l.is_return then l.line_day end, o.order_day, h.order_day, e.order_day) as day,
    -- of a line that nothing dates, the header may say otherwise one day
    case when coalesce(o.order_day, h.order_day, l.line_day) is null then l.country
      else coalesce(o.country, h.country, l.country, 'unknown') end as country,
    case when coalesce(o.order_day, h.order_day, l.line_day) is not null then coalesce(o.sales_channel, h.sales_channel, 'unknown') end
      as sales_channel,
    case when coalesce(o.order_day, h.order_day, l.line_day) is null then l.currency
      else coalesce(o.currency, h.currency, l.currency, 'unknown') end as currency
  from (
    select
      * replace (coalesce(is_return, false) as is_return, coalesce(is_gift_card, false) as is_gift_card),
      cast(quantity * unit_price as decimal(18, 4)) as amount,
      cast(quantity * unit_cost as decimal(18, 4)) as cost,
      row_number() over (partition by order_id, coalesce(is_return, false), _exclusion order by _key) = 1 as is_first
    from {{ ref('stg_order_lines') }}
  ) l
  left join {{ ref('stg_orders') }} h on l.order_id = h.order_id
  left join {{ ref('int_orders') }} o on l.order_id = o.order_id
  left join {{ ref('int_excluded_orders') }} e on l.order_id = e.order_id
  left join ({{ order_rates() }}) r on l.order_id = r.order_id
)
window returned as (partition by order_id, is_return, is_gift_card, _exclusion, day)

union all

select
  'refunds', f._key, f.order_id, o.person_id, f.refund_day,
  coalesce(o.country, h.country, 'unknown'),
  coalesce(o.sales_channel, h.sales_channel, 'unknown'),
  f.currency,
  'refund',
  case
    when coalesce(f._exclusion, h._exclusion, e.reason) is not null
      then coalesce(f._exclusion, 'its order is left out: ' || coalesce(h._exclusion, e.reason))
    when r.order_id is not null and r.rate is null then 'its order is held: no exchange rate of ' || coalesce(r.rate_key, f.currency)
    when c.order_id is not null and x.rate is null then 'held: no exchange rate of ' || c.rate_key
  end,
  false, null, null, null, null,
  case when f._exclusion is null and h._exclusion is null and e.order_id is null and (r.order_id is null or r.rate is not null)
    and (c.order_id is null or x.rate is not null) then f.amount end,
  null,
  null,
  x.rate,
  o.cost_amount is not null and (c.order_id is null or x.rate is not null),
  null
from {{ ref('stg_refunds') }} f
left join {{ ref('stg_orders') }} h on f.order_id = h.order_id
left join {{ ref('int_orders') }} o on f.order_id = o.order_id
left join {{ ref('int_excluded_orders') }} e on f.order_id = e.order_id
left join ({{ order_rates() }}) r on f.order_id = r.order_id
left join {{ ref('int_order_currencies') }} c
  on f.order_id = c.order_id and f.currency = c.currency and c.rate_day = coalesce(o.order_day, f.refund_day)
left join {{ ref('int_fx_rates') }} x on c.rate_key = x.rate_key
)
{%- endmacro %}

{# Of order_rows: whether a row is a sign of life on its day. #}
{% macro counts_as_activity() -%}
(orders = 1 or (refund_amount is not null and is_return and {{ setting('returns_are_activity') }}))
{%- endmacro %}

{#
  One row per source row that makes a known person active on a day: orders, and returns where they count as activity.
  `adds` is 1 on one row of each person and day, so that a person is counted once.
#}
{% macro activity_rows() -%}
select
  person_id, day, order_id, feed, _key, note, orders,
  cast(row_number() over (partition by person_id, day order by feed, _key) = 1 as integer) as adds
from ({{ order_rows() }})
where person_id is not null and day is not null and {{ counts_as_activity() }}
{%- endmacro %}

{#
  The source row that tells of a case that counts, with its columns of int_cases, and, where the export says otherwise when it was
  raised, the event that opened it. `adds` is 1 on one row of each case, so that a case is counted once.
#}
{% macro case_rows() -%}
select
  i.*, r.feed, r._key, case when r.feed = 'cases' then 'case' else 'the event that opened it' end as told_by,
  cast(row_number() over (partition by i.case_id order by r.feed = 'cases' desc, r._key) = 1 as integer) as adds
from {{ ref('int_cases') }} i
join (
  select case_id, 'cases' as feed, _key, null as opened_at from {{ ref('stg_cases') }} where _exclusion is null
  union all
  select e.case_id, 'case_events', e._key, e.occurred_at
  from {{ ref('stg_case_events') }} e
  left join {{ ref('stg_cases') }} c on e.case_id = c.case_id
  where e.event = 'opened' and e._exclusion is null and c.opened_at is null
) r on i.case_id = r.case_id and (r.feed = 'cases' or i.raised_at = r.opened_at)
{%- endmacro %}

{# One row per criterion of an evaluation that counts, with its columns of int_evaluations and the criterion's own weighted points. #}
{% macro criterion_rows() -%}
select
  q.evaluation_id, q.criterion, q._key, i.contact_id, i.agent_id, i.contact_day, i.channel, i.topic, i.queue, i.is_sampled,
  i.points_earned, i.points_possible, i.is_auto_failed,
  not coalesce(q.is_not_applicable, false) and q.points_earned is not null and q.points_possible is not null as applies,
  coalesce(q.weight, 1) * q.points_earned as earned, coalesce(q.weight, 1) * q.points_possible as possible,
  row_number() over (partition by i.evaluation_id order by q.criterion) = 1 as is_first
from {{ ref('stg_qa_evaluations') }} q
join {{ ref('int_evaluations') }} i on q.evaluation_id = i.evaluation_id
where q._exclusion is null
{%- endmacro %}

{#
  The source row by which each known person began: the first order or contract, an order before a contract of the same day.
#}
{% macro first_signs() -%}
select person_id, day, feed, _key, note
from (
  select person_id, day, 'orders' as kind, feed, _key, note from ({{ order_rows() }}) where orders = 1
  union all
  select t.person_id, t.started_day, 'subscriptions', 'subscriptions', s._key, 'contract'
  from {{ ref('int_contract_terms') }} t
  join {{ ref('stg_subscriptions') }} s on t.subscription_id = s.subscription_id
)
where person_id is not null and day is not null
qualify row_number() over (partition by person_id order by day, kind, feed, _key) = 1
{%- endmacro %}

{#
  The persons behind cohorts by month: from a relation with person_id, day, feed, _key, adds (1 on one row of each person and day)
  and the columns that cohorts are split by.
#}
{% macro cohort_rows(activity, dimensions=[]) -%}
with activity as (
  select
    *,
    cast(date_trunc('month', day) as date) as activity_month,
    -- a person is counted once a month, on the first sign of life in it
    min(day) over (partition by person_id, date_trunc('month', day)) as counted_on,
    cast(date_trunc('month', min(day) over (partition by person_id)) as date) as cohort_month,
    max(day) over (partition by person_id) as last_day
  from ({{ activity }})
  where day <= {{ data_through() }}
),

months as (
  select
    c.cohort_month,
    cast(m as integer) as months_since,
    cast(c.cohort_month + to_months(cast(m as integer)) as date) as activity_month
  from (select distinct cohort_month from activity) c,
    unnest(generate_series(0, datediff('month', c.cohort_month, {{ data_through() }}))) as g(m)
)

select
  m.activity_month as metric_date, m.cohort_month, m.months_since, {% for name in dimensions -%} a.{{ name }}, {% endfor %}a.person_id as entity, a.feed, a._key,
  'first activity' as note, cast(null as varchar) as left_out,
  a.adds as customers, cast(null as integer) as active, cast(null as integer) as active_or_later
from months m
join activity a on a.cohort_month = m.cohort_month and a.activity_month = m.cohort_month and a.day = a.counted_on

union all

select
  m.activity_month, m.cohort_month, m.months_since, {% for name in dimensions -%} a.{{ name }}, {% endfor %}a.person_id, a.feed, a._key,
  'first activity of the month', null, null, a.adds, null
from months m
join activity a on a.cohort_month = m.cohort_month and a.activity_month = m.activity_month and a.day = a.counted_on

union all

select
  m.activity_month, m.cohort_month, m.months_since, {% for name in dimensions -%} a.{{ name }}, {% endfor %}a.person_id, a.feed, a._key,
  'last activity so far', null, null, null, a.adds
from months m
join activity a on a.cohort_month = m.cohort_month and a.activity_month >= m.activity_month and a.day = a.last_day
{%- endmacro %}

{#
  The orders behind int_active_customers (basis orders): one row per day, period that ends on it, and order in it. A person
  is active by the last order of the period; `records` and `known_records` are of all orders; who lapses on a day does so by
  an order that is no longer in the period.
#}
{% macro active_order_rows() -%}
select
  c.metric_date, c.period, coalesce(o.person_id, o.order_id) as entity, o.feed, o._key,
  o.note || ' of ' || o.order_id || ', ' || o.day || case when o.person_id is null then ', of no known person' else '' end as note,
  1 as records,
  case when o.person_id is not null then 1 end as known_records,
  case when o.adds = 1 and c.metric_date < o.next_day then 1 end as active,
  case when o.adds = 1 and c.metric_date < o.next_day and o.life_orders >= 2 then 1 end as repeaters,
  case when o.adds = 1 and o.day = c.metric_date and o.previous_day is null then 1 end as new_customers,
  case when o.adds = 1 and o.day = c.metric_date and o.previous_day + c.n < o.day then 1 end as reactivated,
  null as lapsed
from ({{ order_periods() }}) c
join ({{ orders_of_life() }}) o on o.day >= c.start_day and o.day <= c.metric_date

union all

select
  o.day + w.n, w.period, o.person_id, o.feed, o._key, 'last ' || o.note || ' of ' || o.order_id || ', ' || o.day,
  null, null, null, null, null, null, 1
from ({{ orders_of_life() }}) o
cross join (values ('trailing_30d', 30), ('trailing_90d', 90), ('trailing_365d', 365)) as w(period, n)
where o.adds = 1 and o.next_day > o.day + w.n
{%- endmacro %}

{# Every day since the first order with each period that ends on it; n is the length of a trailing one. #}
{% macro order_periods() -%}
select
  metric_date, p.period, p.n,
  case when n is not null then metric_date - n + 1 else cast(date_trunc(period, metric_date) as date) end as start_day
from (
  select cast(d as date) as metric_date
  from (select min(order_day) as first_day from {{ ref('int_orders') }} where is_sale) f,
    unnest(generate_series(cast(f.first_day as timestamp), cast({{ data_through() }} as timestamp), interval 1 day)) as g(d)
)
cross join (values
  ('day', null), ('week', null), ('month', null), ('quarter', null), ('trailing_30d', 30), ('trailing_90d', 90), ('trailing_365d', 365)
) as p(period, n)
{%- endmacro %}

{# Orders with the person's days of an order before and after, and how many they had by the end of the day; `adds` once a day. #}
{% macro orders_of_life() -%}
select o.*, d.previous_day, d.next_day, d.life_orders,
  cast(o.person_id is not null and row_number() over (partition by o.person_id, o.day order by o.feed, o._key) = 1 as integer) as adds
from ({{ order_rows() }}) o
left join (
  select
    person_id, day, sum(count(*)) over of_person as life_orders,
    lag(day) over of_person as previous_day, lead(day, 1, date '9999-12-31') over of_person as next_day
  from ({{ order_rows() }})
  where orders = 1 and person_id is not null and day is not null
  group by person_id, day
  window of_person as (partition by person_id order by day)
) d on o.person_id = d.person_id and o.day = d.day
where o.orders = 1 and o.day is not null
{%- endmacro %}

{#
  The persons behind int_retention. A step is the time from one sign of life of a person to the next: an order (basis
  inactivity) or a stretch of cover under one plan (contractual); on a day of the step the person is active before its lapse day.
  A period ends on the metric day and starts at the end of start_day.
#}
{% macro retention_rows() -%}
with signs as (
  select 'inactivity' as basis, 'all' as plan, person_id, day, day + {{ setting('churn_inactive_days') }} as lapse_day, feed, _key, adds
  from ({{ activity_rows() }})

  union all

  -- a stretch of one plan is told by the term that gives the plan
  select
    'contractual', s.plan, s.person_id, s.start_day, s.end_day,
    'subscriptions', max_by(k._key, (s.start_day < t.ended_day, t.started_day, t.ended_day, t.subscription_id)), 1
  from {{ ref('int_contract_spells') }} s
  join {{ ref('int_contract_terms') }} t on s.person_id = t.person_id and t.started_day <= s.start_day
  join {{ ref('stg_subscriptions') }} k on t.subscription_id = k.subscription_id
  where s.plan <> 'all'
  group by s.plan, s.person_id, s.start_day, s.end_day
),

steps as (
  select
    basis, plan, person_id, day as from_day, lapse_day,
    lead(day, 1, date '9999-12-31') over (partition by basis, person_id order by day) as next_day
  from signs
  where adds = 1
),

periods as (
  select
    metric_date, period,
    case period
      when 'day' then metric_date - 1
      when 'trailing_30d' then metric_date - 30
      else cast(date_trunc('month', metric_date) as date) - 1
    end as start_day
  from (
    select cast(d as date) as metric_date
    from (select min(from_day) as first_day from steps) s,
      unnest(generate_series(cast(s.first_day as timestamp), cast({{ data_through() }} as timestamp), interval 1 day)) as g(d)
  )
  cross join (values ('day'), ('trailing_30d'), ('month')) as p(period)
),

persons as (
  select
    p.metric_date, p.period, p.start_day, a.basis, a.person_id,
    case when a.basis = 'inactivity' then 'last activity' else 'last term' end as sign_is,
    a.plan as start_plan, a.from_day as start_sign, p.start_day < a.lapse_day as was_active,
    b.plan as end_plan, b.from_day as end_sign, b.lapse_day, p.metric_date < b.lapse_day as is_active
  from periods p
  join steps a on a.from_day <= p.start_day and p.start_day < a.next_day
  join steps b on b.basis = a.basis and b.person_id = a.person_id and b.from_day <= p.metric_date and p.metric_date < b.next_day
),

moves as (
  select
    metric_date, period, basis, person_id, start_plan as plan, start_sign as sign,
    sign_is || ' up to ' || start_day as note,
    1 as active_at_start, null as retained, null as lost, null as reactivated
  from persons where was_active

  union all

  select
    metric_date, period, basis, person_id, case when was_active then start_plan else end_plan end, end_sign,
    sign_is || ' up to ' || metric_date || case when is_active then '' else '; lapsed on ' || lapse_day end,
    null,
    case when was_active and is_active then 1 end,
    case when was_active and not is_active then 1 end,
    case when is_active and not was_active then 1 end
  from persons where was_active or is_active
)

select
  m.metric_date, m.basis, m.period, plans.plan, m.person_id as entity, m.note, null as left_out, s.feed, s._key,
  m.active_at_start * s.adds as active_at_start,
  m.retained * s.adds as retained,
  m.lost * s.adds as lost,
  m.reactivated * s.adds as reactivated
from moves m
join signs s on s.basis = m.basis and s.person_id = m.person_id and s.day = m.sign
cross join lateral (select unnest(case when m.basis = 'contractual' then ['all', m.plan] else ['all'] end) as plan) as plans

union all

select day, 'inactivity', null, null, order_id, null, coalesce(left_out, 'of no known person'), feed, _key, null, null, null, null
from ({{ order_rows() }})
where (left_out is not null and orders is null) or (person_id is null and {{ counts_as_activity() }})

union all

select
  k.started_day, 'contractual', null, k.plan, k.person_id, null,
  coalesce(
    k._exclusion, x.reason, case when k.ended_day <= k.started_day then 'ends on the day it starts, or before' else 'of no known person' end
  ),
  'subscriptions', k._key, null, null, null, null
from {{ ref('stg_subscriptions') }} k
left join {{ ref('int_excluded_persons') }} x on k.person_id = x.person_id
where k._exclusion is not null or x.person_id is not null or k.ended_day <= k.started_day or k.person_id is null
{%- endmacro %}
