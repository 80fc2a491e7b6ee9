-- grain: one row per target or figure of others that ever held, with the days on which it holds
{#
  Clean for a join: of one metric, kind, industry and source one row holds on a day, the one that began last; it holds up
  to the next one, or to the end that it names. Of two that begin on one day the newer version holds. Rebuilt whole:
  there are few rows, and each can end another one.
#}
{{ config(materialized='table', pre_hook="") }}

with rows_in_order as (
  select
    benchmark_id, metric, kind, coalesce(industry, 'unknown') as industry, coalesce(source, 'unknown') as source, value, valid_from,
    coalesce(valid_to + 1, date '9999-12-31') as ends_on,
    lead(valid_from, 1, date '9999-12-31') over (
      partition by metric, kind, coalesce(industry, 'unknown'), coalesce(source, 'unknown')
      order by valid_from, coalesce(updated_at, timestamp '0001-01-01'), benchmark_id
    ) as next_from
  from {{ ref('stg_benchmarks') }}
  where _exclusion is null
)

select
  benchmark_id,
  metric,
  kind,
  industry,
  source,
  value,
  valid_from,
  cast(least(ends_on, next_from) as date) as valid_until,
  valid_from <= {{ data_through() }} and least(ends_on, next_from) > {{ data_through() }} as is_in_force
from rows_in_order
where least(ends_on, next_from) > valid_from
