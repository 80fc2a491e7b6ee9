{#
  Exact increments. Two strategies (and `whole_table`, a small sister of the first), each one transaction:

  changed_keys   tables of entities (staging, intermediate). `meta.changed_by` lists the [model, entity] pairs of
                 `ops.changes` whose keys are the model's `unique_key`, or [model, entity, {table, on, key}] where the
                 logged keys are found in column `on` of a table that knows the model's key; without `on` a change concerns
                 every row of that table (a calendar, a target). The model's SQL reads only
                 those keys (`changed_filter`), and the strategy replaces exactly them, so a key that vanished vanishes.
                 `meta.logs` lists {entity, key, day}: what rows that really differ add to `ops.changes`, with the
                 deliveries and the cause that moved them. A row delivered again unchanged moves nothing downstream.
                 A log with `compare` (columns) holds only rows that differ in these: of an interval that ends otherwise,
                 its end moves and its start does not. A log with `cause` says that instead of what moved it.
                 `meta.matched_on_day`: a change concerns only the rows of its own day (column named), not the whole key.
  affected_days  marts. `meta.reach` lists {model, entity, before, after}: a change on day d concerns the mart's days
                 d - before .. d + after (after: open = to the last complete day). `meta.matures_in` (SQL over the
                 columns of ops.settings) says how long time alone still changes a day. A pre-hook turns both into
                 `ops.affected`, the days to look at; the model's SQL reads what those need, and the strategy replaces
                 exactly the days whose rows differ, and notes them in `ops.rebuilt`.

  The logs are emptied only when the days are published, so a run that dies leaves nothing out. Where the table does
  not exist yet, or on --full-refresh, everything is built and nothing is logged.

  dbt-duckdb's own delete+insert deletes only keys that are in the new rows; a day or key that is gone would stay.
#}

{# What moved since the last publication, as (key, day, delivery, cause) with keys of the model that asks. #}
{% macro changed(changed_by) -%}
  {%- for change in changed_by %}
  {%- if change | length == 2 %}
  select key, day, delivery, cause from {{ ops('changes') }} where model = '{{ change[0] }}' and entity = '{{ change[1] }}'
  {%- elif not change[2].on %}
  select t.{{ change[2].key }} as key, cast(null as date) as day, c.delivery, c.cause
  from (select distinct delivery, cause from {{ ops('changes') }} where model = '{{ change[0] }}' and entity = '{{ change[1] }}') c
  cross join (select distinct {{ change[2].key }} from {{ ref(change[2].table) }}) t
  {%- else %}
  select t.{{ change[2].key }} as key, c.day, c.delivery, c.cause
  from {{ ops('changes') }} c join {{ ref(change[2].table) }} t on c.key = t.{{ change[2].on }}
  where c.model = '{{ change[0] }}' and c.entity = '{{ change[1] }}'
  {%- endif %}
  {{ 'union all' if not loop.last }}
  {%- endfor %}
{%- endmacro %}

{# A condition that keeps only the keys this run replaces; everything in a full build. `column` as the log writes keys. #}
{% macro changed_filter(column, day=none) -%}
  {%- if not is_incremental() -%}
    true
  {%- elif day is none -%}
    {{ column }} in (select key from ({{ changed(config.get('meta')['changed_by']) }}))
  {%- else -%}
    {#- The day alone comes first: it costs little, and DuckDB passes over the row groups of other days. #}
    {{ day }} in (select day from ({{ changed(config.get('meta')['changed_by']) }}))
    and ({{ column }}, {{ day }}) in (select (key, day) from ({{ changed(config.get('meta')['changed_by']) }}))
  {%- endif -%}
{%- endmacro %}

{% macro get_incremental_changed_keys_sql(arg_dict) -%}
  {%- set key = arg_dict['unique_key'] -%}
  {%- set meta = config.get('meta') -%}
  {%- set target_table, fresh = arg_dict['target_relation'], arg_dict['temp_relation'] -%}
  {%- set columns = arg_dict['dest_columns'] | map(attribute='quoted') | join(', ') -%}
  {#- Where a row came from is not what it says. -#}
  {%- set content = arg_dict['dest_columns'] | rejectattr('name', 'in', ['_delivery', '_line']) | map(attribute='quoted') | join(', ') -%}
  {%- set day = meta.get('matched_on_day') -%}
  {%- set is_replaced -%}
    {%- if day -%}
    {{ day }} in (select day from changed_here) and ({{ key }}, {{ day }}) in (select (key, day) from changed_here)
    {%- else -%}
    {{ key }} in (select key from changed_here)
    {%- endif -%}
  {%- endset -%}
  create or replace temp table changed_here as {{ changed(meta['changed_by']) }};
  create or replace temp table moved_here as
  with replaced as (select {{ content }} from {{ target_table }} where {{ is_replaced }}),
  gone as (from replaced except all select {{ content }} from {{ fresh }}),
  come as (select {{ content }} from {{ fresh }} except all from replaced)
  select *, true as _is_gone from gone
  union all
  select *, false from come;
  {%- for log in meta.get('logs', []) %}
  insert into {{ ops('changes') }}
  with differing as (
    {%- if log.compare %}
    {%- set compared = log.compare | join(', ') %}
    select *, true as _is_gone
    from (select {{ compared }} from moved_here where _is_gone except all select {{ compared }} from moved_here where not _is_gone)
    union all
    select *, false
    from (select {{ compared }} from moved_here where not _is_gone except all select {{ compared }} from moved_here where _is_gone)
    {%- else %}
    from moved_here
    {%- endif %}
  ),
  moved as (
    select
      *,
      case
        when bool_or(_is_gone) over (partition by {{ key }}) and bool_or(not _is_gone) over (partition by {{ key }}) then 'correction'
        when _is_gone then 'deletion'
        else 'late_rows'
      end as _cause
    from differing
  )
  select distinct '{{ this.name }}', '{{ log.entity }}', m.{{ log.key }}, cast({{ 'm.' ~ log.day if log.day != 'null' else 'null' }} as date), c.delivery,
    {{ "'" ~ log.cause ~ "'" if log.cause else 'coalesce(c.cause, m._cause)' }}
  from moved m
  {%- if day %}
  left join (select distinct key, day, delivery, cause from changed_here) c on c.key = m.{{ key }} and c.day = m.{{ day }}
  {%- else %}
  left join (select distinct key, delivery, cause from changed_here) c on c.key = m.{{ key }}
  {%- endif %}
  where m.{{ log.key }} is not null;
  {%- endfor %}
  delete from {{ target_table }} where {{ is_replaced }};
  insert into {{ target_table }} ({{ columns }}) select {{ columns }} from {{ fresh }};
{%- endmacro %}

{#
  Small tables in which one changed row can move any other one: replaced whole, and what differs is logged. A row was
  moved by whatever changed one of its `meta.moved_by` columns.
#}
{% macro get_incremental_whole_table_sql(arg_dict) -%}
  {%- set meta = config.get('meta') -%}
  {%- set columns = arg_dict['dest_columns'] | map(attribute='quoted') | join(', ') -%}
  create or replace temp table moved_here as
  (from {{ arg_dict['target_relation'] }} except all select {{ columns }} from {{ arg_dict['temp_relation'] }})
  union all
  (select {{ columns }} from {{ arg_dict['temp_relation'] }} except all from {{ arg_dict['target_relation'] }});
  {%- for log in meta['logs'] %}
  insert into {{ ops('changes') }}
  select distinct '{{ this.name }}', '{{ log.entity }}', m.{{ log.key }}, cast(null as date), c.delivery, '{{ log.cause }}'
  from moved_here m
  left join (select distinct key, delivery from ({{ changed(meta['changed_by']) }})) c
    on c.key in ({{ 'm.' ~ meta['moved_by'] | join(', m.') }});
  {%- endfor %}
  delete from {{ arg_dict['target_relation'] }};
  insert into {{ arg_dict['target_relation'] }} ({{ columns }}) select {{ columns }} from {{ arg_dict['temp_relation'] }};
{%- endmacro %}

{#
  Pre-hook of marts: how far a change reaches, for `mark_affected` and for whoever asks what caused a restatement; and
  that this run builds the mart whole, where it does.
#}
{% macro declare_reach() -%}
  delete from {{ ops('reach') }} where mart = '{{ this.name }}';
  {%- for reach in (config.get('meta').get('reach', []) if execute else []) %}
  insert into {{ ops('reach') }}
  select '{{ this.name }}', '{{ reach.model }}', '{{ reach.entity }}', {{ reach.before }}, {{ 'null' if reach.after == 'open' else reach.after }}
  from {{ ops('settings') }};
  {%- endfor %}
  {%- if not is_incremental() and (flags.FULL_REFRESH or config.get('materialized') == 'incremental') %}
  insert into {{ ops('rebuilt') }} values ('{{ this.name }}', null);
  {%- endif %}
{%- endmacro %}

{# Pre-hook of every model with the strategy affected_days. #}
{% macro mark_affected() -%}
  {{ declare_reach() }}
  {%- if is_incremental() %}
  insert into {{ ops('affected') }}
  with clock as (
    select c.data_through, c.published_through, s.late_allowance_days, {{ config.get('meta').get('matures_in', '0') }} as matures_in
    from {{ ops('clock') }} c cross join {{ ops('settings') }} s
  ),
  changed_days as (
    select r.before_days, r.after_days, c.day
    from {{ ops('reach') }} r
    join (select distinct model, entity, day from {{ ops('changes') }} where day is not null) c using (model, entity)
    where r.mart = '{{ this.name }}'
  ),
  spans as (
    select day - before_days as first_day, day + after_days as last_day from changed_days where after_days is not null
    union
    select min(day - before_days), null from changed_days where after_days is null having count(*) > 0
    union
    -- days that time alone moves: new ones, and those that were not final when last published
    select coalesce(cast(published_through - late_allowance_days - matures_in + 1 as date), date '1970-01-01'), null from clock
  ),
  days as (
    select distinct cast(d as date) as day
    from spans cross join clock,
      unnest(generate_series(cast(first_day as timestamp),
             cast(least(coalesce(last_day, data_through), data_through) as timestamp), interval 1 day)) as g(d)
  )
  select '{{ this.name }}', day from days
  where day not in (select day from {{ ops('affected') }} where mart = '{{ this.name }}' and day is not null)
  {%- else %}
  insert into {{ ops('affected') }} values ('{{ this.name }}', null)
  {%- endif -%}
{%- endmacro %}

{# The days this run rebuilds, as a subquery. #}
{% macro affected_days() -%}
  select day from {{ ops('affected') }} where mart = '{{ this.name }}' and day is not null
{%- endmacro %}

{# Keeps only the days this run rebuilds, and none after the last complete day. #}
{% macro affected_filter(column) -%}
  {%- if is_incremental() -%}
    {{ column }} in ({{ affected_days() }}) and {{ column }} <= {{ data_through() }}
  {%- else -%}
    {{ column }} <= {{ data_through() }}
  {%- endif -%}
{%- endmacro %}

{# First and last day of what this run rebuilds, widened; for scans that need neighbours of the affected days. #}
{% macro affected_range(column, before=0, after=0) -%}
  {%- if is_incremental() -%}
    {{ column }} >= (select min(day) - {{ before }} from ({{ affected_days() }}))
    and {{ column }} <= (select max(day) + {{ after }} from ({{ affected_days() }}))
  {%- else -%}
    true
  {%- endif -%}
{%- endmacro %}

{% macro get_incremental_affected_days_sql(arg_dict) -%}
  {%- set columns = arg_dict['dest_columns'] | map(attribute='quoted') | join(', ') -%}
  {%- set day = config.get('meta').get('day', 'metric_date') -%}
  {%- set target_table, fresh = arg_dict['target_relation'], arg_dict['temp_relation'] -%}
  create or replace temp table rebuilt_here as
  with replaced as (select {{ columns }} from {{ target_table }} where {{ day }} in ({{ affected_days() }}))
  select distinct {{ day }} as day from (
    (from replaced except all select {{ columns }} from {{ fresh }})
    union all
    (select {{ columns }} from {{ fresh }} except all from replaced)
  );
  delete from {{ target_table }} where {{ day }} in (select day from rebuilt_here);
  insert into {{ target_table }} ({{ columns }}) select {{ columns }} from {{ fresh }} where {{ day }} in (select day from rebuilt_here);
  insert into {{ ops('rebuilt') }} select '{{ this.name }}', day from rebuilt_here
  where day not in (select day from {{ ops('rebuilt') }} where mart = '{{ this.name }}' and day is not null);
{%- endmacro %}
