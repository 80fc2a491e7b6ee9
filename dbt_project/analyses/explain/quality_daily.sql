-- grain: one row per cell of quality_daily, part and source row (macros/explain.sql)
with criteria as (
  {{ criterion_rows() }}
),

-- a contact that was evaluated twice is one evaluated contact
firsts as (
  select contact_id, min(evaluation_id) as evaluation_id from {{ ref('int_evaluations') }} where is_sampled group by contact_id
),

ratings as (
  select contact_id, max_by(is_satisfied, (answered_at, response_id)) as is_satisfied, max_by(response_id, (answered_at, response_id)) as response_id
  from {{ ref('int_contact_ratings') }}
  group by contact_id
),

compared as (
  select
    c.*, r.response_id, f.evaluation_id is not null as is_first_of_contact,
    case when c.points_possible > 0 and r.is_satisfied is not null then
      cast(r.is_satisfied = (100 * c.points_earned >= {{ setting('quality_good_percent') }} * c.points_possible) as integer) end as agrees
  from criteria c
  left join ratings r on c.contact_id = r.contact_id
  left join firsts f on c.evaluation_id = f.evaluation_id
),

counted as (
  select
    contact_day as metric_date, channel, topic, queue, evaluation_id as entity, 'qa_evaluations' as feed, _key,
    case when not applies then 'does not apply, or has no points' end as left_out,
    criterion || ' of contact ' || contact_id
      || case when is_auto_failed and is_first then ', failed as a whole' else '' end as note,
    cast(null as integer) as handled,
    case when is_first then 1 end as evaluations,
    case when is_first and is_first_of_contact then 1 end as evaluated_contacts,
    case when is_first and is_auto_failed then 1 end as auto_failed,
    case when applies then earned end as points_earned,
    case when applies then possible end as points_possible,
    case when is_first and agrees is not null then 1 end as compared,
    case when is_first then agrees end as agreeing
  from compared

  union all

  select
    c.contact_day, c.channel, c.topic, c.queue, c.evaluation_id, 'survey_responses', s._key, null, 'what the customer said of the contact',
    null, null, null, null, null, null, 0, 0
  from compared c
  join {{ ref('stg_survey_responses') }} s on c.response_id = s.response_id
  where c.is_first and c.agrees is not null

  union all

  select
    c.contact_day, c.channel, coalesce(c.topic, 'unknown'), coalesce(c.queue, 'unknown'), c.contact_id, 'contacts', c._key,
    {{ not_handled('c') }}, 'handled contact', case when {{ not_handled('c') }} is null then 1 end, null, null, null, null, null, null, null
  from {{ ref('stg_contacts') }} c

  union all

  select
    c.contact_day, c.channel, case when c.contact_id is not null then coalesce(c.topic, 'unknown') end,
    case when c.contact_id is not null then coalesce(c.queue, 'unknown') end, q.evaluation_id, 'qa_evaluations', q._key,
    case
      when q._exclusion is not null then q._exclusion
      when c.contact_id is null then 'of a contact that has not come'
      else 'its contact is left out: ' || c._exclusion
    end,
    null, null, null, null, null, null, null, null, null
  from {{ ref('stg_qa_evaluations') }} q
  left join {{ ref('stg_contacts') }} c on q.contact_id = c.contact_id
  where q._exclusion is not null or q.evaluation_id not in (select evaluation_id from {{ ref('int_evaluations') }})
)

{{ explained(
  'counted', ['channel', 'topic', 'queue'], [
    'handled', 'evaluations', 'evaluated_contacts', 'auto_failed', 'points_earned', 'points_possible', 'compared', 'agreeing'
  ]
) }}
