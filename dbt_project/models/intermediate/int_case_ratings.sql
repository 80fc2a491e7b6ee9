-- grain: one row per CSAT answer about a resolved case: whose case it was
{{ config(
    unique_key='response_id',
    meta={
      'changed_by': [
        ['stg_survey_responses', 'response'],
        ['int_cases', 'case', {'table': 'stg_survey_responses', 'on': 'case_id', 'key': 'response_id'}],
      ],
      'logs': [{'entity': 'response', 'key': 'response_id', 'day': 'resolved_day'}]
    }
) }}

select
  r.response_id,
  c.case_id,
  c.agent_id,
  c.channel,
  c.topic,
  c.resolved_day,
  -- 4 of 5, 8 of 10: three quarters of the way up the scale
  r.score - r.scale_min >= 0.75 * (r.scale_max - r.scale_min) as is_satisfied
from {{ ref('stg_survey_responses') }} r
join {{ ref('int_cases') }} c on r.case_id = c.case_id
where r._exclusion is null and r.metric_kind = 'csat' and r.score is not null and c.resolved_day is not null and c.agent_id is not null
  and {{ changed_filter('r.response_id') }}
