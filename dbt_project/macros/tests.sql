{# Tests look at the days this run rebuilt (all days after a full build), so that they cost what changed. #}

{% macro tested_days(mart, column='metric_date') -%}
  ({{ column }} in (select day from {{ ops('affected') }} where mart = '{{ mart }}' and day is not null)
   or exists (from {{ ops('affected') }} where mart = '{{ mart }}' and day is null))
{%- endmacro %}

{% test unique_grain(model, columns) %}
{# No two rows of one grain. Grain columns that are days restrict the test to the days rebuilt. #}
select {{ columns | join(', ') }}, count(*) as rows_of_this_grain
from {{ model }}
{% if 'metric_date' in columns -%} where {{ tested_days(model.identifier) }} {%- endif %}
group by {{ columns | join(', ') }}
having count(*) > 1
{% endtest %}
