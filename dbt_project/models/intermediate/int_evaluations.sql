-- grain: one row per evaluation of a contact: weighted points over its criteria, what did not apply left out
{{ config(
    unique_key='evaluation_id',
    meta={
      'changed_by': [
        ['stg_qa_evaluations', 'evaluation'],
        ['stg_contacts', 'contact', {'table': 'stg_qa_evaluations', 'on': 'contact_id', 'key': 'evaluation_id'}],
      ],
      'logs': [{'entity': 'evaluation', 'key': 'evaluation_id', 'day': 'contact_day'}]
    }
) }}

with evaluations as (
  select
    evaluation_id,
    -- the first criterion speaks for all, should they name different ones
    min_by(contact_id, criterion) as contact_id,
    min_by(agent_id, criterion) as agent_id,
    cast(coalesce(sum(coalesce(weight, 1) * points_earned) filter (where applies), 0) as decimal(18, 4)) as points_earned,
    cast(coalesce(sum(coalesce(weight, 1) * points_possible) filter (where applies), 0) as decimal(18, 4)) as points_possible,
    coalesce(bool_or(is_auto_fail and points_earned < points_possible) filter (where applies), false) as is_auto_failed
  from (
    select *, not coalesce(is_not_applicable, false) and points_earned is not null and points_possible is not null as applies
    from {{ ref('stg_qa_evaluations') }}
    where _exclusion is null and {{ changed_filter('evaluation_id') }}
  )
  group by evaluation_id
)

select
  e.evaluation_id,
  e.contact_id,
  coalesce(e.agent_id, c.agent_id) as agent_id,
  c.contact_day,
  c.channel,
  coalesce(c.topic, 'unknown') as topic,
  coalesce(c.queue, 'unknown') as queue,
  -- whether it is one of the contacts that the sample is drawn from
  c._exclusion is null and c.direction = 'inbound' and c.outcome = 'handled' as is_sampled,
  e.points_earned,
  e.points_possible,
  e.is_auto_failed
from evaluations e
join {{ ref('stg_contacts') }} c on e.contact_id = c.contact_id
where coalesce(c._exclusion, 'transfer_leg') = 'transfer_leg'
