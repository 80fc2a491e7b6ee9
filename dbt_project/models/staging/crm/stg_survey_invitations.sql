-- grain: one row per invitation_id: its newest version, excluded rows flagged in _exclusion; where it came from in _delivery and _line
{{ config(meta={'changed_by': [['raw', 'survey_invitations']], 'logs': [{'entity': 'invitation', 'key': 'invitation_id', 'day': 'sent_day'}]}) }}

with newest as (
  {{ newest_version('survey_invitations') }}
)

select
  invitation_id,
  survey_id,
  person_id,
  channel,
  sent_at,
  status,
  order_id,
  case_id,
  updated_at,
  {{ business_day('sent_at') }} as sent_day,
  _key,
  _exclusion,
  _delivery,
  _line
from newest
