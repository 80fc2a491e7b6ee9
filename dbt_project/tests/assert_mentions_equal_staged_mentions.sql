-- Mentions of the mart, recommendations included, = mentions staged without spam, by day.
with expected as (
  select mention_day as metric_date, count(*) as n
  from {{ ref('stg_social_mentions') }} where _exclusion is null and {{ tested_days('social_daily', 'mention_day') }} group by 1
),

actual as (
  select metric_date, sum(mentions + referral_mentions) as n
  from {{ ref('social_daily') }} where {{ tested_days('social_daily') }} group by 1
)

select metric_date, e.n as staged, a.n as mart
from expected e full join actual a using (metric_date)
where metric_date <= {{ data_through() }} and coalesce(e.n, 0) <> coalesce(a.n, 0)
