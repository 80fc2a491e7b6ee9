-- grain: one row per known person with an order, a contract, a contact or a case, as of the last complete day
{#
  Who asked to be forgotten has no row. What they did still counts in every sum, here in who owns what with what.

  Rebuilt whole, as clv_customer: what is open, running or about to lapse moves with the day for everybody.

  Next product: of all pairs of products that at least 3 persons own both of, the lift is the share of owners of the one
  who own the other over the share of everybody who does. Only the 200 products with the most owners, and of each the ten
  partners with the highest lift, are looked at. A person is offered the partner with the highest lift that they do not own.
  Source of the measure: Brin, Motwani, Ullman, Tsur, "Dynamic itemset counting", 1997 ("interest").
#}
{{ config(materialized='table', pre_hook="") }}

with owned as (
  select person_id, product_id, sum(units) as units, max(day) as last_day
  from {{ ref('int_person_products') }}
  where day <= {{ data_through() }}
  group by person_id, product_id
  having sum(units) > 0
),

products as (
  select product_id, count(*) as owners
  from owned
  group by product_id
  qualify row_number() over (order by count(*) desc, product_id) <= 200
),

pairs as (
  select a.product_id, b.product_id as partner_id, count(*) as owners
  from (select person_id, product_id from owned semi join products using (product_id)) a
  join (select person_id, product_id from owned semi join products using (product_id)) b
    on a.person_id = b.person_id and a.product_id <> b.product_id
  group by a.product_id, b.product_id
  having count(*) >= 3
),

lifts as (
  select
    p.product_id, p.partner_id, p.owners,
    {{ ratio('p.owners * (select count(distinct person_id) from owned)', 'a.owners * b.owners') }} as lift
  from pairs p
  join products a on p.product_id = a.product_id
  join products b on p.partner_id = b.product_id
  qualify row_number() over (
    partition by p.product_id
    order by {{ ratio('p.owners * (select count(distinct person_id) from owned)', 'a.owners * b.owners') }} desc, p.owners desc, p.partner_id
  ) <= 10
),

next_products as (
  select o.person_id, l.partner_id as next_product, l.lift as next_product_lift
  from owned o
  join lifts l on o.product_id = l.product_id
  anti join owned mine on mine.person_id = o.person_id and mine.product_id = l.partner_id
  qualify row_number() over (partition by o.person_id order by l.lift desc, l.owners desc, l.partner_id, o.product_id) = 1
),

belongings as (
  select
    person_id,
    count(*) as products_owned,
    string_agg(product_id, ', ' order by place) filter (where place <= 20) as owned_products
  from (
    select *, row_number() over (partition by person_id order by last_day desc, units desc, product_id) as place from owned
  )
  group by person_id
),

activity as (
  select person_id, max(activity_day) as last_activity_day
  from {{ ref('int_customer_days') }}
  where is_activity and activity_day <= {{ data_through() }}
  group by person_id
),

contracts as (
  select
    person_id,
    string_agg(distinct plan, ', ' order by plan) as plans,
    max(ended_day) as contract_end_day
  from {{ ref('int_contract_terms') }}
  where started_day <= {{ data_through() }} and ended_day > {{ data_through() }} and person_id is not null
  group by person_id
),

ever_contracts as (
  select distinct person_id from {{ ref('int_contract_terms') }} where started_day <= {{ data_through() }} and person_id is not null
),

cases as (
  select
    coalesce(m.survivor_id, c.person_id) as person_id,
    count(*) filter (where c.resolved_at is null or c.resolved_at >= {{ data_end() }}) as open_cases,
    min({{ business_day('c.raised_at') }}) filter (where c.resolved_at is null or c.resolved_at >= {{ data_end() }}) as oldest_open_day,
    arg_max(c.topic, (c.raised_at, c.case_id)) as last_case_topic
  from {{ ref('int_cases') }} c
  left join {{ ref('int_person_merges') }} m on c.person_id = m.person_id
  left join {{ ref('int_excluded_persons') }} x on c.person_id = x.person_id
  where c.person_id is not null and x.person_id is null and c.raised_at < {{ data_end() }}
  group by 1
),

contacts as (
  select person_id, max(contact_day) as last_contact_day
  from {{ ref('int_contacts') }}
  where person_id is not null and contact_day <= {{ data_through() }}
  group by person_id
),

answers as (
  select
    person_id, metric_kind, score, high, answered_day,
    row_number() over (partition by person_id, metric_kind order by answered_at desc, response_id desc) as newest
  from {{ ref('int_survey_answers') }}
  where exclusion is null and person_id is not null and answered_day <= {{ data_through() }}
    and ((metric_kind = 'nps' and low = 0 and high = 10) or metric_kind = 'csat')
),

scores as (
  select
    person_id,
    max(score) filter (where metric_kind = 'nps') as last_nps,
    max(answered_day) filter (where metric_kind = 'nps') as last_nps_day,
    max(score) filter (where metric_kind = 'csat') as last_csat,
    max(high) filter (where metric_kind = 'csat') as last_csat_of,
    max(answered_day) filter (where metric_kind = 'csat') as last_csat_day
  from answers
  where newest = 1
  group by person_id
),

everybody as (
  select person_id from {{ ref('clv_customer') }}
  union
  select person_id from ever_contracts
  union
  select person_id from contacts
  union
  select person_id from cases
),

forgotten as (
  select coalesce(m.survivor_id, r.person_id) as person_id
  from {{ ref('stg_erasure_requests') }} r
  left join {{ ref('int_person_merges') }} m on r.person_id = m.person_id
  where r._exclusion is null and r.requested_at < {{ data_end() }}
),

joined as (
  select
    e.person_id,
    {{ data_through() }} as as_of_date,
    v.first_order_date, v.last_order_date, v.orders, v.net_amount, v.orders_trailing_365d, v.clv_simple,
    b.products_owned, b.owned_products,
    k.plans,
    case when k.contract_end_day < date '9999-01-01' then k.contract_end_day end as contract_ends_on,
    a.last_activity_day + {{ setting('churn_inactive_days') }} as lapses_on,
    case
      when k.person_id is not null then 'subscriber'
      when {{ data_through() }} < a.last_activity_day + {{ setting('churn_inactive_days') }} then 'active'
      when a.person_id is not null or x.person_id is not null then 'lapsed'
      else 'prospect'
    end as customer_state,
    coalesce(c.open_cases, 0) as open_cases,
    {{ data_through() }} - c.oldest_open_day as oldest_open_case_days,
    c.last_case_topic,
    t.last_contact_day as last_contact_date,
    s.last_nps, s.last_nps_day as last_nps_date,
    s.last_csat, s.last_csat_of, s.last_csat_day as last_csat_date,
    n.next_product, n.next_product_lift
  from everybody e
  left join {{ ref('clv_customer') }} v on e.person_id = v.person_id
  left join belongings b on e.person_id = b.person_id
  left join contracts k on e.person_id = k.person_id
  left join ever_contracts x on e.person_id = x.person_id
  left join activity a on e.person_id = a.person_id
  left join cases c on e.person_id = c.person_id
  left join contacts t on e.person_id = t.person_id
  left join scores s on e.person_id = s.person_id
  left join next_products n on e.person_id = n.person_id
  anti join forgotten f on e.person_id = f.person_id
),

-- the first rule that fires
ruled as (
  select
    *,
    case
      when open_cases > 0 and oldest_open_case_days >= {{ setting('action_open_case_days') }} then 'old_open_case'
      when last_nps <= 6 and last_nps_date > as_of_date - {{ setting('action_detractor_days') }} then 'recent_detractor'
      when contract_ends_on <= as_of_date + {{ setting('action_ahead_days') }} then 'contract_ends_soon'
      when customer_state = 'active' and lapses_on <= as_of_date + {{ setting('action_ahead_days') }} then 'lapses_soon'
      when next_product is not null and open_cases = 0 and customer_state in ('active', 'subscriber') then 'likely_next_product'
      else 'no_rule'
    end as next_best_action_rule
  from joined
)

select
  person_id,
  as_of_date,
  customer_state,
  first_order_date,
  last_order_date,
  coalesce(orders, 0) as orders,
  cast(coalesce(net_amount, 0) as decimal(18, 4)) as clv_historic,
  clv_simple,
  coalesce(orders_trailing_365d, 0) as orders_trailing_365d,
  lapses_on,
  plans,
  contract_ends_on,
  coalesce(products_owned, 0) as products_owned,
  owned_products,
  open_cases,
  oldest_open_case_days,
  last_case_topic,
  last_contact_date,
  last_nps,
  last_nps_date,
  last_csat,
  last_csat_of,
  last_csat_date,
  next_product,
  next_product_lift,
  case next_best_action_rule
    when 'old_open_case' then 'solve the open case'
    when 'recent_detractor' then 'call back'
    when 'contract_ends_soon' then 'offer a renewal'
    when 'lapses_soon' then 'win back'
    when 'likely_next_product' then 'offer the next product'
    else 'none'
  end as next_best_action,
  next_best_action_rule
from ruled
