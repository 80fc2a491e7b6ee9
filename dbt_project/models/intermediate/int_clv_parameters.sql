-- grain: one row per segment and day of a fit that scores: the parameters of its purchase model and its spend model
{# A view: the snapshot of a month is taken in the middle of a run, and a fit just before it is in there (orchestration/lib/clv_snapshot.py). #}
{{ config(materialized='view') }}
-- depends_on: {{ ref('int_customer_purchases') }}: fits are made of it

select
  f.fit_id, f.segment, f.as_of_date as fitted_on, f.model, cast(f.unit_days as double) as unit_days,
  f.r, f.alpha, f.a, f.b, g.p, g.q, g.v, t.bias as backtest_bias
from {{ source('ops', 'clv_fits') }} f
join {{ source('ops', 'clv_fits') }} g on f.fit_id = g.fit_id and g.model = 'gamma_gamma' and g.is_used
left join {{ ops('clv_backtests') }} t on f.fit_id = t.fit_id and f.model = t.model
where f.is_used and f.model in ('bg_nbd', 'mbg_nbd') and f.as_of_date <= {{ data_through() }}
-- of two fits of a day the later one counts
qualify row_number() over (partition by f.segment, f.as_of_date order by f.fitted_at desc, f.fit_id) = 1
