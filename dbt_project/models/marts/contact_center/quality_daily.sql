-- grain: one row per day of the contact evaluated, channel, topic and queue
{{ config(meta={
    'matures_in': 'quality_window_days',
    'reach': [
      {'model': 'stg_contacts', 'entity': 'contact', 'before': 0, 'after': 0},
      {'model': 'int_evaluations', 'entity': 'evaluation', 'before': 0, 'after': 0},
      {'model': 'int_contact_ratings', 'entity': 'response', 'before': 0, 'after': 0},
    ]
}) }}

-- what the customer said of the contact last
with ratings as (
  select contact_id, max_by(is_satisfied, (answered_at, response_id)) as is_satisfied
  from {{ ref('int_contact_ratings') }}
  where {{ affected_filter('contact_day') }}
  group by contact_id
),

evaluated as (
  select
    contact_day as metric_date, channel, topic, queue,
    0 as handled,
    count(*) as evaluations,
    count(distinct contact_id) filter (where is_sampled) as evaluated_contacts,
    count(*) filter (where is_auto_failed) as auto_failed,
    sum(points_earned) as points_earned,
    sum(points_possible) as points_possible,
    -- the evaluation and the customer agree: both good, or neither
    count(is_satisfied) filter (where points_possible > 0) as compared,
    count(*) filter (
      where points_possible > 0 and is_satisfied = (100 * points_earned >= {{ setting('quality_good_percent') }} * points_possible)
    ) as agreeing
  from {{ ref('int_evaluations') }}
  left join ratings using (contact_id)
  where {{ affected_filter('contact_day') }}
  group by all
),

handled as (
  select contact_day, channel, coalesce(topic, 'unknown'), coalesce(queue, 'unknown'), count(*), 0, 0, 0, 0, 0, 0, 0
  from {{ ref('stg_contacts') }}
  where _exclusion is null and direction = 'inbound' and outcome = 'handled' and {{ affected_filter('contact_day') }}
  group by all
),

counted as (
  select
    metric_date, channel, topic, queue,
    cast(sum(handled) as bigint) as handled,
    cast(sum(evaluated_contacts) as bigint) as evaluated_contacts,
    cast(sum(evaluations) as bigint) as evaluations,
    cast(sum(auto_failed) as bigint) as auto_failed,
    cast(sum(points_earned) as decimal(18, 4)) as points_earned,
    cast(sum(points_possible) as decimal(18, 4)) as points_possible,
    cast(sum(compared) as bigint) as compared,
    cast(sum(agreeing) as bigint) as agreeing
  from (from evaluated union all from handled)
  group by metric_date, channel, topic, queue
)

select
  *,
  {{ ratio('points_earned', 'points_possible') }} as quality_score,
  {{ ratio('auto_failed', 'evaluations') }} as auto_fail_rate,
  {{ ratio('evaluated_contacts', 'handled') }} as sample_rate,
  {{ ratio('agreeing', 'compared') }} as csat_agreement,
  {{ is_final('metric_date', 'quality_window_days') }} as is_final,
  {{ final_on('metric_date', 'quality_window_days') }} as final_on
from counted
