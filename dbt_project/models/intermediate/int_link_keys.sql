-- grain: one row per key that several persons have: how many, and whether it links them
{{ config(
    unique_key='link_key',
    meta={
      'changed_by': [['int_person_keys', 'key']],
      'logs': [{'entity': 'key', 'key': 'link_key', 'day': 'null', 'compare': ['link_key', 'status']}]
    }
) }}

with keys as (
  select * from {{ ref('int_person_keys') }} where {{ changed_filter('link_key') }}
),

several as (
  select link_key from keys group by link_key having min(root_id) <> max(root_id)
)

select
  link_key,
  any_value(rule) as rule,
  count(distinct root_id) as persons,
  case
    when any_value(is_role) then 'role_mailbox'
    when count(distinct root_id) > {{ setting('max_persons_per_key') }} then 'shared'
    else 'used'
  end as status
from keys
where link_key in (select link_key from several)
group by link_key
