-- Invitations of survey_response_daily = invitations staged that went to no test person, by day; every delivered one of the last day weighs in survey_pressure_daily.
with expected as (
  select sent_day as metric_date, count(*) as n
  from {{ ref('stg_survey_invitations') }}
  where _exclusion is null and {{ tested_days('survey_response_daily', 'sent_day') }}
    and coalesce(person_id, '') not in (select person_id from {{ ref('int_excluded_persons') }})
  group by 1
),

actual as (
  select metric_date, sum(invited) as n
  from {{ ref('survey_response_daily') }} where {{ tested_days('survey_response_daily') }} group by 1
)

select 'response' as mart, metric_date, e.n as staged, a.n as mart_says
from expected e full join actual a using (metric_date)
where metric_date <= {{ data_through() }} and coalesce(e.n, 0) <> coalesce(a.n, 0)

union all

select 'pressure', p.metric_date, count(i.invitation_id), any_value(p.invitations)
from {{ ref('survey_pressure_daily') }} p
left join {{ ref('stg_survey_invitations') }} i
  on i.status = 'delivered' and i._exclusion is null
  and coalesce(i.person_id, '') not in (select person_id from {{ ref('int_excluded_persons') }})
  and i.sent_day > p.metric_date - {{ setting('survey_pressure_days') }} and i.sent_day <= p.metric_date
where p.metric_date = {{ data_through() }}
group by p.metric_date
having count(i.invitation_id) <> any_value(p.invitations)
