-- grain: one row per day of the invitation, survey and channel
{{ config(meta={
    'matures_in': 'response_window_days',
    'reach': [{'model': 'int_survey_invitations', 'entity': 'invitation', 'before': 0, 'after': 0}]
}) }}

with sums as (
  select
    sent_day as metric_date, survey_id, channel,
    count(*) as invited,
    count(*) filter (where status = 'bounced') as bounced,
    count(*) filter (where status = 'suppressed') as suppressed,
    count(*) filter (where status = 'delivered') as delivered,
    count(*) filter (where status = 'delivered' and outcome = 'answered') as answered,
    count(*) filter (where status = 'delivered' and outcome = 'partial') as partial,
    count(*) filter (where status = 'delivered' and outcome = 'dismissed') as dismissed,
    count(*) filter (where status = 'delivered' and outcome = 'late') as answered_late
  from {{ ref('int_survey_invitations') }}
  where {{ affected_filter('sent_day') }}
  group by sent_day, survey_id, channel
)

select
  *,
  {{ ratio('answered', 'delivered') }} as response_rate,
  {{ is_final('metric_date', 'response_window_days') }} as is_final,
  {{ final_on('metric_date', 'response_window_days') }} as final_on
from sums
