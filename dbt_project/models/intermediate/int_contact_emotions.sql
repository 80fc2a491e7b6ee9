-- grain: one row per contact of which speech or text analysis delivered segments of the customer; not of test persons
{#
  The agent's segments are not the customer's emotion. The value of a segment is its score, or +1, 0, -1 for its word
  where the analysis gives no score. A third of n valued segments is n / 3, rounded down, so that the first and the last
  third are of one size; a contact of fewer than three has no change of tone. Sums are decimals: a day is the same sum in
  any order. All of a contact counts on the day of its first segment.
#}
{{ config(
    unique_key='contact_id',
    meta={
      'changed_by': [
        ['stg_sentiment_segments', 'contact'],
        ['stg_contacts', 'contact'],
        ['int_excluded_persons', 'person', {'table': 'stg_sentiment_segments', 'on': 'person_id', 'key': 'contact_id'}],
        ['int_excluded_persons', 'person', {'table': 'stg_contacts', 'on': 'person_id', 'key': 'contact_id'}],
      ],
      'logs': [
        {'entity': 'contact', 'key': 'contact_id', 'day': 'emotion_day'},
        {'entity': 'journey', 'key': 'journey_id', 'day': 'emotion_day'},
      ]
    }
) }}

with segments as (
  select
    *,
    coalesce(score, cast(case sentiment when 'positive' then 1 when 'neutral' then 0 when 'negative' then -1 end as decimal(18, 4))) as value
  from {{ ref('stg_sentiment_segments') }}
  where _exclusion is null and coalesce(speaker, 'customer') = 'customer' and {{ changed_filter('contact_id') }}
),

placed as (
  select
    *,
    count(value) over (partition by contact_id) as valued,
    row_number() over (partition by contact_id, value is null order by segment_index, segment_id) as place
  from segments
),

sums as (
  select
    contact_id,
    -- arg_min passes over NULL: the first that is known
    arg_min(journey_id, (segment_index, segment_id)) as journey_id,
    min(started_at) as started_at,
    min(segment_day) as emotion_day,
    count(*) as segments,
    count(*) filter (where sentiment = 'positive') as positive,
    count(*) filter (where sentiment = 'neutral') as neutral,
    count(*) filter (where sentiment = 'negative') as negative,
    any_value(valued) as valued,
    sum(value) as value_sum,
    arg_min(person_id, (segment_index, segment_id)) as person_id,
    sum(case when place > valued - floor(valued / 3.0) then value else 0 end)
      - sum(case when place <= floor(valued / 3.0) then value else 0 end) as change_sum
  from placed
  group by contact_id
)

select
  s.contact_id,
  s.journey_id,
  coalesce(c.channel, 'unknown') as channel,
  coalesce(c.topic, 'unknown') as topic,
  s.started_at,
  s.emotion_day,
  s.segments,
  s.positive,
  s.neutral,
  s.negative,
  cast(s.value_sum / nullif(s.valued, 0) as decimal(18, 6)) as emotion,
  case when s.valued >= 3 then cast(s.change_sum / floor(s.valued / 3.0) as decimal(18, 6)) end as tone_change
from sums s
left join {{ ref('stg_contacts') }} c on s.contact_id = c.contact_id
-- who it was is told by the contact or, where it does not know, by its segments
left join {{ ref('int_excluded_persons') }} x on coalesce(c.person_id, s.person_id) = x.person_id
-- a transfer leg has an emotion of its own; spam has none that counts
where coalesce(c._exclusion, '') <> 'spam' and x.person_id is null
