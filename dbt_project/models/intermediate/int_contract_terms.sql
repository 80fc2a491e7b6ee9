-- grain: one row per contract that covers at least a day, with who holds it after merges (nobody, where only an account is known); not of test persons
{# Two logs of a contract: of one that ends otherwise, the end moves and the start does not. #}
{{ config(
    unique_key='subscription_id',
    meta={
      'changed_by': [
        ['stg_subscriptions', 'subscription'],
        ['int_person_merges', 'person', {'table': 'stg_subscriptions', 'on': 'person_id', 'key': 'subscription_id'}],
        ['int_excluded_persons', 'person', {'table': 'stg_subscriptions', 'on': 'person_id', 'key': 'subscription_id'}],
      ],
      'logs': [
        {'entity': 'person', 'key': 'person_id', 'day': 'started_day'},
        {'entity': 'subscription', 'key': 'subscription_id', 'day': 'started_day', 'compare': ['subscription_id', 'person_id', 'started_day']},
        {'entity': 'subscription', 'key': 'subscription_id', 'day': 'ended_day', 'compare': ['subscription_id', 'person_id', 'ended_day']},
      ]
    }
) }}

select
  s.subscription_id,
  coalesce(m.survivor_id, s.person_id) as person_id,
  -- 'all' is what churn and survival call every plan together
  case when s.plan = 'all' then 'plan all' else coalesce(s.plan, 'unknown') end as plan,
  s.started_day,
  coalesce(s.ended_day, date '9999-12-31') as ended_day
from {{ ref('stg_subscriptions') }} s
left join {{ ref('int_person_merges') }} m on s.person_id = m.person_id
left join {{ ref('int_excluded_persons') }} x on s.person_id = x.person_id
where s._exclusion is null
  and x.person_id is null
  and (s.ended_day is null or s.ended_day > s.started_day)
  and {{ changed_filter('s.subscription_id') }}
