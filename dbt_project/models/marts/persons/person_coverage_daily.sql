-- grain: one row per day and feed: how many of its records are a known person's, and how many are left out as a test's
{{ config(meta={
    'reach': [
      {'model': 'int_orders', 'entity': 'order', 'before': 0, 'after': 0},
      {'model': 'int_excluded_orders', 'entity': 'order', 'before': 0, 'after': 0},
      {'model': 'int_carts', 'entity': 'cart', 'before': 0, 'after': 0},
      {'model': 'int_excluded_carts', 'entity': 'cart', 'before': 0, 'after': 0},
      {'model': 'stg_contacts', 'entity': 'contact', 'before': 0, 'after': 0},
      {'model': 'stg_survey_responses', 'entity': 'response', 'before': 0, 'after': 0},
      {'model': 'stg_subscriptions', 'entity': 'subscription', 'before': 0, 'after': 0},
      {'model': 'stg_survey_invitations', 'entity': 'invitation', 'before': 0, 'after': 0},
      {'model': 'stg_self_service_sessions', 'entity': 'session', 'before': 0, 'after': 0},
      {'model': 'stg_referrals', 'entity': 'referral', 'before': 0, 'after': 0},
      {'model': 'int_sessions', 'entity': 'session', 'before': 0, 'after': 0},
      {'model': 'int_excluded_sessions', 'entity': 'session', 'before': 0, 'after': 0},
      {'model': 'int_excluded_records', 'entity': 'record', 'before': 0, 'after': 0},
    ]
}) }}

with records as (
  select order_day as metric_date, 'orders' as feed, person_id is not null as is_known, cast(null as varchar) as reason
  from {{ ref('int_orders') }} where {{ affected_filter('order_day') }}
  union all
  select order_day, 'orders', true, reason from {{ ref('int_excluded_orders') }} where {{ affected_filter('order_day') }}

  union all

  select last_event_day, 'carts', has_person, null from {{ ref('int_carts') }} where {{ affected_filter('last_event_day') }}
  union all
  select last_event_day, 'carts', true, reason from {{ ref('int_excluded_carts') }} where {{ affected_filter('last_event_day') }}

  union all

  select session_day, 'web_sessions', person_id is not null, null from {{ ref('int_sessions') }} where {{ affected_filter('session_day') }}
  union all
  select session_day, 'web_sessions', true, reason from {{ ref('int_excluded_sessions') }} where {{ affected_filter('session_day') }}

  union all

  select s.record_day, s.feed, s.person_id is not null, x.reason
  from (
    select contact_day as record_day, 'contacts' as feed, contact_id as record_id, person_id
    from {{ ref('stg_contacts') }} where _exclusion is null and direction = 'inbound' and {{ affected_filter('contact_day') }}
    union all
    select answered_day, 'survey_responses', response_id, person_id
    from {{ ref('stg_survey_responses') }} where _exclusion is null and {{ affected_filter('answered_day') }}
    union all
    select started_day, 'subscriptions', subscription_id, person_id
    from {{ ref('stg_subscriptions') }} where _exclusion is null and {{ affected_filter('started_day') }}
    union all
    select sent_day, 'survey_invitations', invitation_id, person_id
    from {{ ref('stg_survey_invitations') }} where _exclusion is null and {{ affected_filter('sent_day') }}
    union all
    select session_day, 'self_service_sessions', session_id, person_id
    from {{ ref('stg_self_service_sessions') }} where _exclusion is null and {{ affected_filter('session_day') }}
    union all
    select created_day, 'referrals', referral_id, referrer_id
    from {{ ref('stg_referrals') }} where _exclusion is null and {{ affected_filter('created_day') }}
  ) s
  left join {{ ref('int_excluded_records') }} x on s.feed = x.feed and s.record_id = x.record_id
)

select
  metric_date,
  feed,
  count(*) as records,
  count(*) filter (where reason = 'test_person') as of_test_persons,
  count(*) filter (where reason = 'test_account') as of_test_accounts,
  count(*) filter (where reason is null) as counted,
  count(*) filter (where reason is null and is_known) as known,
  {{ ratio('count(*) filter (where reason is null and is_known)', 'count(*) filter (where reason is null)') }} as coverage,
  {{ is_final('metric_date') }} as is_final,
  {{ final_on('metric_date') }} as final_on
from records
group by metric_date, feed
