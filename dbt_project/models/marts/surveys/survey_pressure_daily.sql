-- grain: one row per day with a delivered invitation in the days before it
{{ config(meta={
    'reach': [{'model': 'int_survey_invitations', 'entity': 'invitation', 'before': 0, 'after': 'survey_pressure_days - 1'}]
}) }}

{#
  How many invitations of the window somebody has changes when one comes and when one is as old as the window. Between, the
  number stands; so a day's distribution is, for each number, the starts minus the ends of the spells with that number.
#}

with bounds as (
  {% if is_incremental() -%}
  select min(day) as first_day, least(max(day), {{ data_through() }}) + 1 as end_day from ({{ affected_days() }})
  {%- else -%}
  select min(sent_day) as first_day, {{ data_through() }} + 1 as end_day
  from {{ ref('int_survey_invitations') }} where status = 'delivered'
  {%- endif %}
),

sent as (
  select i.invitation_id, i.person_id, i.order_id, i.sent_day
  from {{ ref('int_survey_invitations') }} i, bounds b
  where i.status = 'delivered' and i.sent_day > b.first_day - {{ setting('survey_pressure_days') }} and i.sent_day < b.end_day
),

-- whom or what an invitation weighs on; all: the company's invitations together, known person or not
weights as (
  select 'person' as kind, person_id as entity, sent_day, count(*) as n from sent where person_id is not null group by all
  union all
  select 'order', order_id, sent_day, count(*) from sent where order_id is not null group by all
  union all
  select 'all', 'all', sent_day, count(*) from sent group by all
),

changes as (
  select kind, entity, day, sum(n) as n
  from (
    select kind, entity, sent_day as day, n from weights
    union all
    select kind, entity, sent_day + {{ setting('survey_pressure_days') }}, -n from weights
  )
  group by kind, entity, day
),

spells as (
  select
    kind, day as from_day, lead(day, 1, date '9999-12-31') over w as to_day,
    cast(sum(n) over (partition by kind, entity order by day rows unbounded preceding) as bigint) as invitations
  from changes
  window w as (partition by kind, entity order by day)
),

deltas as (
  select kind, invitations, day, sum(n) as n
  from (
    select s.kind, s.invitations, greatest(s.from_day, b.first_day) as day, 1 as n
    from spells s, bounds b where s.invitations > 0 and s.to_day > b.first_day
    union all
    select s.kind, s.invitations, s.to_day, -1
    from spells s, bounds b where s.invitations > 0 and s.to_day > b.first_day and s.to_day < b.end_day
  )
  group by kind, invitations, day
),

spine as (
  select k.kind, k.invitations, cast(d as date) as metric_date
  from (select distinct kind, invitations from deltas) k, bounds,
    unnest(generate_series(cast(first_day as timestamp), cast(end_day - 1 as timestamp), interval 1 day)) as g(d)
),

held as (
  select
    s.metric_date, s.kind, s.invitations,
    cast(sum(coalesce(d.n, 0)) over (partition by s.kind, s.invitations order by s.metric_date rows unbounded preceding) as bigint) as n
  from spine s
  left join deltas d on s.kind = d.kind and s.invitations = d.invitations and s.metric_date = d.day
),

ranked as (
  select
    *,
    sum(n) over (partition by metric_date, kind order by invitations rows unbounded preceding) as up_to_here,
    sum(n) over (partition by metric_date, kind) as everybody
  from held
  where n > 0
),

days as (
  select
    metric_date,
    cast(coalesce(sum(n) filter (where kind = 'person'), 0) as bigint) as persons,
    cast(coalesce(sum(n) filter (where kind = 'person' and invitations > {{ setting('survey_pressure_limit') }}), 0) as bigint) as persons_over_limit,
    cast(coalesce(sum(n * invitations) filter (where kind = 'person'), 0) as bigint) as invitations_known,
    cast(coalesce(sum(n * invitations) filter (where kind = 'all'), 0) as bigint) as invitations,
    -- the smallest number of invitations that half (nine of ten) of the persons do not exceed
    min(invitations) filter (where kind = 'person' and 2 * up_to_here >= everybody) as invitations_p50,
    min(invitations) filter (where kind = 'person' and 10 * up_to_here >= 9 * everybody) as invitations_p90,
    cast(coalesce(sum(n) filter (where kind = 'order'), 0) as bigint) as orders,
    cast(coalesce(sum(n * invitations) filter (where kind = 'order'), 0) as bigint) as order_invitations
  from ranked
  group by metric_date
)

select
  *,
  {{ ratio('invitations_known', 'persons') }} as invitations_per_person,
  {{ ratio('persons_over_limit', 'persons') }} as over_limit_share,
  {{ ratio('order_invitations', 'orders') }} as invitations_per_order,
  {{ is_final('metric_date') }} as is_final,
  {{ final_on('metric_date') }} as final_on
from days
where {{ affected_filter('metric_date') }}
