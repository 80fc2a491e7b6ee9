{#
  What the kinds of survey questions have in common. Belongs here: which kinds are choices, and the cuts of well-known scales
  where the scale registry (feed surveys) says nothing. Does not: which scale a question has (int_survey_answers).
#}

{# Kinds that are answered by an option and not by a number. #}
{% macro choice_kinds() -%} ('visitor_intent', 'task_completion') {%- endmacro %}

{#
  First favourable answer after mirroring: 4 of 5, 8 of 10, 5 of 7 for effort, and yes. NULL for a scale that nobody agreed on:
  its answers have a mean, but no favourable share.
#}
{% macro usual_favourable_from(kind, low, high) -%}
  case
    when {{ kind }} in ('csat', 'ces', 'overall_experience', 'satisfaction') and {{ low }} = 1 and {{ high }} = 5 then 4
    when {{ kind }} in ('csat', 'overall_experience', 'satisfaction') and {{ low }} in (0, 1) and {{ high }} = 10 then 8
    when {{ kind }} = 'ces' and {{ low }} = 1 and {{ high }} = 7 then 5
    when {{ kind }} in ('satisfaction', 'resolved') and {{ low }} = 0 and {{ high }} = 1 then 1
  end
{%- endmacro %}

{# The name of a scale: answers under different names are never pooled. #}
{% macro scale_id(kind, low, high, direction, favourable_from) -%}
  {{ kind }} || ' ' || format('{:g}-{:g}', cast({{ low }} as double), cast({{ high }} as double)) || ' ' || {{ direction }}
    || coalesce(' from ' || format('{:g}', cast({{ favourable_from }} as double)), '')
{%- endmacro %}

{# Promoters 9-10, passives 7-8, detractors 0-6: every answer is one of the three. #}
{% macro nps_class(score) -%}
  case when {{ score }} >= 9 then 'promoter' when {{ score }} >= 7 then 'passive' else 'detractor' end
{%- endmacro %}
