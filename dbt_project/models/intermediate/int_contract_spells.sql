-- grain: one row per subscriber and unbroken stretch of cover ('all'), and per stretch of it under one plan
{{ config(
    unique_key='person_id',
    meta={
      'changed_by': [['int_contract_terms', 'person']],
      'logs': []
    }
) }}

with terms as (
  select * from {{ ref('int_contract_terms') }} where {{ changed_filter('person_id') }}
),

running as (
  select
    *,
    -- running maximum: overlapping terms merge
    max(ended_day) over (
      partition by person_id order by started_day, ended_day, subscription_id rows between unbounded preceding and 1 preceding
    ) as covered_until,
    lead(started_day) over (partition by person_id order by started_day, ended_day, subscription_id) as next_start
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
)

select person_id, 'contractual' as basis, 'all' as plan, start_day, end_day
from merged

union all

-- the plan of a day is that of the term started latest
select n.person_id, 'contractual', n.plan, n.started_day, least(coalesce(n.next_start, m.end_day), m.end_day)
from numbered n
join merged m on n.person_id = m.person_id and n.spell = m.spell
where least(coalesce(n.next_start, m.end_day), m.end_day) > n.started_day
