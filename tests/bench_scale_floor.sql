-- The floor of the scaled benchmark: the ten marts of the scaled company (tests/scale.py), in one bare DuckDB script. No
-- ledger, no quarantine, no lineage, no increments, no gates, no release. {landing}, {through} are filled in by
-- tests/bench.py, which checks that the marts hold the same numbers.
create macro day_of(t) as cast(timezone('Europe/Amsterdam', timezone('UTC', t)) as date);

create table orders as
select *, day_of(ordered_at) as day from (
  from read_csv('{landing}/orders/*.csv', header = true, auto_detect = false, columns = {{
    'order_id': 'VARCHAR', 'person_id': 'VARCHAR', 'visitor_id': 'VARCHAR', 'cart_id': 'VARCHAR', 'ordered_at': 'TIMESTAMP',
    'status': 'VARCHAR', 'currency': 'VARCHAR', 'sales_channel': 'VARCHAR', 'country': 'VARCHAR',
    'discount_amount': 'DECIMAL(18,4)', 'tax_amount': 'DECIMAL(18,4)', 'shipping_amount': 'DECIMAL(18,4)', 'is_test': 'BOOLEAN',
    'updated_at': 'TIMESTAMP'}})
  qualify row_number() over (partition by order_id order by updated_at desc) = 1
)
where status <> 'cancelled' and not is_test;

create table lines as
from read_csv('{landing}/order_lines/*.csv', header = true, auto_detect = false, columns = {{
  'order_id': 'VARCHAR', 'line_id': 'VARCHAR', 'product_id': 'VARCHAR', 'product_name': 'VARCHAR', 'quantity': 'DECIMAL(18,4)',
  'unit_price': 'DECIMAL(18,4)', 'discount_amount': 'DECIMAL(18,4)', 'unit_cost': 'DECIMAL(18,4)', 'is_return': 'BOOLEAN',
  'is_gift_card': 'BOOLEAN', 'ordered_at': 'TIMESTAMP', 'updated_at': 'TIMESTAMP'}})
qualify row_number() over (partition by order_id, line_id order by updated_at desc) = 1;

create table refunds as
from read_csv('{landing}/refunds/*.csv', header = true, auto_detect = false, columns = {{
  'refund_id': 'VARCHAR', 'order_id': 'VARCHAR', 'refunded_at': 'TIMESTAMP', 'amount': 'DECIMAL(18,4)', 'currency': 'VARCHAR',
  'reason': 'VARCHAR'}});

create table cart_events as
from read_csv('{landing}/cart_events/*.csv', header = true, auto_detect = false, columns = {{
  'event_id': 'VARCHAR', 'cart_id': 'VARCHAR', 'person_id': 'VARCHAR', 'visitor_id': 'VARCHAR', 'event': 'VARCHAR',
  'occurred_at': 'TIMESTAMP', 'product_id': 'VARCHAR', 'quantity': 'DECIMAL(18,4)', 'unit_price': 'DECIMAL(18,4)',
  'device': 'VARCHAR'}});

create table contacts as
select *, timezone('Europe/Amsterdam', timezone('UTC', started_at)) as local_at from (
  from read_csv('{landing}/contacts/*.csv', header = true, auto_detect = false, columns = {{
    'contact_id': 'VARCHAR', 'case_id': 'VARCHAR', 'person_id': 'VARCHAR', 'channel': 'VARCHAR', 'direction': 'VARCHAR',
    'topic': 'VARCHAR', 'queue': 'VARCHAR', 'agent_id': 'VARCHAR', 'started_at': 'TIMESTAMP', 'answered_at': 'TIMESTAMP',
    'ended_at': 'TIMESTAMP', 'wait_seconds': 'DECIMAL(18,4)', 'talk_seconds': 'DECIMAL(18,4)', 'outcome': 'VARCHAR',
    'is_spam': 'BOOLEAN', 'updated_at': 'TIMESTAMP'}})
  where outcome in ('handled', 'abandoned', 'contained')
  qualify row_number() over (partition by contact_id order by updated_at desc) = 1
)
where not is_spam and direction = 'inbound';

