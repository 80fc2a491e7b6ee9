-- grain: one row per person and key that may show who they are elsewhere: external ids, e-mail address, telephone number
{#
  A key is a hash of what it is made of, so that evidence can be kept and shown without personal data. `root_id` is who the
  person is for their own source, after its merges: guards count those. A person is known by their own id, too: what other
  systems write as external id. Tests link nobody: a tester's address may be a customer's.
#}
{{ config(
    unique_key='person_id',
    meta={
      'changed_by': [['stg_persons', 'person'], ['int_vendor_merges', 'person'], ['int_excluded_persons', 'person']],
      'logs': [{'entity': 'key', 'key': 'link_key', 'day': 'null'}]
    }
) }}

with persons as (
  select p.person_id, coalesce(m.survivor_id, p.person_id) as root_id, p.external_id, p.email_key, p.phone_key
  from {{ ref('stg_persons') }} p
  left join {{ ref('int_vendor_merges') }} m on p.person_id = m.person_id
  where {{ changed_filter('p.person_id') }} and p.person_id not in (select person_id from {{ ref('int_excluded_persons') }})
),

keys as (
  select person_id, root_id, 'external_id' as rule, person_id as said, false as is_role from persons
  union
  select person_id, root_id, 'external_id', external_id, false from persons where external_id is not null
  union all
  select person_id, root_id, 'email', email_key, split_part(email_key, '@', 1) in ({{ role_mailboxes() }})
  from persons where email_key is not null
  union all
  select person_id, root_id, 'phone', phone_key, false from persons where phone_key is not null
)

select person_id, root_id, rule, left(sha256(rule || ':' || said), 32) as link_key, is_role from keys
