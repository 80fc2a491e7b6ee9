{#
  What SQL reads from the bookkeeping schema `ops`, which orchestration writes: configured values, the clock, the log of
  changes, the affected days. Belongs here: every mention of `ops`. Does not: anything about a metric.
#}

{% macro ops(table) -%}{{ target.database }}.ops.{{ table }}{%- endmacro %}

{# A configured value of cx.toml, as a scalar. #}
{% macro setting(name) -%}(select {{ name }} from {{ ops('settings') }}){%- endmacro %}

{# The last complete business day: marts hold nothing later. #}
{% macro data_through() -%}(select data_through from {{ ops('clock') }}){%- endmacro %}

{# The calendar day of a UTC instant in the business time zone; days of 23 and 25 hours come out right. #}
{% macro business_time(instant) -%}timezone({{ setting('timezone') }}, timezone('UTC', {{ instant }})){%- endmacro %}
{% macro business_day(instant) -%}cast({{ business_time(instant) }} as date){%- endmacro %}

{# The UTC instant at which the last complete day ends. #}
{% macro data_end() -%}
  timezone('UTC', timezone({{ setting('timezone') }}, cast({{ data_through() }} + 1 as timestamp)))
{%- endmacro %}

{# Maturity: a day's value is final once `matures_in` more days and the allowance for late rows are complete. #}
{% macro final_on(day, matures_in='0') -%}
  cast({{ day }} + cast((select {{ matures_in }} + late_allowance_days from {{ ops('settings') }}) as integer) as date)
{%- endmacro %}
{% macro is_final(day, matures_in='0') -%}({{ final_on(day, matures_in) }} <= {{ data_through() }}){%- endmacro %}

{# NULL, not inf or 0 %, where nothing was observed. #}
{% macro ratio(numerator, denominator) -%}
  cast({{ numerator }} as double) / nullif(cast({{ denominator }} as double), 0)
{%- endmacro %}
