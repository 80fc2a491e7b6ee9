{# Tests look at the days this run rebuilt (all days after a full build), so that they cost what changed. #}

{#
  A condition for `where`, before anything is joined: a plain `in` lets DuckDB pass over the row groups of other days, an
  `or` would read all of them. After a full build it holds for every day, also for those the mart lost.
#}
{% macro tested_days(mart, column='metric_date') -%}
  {{ column }} in (
    select day from {{ ops('affected') }} where mart = '{{ mart }}' and day is not null
    union all
    select cast(d as date)
    from {{ ops('clock') }},
      unnest(generate_series(timestamp '0001-01-01', cast(data_through as timestamp), interval 1 day)) as g(d)
    where exists (from {{ ops('affected') }} where mart = '{{ mart }}' and day is null)
  )
{%- endmacro %}

{% test unique_grain(model, columns) %}
{# No two rows of one grain. Grain columns that are days restrict the test to the days rebuilt. #}
select {{ columns | join(', ') }}, count(*) as rows_of_this_grain
from {{ model }}
{% if 'metric_date' in columns -%} where {{ tested_days(model.identifier) }} {%- endif %}
group by {{ columns | join(', ') }}
having count(*) > 1
{% endtest %}
