-- grain: one row per person for whom another one stands: merged by their source, or the same by evidence (int_persons)
{# Everybody who is not here stands for themselves. #}
{{ config(
    unique_key='person_id',
    meta={
      'changed_by': [['int_persons', 'person']],
      'logs': [{'entity': 'person', 'key': 'person_id', 'day': 'null', 'cause': 'merge'}]
    }
) }}

select person_id, survivor_id
from {{ ref('int_persons') }}
where survivor_id <> person_id and {{ changed_filter('person_id') }}
