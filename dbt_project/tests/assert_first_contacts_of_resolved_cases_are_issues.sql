-- What agents are judged by is what fcr_daily counts: each case of int_case_first_contacts began with an issue of its own, and
-- where its first contact was undone, so was the issue. (Issues without a resolved case are no agent's.)
with cases as (
  select
    c.contact_day as metric_date, c.channel, c.topic,
    count(*) as cases,
    count(*) filter (where f.undone_day <= {{ data_through() }}) as undone
  from {{ ref('int_contacts') }} c
  join {{ ref('int_case_first_contacts') }} f on c.contact_id = f.first_contact_id
  where c.contact_day <= {{ data_through() }} and {{ tested_days('fcr_daily', 'c.contact_day') }}
  group by 1, 2, 3
)

select metric_date, channel, topic, c.cases, i.issues, c.undone, i.resolved_first_contact
from cases c left join {{ ref('fcr_daily') }} i using (metric_date, channel, topic)
where c.cases > coalesce(i.issues, 0) or c.undone > coalesce(i.issues - i.resolved_first_contact, 0)
   -- an issue that was not undone is resolved
   or c.cases - c.undone > coalesce(i.resolved_first_contact, 0)
