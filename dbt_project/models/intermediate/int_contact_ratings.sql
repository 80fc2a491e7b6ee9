-- grain: one row per CSAT answer about a contact
{{ config(
    unique_key='response_id',
    meta={
      'changed_by': [
        ['int_survey_answers', 'response'],
        ['stg_survey_responses', 'response'],
        ['stg_contacts', 'contact', {'table': 'stg_survey_responses', 'on': 'contact_id', 'key': 'response_id'}],
      ],
      'logs': [{'entity': 'response', 'key': 'response_id', 'day': 'contact_day'}]
    }
) }}

select
  a.response_id,
  c.contact_id,
  c.contact_day,
  a.answered_at,
  a.ease >= a.favourable_from as is_satisfied
from {{ ref('int_survey_answers') }} a
join {{ ref('stg_survey_responses') }} r on a.response_id = r.response_id
join {{ ref('stg_contacts') }} c on r.contact_id = c.contact_id
where a.metric_kind = 'csat' and a.exclusion is null and a.favourable_from is not null
  and {{ changed_filter('a.response_id') }}
