-- grain: one row per contact, response, invitation, contract, session with a machine or referral that its feed counts and no person metric does, because of whose it is
{#
  Orders, carts and visits have models of their own, because all of their rows go. Ids of two feeds may be the same text: then
  a change of one looks at both, and the outcome is the same.
#}
{{ config(
    unique_key='record_id',
    meta={
      'changed_by': [
        ['stg_contacts', 'contact'],
        ['int_excluded_persons', 'person', {'table': 'stg_contacts', 'on': 'person_id', 'key': 'contact_id'}],
        ['stg_survey_responses', 'response'],
        ['int_excluded_persons', 'person', {'table': 'stg_survey_responses', 'on': 'person_id', 'key': 'response_id'}],
        ['stg_subscriptions', 'subscription'],
        ['int_excluded_persons', 'person', {'table': 'stg_subscriptions', 'on': 'person_id', 'key': 'subscription_id'}],
        ['stg_survey_invitations', 'invitation'],
        ['int_excluded_persons', 'person', {'table': 'stg_survey_invitations', 'on': 'person_id', 'key': 'invitation_id'}],
        ['stg_self_service_sessions', 'session'],
        ['int_excluded_persons', 'person', {'table': 'stg_self_service_sessions', 'on': 'person_id', 'key': 'session_id'}],
        ['stg_referrals', 'referral'],
        ['int_excluded_persons', 'person', {'table': 'stg_referrals', 'on': 'referrer_id', 'key': 'referral_id'}],
        ['int_excluded_persons', 'person', {'table': 'stg_referrals', 'on': 'referred_id', 'key': 'referral_id'}],
      ],
      'logs': [{'entity': 'record', 'key': 'record_id', 'day': 'record_day'}]
    }
) }}

with records as (
  select 'contacts' as feed, contact_id as record_id, contact_day as record_day, person_id
  from {{ ref('stg_contacts') }} where _exclusion is null and direction = 'inbound' and {{ changed_filter('contact_id') }}
  union all
  select 'survey_responses', response_id, answered_day, person_id
  from {{ ref('stg_survey_responses') }} where _exclusion is null and {{ changed_filter('response_id') }}
  union all
  select 'subscriptions', subscription_id, started_day, person_id
  from {{ ref('stg_subscriptions') }} where _exclusion is null and {{ changed_filter('subscription_id') }}
  union all
  select 'survey_invitations', invitation_id, sent_day, person_id
  from {{ ref('stg_survey_invitations') }} where _exclusion is null and {{ changed_filter('invitation_id') }}
  union all
  select 'self_service_sessions', session_id, session_day, person_id
  from {{ ref('stg_self_service_sessions') }} where _exclusion is null and {{ changed_filter('session_id') }}
  union all
  -- of a referral both are asked
  select 'referrals', referral_id, created_day, unnest([referrer_id, referred_id])
  from {{ ref('stg_referrals') }} where _exclusion is null and {{ changed_filter('referral_id') }}
)

select r.feed, r.record_id, r.record_day, min(x.reason) as reason
from records r
join {{ ref('int_excluded_persons') }} x on r.person_id = x.person_id
group by all
