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