create table cases as
from read_csv('{landing}/cases/*.csv', header = true, auto_detect = false, columns = {{
  'case_id': 'VARCHAR', 'person_id': 'VARCHAR', 'channel': 'VARCHAR', 'topic': 'VARCHAR', 'priority': 'VARCHAR', 'queue': 'VARCHAR',
  'agent_id': 'VARCHAR', 'status': 'VARCHAR', 'opened_at': 'TIMESTAMP', 'resolved_at': 'TIMESTAMP', 'reassignment_count': 'BIGINT',
  'reopen_count': 'BIGINT', 'updated_at': 'TIMESTAMP'}})
qualify row_number() over (partition by case_id order by updated_at desc) = 1;

create table case_events as
from read_csv('{landing}/case_events/*.csv', header = true, auto_detect = false, columns = {{
  'event_id': 'VARCHAR', 'case_id': 'VARCHAR', 'event': 'VARCHAR', 'occurred_at': 'TIMESTAMP', 'actor_type': 'VARCHAR',
  'actor_id': 'VARCHAR'}});

create table subscriptions as
from read_csv('{landing}/subscriptions/*.csv', header = true, auto_detect = false, columns = {{
  'subscription_id': 'VARCHAR', 'person_id': 'VARCHAR', 'plan': 'VARCHAR', 'mrr': 'DECIMAL(18,4)', 'currency': 'VARCHAR',
  'started_at': 'TIMESTAMP', 'ended_at': 'TIMESTAMP', 'status': 'VARCHAR', 'cancel_reason': 'VARCHAR', 'updated_at': 'TIMESTAMP'}})
qualify row_number() over (partition by subscription_id order by updated_at desc) = 1;

-- no mart shows people, and none is merged: they are read all the same, as everything else is
create table persons as
from read_csv('{landing}/persons/*.csv', header = true, auto_detect = false, columns = {{
  'person_id': 'VARCHAR', 'email': 'VARCHAR', 'name': 'VARCHAR', 'country': 'VARCHAR', 'is_test': 'BOOLEAN',
  'updated_at': 'TIMESTAMP'}})
qualify row_number() over (partition by person_id order by updated_at desc) = 1;

-- sales

create table sold as
select order_id, any_value(o.day) as day, any_value(o.person_id) as person_id, any_value(o.cart_id) as cart_id,
  any_value(o.ordered_at) as ordered_at, any_value(o.country) as country, any_value(o.sales_channel) as sales_channel,
  any_value(o.currency) as currency, any_value(o.discount_amount) + sum(l.discount_amount) as discount_amount,
  any_value(o.tax_amount) as tax_amount, any_value(o.shipping_amount) as shipping_amount,
  coalesce(sum(l.quantity) filter (where not is_gift_card), 0) as units,
  coalesce(sum(cast(quantity * unit_price as decimal(18, 4))) filter (where not is_gift_card), 0) as gross_amount,
  case when count(*) filter (where not is_gift_card and unit_cost is null) = 0
    then coalesce(sum(cast(quantity * unit_cost as decimal(18, 4))) filter (where not is_gift_card), 0) end as cost_amount
from lines l join orders o using (order_id)
where not is_return group by order_id;

create table given_back as
select day_of(r.refunded_at) as day, o.person_id, o.country, o.sales_channel, o.currency, r.amount,
  cast(0 as decimal(18, 4)) as cost_amount
from refunds r join orders o using (order_id)
union all
select day_of(l.ordered_at), o.person_id, o.country, o.sales_channel, o.currency,
  -cast(l.quantity * l.unit_price as decimal(18, 4)), cast(l.quantity * l.unit_cost as decimal(18, 4))
from lines l join orders o using (order_id) where l.is_return;

create table sales_daily as
select day as metric_date, country, sales_channel, currency, sum(orders) as orders, sum(units) as units,
  sum(gross_amount) as gross_amount, sum(discount_amount) as discount_amount, sum(refund_amount) as refund_amount,
  sum(gross_amount - discount_amount - refund_amount) as net_amount, sum(tax_amount) as tax_amount,
  sum(shipping_amount) as shipping_amount
from (
  select day, country, sales_channel, currency, 1 as orders, units, gross_amount, discount_amount, tax_amount, shipping_amount,
    0 as refund_amount from sold
  union all
  select day, country, sales_channel, currency, 0, 0, 0, 0, 0, 0, amount from given_back
)
where day <= date '{through}' group by all;

-- carts

