{#
  What SQL knows of the registry (models/semantic). Belongs here: reading entries from `graph.metrics`, and the rows of
  `metric_daily` made of them. Does not: what an entry must say (orchestration/lib/registry.py), or any metric by name.
#}

{# Feeds that are configured, as a list. #}
{% macro feeds_on() -%}
  {%- do return(run_query("select feed from " ~ ops('feeds') ~ " where is_on").columns[0].values() | list) -%}
{%- endmacro %}

{#
  Every entry with its defaults resolved, as dicts in order of their names. `missing` says which needed feeds are not
  configured: a metric is on when none is, and then its mart is, too.
#}
{% macro registered_metrics() -%}
  {%- set found, models, columns_of = [], {}, {} -%}
  {%- set on = feeds_on() -%}
  {%- for node in graph.nodes.values() if node.resource_type == 'model' %}{% do models.update({node.name: node}) %}{% endfor -%}
  {%- for model in graph.semantic_models.values() -%}
    {%- for dimension in model.dimensions -%}
      {%- do columns_of.update({model.primary_entity ~ '__' ~ dimension.name: dimension.expr or dimension.name}) -%}
    {%- endfor -%}
  {%- endfor -%}
  {%- for node in graph.metrics.values() | sort(attribute='name') if 'mart' in node.config.meta -%}
    {%- set meta, mart, ns = node.config.meta, models[node.config.meta['mart']], namespace(where=[]) -%}
    {%- set grain = mart.config.meta['grain'] -%}
    {%- set filters = [node.filter, (node.type_params.numerator or {}).get('filter')] -%}
    {%- for filter in filters if filter %}{% for one in filter.where_filters -%}
      {%- set text = namespace(sql=one.where_sql_template) -%}
      {%- for name, column in columns_of.items() -%}
        {%- set text.sql = modules.re.sub('\\{\\{\\s*Dimension\\(\\s*[\'"]' ~ name ~ '[\'"]\\s*\\)\\s*\\}\\}', column, text.sql) -%}
      {%- endfor -%}
      {%- do ns.where.append(text.sql | trim) -%}
    {%- endfor %}{% endfor -%}
    {%- set missing = [] -%}
    {%- for needed in meta['feeds'] -%}
      {%- if not needed.split('|') | select('in', on) | list %}{% do missing.append(needed) %}{% endif -%}
    {%- endfor -%}
    {%- set reads = [] -%}
    {%- for needed in meta['feeds'] %}{% do reads.extend(needed.split('|') | select('in', on)) %}{% endfor -%}
    {%- set apart = meta.get('apart') -%}
    {%- if apart is none -%}
      {#- Euros and dollars, answers on different scales, the same persons through different windows have no sum;
          amounts in the reporting currency have one. -#}
      {%- set apart = [] -%}
      {%- if 'currency' in grain and meta['unit'] in ('currency', 'price') and '_reporting' not in meta['parts'] | join(' ') %}{% do apart.append('currency') %}{% endif -%}
      {%- for c in ('scale_id', 'window_days') if c in grain %}{% do apart.append(c) %}{% endfor -%}
    {%- endif -%}
    {%- set interval = meta['interval'] -%}
    {%- set is_dated = 'date' in mart.config.meta -%}
    {%- do found.append({
      'name': node.name, 'label': node.label, 'description': node.description, 'meta': meta, 'mart': mart.name, 'grain': grain,
      'types': mart.columns, 'parts': meta['parts'], 'minus': meta.get('minus', []), 'scale': meta.get('scale', 1),
      'denominator': meta.get('denominator', meta['parts'][1:2]),
      'sumsq': meta.get('sumsq', (meta['parts'][2:3] + ['null'])[0]) if interval == 'normal' else 'null',
      'value': meta.get('value'), 'interval': interval, 'min_n': meta['min_n'],
      'version': meta['version'], 'points': 100 if meta['unit'] == 'points' else meta.get('scale', 1), 'valid_from': meta['valid_from'],
      'where': 'true' if meta.get('cells') == 'all' or not ns.where else ns.where | join(' and '),
      'final_on': (meta['maturity'] ~ '_' if 'maturity' in meta else '') ~ 'final_on',
      'apart': apart, 'is_summed': meta['class'] in ('additive', 'ratio', 'mean') and not is_dated,
      'is_snapshot': meta['class'] == 'snapshot', 'is_dated': is_dated,
      'period': 'period' if 'period' in grain else "'" ~ meta.get('period', 'day') ~ "'",
      'date': mart.config.meta.get('date', 'metric_date'), 'is_whole': mart.config.materialized == 'table',
      'missing': missing, 'reads': reads, 'is_on': not missing and mart.config.meta['feeds'] | select('in', on) | list | length > 0
    }) -%}
  {%- endfor -%}
  {%- do return(found) -%}
{%- endmacro %}

{# The first day of the calendar period a day is in, and its last; `grain` is a column. #}
{% macro period_start(grain, day) -%}
  case {{ grain }}
    when 'week' then cast(date_trunc('week', {{ day }}) as date)
    when 'month' then cast(date_trunc('month', {{ day }}) as date)
    when 'quarter' then cast(date_trunc('quarter', {{ day }}) as date)
    when 'year' then cast(date_trunc('year', {{ day }}) as date)
    else {{ day }}
  end
{%- endmacro %}
{% macro period_end(grain, day) -%}
  case {{ grain }}
    when 'week' then cast(date_trunc('week', {{ day }}) + interval 6 day as date)
    when 'month' then cast(date_trunc('month', {{ day }}) + interval 1 month - interval 1 day as date)
    when 'quarter' then cast(date_trunc('quarter', {{ day }}) + interval 3 month - interval 1 day as date)
    when 'year' then cast(date_trunc('year', {{ day }}) + interval 1 year - interval 1 day as date)
    else {{ day }}
  end
{%- endmacro %}

{# A text as a literal of SQL. #}
{% macro quoted(text) -%}'{{ text | replace("'", "''") }}'{%- endmacro %}

{# SQL of the text of a JSON object with these columns. #}
{% macro json_of(columns) -%}
  {%- if columns -%}
  cast(to_json({ {%- for c in columns %}'{{ c }}': "{{ c }}"{{ ', ' if not loop.last }}{% endfor -%} }) as varchar)
  {%- else -%}'{}'{%- endif -%}
{%- endmacro %}

{# SQL of a list of structs, one a metric of the family, over a relation that has its parts. #}
{% macro metric_structs(family) -%}
  [
    {%- for m in family %}
    {%- set above = ['cast("' ~ m.parts[0] ~ '" as double)'] -%}
    {%- for c in m.minus %}{% do above.append('cast("' ~ c ~ '" as double)') %}{% endfor -%}
    {%- set below, counts = [], [] -%}
    {%- for c in m.denominator -%}
      {%- do below.append('cast("' ~ c ~ '" as double)') -%}
      {%- do counts.append(m.types[c].data_type | lower in ('bigint', 'hugeint', 'integer')) -%}
    {%- endfor %}
    {
      'metric': '{{ m.name }}',
      'parts': {{ json_of(m.parts) }},
      'numerator': {{ above | join(' - ') }},
      'denominator': {{ 'cast(' ~ (below | join(' + ') or 'null') ~ ' as double)' }},
      {#- points have their counts among the parts -#}
      {%- set has_counts = 'promoters' in m.parts and 'detractors' in m.parts and not m.minus %}
      'plus': {{ 'cast(promoters as double)' if has_counts else above[0] }},
      'minus': {{ 'cast(detractors as double)' if has_counts else 'cast(' ~ (above[1:] | join(' + ') or '0') ~ ' as double)' }},
      'squares': cast({{ m.sumsq }} as double),
      'own_value': cast({{ '"' ~ m.value ~ '"' if m.value and not m.is_summed else 'null' }} as double),
      'is_divided': {{ (below | length > 0) | lower }},
      'has_own_value': {{ (m.value is not none and not m.is_summed) | lower }},
      'counts_n': {{ (counts | length > 0 and false not in counts) | lower }}
    }
    {{- ',' if not loop.last }}
    {%- endfor %}
  ]
{%- endmacro %}

{#
  Metrics that read the same rows of one mart in the same way: {key: [metrics]}. A family is aggregated once, whatever
  its number of metrics.
#}
{% macro metric_families(metrics) -%}
  {%- set families = {} -%}
  {%- for m in metrics if m.is_on -%}
    {%- set key = [m.mart, m.where, m.final_on, m.apart | join(','), m.is_summed, m.is_snapshot, m.period] | join('|') -%}
    {%- if key not in families %}{% do families.update({key: []}) %}{% endif -%}
    {%- do families[key].append(m) -%}
  {%- endfor -%}
  {%- do return(families) -%}
{%- endmacro %}

{#
  Rows of a family whose parts are sums: by day, for the total and each single dimension; then days to weeks, months and
  quarters. Doubles are summed as decimals: the sum of doubles depends on their order, and an increment equals a rebuild.
#}
{% macro summed_rows(family) -%}
  {%- set m = family[0] -%}
  {%- set columns = [] -%}
  {%- for one in family %}{% for c in one.parts + one.denominator + ([one.sumsq] if one.sumsq != 'null' else []) %}{% if c not in columns %}{% do columns.append(c) %}{% endif %}{% endfor %}{% endfor -%}
  {%- set dimensions = m.grain | reject('in', ['metric_date'] + m.apart) | list -%}
  select
    grain, period_start, period_end, breakdown, dimensions, lag,
    unnest({{ metric_structs(family) }}) as m
  from (
    select
      g.grain, {{ period_start('g.grain', 'metric_date') }} as period_start, {{ period_end('g.grain', 'metric_date') }} as period_end,
      breakdown, dimensions, max(lag) as lag
      {%- for c in columns %}, {{ summed(c, m.types[c].data_type) }}{% endfor %}
    from (
      select
        metric_date, in_quarter,
        case when false then '' {%- for d in dimensions %} when grouping("{{ d }}") = 0 then '{{ d }}'{% endfor %} else 'total' end as breakdown,
        case
          when false then ''
          {%- for d in dimensions %}
          when grouping("{{ d }}") = 0 then {{ json_of(m.grain | select('in', m.apart + [d]) | list) }}
          {%- endfor %}
          else {{ json_of(m.apart) }}
        end as dimensions,
        max({{ m.final_on }} - metric_date) as lag
        {%- for c in columns %}, {{ summed(c, m.types[c].data_type, first=true) }}{% endfor %}
      from {{ rows_of(m) }}
      group by grouping sets (
        (metric_date, in_quarter {%- for a in m.apart %}, "{{ a }}"{% endfor %})
        {%- for d in dimensions %}, (metric_date, in_quarter {%- for a in m.apart %}, "{{ a }}"{% endfor %}, "{{ d }}"){% endfor %}
      )
    ), (values ('day'), ('week'), ('month'), ('quarter')) as g(grain)
    where in_quarter or g.grain = 'week'
    group by all
  )
{%- endmacro %}

{% macro summed(column, type, first=false) -%}
  {%- if type | lower == 'double' -%}
    {%- if first -%}sum(cast("{{ column }}" as decimal(38, 9))) as "{{ column }}"
    {%- else -%}cast(sum("{{ column }}") as double) as "{{ column }}"{%- endif -%}
  {%- elif type | lower in ('bigint', 'hugeint', 'integer') -%}cast(sum("{{ column }}") as bigint) as "{{ column }}"
  {%- else -%}sum("{{ column }}") as "{{ column }}"{%- endif -%}
{%- endmacro %}

{#
  Rows of a family that are published as the mart has them, each cell for itself: distinct counts in their own periods,
  snapshots (of a period its last day), quantiles and models. A period to date counts on its last day, or as far as data go.
#}
{% macro own_rows(family) -%}
  {%- set m = family[0] -%}
  {%- set dimensions = m.grain | reject('in', ['metric_date', 'period']) | list -%}
  select
    grain, period_start, period_end, breakdown, dimensions, lag,
    unnest({{ metric_structs(family) }}) as m
  from (
    {%- if m.is_dated %}
    select
      *, 'month' as grain, {{ m.date }} as period_start, {{ period_end("'month'", m.date) }} as period_end,
      {{ m.final_on }} - {{ period_end("'month'", m.date) }} as lag,
    {%- elif m.is_snapshot %}
    select
      r.*, g.grain, {{ period_start('g.grain', 'metric_date') }} as period_start, {{ period_end('g.grain', 'metric_date') }} as period_end,
      {{ m.final_on }} - metric_date as lag,
    {%- else %}
    select
      *, {{ m.period }} as grain,
      case
        when {{ m.period }} like 'trailing%' then metric_date + 1 - cast(regexp_extract({{ m.period }}, '[0-9]+') as integer)
        else {{ period_start(m.period, 'metric_date') }}
      end as period_start,
      case when {{ m.period }} like 'trailing%' then metric_date else {{ period_end(m.period, 'metric_date') }} end as period_end,
      {{ m.final_on }} - metric_date as lag,
    {%- endif %}
      'cell' as breakdown, {{ json_of(dimensions) }} as dimensions
    from {{ rows_of(m) }} r
    {%- if m.is_snapshot %}, (values ('day'), ('week'), ('month'), ('quarter')) as g(grain)
    where in_quarter or g.grain = 'week'
    qualify metric_date = max(metric_date) over (partition by g.grain, {{ period_start('g.grain', 'metric_date') }})
    {%- endif %}
  )
  {%- if not m.is_dated and not m.is_snapshot %}
  -- one row a period: its last day, and of the running one the last complete day
  where (in_quarter or grain = 'week') and metric_date = least(period_end, (select data_through from clock))
  {%- endif %}
{%- endmacro %}

{# The rows of a metric's mart that this run reads: its days in the quarters to replace, and those that share a week with them. #}
{% macro rows_of(m) -%}
  {%- if is_incremental() and not m.is_whole -%}
  (
    select t.*, d.in_quarter from {{ ref(m.mart) }} t join {{ ops('rolled') }} d on d.day = t.metric_date and d.mart = '{{ m.mart }}'
    where t.metric_date in (select day from {{ ops('rolled') }} where mart = '{{ m.mart }}') and {{ m.where }}
  )
  {%- else -%}
  (select *, true as in_quarter from {{ ref(m.mart) }} where {{ m.where }})
  {%- endif -%}
{%- endmacro %}

{#
  How far each metric's data reach without a gap: not beyond a refused or missing delivery. One row a metric that is on, with
  what metric_daily says of it. The states of the feeds are read once: to ask anew for each metric took most of a night.
#}
{% macro metric_reach(metrics) -%}
  {%- set on = metrics | selectattr('is_on') | list %}
  select m.metric, m.mart, min(s.complete_through) as reaches, m.is_whole, m.version, m.valid_from, m.scale, m.points, m.interval, m.min_n
  from (
    {%- if on %}
    values
    {%- for m in on %}
      (
        '{{ m.name }}', '{{ m.mart }}', cast([{% for feed in m.reads %}'{{ feed }}'{{ ', ' if not loop.last }}{% endfor %}] as varchar[]),
        {{ m.is_whole | lower }}, {{ m.version }}, date '{{ m.valid_from }}', {{ m.scale }}, {{ m.points }}, '{{ m.interval }}', {{ m.min_n }}
      ){{ ',' if not loop.last }}
    {%- endfor %}
    {%- else %}
    select '', '', cast([] as varchar[]), false, 1, current_date, 1, 1, '', 0 where false
    {%- endif %}
  ) m(metric, mart, feeds, is_whole, version, valid_from, scale, points, interval, min_n)
  left join {{ ops('feed_states') }} s on list_contains(m.feeds, s.feed)
  group by all
{%- endmacro %}

{#
  Pre-hook of `metric_daily`: the days it replaces, by mart, in `ops.rolled`. They are whole quarters: those with a day
  the mart's rows changed on, those not over when last published, and those where time or a feed alone changes what a row
  says of itself; and the days outside that share a week with them (not in_quarter).
#}
{% macro mark_quarters() -%}
  {{ declare_reach() }}
  {%- if is_incremental() and execute %}
  delete from {{ ops('rolled') }};
  insert into {{ ops('rolled') }}
  with clock as (select * from {{ ops('clock') }}),
  told as ({{ metric_reach(registered_metrics()) }}),
  whole as (
    select mart from told where is_whole
    union
    select mart from {{ ops('rebuilt') }} where day is null
  ),
  spans as (
    select min(period_start) as first_day from {{ this }}
    union all
    select min(day) from {{ ops('rebuilt') }}
  ),
  quarters as (
    select mart, cast(date_trunc('quarter', day) as date) as quarter from {{ ops('rebuilt') }} where day is not null
    union
    select t.mart, cast(q.quarter as date)
    from told t, clock c, spans s, unnest(generate_series(
      cast(date_trunc('quarter', least(s.first_day, c.data_through)) as timestamp), cast(c.data_through as timestamp), interval 3 month)) as q(quarter)
    where t.mart in (from whole) or c.published_through is null or q.quarter >= cast(date_trunc('quarter', c.published_through + 1) as timestamp)
    union
    select t.mart, cast(date_trunc('quarter', m.metric_date) as date)
    from {{ this }} m join told t using (metric) cross join clock c
    where m.is_final is distinct from (m.final_on <= c.data_through)
      or m.data_through is distinct from least(m.metric_date, t.reaches)
      or m.is_stale is distinct from coalesce(m.metric_date > t.reaches, false)
  ),
  days as (
    select distinct q.mart, cast(d as date) as day
    from quarters q, unnest(generate_series(
      cast(date_trunc('week', q.quarter) as timestamp),
      cast({{ period_end("'week'", "cast(q.quarter + interval 3 month - interval 1 day as date)") }} as timestamp), interval 1 day
    )) as g(d)
  )
  select mart, day, (mart, cast(date_trunc('quarter', day) as date)) in (select (mart, quarter) from quarters) from days
  {%- else %}
  insert into {{ ops('affected') }} values ('{{ this.name }}', null)
  {%- endif -%}
{%- endmacro %}

{# Replaces the rows of `ops.rolled`: only rows that differ are written, and their days noted in `ops.rebuilt`. #}
{% macro get_incremental_rolled_quarters_sql(arg_dict) -%}
  {%- set columns = arg_dict['dest_columns'] | map(attribute='quoted') | join(', ') -%}
  {%- set target_table, fresh = arg_dict['target_relation'], arg_dict['temp_relation'] -%}
  {%- set key = 'metric, grain, metric_date, dimensions' -%}
  create or replace temp table gone_here as
  select {{ columns }} from {{ target_table }} t
  where case when grain = 'week' then (mart, period_start) in (select (mart, day) from {{ ops('rolled') }})
    else (mart, metric_date) in (select (mart, day) from {{ ops('rolled') }} where in_quarter) end
  except all select {{ columns }} from {{ fresh }};
  create or replace temp table come_here as
  select {{ columns }} from {{ fresh }}
  except all
  select {{ columns }} from {{ target_table }} t
  where case when grain = 'week' then (mart, period_start) in (select (mart, day) from {{ ops('rolled') }})
    else (mart, metric_date) in (select (mart, day) from {{ ops('rolled') }} where in_quarter) end;
  delete from {{ target_table }} where ({{ key }}) in (select ({{ key }}) from gone_here);
  insert into {{ target_table }} ({{ columns }}) select {{ columns }} from come_here;
  {%- for log in ('affected', 'rebuilt') %}
  insert into {{ ops(log) }}
  select distinct '{{ this.name }}', metric_date from (select metric_date from gone_here union all select metric_date from come_here)
  where metric_date not in (select day from {{ ops(log) }} where mart = '{{ this.name }}' and day is not null);
  {%- endfor %}
{%- endmacro %}
