-- grain: one row per metric of the registry, whether it is on or off
{{ config(materialized='table', pre_hook="") }}
{%- set metrics = registered_metrics() if execute else [] %}

with told as (
  {{ metric_reach(metrics) }}
)

select m.*, t.reaches as data_through, coalesce(t.reaches < c.data_through, false) as is_stale
from (
  {%- for m in metrics %}
  select
    {%- set label = {'en': m.label} %}{% do label.update(m.meta['labels']) %}
    '{{ m.name }}' as metric, '{{ m.mart }}' as mart, {{ m.is_on | lower }} as is_on,
    {{ "'needs " ~ m.missing | join(' and ') | replace('|', ' or ') ~ " in cx.toml'" if m.missing else 'cast(null as varchar)' }} as why_off,
    {{ quoted(m.label) }} as label, {{ quoted(tojson(label)) }} as labels,
    {{ quoted(m.description) }} as description, {{ quoted(m.meta['formula']) }} as formula,
    '{{ m.meta['class'] }}' as class, '{{ m.meta['unit'] }}' as unit, '{{ m.meta['direction'] }}' as direction,
    {{ quoted(m.meta['window']) }} as time_window, {{ quoted(m.meta['matures']) }} as matures,
    ['{{ m.parts | join("', '") }}'] as parts, cast([{% if m.denominator %}'{{ m.denominator | join("', '") }}'{% endif %}] as varchar[]) as denominator, {{ m.scale }} as scale,
    '{{ m.interval }}' as interval, {{ m.min_n }} as min_n, {{ m.version }} as version, date '{{ m.valid_from }}' as valid_from,
    '{{ m.meta['owner'] }}' as owner, ['{{ m.meta['feeds'] | join("', '") }}'] as feeds
  {{ 'union all' if not loop.last }}
  {%- else %}
  select '' as metric
  {%- endfor %}
) m
cross join {{ ops('clock') }} c
left join told t using (metric)