create table cart_abandonment_daily as
with events as (
  select *, max(case when event = 'empty' then occurred_at end) over (partition by cart_id) as emptied_at from cart_events
),
carts as (
  select cart_id, max(occurred_at) as last_at, arg_max(device, (occurred_at, event_id)) as device,
    coalesce(sum(case event when 'add' then quantity when 'remove' then -quantity else 0 end)
      filter (where emptied_at is null or occurred_at > emptied_at), 0) > 0 as has_item,
    bool_or(event = 'checkout') as had_checkout
  from events group by cart_id
),
bought as (select cart_id, min(ordered_at) as ordered_at from sold where cart_id is not null group by cart_id),
judged as (
  select day_of(last_at) as metric_date, device, had_checkout,
    coalesce(ordered_at > last_at + interval 24 hour and ordered_at <= last_at + interval 7 day, false) as is_recovered,
    case when ordered_at <= last_at + interval 24 hour then 'converted' when not has_item then 'emptied'
      when last_at + interval 24 hour > timezone('UTC', timezone('Europe/Amsterdam', cast(date '{through}' + 1 as timestamp))) then 'open'
      else 'abandoned' end as outcome
  from carts left join bought using (cart_id)
)
select metric_date, device, count(*) filter (where outcome <> 'emptied') as carts,
  count(*) filter (where outcome = 'abandoned') as abandoned, count(*) filter (where outcome = 'converted') as converted,
  count(*) filter (where outcome = 'open') as open, count(*) filter (where outcome = 'abandoned' and is_recovered) as recovered,
  count(*) filter (where outcome = 'emptied') as emptied,
  count(*) filter (where outcome <> 'emptied' and had_checkout) as checkout_carts,
  count(*) filter (where outcome = 'abandoned' and had_checkout) as checkout_abandoned
from judged where metric_date <= date '{through}' group by all;

-- contact centre

create table contact_volume_daily as
select cast(local_at as date) as metric_date, hour(local_at) as hour, channel, topic, queue, count(*) as inbound,
  count(*) filter (where outcome = 'handled') as handled, count(*) filter (where outcome = 'abandoned') as abandoned,
  count(*) filter (where outcome = 'contained') as contained
from contacts where cast(local_at as date) <= date '{through}' group by all;

create table fcr_daily as
with handled as (
  select *, cast(local_at as date) as day, lag(started_at) over of_issue as previous_at, lead(started_at) over of_issue as next_at
  from contacts where outcome = 'handled' and cast(local_at as date) <= date '{through}'
  window of_issue as (partition by person_id, topic, case when person_id is null then contact_id end order by started_at, contact_id)
),
reopened as (
  select distinct h.contact_id from handled h join case_events e using (case_id)
  where e.event = 'reopened' and e.occurred_at >= h.started_at and e.occurred_at <= h.started_at + interval 7 day
    and day_of(e.occurred_at) <= date '{through}'
),
judged as (
  select *, person_id is not null and (previous_at is null or started_at > previous_at + interval 7 day) as is_issue,
    (next_at is null or next_at > started_at + interval 7 day) and contact_id not in (select contact_id from reopened) as is_resolved
  from handled
)
select day as metric_date, channel, topic, count(*) as eligible_contacts, count(person_id) as known_person_contacts,
  count(*) filter (where is_issue) as issues, count(*) filter (where is_issue and is_resolved) as resolved_first_contact
from judged group by all;

create table resolution_daily as
with events as (
  select case_id, min(occurred_at) filter (where event = 'opened') as opened_at,
    max(occurred_at) filter (where event = 'resolved') as resolved_at, max(occurred_at) filter (where event = 'reopened') as reopened_at
  from case_events group by case_id
),
solved as (
  select case_id, coalesce(c.channel, 'unknown') as channel, coalesce(c.topic, 'unknown') as topic, coalesce(c.queue, 'unknown') as queue,
    coalesce(c.opened_at, e.opened_at) as opened_at,
    coalesce(
      case when reopened_at is null or c.resolved_at >= reopened_at then c.resolved_at end,
      case when reopened_at is null or e.resolved_at > reopened_at then e.resolved_at end) as resolved_at,
    coalesce(c.reassignment_count, 0) = 0 and coalesce(c.reopen_count, 0) = 0 as is_one_touch
  from cases c full join events e using (case_id)
)
select day_of(resolved_at) as metric_date, channel, topic, queue, count(*) as cases_resolved,
  sum(cast(epoch_us(resolved_at) - epoch_us(opened_at) as double) / 60e6) as resolution_minutes,
  count(*) filter (where is_one_touch) as one_touch_cases
