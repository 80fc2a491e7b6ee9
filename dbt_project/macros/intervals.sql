{#
  95 % intervals of one number (z = 1.96), as SQL of its low and high end; NULL where nothing was observed.

  share            Wilson's score interval of k of n: E. B. Wilson, "Probable Inference, the Law of Succession, and
                   Statistical Inference", Journal of the American Statistical Association 22 (1927), 209-212.
  difference       of two shares of the same n answers, as a Net Promoter Score is: the variance of p - d in a multinomial
                   is (p + d) - (p - d)^2, over n; B. Rocks, "Interval Estimation for the Net Promoter Score", The American
                   Statistician 70 (2016), 365-372. It does not leave the bounds of the score.
  mean             of n values with their sum and sum of squares: mean -+ z s / sqrt(n), s^2 with n - 1 below.
#}
{% macro z() -%}1.96{%- endmacro %}

{% macro wilson(k, n, sign) -%}
  case when {{ n }} > 0 then
    {{ 'greatest(0.0, ' if sign == '-' else 'least(1.0, ' }}
      ({{ k }} / {{ n }} + {{ z() }} * {{ z() }} / (2 * {{ n }}) {{ sign }} {{ z() }} * sqrt(
        greatest({{ k }} / {{ n }} * (1 - {{ k }} / {{ n }}), 0) / {{ n }} + {{ z() }} * {{ z() }} / (4 * {{ n }} * {{ n }})
      )) / (1 + {{ z() }} * {{ z() }} / {{ n }})
    )
  end
{%- endmacro %}

{# `above` and `below` are the counts that are subtracted, as in promoters and detractors. #}
{% macro difference_interval(above, below, n, scale, sign) -%}
  case when {{ n }} > 0 then
    greatest(-1.0, least(1.0,
      ({{ above }} - {{ below }}) / {{ n }} {{ sign }} {{ z() }} * sqrt(greatest(
        ({{ above }} + {{ below }}) / {{ n }} - pow(({{ above }} - {{ below }}) / {{ n }}, 2), 0
      ) / {{ n }})
    )) * {{ scale }}
  end
{%- endmacro %}

{% macro mean_interval(total, squares, n, scale, sign) -%}
  case when {{ n }} > 1 then
    ({{ total }} / {{ n }} {{ sign }} {{ z() }} * sqrt(
      greatest({{ squares }} - {{ total }} * {{ total }} / {{ n }}, 0) / ({{ n }} - 1) / {{ n }}
    )) * {{ scale }}
  end
{%- endmacro %}
