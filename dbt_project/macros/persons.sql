{#
  The crosswalk of persons: which mailboxes are nobody's own, and what an increment of int_persons looks at.
  Belongs here: what its models share. Does not: the rules themselves (int_link_keys, int_persons).
#}

{# Local parts of addresses that several people read. Other languages' words are those of the metrics' labels. #}
{% macro role_mailboxes() -%}
  {%- set names = [
    'abuse', 'accounting', 'accounts', 'admin', 'administration', 'billing', 'careers', 'contact', 'customerservice', 'finance',
    'hello', 'help', 'helpdesk', 'hostmaster', 'hr', 'info', 'invoice', 'invoices', 'jobs', 'legal', 'mail', 'marketing', 'news',
    'newsletter', 'no-reply', 'noreply', 'office', 'orders', 'postmaster', 'press', 'privacy', 'purchasing', 'reception', 'sales',
    'security', 'service', 'shop', 'support', 'team', 'webmaster',
    'administratie', 'facturen', 'facturatie', 'inkoop', 'klantenservice', 'verkoop',
    'buchhaltung', 'einkauf', 'kontakt', 'kundenservice', 'rechnung', 'verkauf', 'vertrieb',
    'acquisti', 'amministrazione', 'assistenza', 'contatti', 'fatture', 'vendite',
    'kefu', 'xiaoshou',
  ] -%}
  '{{ names | join("', '") }}'
{%- endmacro %}

{#
  Pre-hook of int_persons. Whose component may be another one than it was:
    moved   persons whose row, source's merges or exclusion changed
    near    with them whoever the source holds for the same person, and all who hold a key that gained or lost a holder,
            where it links now, or did
    region  and all who were in one component with any of these
  A component that is new lies in the region as a whole: each of its links was there before, so that both ends were in one
  component, or is new, and then its key is one of `near`. A key that linked nobody before and links nobody now (the
  telephone number of ten thousand) reaches nobody.
#}
{% macro mark_touched_persons() -%}
  {%- if is_incremental() %}
  insert into {{ ops('changes') }}
  with moved as (
    select distinct key as person_id, delivery from {{ ops('changes') }}
    where (model, entity) in (('stg_persons', 'person'), ('int_vendor_merges', 'person'), ('int_excluded_persons', 'person'))
  ),
  roots as (
    select distinct coalesce(m.survivor_id, c.person_id) as root_id, c.delivery
    from moved c left join {{ ref('int_vendor_merges') }} m on c.person_id = m.person_id
  ),
  keys as (
    select distinct key as link_key, delivery from {{ ops('changes') }}
    where model = 'int_person_keys' and entity = 'key' and (
      key in (select link_key from {{ ref('int_link_keys') }} where status = 'used')
      or key in (select key from {{ ops('changes') }} where model = 'int_link_keys' and entity = 'key')
    )
  ),
  near as (
    select person_id, delivery from moved
    union
    select root_id, delivery from roots
    union
    select m.person_id, r.delivery from {{ ref('int_vendor_merges') }} m join roots r on m.survivor_id = r.root_id
    union
    select k.person_id, c.delivery from {{ ref('int_person_keys') }} k join keys c on k.link_key = c.link_key
  ),
  region as (
    select person_id, delivery from near
    union
    select o.person_id, c.delivery
    from (select distinct p.component_id, n.delivery from {{ this }} p join near n on p.person_id = n.person_id) c
    join {{ this }} o on c.component_id = o.component_id
  )
  select 'int_persons', 'touched', person_id, cast(null as date), delivery, 'merge' from region
  except
  select model, entity, key, day, delivery, cause from {{ ops('changes') }} where model = 'int_persons' and entity = 'touched'
  {%- endif %}
{%- endmacro %}