from solved where resolved_at >= opened_at and day_of(resolved_at) <= date '{through}' group by all;

-- customers

create table days as
select person_id, day, sum(orders) as orders, sum(gross_amount) as gross_amount, sum(discount_amount) as discount_amount,
  sum(refund_amount) as refund_amount, case when count(*) = count(cost_amount) then sum(cost_amount) end as cost_amount
from (
  select person_id, day, 1 as orders, gross_amount, discount_amount, 0 as refund_amount, cost_amount from sold
  union all
  select person_id, day, 0, 0, 0, amount, cost_amount from given_back
)
where person_id is not null and day <= date '{through}' group by person_id, day;

create table spells as
with n as (select person_id, day, lag(day) over (partition by person_id order by day) as p from days where orders > 0),
k as (select *, count(*) filter (where p is null or day > p + 180) over (partition by person_id order by day) as k from n)
select person_id, 'inactivity' as basis, 'all' as plan, min(day) as s, max(day) + 180 as e from k group by person_id, k;

insert into spells
with terms as (
  select person_id, subscription_id, plan, day_of(started_at) as s, coalesce(day_of(ended_at), date '9999-12-31') as e
  from subscriptions where ended_at is null or day_of(ended_at) > day_of(started_at)
),
n as (
  select *, max(e) over (partition by person_id order by s, e, subscription_id rows between unbounded preceding and 1 preceding) as covered
  from terms
),
k as (
  select *, count(*) filter (where covered is null or s > covered + 7)
    over (partition by person_id order by s, e, subscription_id rows unbounded preceding) as k from n
),
merged as (select person_id, k, min(s) as s, max(e) as e from k group by person_id, k),
-- terms of a person do not overlap here: a term's plan holds until the next one starts
plans as (
  select person_id, k, plan, s, lead(s) over (partition by person_id, k order by s) as next_s from k
)
select person_id, 'contractual', 'all', s, e from merged
union all
select p.person_id, 'contractual', p.plan, p.s, coalesce(p.next_s, m.e) from plans p join merged m using (person_id, k);

create table retention as
with whole as (
  select person_id, basis, s, e, lead(s, 1, date '9999-12-31') over (partition by person_id, basis order by s) as next_s
  from spells where plan = 'all'
),
calendar as (
  select cast(d as date) as d from (select min(s) as f from spells) x,
    unnest(generate_series(cast(f as timestamp), timestamp '{through}', interval 1 day)) as g(d)
),
months as (
  select distinct cast(date_trunc('month', d) as date) as m1, cast(date_trunc('month', d) + interval 1 month as date) as m2 from calendar
),
base as (
  select person_id, basis, plan, 'day' as period, s + 1 as f, least(e, date '9999-01-01') + 1 as t from spells
  union all select person_id, basis, plan, 'trailing_30d', s + 30, least(e, date '9999-01-01') + 30 from spells
  union all select person_id, basis, plan, 'month', m1, m2 from spells join months on s < m1 and e >= m1
),
gaps as (
  select person_id, basis, 'day' as period, e + 1 as f, least(next_s, date '9999-01-01') + 1 as t from whole where e < date '9999-01-01'
  union all select person_id, basis, 'trailing_30d', e + 30, least(next_s, date '9999-01-01') + 30 from whole where e < date '9999-01-01'
  union all select person_id, basis, 'month', m1, m2 from whole join months on e < m1 and next_s >= m1
),
pieces as (
  select basis, plan, period, f, t, 1 as b, 0 as r, 0 as a from base
  union all
  select base.basis, base.plan, period, greatest(f, s), least(t, e), 0, 1, 0
  from base join whole using (person_id, basis) where greatest(f, s) < least(t, e)
  union all
  select spells.basis, spells.plan, period, greatest(f, s), least(t, e), 0, 0, 1
  from gaps join spells using (person_id, basis) where greatest(f, s) < least(t, e)
),
moves as (
  select basis, plan, period, day, sum(b) as b, sum(r) as r, sum(a) as a
  from (select basis, plan, period, f as day, b, r, a from pieces union all select basis, plan, period, t, -b, -r, -a from pieces)
  group by basis, plan, period, day
),
plans as (select basis, plan, min(s) as f from spells group by basis, plan)
select c.d as metric_date, p.basis, p.plan, q.period, sum(coalesce(b, 0)) over of_plan as active_at_start,
  sum(coalesce(r, 0)) over of_plan as retained, sum(coalesce(a, 0)) over of_plan as reactivated
