-- grain: one row per session with a machine of a known person, with the next contact of that person on its topic
{#
  By person: a contact can follow any earlier session of its person, so all sessions of a person that changed are looked
  at again, in one pass over them and the contacts between. What is said here does not depend on the day it is said.
#}
{{ config(
    unique_key='person_id',
    meta={
      'changed_by': [['int_self_service_sessions', 'person'], ['int_inbound_contacts', 'person']],
      'logs': [{'entity': 'session', 'key': 'session_id', 'day': 'session_day'}]
    }
) }}

with events as (
  select person_id, topic, started_at, session_id, session_day, cast(null as timestamp) as contacted_at
  from {{ ref('int_self_service_sessions') }}
  where person_id is not null and {{ changed_filter('person_id') }}

  union all

  -- a contained contact is self service, too
  select person_id, topic, started_at, null, null, started_at
  from {{ ref('int_inbound_contacts') }}
  where person_id is not null and outcome <> 'contained' and {{ changed_filter('person_id') }}
),

followed as (
  select
    *,
    -- by range: a contact at the very instant of a session follows it
    min(contacted_at) over (partition by person_id, topic order by started_at range between current row and unbounded following) as next_contact_at
  from events
)

select session_id, person_id, session_day, next_contact_at
from followed
where session_id is not null
