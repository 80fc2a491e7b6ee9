{#
  Kaplan and Meier's product-limit estimate, the one of the project: contracts (survival) and gaps between purchases
  (repurchase_survival). Belongs here: the estimate and its error. Does not: what begins, ends or is censored.

  E. L. Kaplan and P. Meier, "Nonparametric Estimation from Incomplete Observations", Journal of the American Statistical
  Association 53 (1958), 457-481; the variance is Greenwood's (1926).
#}

{#
  One row per curve and whole day 1 .. the longest duration of the curve, with the columns of `curve`, the duration, at_risk
  (who was observed for at least so long), the events, survival (estimated share beyond this duration) and standard_error.

  `observed` is a relation with the columns of `curve`, the duration in days, `left_here` (how many were observed for
  exactly so long, by an event or censored) and, under the name of `events`, how many of these by an event; rows of one
  duration are added up. Who is censored on a day was at risk on it: events come first. A duration of 0 was never at risk.

  Logarithms are summed as decimals: sums of doubles depend on the order in which they are added, and so on what else is
  built in the same run.
#}
{% macro kaplan_meier(observed, curve, duration, events) -%}
  {%- set of_curve = curve | join(', ') -%}
  select
    {{ of_curve }}, cast({{ duration }} as integer) as {{ duration }}, at_risk, {{ events }}, survival,
    survival * sqrt(cast(coalesce(greenwood, 0) as double)) as standard_error
  from (
    select *, case when is_nobody_left then 0.0 else exp(cast(coalesce(log_survival, 0) as double)) end as survival
    from (
      select
        *,
        sum(case when {{ events }} < at_risk then cast(ln(1 - {{ events }} / at_risk) as decimal(38, 18)) end) over to_date as log_survival,
        count(*) filter (where {{ events }} = at_risk) over to_date > 0 as is_nobody_left,
        sum(case when {{ events }} < at_risk then cast({{ events }} / (at_risk * (at_risk - {{ events }})) as decimal(38, 18)) end) over to_date
          as greenwood
      from (
        select
          {{ of_curve }}, {{ duration }},
          cast(coalesce(o.{{ events }}, 0) as bigint) as {{ events }},
          cast(sum(coalesce(o.left_here, 0)) over (partition by {{ of_curve }} order by {{ duration }} desc) as bigint) as at_risk
        from (
          select {{ of_curve }}, cast(t as bigint) as {{ duration }}
          from (select {{ of_curve }}, max({{ duration }}) as longest from {{ observed }} group by {{ of_curve }}) c,
            unnest(generate_series(1, c.longest)) as g(t)
        ) days
        left join (
          select {{ of_curve }}, {{ duration }}, sum(left_here) as left_here, sum({{ events }}) as {{ events }}
          from {{ observed }} group by {{ of_curve }}, {{ duration }}
        ) o using ({{ of_curve }}, {{ duration }})
      )
      window to_date as (partition by {{ of_curve }} order by {{ duration }} rows unbounded preceding)
    )
  )
{%- endmacro %}

{#
  The month ends a curve of everything known at a month's end is made for: those among the affected days, or all complete
  ones since the `first_day` that a query gives.
#}
{% macro month_ends(first_day) -%}
  {% if is_incremental() -%}
  select day as metric_date from ({{ affected_days() }}) where day = last_day(day) and day <= {{ data_through() }}
  {%- else -%}
  select last_day(cast(m as date)) as metric_date
  from ({{ first_day }}) s(first_day),
    unnest(generate_series(
      date_trunc('month', s.first_day), date_trunc('month', cast({{ data_through() }} as timestamp)), interval 1 month
    )) as g(m)
  where last_day(cast(m as date)) <= {{ data_through() }}
  {%- endif %}
{%- endmacro %}
