-- grain: one row per person of a source: who they are after all merges, and with how many others
{#
  The crosswalk. Two persons are one where the source merged them, or where they share a key that links (int_link_keys). A
  chain of such links is a component; one of more persons than `max_persons_per_component` is more likely a mistake than a
  person: in it only the source's own merges count. Of the persons who are one, the smallest id stands for all, of those
  that the source did not merge away.

  An increment looks at the components that changed persons and keys touch, as they were and as they are
  (`mark_touched_persons`), and at no others.
#}
{{ config(
    unique_key='person_id',
    pre_hook={"sql": "{{ mark_touched_persons() }}", "transaction": false},
    meta={
      'changed_by': [['int_persons', 'touched']],
      'logs': [{'entity': 'person', 'key': 'person_id', 'day': 'null', 'compare': ['person_id', 'survivor_id']}]
    }
) }}

with recursive persons as (
  select p.person_id, p.source, coalesce(m.survivor_id, p.person_id) as root_id
  from {{ ref('stg_persons') }} p
  left join {{ ref('int_vendor_merges') }} m on p.person_id = m.person_id
  where {{ changed_filter('p.person_id') }}
),

links as materialized (
  select distinct k.root_id, k.link_key
  from {{ ref('int_person_keys') }} k
  join {{ ref('int_link_keys') }} l on k.link_key = l.link_key
  where l.status = 'used' and {{ changed_filter('k.person_id') }}
),

-- the smallest id within reach, two keys far: nearly every component is that small
first_hubs as (
  select link_key, min(root_id) as label from links group by link_key
),

first_labels as (
  select l.root_id, min(h.label) as label from links l join first_hubs h on l.link_key = h.link_key group by l.root_id
),

second_hubs as (
  select l.link_key, min(n.label) as label from links l join first_labels n on l.root_id = n.root_id group by l.link_key
),

labels as materialized (
  select l.root_id, min(h.label) as label from links l join second_hubs h on l.link_key = h.link_key group by l.root_id
),

-- the others, of which a key still has two labels
pairs as (
  select distinct n.label as here, min(n.label) over (partition by l.link_key) as there
  from links l join labels n on l.root_id = n.root_id
),

steps as materialized (
  select here, there from pairs where here <> there
  union
  select there, here from pairs where here <> there
),

reached (here, label) using key (here) as (
  select here, min(least(here, there)) from steps group by here
  union
  select s.there, min(r.label)
  from reached r
  join steps s on r.here = s.here
  join recurring.reached k on k.here = s.there
  where r.label < k.label
  group by s.there
),

components as (
  select n.root_id, coalesce(r.label, n.label) as component_id
  from labels n
  left join reached r on n.label = r.here
),

sized as (
  select
    p.person_id, p.source, p.root_id,
    coalesce(c.component_id, p.root_id) as component_id,
    count(distinct p.root_id) over (partition by coalesce(c.component_id, p.root_id)) as persons
  from persons p
  left join components c on p.root_id = c.root_id
)

select
  person_id,
  source,
  root_id,
  component_id,
  persons > {{ setting('max_persons_per_component') }} as is_too_large,
  case when persons > {{ setting('max_persons_per_component') }} then root_id else component_id end as survivor_id
from sized