from calendar c join plans p on c.d >= p.f cross join (values ('day'), ('trailing_30d'), ('month')) as q(period)
left join moves m on m.day = c.d and m.period = q.period and m.basis = p.basis and m.plan = p.plan
window of_plan as (partition by p.basis, p.plan, q.period order by c.d);

create table retention_daily as select metric_date, basis, plan, period, active_at_start, retained from retention;

create table churn_daily as
select metric_date, basis, plan, period, active_at_start, active_at_start - retained as lost, reactivated from retention;

create table retention_cohorts as
with months as (select distinct person_id, cast(date_trunc('month', day) as date) as m from days where orders > 0),
placed as (select person_id, m, min(m) over (partition by person_id) as cohort from months)
select cohort as cohort_month, datediff('month', cohort, m) as months_since,
  first_value(count(*)) over (partition by cohort order by m) as customers, count(*) as active
from placed group by cohort, m;

create table clv_customer as
with first_days as (select *, min(day) filter (where orders > 0) over (partition by person_id) as first_day from days)
select person_id, any_value(first_day) as first_order_date, max(day) filter (where orders > 0) as last_order_date, sum(orders) as orders,
  sum(gross_amount) as gross_amount, sum(discount_amount) as discount_amount, sum(refund_amount) as refund_amount,
  sum(gross_amount - discount_amount - refund_amount) as net_amount,
  case when count(*) = count(cost_amount) then sum(gross_amount - discount_amount - refund_amount - cost_amount) end as margin_amount,
  coalesce(sum(orders) filter (where day > date '{through}' - 365), 0) as orders_trailing_365d,
  coalesce(sum(gross_amount - discount_amount - refund_amount)
    filter (where greatest(day, first_day) > date '{through}' - 365), 0) as net_amount_trailing_365d
from first_days where first_day is not null group by person_id;

create table clv_daily as
with calendar as (
  select cast(d as date) as day from (select min(first_order_date) as f from clv_customer) x,
    unnest(generate_series(cast(f as timestamp), timestamp '{through}', interval 1 day)) as g(d)
),
moved as (
  select greatest(d.day, c.first_order_date) as day, sum(d.orders) as orders,
    sum(d.gross_amount - d.discount_amount - d.refund_amount) as net_amount
  from days d join clv_customer c using (person_id) group by 1
),
firsts as (select first_order_date as day, count(*) as n from clv_customer group by 1),
purchasers as (
  select f as day, 1 as delta from (
    select day as f, least(lead(day, 1, date '9999-12-31') over (partition by person_id order by day), day + 365) as t
    from days where orders > 0)
  union all
  select t, -1 from (
    select day as f, least(lead(day, 1, date '9999-12-31') over (partition by person_id order by day), day + 365) as t
    from days where orders > 0)
),
bought as (select day, sum(delta) as delta from purchasers group by day),
whole as (
  select person_id, s, e, lead(s, 1, date '9999-12-31') over (partition by person_id order by s) as next_s
  from spells where basis = 'inactivity'
),
lost as (
  select greatest(a.s + 365, b.e) as f, least(a.e + 365, b.next_s) as t
  from whole a join whole b using (person_id) where greatest(a.s + 365, b.e) < least(a.e + 365, b.next_s)
),
year_ago as (
  select day, sum(a) as a, sum(l) as l from (
    select s + 365 as day, 1 as a, 0 as l from whole union all select e + 365, -1, 0 from whole
    union all select f, 0, 1 from lost union all select t, 0, -1 from lost)
  group by day
)
select c.day as metric_date, sum(coalesce(n, 0)) over to_date as customers_to_date, sum(coalesce(orders, 0)) over to_date as orders_to_date,
  sum(coalesce(net_amount, 0)) over to_date as net_amount_to_date,
  sum(coalesce(orders, 0)) over (order by c.day rows 364 preceding) as orders_trailing_365d,
  sum(coalesce(net_amount, 0)) over (order by c.day rows 364 preceding) as net_amount_trailing_365d,
  sum(coalesce(delta, 0)) over to_date as purchasers_trailing_365d, sum(coalesce(a, 0)) over to_date as active_365d_ago,
  sum(coalesce(l, 0)) over to_date as lost_since_365d
from calendar c left join moved using (day) left join firsts using (day) left join bought using (day) left join year_ago using (day)
window to_date as (order by c.day);
