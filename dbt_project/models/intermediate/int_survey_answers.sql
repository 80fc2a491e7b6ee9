-- grain: one row per completed answer: the scale of its question, or why it counts nowhere
{#
  The scale is that of the registry where it knows the question, else the row's own. Answers are judged after mirroring
  (`ease` is the answer where high is good), so that a share means the same on either direction. A row that contradicts the
  registry may have been read with the wrong question: it is left out and counted, not believed. So is an answer of a test
  person; what it says a visit was for still tells the other answers of the visit.
#}
{{ config(
    unique_key='response_id',
    meta={
      'changed_by': [
        ['stg_survey_responses', 'response'],
        ['stg_survey_responses', 'invitation', {'table': 'stg_survey_responses', 'on': 'invitation_id', 'key': 'response_id'}],
        ['stg_survey_invitations', 'invitation', {'table': 'stg_survey_responses', 'on': 'invitation_id', 'key': 'response_id'}],
        ['stg_surveys', 'question', {'table': 'stg_survey_responses', 'on': 'survey_id', 'key': 'response_id'}],
        ['int_person_merges', 'person', {'table': 'stg_survey_responses', 'on': 'person_id', 'key': 'response_id'}],
        ['int_excluded_persons', 'person', {'table': 'stg_survey_responses', 'on': 'person_id', 'key': 'response_id'}],
      ],
      'logs': [{'entity': 'response', 'key': 'response_id', 'day': 'answered_day'}]
    }
) }}

with asked as (
  select
    *,
    row_number() over (partition by survey_id, question_id order by question_version desc) = 1 as is_newest
  from {{ ref('stg_surveys') }}
  where _exclusion is null
),

responses as (
  select
    *,
    {{ changed_filter('response_id') }} as is_replaced
  from {{ ref('stg_survey_responses') }}
  where _exclusion is null and (
    {{ changed_filter('response_id') }}
    -- what a visitor came for, of those who then say whether they could do it
    or (metric_kind = 'visitor_intent' and invitation_id in (
      select invitation_id from {{ ref('stg_survey_responses') }}
      where metric_kind = 'task_completion' and {{ changed_filter('response_id') }}
    ))
  )
),

scaled as (
  select
    r.* exclude (scale_min, scale_max),
    q.options,
    case when q.scale_min is not null then q.scale_min when r.scale_min is not null then r.scale_min when r.metric_kind in ('nps', 'resolved') then 0 end as low,
    case when q.scale_min is not null then q.scale_max when r.scale_min is not null then r.scale_max when r.metric_kind = 'nps' then 10 when r.metric_kind = 'resolved' then 1 end as high,
    coalesce(q.direction, case when r.metric_kind = 'switch_likelihood' then 'high_is_bad' else 'high_is_good' end) as direction,
    q.favourable_from as registered_from,
    coalesce(q.metric_kind <> r.metric_kind, false) or coalesce(r.scale_min <> q.scale_min, false)
      or coalesce(r.scale_max <> q.scale_max, false) as is_contradiction,
    coalesce(
      nullif(trim(r.answer), ''),
      case when r.metric_kind = 'task_completion' and r.score in (0, 1) then case when r.score = 1 then 'yes' else 'no' end end
    ) as said
  from responses r
  left join asked q
    on r.survey_id = q.survey_id and r.question_id = q.question_id
    and (r.question_version = q.question_version or (r.question_version is null and q.is_newest))
),

scored as (
  select * replace (
    coalesce(score, case
      when metric_kind = 'resolved' and low = 0 and high = 1 then case lower(said) when 'yes' then 1 when 'no' then 0 end
    end) as score
  )
  from scaled
),

judged as (
  select
    *,
    coalesce(registered_from, {{ usual_favourable_from('metric_kind', 'low', 'high') }}) as favourable_from,
    -- hard from 5 of 7 where 1 is very easy, whatever the registry calls easy
    coalesce({{ usual_favourable_from('metric_kind', 'low', 'high') }}, registered_from) as difficult_from,
    case
      when said is null then null
      when metric_kind = 'task_completion' then case when lower(said) in ('yes', 'no', 'partly') then lower(said) else 'unmapped' end
      when options is null then said
      else coalesce(trim(list_filter(string_split(options, '|'), lambda o: lower(trim(o)) = lower(said))[1]), 'unmapped')
    end as choice,
    case
      when is_contradiction then 'contradicts_registry'
      when metric_kind in {{ choice_kinds() }} then case when said is null then 'no_answer' end
      when score is null then 'no_score'
      when low is null then 'unknown_scale'
      when metric_kind = 'nps' and not (low in (0, 1) and high = 10) then 'not_an_nps_scale'
      when score < low or score > high then 'outside_scale'
    end as exclusion
  from scored
),

intents as (
  select survey_id, invitation_id, arg_max(choice, (answered_at, response_id)) as intent
  from judged
  where metric_kind = 'visitor_intent' and exclusion is null and invitation_id is not null
  group by survey_id, invitation_id
)

select
  j.response_id,
  j.survey_id,
  coalesce(j.question_id, 'unknown') as question_id,
  j.metric_kind,
  j.invitation_id,
  coalesce(m.survivor_id, j.person_id) as person_id,
  coalesce(j.order_id, v.order_id) as order_id,
  coalesce(j.channel, 'unknown') as channel,
  j.score,
  case when j.direction = 'high_is_bad' then j.low + j.high - j.score else j.score end as ease,
  j.low,
  j.high,
  j.favourable_from,
  j.difficult_from,
  coalesce({{ scale_id('j.metric_kind', 'j.low', 'j.high', 'j.direction', 'j.favourable_from') }}, 'unknown') as scale_id,
  j.choice,
  j.options,
  case when j.metric_kind = 'task_completion' then coalesce(i.intent, 'unknown') end as intent,
  j.answered_at,
  j.answered_day,
  coalesce(x.reason, j.exclusion) as exclusion
from judged j
left join intents i on j.metric_kind = 'task_completion' and j.survey_id = i.survey_id and j.invitation_id = i.invitation_id
left join {{ ref('stg_survey_invitations') }} v on j.invitation_id = v.invitation_id
left join {{ ref('int_person_merges') }} m on j.person_id = m.person_id
left join {{ ref('int_excluded_persons') }} x on j.person_id = x.person_id
where j.is_replaced
