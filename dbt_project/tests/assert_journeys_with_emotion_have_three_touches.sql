-- Journeys of the mart = journeys with three valued contacts or more, by the day of the last one.
with journeys as (
  select journey_id, max(emotion_day) as metric_date
  from {{ ref('int_contact_emotions') }}
  where journey_id is not null and emotion is not null
  group by journey_id
  having count(*) >= 3
),

expected as (
  select metric_date, count(*) as n from journeys where {{ tested_days('journey_emotion_daily') }} group by 1
),

actual as (
  select metric_date, sum(journeys) as n
  from {{ ref('journey_emotion_daily') }} where {{ tested_days('journey_emotion_daily') }} group by 1
)

select metric_date, e.n as expected, a.n as mart
from expected e full join actual a using (metric_date)
where metric_date <= {{ data_through() }} and coalesce(e.n, 0) <> coalesce(a.n, 0)
