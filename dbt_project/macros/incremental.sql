{#
  Exact increments. Two strategies, each one transaction:

  changed_keys   tables of entities (staging, intermediate). `meta.changed_by` lists the [model, entity] pairs of
                 `ops.changes` whose keys are the model's `unique_key`; the model's SQL reads only those keys
                 (`changed_filter`), and the strategy replaces exactly them, so a key that vanished vanishes.
                 `meta.logs` lists {entity, key, day}: what the replaced and the new rows add to `ops.changes`.
  affected_days  marts. `meta.reach` lists {model, entity, before, after}: a change on day d concerns the mart's days
                 d - before .. d + after (after: open = to the last complete day). `meta.matures_in` (SQL over the
                 columns of ops.settings) says how long time alone still changes a day. A pre-hook turns both into
                 `ops.affected`; the model's SQL reads what those days need, and the strategy replaces exactly them.

  Both logs are emptied only when the days are published, so a run that dies leaves nothing out. Where the table does
  not exist yet, or on --full-refresh, everything is built and nothing is logged.

  dbt-duckdb's own delete+insert deletes only keys that are in the new rows; a day or key that is gone would stay.
#}

{% macro changed_keys(changed_by) -%}
  select key from {{ ops('changes') }} where (model, entity) in (
    {%- for model_name, entity in changed_by %}('{{ model_name }}', '{{ entity }}'){{ ', ' if not loop.last }}{% endfor -%}
  )
{%- endmacro %}

{# A condition that keeps only the keys this run replaces; everything in a full build. `column` as the log writes keys. #}
{% macro changed_filter(column) -%}
  {%- if is_incremental() -%}
    {{ column }} in ({{ changed_keys(config.get('meta')['changed_by']) }})
  {%- else -%}
    true
  {%- endif -%}
{%- endmacro %}

{% macro log_changes(relation, condition) -%}
  {%- for log in config.get('meta').get('logs', []) %}
  insert into {{ ops('changes') }}
  select distinct '{{ this.name }}', '{{ log.entity }}', {{ log.key }}, cast({{ log.day }} as date)
  from {{ relation }} where {{ log.key }} is not null and {{ condition }};
  {%- endfor %}
{%- endmacro %}

{% macro get_incremental_changed_keys_sql(arg_dict) -%}
  {%- set key = arg_dict['unique_key'] -%}
  {%- set columns = arg_dict['dest_columns'] | map(attribute='quoted') | join(', ') -%}
  {%- set replaced = key ~ ' in (' ~ changed_keys(config.get('meta')['changed_by']) ~ ')' -%}
  {{ log_changes(arg_dict['target_relation'], replaced) }}
  delete from {{ arg_dict['target_relation'] }} where {{ replaced }};
  insert into {{ arg_dict['target_relation'] }} ({{ columns }}) select {{ columns }} from {{ arg_dict['temp_relation'] }};
  {{ log_changes(arg_dict['temp_relation'], 'true') }}
{%- endmacro %}

{# Pre-hook of every model with the strategy affected_days. #}
{% macro mark_affected() -%}
  {%- set meta = config.get('meta') -%}
  {%- if is_incremental() -%}
  insert into {{ ops('affected') }}
  with clock as (
    select c.data_through, c.published_through, s.late_allowance_days, {{ meta.get('matures_in', '0') }} as matures_in
    from {{ ops('clock') }} c cross join {{ ops('settings') }} s
  ),
  changed as (
    {% for reach in meta.get('reach', []) -%}
    select day - ({{ reach.before }}) as first_day, {{ 'null' if reach.after == 'open' else 'day + (' ~ reach.after ~ ')' }} as last_day
    from (select {{ 'min(day)' if reach.after == 'open' else 'distinct day' }} as day from {{ ops('changes') }}
          where model = '{{ reach.model }}' and entity = '{{ reach.entity }}' and day is not null) cross join {{ ops('settings') }}
    where day is not null
    union
    {% endfor -%}
    -- days that time alone moves: new ones, and those that were not final when last published
    select coalesce(cast(published_through - late_allowance_days - matures_in + 1 as date), date '1970-01-01'), null from clock
  ),
  days as (
    select distinct cast(d as date) as day
    from changed cross join clock,
      unnest(generate_series(cast(first_day as timestamp),
             cast(least(coalesce(last_day, data_through), data_through) as timestamp), interval 1 day)) as g(d)
  )
  select '{{ this.name }}', day from days
  where day not in (select day from {{ ops('affected') }} where mart = '{{ this.name }}' and day is not null)
  {%- else -%}
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
  delete from {{ arg_dict['target_relation'] }} where {{ day }} in ({{ affected_days() }});
  insert into {{ arg_dict['target_relation'] }} ({{ columns }}) select {{ columns }} from {{ arg_dict['temp_relation'] }};
{%- endmacro %}
