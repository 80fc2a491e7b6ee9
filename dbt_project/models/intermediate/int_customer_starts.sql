-- grain: one row per known person with an order or a contract: how it began
{{ config(
    unique_key='person_id',
    meta={
      'changed_by': [['int_customer_days', 'person'], ['int_contract_terms', 'person'], ['int_referrals', 'referred']],
      'logs': [
        {'entity': 'buyer', 'key': 'person_id', 'day': 'first_order_day', 'compare': ['person_id', 'first_order_day', 'second_order_day']},
        {'entity': 'customer', 'key': 'person_id', 'day': 'acquired_day', 'compare': ['person_id', 'acquired_day', 'is_referred']},
      ]
    }
) }}

with orders as (
  select
    person_id,
    min(activity_day) as first_order_day,
    -- of two orders on one day, the second one comes no day later
    case when arg_min(orders, activity_day) >= 2 then min(activity_day) else min(activity_day, 2)[2] end as second_order_day
  from {{ ref('int_customer_days') }}
  where orders > 0 and {{ changed_filter('person_id') }}
  group by person_id
),

contracts as (
  select person_id, min(started_day) as first_contract_day
  from {{ ref('int_contract_terms') }}
  where person_id is not null and {{ changed_filter('person_id') }}
  group by person_id
),

referrals as (
  select referred_id as person_id, min(shared_day) as shared_day
  from {{ ref('int_referrals') }}
  where referred_id is not null and {{ changed_filter('referred_id') }}
  group by referred_id
)

select
  person_id,
  o.first_order_day,
  o.second_order_day,
  c.first_contract_day,
  least(o.first_order_day, c.first_contract_day) as acquired_day,
  -- a link shared with somebody who was a customer already brought nobody
  coalesce(r.shared_day <= least(o.first_order_day, c.first_contract_day), false) as is_referred
from orders o
full join contracts c using (person_id)
left join referrals r using (person_id)
