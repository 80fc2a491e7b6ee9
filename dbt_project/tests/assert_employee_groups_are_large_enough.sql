-- No published group of employees has fewer answers than the minimum, on any day.
select metric_date, metric_kind, survey_id, scale_id, team, answered
from {{ ref('employee_satisfaction_monthly') }}
where answered < {{ setting('min_group_answers') }}
