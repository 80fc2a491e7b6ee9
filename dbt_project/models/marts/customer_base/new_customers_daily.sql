-- grain: one row per day and channel
{{ config(meta={
    'reach': [
      {'model': 'int_customer_starts', 'entity': 'customer', 'before': 0, 'after': 0},
      {'model': 'stg_marketing_spend', 'entity': 'spend', 'before': 0, 'after': 0},
    ]
}) }}

{# Where the customers of a channel are not known apart, its row holds what it cost, and the sum over channels is what counts. #}

with parts as (
  select
    acquired_day as metric_date, case when is_referred then 'referral' else 'unknown' end as channel,
    1 as new_customers, cast(0 as decimal(18, 4)) as media_spend, cast(0 as decimal(18, 4)) as acquisition_spend
  from {{ ref('int_customer_starts') }}
  where acquired_day is not null and {{ affected_filter('acquired_day') }}

  union all

  select spend_date, channel, 0, case when cost_category = 'media' then amount else 0 end, amount
  from {{ ref('stg_marketing_spend') }}
  where _exclusion is null and {{ affected_filter('spend_date') }}
),

sums as (
  select
    metric_date, channel,
    cast(sum(new_customers) as bigint) as new_customers,
    cast(sum(media_spend) as decimal(18, 4)) as media_spend,
    cast(sum(acquisition_spend) as decimal(18, 4)) as acquisition_spend
  from parts
  group by metric_date, channel
)

select
  *,
  {{ ratio('media_spend', 'new_customers') }} as cac_paid,
  {{ ratio('acquisition_spend', 'new_customers') }} as cac_full,
  {{ is_final('metric_date') }} as is_final,
  {{ final_on('metric_date') }} as final_on
from sums
