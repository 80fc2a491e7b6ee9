-- Of one metric, kind, industry and source no two targets hold on one day.
select a.benchmark_id, b.benchmark_id as other_id, a.metric, a.valid_from, a.valid_until
from {{ ref('benchmark_targets') }} a
join {{ ref('benchmark_targets') }} b
  on a.metric = b.metric and a.kind = b.kind and a.industry = b.industry and a.source = b.source
  and a.benchmark_id < b.benchmark_id and a.valid_from < b.valid_until and b.valid_from < a.valid_until
