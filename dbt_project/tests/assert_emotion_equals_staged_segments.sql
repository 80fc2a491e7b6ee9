-- Segments of the mart = segments staged that are no agent's and of no spam or test person, by the day of their contact's first one.
with firsts as (
  select s.contact_id, min(s.segment_day) as metric_date, count(*) as n
  from {{ ref('stg_sentiment_segments') }} s
  left join {{ ref('stg_contacts') }} c on s.contact_id = c.contact_id
  where s._exclusion is null and coalesce(s.speaker, 'customer') <> 'agent' and coalesce(c._exclusion, '') <> 'spam'
  group by s.contact_id
  having coalesce(
    any_value(c.person_id), arg_min(s.person_id, (s.segment_index, s.segment_id)) filter (where s.person_id is not null), ''
  ) not in (select person_id from {{ ref('int_excluded_persons') }})
),

expected as (
  select metric_date, sum(n) as n from firsts where {{ tested_days('emotion_daily') }} group by 1
),

actual as (
  select metric_date, sum(segments) as n
  from {{ ref('emotion_daily') }} where {{ tested_days('emotion_daily') }} group by 1
)

select metric_date, e.n as staged, a.n as mart
from expected e full join actual a using (metric_date)
where metric_date <= {{ data_through() }} and coalesce(e.n, 0) <> coalesce(a.n, 0)
