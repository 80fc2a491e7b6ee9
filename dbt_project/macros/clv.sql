{#
  Customer lifetime value from parameters that a fit has left in ops.clv_fits (orchestration/lib/clv_fit.py). Belongs here:
  recency, frequency and value as of a day, which fit scores whom, the scores. Does not: estimating parameters.

  Two functions are Python's (orchestration/lib/dbt_functions.py), because SQL has no hypergeometric function. They do not
  depend on when somebody bought last, so they are called once for each pair of frequency and age, and looked up.
#}

{#
  Recency, frequency, age and value of every customer as of a day: columns as_of_date, person_id, first_purchase_day,
  frequency (purchase days after the first one), recency_days (first to last purchase), age_days (first purchase to the
  day), mean_value (of a purchase day after the first; NULL without one), segment (what customers are told apart by: their
  own fit each, where they are enough). Source of the conventions: Fader, Hardie, "Creating an RFM summary using Excel",
  2008; every library follows them.

  With `days`, a relation with the column `day`, as of each of them; `as_of` is that column then.
#}
{% macro customer_rfm(purchases, segments, as_of, days=none) -%}
  select
    x.*,
    coalesce(case {{ setting('clv_segment') }}
      when 'entry_channel' then s.entry_channel
      when 'first_product_category' then s.first_product_category
      else 'all'
    end, 'unknown') as segment
  from (
    select
      {{ as_of }} as as_of_date,
      person_id,
      first_purchase_day,
      count(*) filter (where known_day = purchase_day) - 1 as frequency,
      max(purchase_day) - first_purchase_day as recency_days,
      {{ as_of }} - first_purchase_day as age_days,
      case when count(*) filter (where known_day = purchase_day) > 1 then
        cast(sum(amount) filter (where purchase_day > first_purchase_day) as double)
        / (count(*) filter (where known_day = purchase_day) - 1)
      end as mean_value
    from {{ purchases }}{{ ', ' ~ days if days }}
    where known_day <= {{ as_of }}
    group by {{ as_of ~ ', ' if days }}person_id, first_purchase_day
  ) x
  left join {{ segments }} s on x.person_id = s.person_id
{%- endmacro %}

{# Hook: the same as a table function of the warehouse, for fits and for any past day. #}
{% macro define_customer_rfm(segments) -%}
  create or replace macro {{ this.schema }}.customer_rfm(as_of) as table
  {{ customer_rfm(this.schema ~ '.' ~ this.identifier, segments.schema ~ '.' ~ segments.identifier, 'as_of') }}
{%- endmacro %}

{#
  Which parameters score a segment on a day, of `asked` (as_of_date, segment): those of the newest fit up to the day, the
  segment's own unless that is four intervals older than the one of all customers. Before the first fit of all: of the fit
  that is nearest, so that a fit moves no month that is more than a year before it.
#}
{% macro clv_parameters(asked) -%}
  select d.as_of_date as scored_on, d.segment as scored_segment, p.*
  from (select distinct as_of_date, segment from {{ asked }}) d
  join {{ ref('int_clv_parameters') }} p on p.segment in (d.segment, 'all')
  left join (
    select d.as_of_date, max(p.fitted_on) as newest
    from (select distinct as_of_date from {{ asked }}) d
    join {{ ref('int_clv_parameters') }} p on p.segment = 'all' and p.fitted_on <= d.as_of_date
    group by d.as_of_date
  ) n on d.as_of_date = n.as_of_date
  qualify row_number() over (
    partition by d.as_of_date, d.segment
    order by
      p.fitted_on <= d.as_of_date desc,
      p.segment <> 'all' and coalesce(p.fitted_on >= n.newest - 4 * {{ setting('clv_fit_days') }}, false) desc,
      abs(d.as_of_date - p.fitted_on),
      p.segment <> 'all' desc
  ) = 1
{%- endmacro %}

{#
  CTEs `fits`, `lookup` and `scores` over a CTE `rfm` (columns of customer_rfm). Sources: Fader, Hardie, Lee 2005
  (bg_nbd), Batislam, Denizel, Filiztekin 2007 (mbg_nbd), Fader, Hardie 2013 (gamma_gamma). P(alive) is computed from its
  log-odds; at frequency 0 bg_nbd has nobody inactive.
#}
{% macro clv_scores() -%}
fits as materialized ({{ clv_parameters('rfm') }}),

scored as materialized (
  select
    x.*, f.* exclude (segment, scored_on, scored_segment), f.segment as fit_segment,
    x.age_days / f.unit_days as age, x.recency_days / f.unit_days as recency
  from rfm x join fits f on x.as_of_date = f.scored_on and x.segment = f.scored_segment
),

-- a month is a twelfth of a year of 365 days, and what is bought in one is discounted from its end
lookup as materialized (
  select
    fit_id, frequency, age_days,
    {%- for days in [90, 180, 365] %}
    cx_expected_purchases(model, r, alpha, a, b, frequency, age, {{ days }} / unit_days) as purchases_{{ days }}d,
    {%- endfor %}
    {%- for months in [12, 24] %}
    cx_discounted_purchases(
      model, r, alpha, a, b, frequency, age, {{ months }}, 365 / 12 / unit_days, pow(1 + {{ setting('clv_discount_rate') }}, 1 / 12) - 1
    ) as discounted_{{ months }}m {{- ',' if not loop.last }}
    {%- endfor %}
  from (select distinct fit_id, model, unit_days, r, alpha, a, b, frequency, age_days, age from scored)
),

alive as (
  select
    s.*, l.* exclude (fit_id, frequency, age_days),
    case
      when s.frequency = 0 and s.model = 'bg_nbd' then 1
      else 1 / (1 + exp(
        ln(s.a) - ln(s.b + s.frequency - case s.model when 'bg_nbd' then 1 else 0 end)
        + (s.r + s.frequency) * (ln(s.alpha + s.age) - ln(s.alpha + s.recency))
      ))
    end as p_alive,
    s.p * (s.v + s.frequency * greatest(coalesce(s.mean_value, 0), 0)) / (s.p * s.frequency + s.q - 1) as expected_spend
  from scored s
  join lookup l on s.fit_id = l.fit_id and s.frequency = l.frequency and s.age_days = l.age_days
),

scores as (
  select
    *,
    {%- for days in [90, 180, 365] %}
    p_alive * purchases_{{ days }}d as expected_purchases_{{ days }}d,
    p_alive * (1 - pow((alpha + age) / (alpha + age + {{ days }} / unit_days), r + frequency)) as p_purchase_{{ days }}d,
    {%- endfor %}
    {%- for months in [12, 24] %}
    {{ setting('margin_share') }} * p_alive * discounted_{{ months }}m * expected_spend as clv_{{ months }}m {{- ',' if not loop.last }}
    {%- endfor %}
  from alive
)
{%- endmacro %}

{# Everybody's scores as of a day: the rows of the mart clv_predicted, or those of any past day. #}
{% macro clv_predicted_as_of(as_of) -%}
with rfm as materialized ({{ customer_rfm(ref('int_customer_purchases'), ref('int_customer_segments'), as_of) }}),

{{ clv_scores() }}

select
  person_id,
  as_of_date,
  segment,
  cast(date_trunc('month', first_purchase_day) as date) as cohort_month,
  fitted_on,
  fit_segment,
  model,
  frequency,
  recency_days,
  age_days,
  mean_value,
  p_alive,
  expected_purchases_90d,
  expected_purchases_180d,
  expected_purchases_365d,
  p_purchase_90d,
  p_purchase_180d,
  p_purchase_365d,
  expected_spend,
  clv_12m,
  clv_24m,
  backtest_bias
from scores
{%- endmacro %}
