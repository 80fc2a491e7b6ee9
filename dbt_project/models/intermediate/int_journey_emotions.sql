-- grain: one row per journey of three touches or more: the peak of its middle and its end
{#
  A touch is a contact with a valued segment. A third of n touches is n / 3, rounded down; the middle is what the first
  and the last third leave. The peak is the touch of the middle that lies farthest from neutral, for the better or the
  worse; of two as far, the worse one. The journey counts on the day of its last touch, and moves on with a further one.
#}
{{ config(
    unique_key='journey_id',
    meta={
      'changed_by': [['int_contact_emotions', 'journey']],
      'logs': [{'entity': 'journey', 'key': 'journey_id', 'day': 'last_day'}]
    }
) }}

with touches as (
  select
    *,
    count(*) over (partition by journey_id) as touches,
    row_number() over (partition by journey_id order by started_at, contact_id) as place
  from {{ ref('int_contact_emotions') }}
  where journey_id is not null and emotion is not null and {{ changed_filter('journey_id') }}
)

select
  journey_id,
  max(touches) as touches,
  max(case when place = touches then emotion_day end) as last_day,
  max(case when place = touches then channel end) as channel,
  arg_max(emotion, (abs(emotion), -emotion))
    filter (where place > floor(touches / 3.0) and place <= touches - floor(touches / 3.0)) as peak,
  max(case when place = touches then emotion end) as last_emotion
from touches
where touches >= 3
group by journey_id
