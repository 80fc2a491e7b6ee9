-- grain: one row per subscriber and unbroken stretch of cover ('all'), and per stretch of it in which no term starts or ends, with its plan
{{ config(
    unique_key='person_id',
    meta={
      'changed_by': [['int_contract_terms', 'person']],
      'logs': [
        {'entity': 'person', 'key': 'person_id', 'day': 'start_day', 'compare': ['person_id', 'plan', 'start_day']},
        {'entity': 'person', 'key': 'person_id', 'day': 'end_day', 'compare': ['person_id', 'plan', 'end_day']},
      ]
    }
) }}

with terms as (
  select * from {{ ref('int_contract_terms') }} where person_id is not null and {{ changed_filter('person_id') }}
),

running as (
  select
    *,
    -- running maximum: overlapping terms merge
    max(ended_day) over (
      partition by person_id order by started_day, ended_day, subscription_id rows between unbounded preceding and 1 preceding
    ) as covered_until
  from terms
),

numbered as (
  select
    *,
    count(*) filter (where covered_until is null or started_day > covered_until + {{ setting('contract_grace_days') }})
      over (partition by person_id order by started_day, ended_day, subscription_id rows unbounded preceding) as spell
  from running
),

merged as (
  select person_id, spell, min(started_day) as start_day, max(ended_day) as end_day
  from numbered group by person_id, spell
),

-- between two of these days nothing starts or ends
bounds as (
  select person_id, started_day as day from terms
  union
  select person_id, ended_day from terms
),

segments as (
  select
    m.person_id,
    b.day as from_day,
    coalesce(lead(b.day) over (partition by m.person_id, m.start_day order by b.day), m.end_day) as to_day
  from merged m
  join bounds b on m.person_id = b.person_id and b.day >= m.start_day and b.day < m.end_day
)

select person_id, 'contractual' as basis, 'all' as plan, start_day, end_day
from merged

union all

-- the plan of a day is that of the term started latest of those that run on it; in a merged gap, of all before it
select
  s.person_id,
  'contractual',
  max_by(t.plan, (s.from_day < t.ended_day, t.started_day, t.ended_day, t.subscription_id)),
  s.from_day,
  s.to_day
from segments s
join terms t on s.person_id = t.person_id and t.started_day <= s.from_day
group by s.person_id, s.from_day, s.to_day
