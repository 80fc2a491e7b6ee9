-- grain: one row per known person and day with a visit
{{ config(
    unique_key='person_id',
    meta={
      'changed_by': [['int_sessions', 'person']],
      'matched_on_day': 'engagement_day',
      'logs': [{'entity': 'person', 'key': 'person_id', 'day': 'engagement_day'}]
    }
) }}

select
  person_id,
  session_day as engagement_day,
  count(*) as sessions,
  cast(sum(page_views + clicks) as bigint) as touches,
  bool_or(is_engaged) as is_engaged
from {{ ref('int_sessions') }}
where person_id is not null and {{ changed_filter('person_id', 'session_day') }}
group by person_id, session_day
