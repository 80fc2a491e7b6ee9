-- grain: one row per person whom the source merged into another one: the person who stands for both in the end, for the source
{#
  Chains are followed to their end. Where merges run in a circle, the smallest id of the circle stands for all of it.
  Rebuilt whole whenever a person changed: one merge can move every link before it, and there are few.
  Everybody who is not here stands for themselves.
#}
{{ config(
    incremental_strategy='whole_table',
    meta={
      'changed_by': [['stg_persons', 'person']],
      'moved_by': ['person_id', 'survivor_id'],
      'logs': [{'entity': 'person', 'key': 'person_id', 'cause': 'merge'}]
    }
) }}

with recursive links as (
  -- a vendor deletes the row it merged away; the merge holds all the same
  select person_id, merged_into_id
  from {{ ref('stg_persons') }}
  where merged_into_id is not null and merged_into_id <> person_id
),

walk as (
  select person_id, [person_id, merged_into_id] as path from links
  union all
  select w.person_id, list_append(w.path, l.merged_into_id)
  from walk w join links l on w.path[-1] = l.person_id
  -- one step into a circle, so that it is seen, and none further
  where list_position(w.path, w.path[-1]) = len(w.path)
),

ends as (
  select person_id, arg_max(path, len(path)) as path from walk group by person_id
),

survivors as (
  select
    person_id,
    -- the last one again inside the path: the circle is what lies between the two
    case when list_position(path, path[-1]) < len(path) then list_min(path[list_position(path, path[-1]):]) else path[-1] end as survivor_id
  from ends
)

select person_id, survivor_id from survivors where survivor_id <> person_id
