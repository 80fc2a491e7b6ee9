-- grain: one row per CSAT answer about a resolved case: whose case it was
{{ config(
    unique_key='response_id',
    meta={
      'changed_by': [
        ['int_survey_answers', 'response'],
        ['stg_survey_responses', 'response'],
        ['int_cases', 'case', {'table': 'stg_survey_responses', 'on': 'case_id', 'key': 'response_id'}],
      ],
      'logs': [{'entity': 'response', 'key': 'response_id', 'day': 'resolved_day'}]
    }
) }}

select
  a.response_id,
  c.case_id,
  c.agent_id,
  c.channel,
  c.topic,
  c.resolved_day,
  a.ease >= a.favourable_from as is_satisfied
from {{ ref('int_survey_answers') }} a
join {{ ref('stg_survey_responses') }} r on a.response_id = r.response_id
join {{ ref('int_cases') }} c on r.case_id = c.case_id
where a.metric_kind = 'csat' and a.exclusion is null and a.favourable_from is not null
  and c.resolved_day is not null and c.agent_id is not null
  and {{ changed_filter('a.response_id') }}
