-- grain: one row per person in whom no metric is interested, with the reason: test_person or test_account
{#
  Tests and internal people, and whoever the source merged into one of them. Ids are those that the other feeds write, so
  that a fact leaves out what they did with one join, before it asks who they are after merges:

      left join int_excluded_persons x on c.person_id = x.person_id      ... where x.person_id is null

      changed_by: ['int_excluded_persons', 'person', {'table': 'stg_contacts', 'on': 'person_id', 'key': 'contact_id'}]

  person_coverage_daily counts what is left out. A person who is deleted in the source is not here: what they did happened.
#}
{{ config(
    unique_key='person_id',
    meta={
      'changed_by': [
        ['int_test_persons', 'person'],
        ['int_vendor_merges', 'person'],
        ['int_test_persons', 'person', {'table': 'int_vendor_merges', 'on': 'survivor_id', 'key': 'person_id'}],
      ],
      'logs': [{'entity': 'person', 'key': 'person_id', 'day': 'null'}]
    }
) }}

select person_id, reason from {{ ref('int_test_persons') }} where {{ changed_filter('person_id') }}

union all

select m.person_id, s.reason
from {{ ref('int_vendor_merges') }} m
join {{ ref('int_test_persons') }} s on m.survivor_id = s.person_id
where m.person_id not in (select person_id from {{ ref('int_test_persons') }}) and {{ changed_filter('m.person_id') }}
