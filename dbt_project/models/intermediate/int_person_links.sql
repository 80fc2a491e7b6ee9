-- grain: one row per person and piece of evidence about who they are: what it is, whom it names, and what came of it
{#
  status  linked, or why not: shared (too many persons have that key), role_mailbox, large_component, and own where nobody
          else has it
#}
{{ config(
    unique_key='person_id',
    meta={'changed_by': [['int_persons', 'touched']], 'logs': []}
) }}

select
  p.person_id,
  'source' as rule,
  cast(null as varchar) as link_key,
  m.survivor_id as linked_to,
  'linked' as status
from {{ ref('int_persons') }} p
join {{ ref('int_vendor_merges') }} m on p.person_id = m.person_id
where {{ changed_filter('p.person_id') }}

union all

select
  k.person_id,
  k.rule,
  k.link_key,
  case when l.status = 'used' and not p.is_too_large then p.survivor_id end,
  case
    when l.status = 'used' then case when p.is_too_large then 'large_component' else 'linked' end
    when k.is_role then 'role_mailbox'
    else coalesce(l.status, 'own')
  end
from {{ ref('int_person_keys') }} k
join {{ ref('int_persons') }} p on k.person_id = p.person_id
left join {{ ref('int_link_keys') }} l on k.link_key = l.link_key
-- that somebody is known by their own id is no evidence until another system writes it
where {{ changed_filter('k.person_id') }} and not (k.rule = 'external_id' and l.link_key is null)
