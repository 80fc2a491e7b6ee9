-- grain: one row per contact, response or contract that its feed counts and no person metric does, because of whose it is
{#
  Orders and carts have models of their own, because whole orders and carts go. Ids of two feeds may be the same text: then
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
)

select r.feed, r.record_id, r.record_day, x.reason
from records r
join {{ ref('int_excluded_persons') }} x on r.person_id = x.person_id
