-- grain: one row per person whose own row, or whose account's, says that it is a test or internal one, with the reason
{{ config(
    unique_key='person_id',
    meta={
      'changed_by': [
        ['stg_persons', 'person'],
        ['stg_accounts', 'account', {'table': 'stg_persons', 'on': 'account_id', 'key': 'person_id'}],
      ],
      'logs': [{'entity': 'person', 'key': 'person_id', 'day': 'null'}]
    }
) }}

select
  p.person_id,
  case when p.is_test then 'test_person' else 'test_account' end as reason
from {{ ref('stg_persons') }} p
left join {{ ref('stg_accounts') }} a on p.account_id = a.account_id
where (p.is_test or a._exclusion = 'test_account') and {{ changed_filter('p.person_id') }}
