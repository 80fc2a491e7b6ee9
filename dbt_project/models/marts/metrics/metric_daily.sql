-- grain: one row per metric, grain of time, period and dimensions
{#
  Every metric of the registry in one long table, made of the marts it knows (`graph.metrics`): nothing here names one.
  A metric whose feeds are not all configured has no row; `metrics` says which ones and why.
#}
{{ config(
    incremental_strategy='rolled_quarters',
    pre_hook={"sql": "{{ mark_quarters() }}", "transaction": false},
) }}
{% for mart in metric_marts() -%}
-- depends_on: {{ ref(mart) }}
{% endfor -%}
{%- set metrics = registered_metrics() if execute else [] -%}
{%- set families = metric_families(metrics) if execute else {} %}

with clock as (
  select data_through from {{ ops('clock') }}
),

told as (
  {{ metric_reach(metrics) }}
),

rolled as (
  {%- for key, family in families.items() %}
  {{ summed_rows(family) if family[0].is_summed else own_rows(family) }}
  {{ 'union all' if not loop.last }}
  {%- else %}
  select
    '' as grain, current_date as period_start, current_date as period_end, '' as breakdown, '' as dimensions, 0 as lag,
    {'metric': '', 'parts': '', 'numerator': 0e0, 'denominator': 0e0, 'plus': 0e0, 'minus': 0e0, 'squares': 0e0, 'own_value': 0e0, 'is_divided': false, 'has_own_value': false, 'counts_n': false} as m
  where false
  {%- endfor %}
),

dated as (
  select
    r.grain, r.period_start, r.breakdown, r.dimensions, unnest(r.m),
    least(r.period_end, c.data_through) as metric_date,
    r.period_end + cast(r.lag as integer) as final_on,
    c.data_through as complete_through
  from rolled r cross join clock c
  where r.period_start <= c.data_through
)

select
  d.metric,
  t.mart,
  cast(t.version as integer) as version,
  t.valid_from,
  d.grain,
  d.period_start,
  d.metric_date,
  d.breakdown,
  d.dimensions,
  d.parts,
  d.numerator,
  d.denominator,
  case
    when d.has_own_value then d.own_value
    when d.is_divided then t.scale * d.numerator / nullif(d.denominator, 0)
    else t.scale * d.numerator
  end as value,
  case t.interval
    when 'wilson' then {{ wilson('d.numerator', 'd.denominator', '-') }}
    when 'nps' then {{ difference_interval('d.plus', 'd.minus', 'd.denominator', 't.points', '-') }}
    when 'normal' then {{ mean_interval('d.numerator', 'd.squares', 'd.denominator', 't.scale', '-') }}
  end as interval_low,
  case t.interval
    when 'wilson' then {{ wilson('d.numerator', 'd.denominator', '+') }}
    when 'nps' then {{ difference_interval('d.plus', 'd.minus', 'd.denominator', 't.points', '+') }}
    when 'normal' then {{ mean_interval('d.numerator', 'd.squares', 'd.denominator', 't.scale', '+') }}
  end as interval_high,
  case when d.counts_n then cast(d.denominator as bigint) end as n,
  coalesce(d.counts_n and d.denominator < t.min_n, false) as is_small,
  d.final_on <= d.complete_through as is_final,
  d.final_on,
  least(d.metric_date, t.reaches) as data_through,
  coalesce(d.metric_date > t.reaches, false) as is_stale
from dated d join told t on t.metric = d.metric
