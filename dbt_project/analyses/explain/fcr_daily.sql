-- grain: one row per cell of fcr_daily, part and source row (macros/explain.sql)
with contacts as (
  select i.*, c._key
  from {{ ref('int_contacts') }} i
  join {{ ref('stg_contacts') }} c on i.contact_id = c.contact_id
  where i.contact_day <= {{ data_through() }}
),

neighbours as (
  select
    *,
    started_at + to_days({{ setting('fcr_window_days') }}) as window_ends_at,
    started_at <= lag(started_at) over w + to_days({{ setting('fcr_window_days') }}) as is_followed_up,
    lead(started_at) over w as next_at,
    lead(_key) over w as next_key
  from contacts
  window w as (partition by person_id, topic, case when person_id is null then contact_id end order by started_at, contact_id)
),

reopenings as (
  select n.contact_id, e._key
  from neighbours n
  join {{ ref('stg_case_events') }} e
    on n.case_id = e.case_id and e.occurred_at >= n.started_at and e.occurred_at <= n.window_ends_at
  where e.event = 'reopened' and e._exclusion is null and e.event_day <= {{ data_through() }}
),

judged as (
  select
    *,
    person_id is not null and not coalesce(is_followed_up, false) as is_issue,
    coalesce(next_at <= window_ends_at, false) as comes_back,
    contact_id in (select contact_id from reopenings) as is_reopened
  from neighbours
),

source_rows as (
  select
    contact_day as metric_date, channel, topic, contact_id as entity, 'contacts' as feed, _key,
    case when is_issue then 'opens an issue' else 'contact' end as note,
    case
      when person_id is null then 'of no known person'
      when not is_issue then 'no issue of its own: follows a contact of the person on the topic'
    end as left_out,
    1 as eligible_contacts,
    case when person_id is not null then 1 end as known_person_contacts,
    case when is_issue then 1 end as issues,
    case when is_issue then cast(not comes_back and not is_reopened as integer) end as resolved_first_contact
  from judged

  union all

  select contact_day, channel, topic, contact_id, 'contacts', next_key, 'comes back within the window', null, null, null, 0, 0
  from judged where is_issue and comes_back

  union all

  select j.contact_day, j.channel, j.topic, j.contact_id, 'case_events', r._key, 'its case is reopened within the window', null, null, null, 0, 0
  from judged j join reopenings r on j.contact_id = r.contact_id where j.is_issue

  union all

  select
    c.contact_day, c.channel, coalesce(c.topic, 'unknown'), c.contact_id, 'contacts', c._key, null,
    case
      when c._exclusion is not null then c._exclusion
      when c.direction <> 'inbound' then 'is ' || c.direction
      when c.outcome <> 'handled' then 'was ' || c.outcome || ', not handled'
      else x.reason
    end,
    null, null, null, null
  from {{ ref('stg_contacts') }} c
  left join {{ ref('int_excluded_persons') }} x on c.person_id = x.person_id
  where c.contact_id not in (select contact_id from {{ ref('int_contacts') }})
)

{{ explained(
  'source_rows', ['channel', 'topic'], ['eligible_contacts', 'known_person_contacts', 'issues', 'resolved_first_contact']
) }}
