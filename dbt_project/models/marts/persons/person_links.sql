-- grain: one row per rule and what came of it, as of the last complete day: how many persons it is said of, and by how many keys
{# Who is who by what evidence, and what was refused, without anybody's data. Rebuilt whole: it is what is so now. #}
{{ config(materialized='table', pre_hook="") }}

with evidence as (
  select person_id, rule, status, link_key from {{ ref('int_person_links') }}

  union all

  -- said, and no address or number: it links nobody, and nobody is refused for it
  select person_id, 'email', 'unusable', email from {{ ref('stg_persons') }} where email is not null and email_key is null
  union all
  select person_id, 'phone', 'unusable', phone from {{ ref('stg_persons') }} where phone is not null and phone_key is null
)

select
  {{ data_through() }} as as_of_date,
  rule,
  status,
  count(distinct person_id) as persons,
  count(distinct link_key) as keys
from evidence
group by rule, status
