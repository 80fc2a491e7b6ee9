-- grain: one row per referral of somebody else: whose link it was, and who came by it, after merges; not where either is a test person
{{ config(
    unique_key='referral_id',
    meta={
      'changed_by': [
        ['stg_referrals', 'referral'],
        ['int_person_merges', 'person', {'table': 'stg_referrals', 'on': 'referrer_id', 'key': 'referral_id'}],
        ['int_person_merges', 'person', {'table': 'stg_referrals', 'on': 'referred_id', 'key': 'referral_id'}],
        ['int_excluded_persons', 'person', {'table': 'stg_referrals', 'on': 'referrer_id', 'key': 'referral_id'}],
        ['int_excluded_persons', 'person', {'table': 'stg_referrals', 'on': 'referred_id', 'key': 'referral_id'}],
      ],
      'logs': [
        {'entity': 'referrer', 'key': 'referrer_id', 'day': 'shared_day', 'compare': ['referral_id', 'referrer_id', 'shared_day']},
        {'entity': 'referred', 'key': 'referred_id', 'day': 'shared_day', 'compare': ['referral_id', 'referred_id', 'shared_day']},
      ]
    }
) }}

select
  r.referral_id,
  coalesce(s.survivor_id, r.referrer_id) as referrer_id,
  coalesce(m.survivor_id, r.referred_id) as referred_id,
  r.created_day as shared_day
from {{ ref('stg_referrals') }} r
left join {{ ref('int_person_merges') }} s on r.referrer_id = s.person_id
left join {{ ref('int_person_merges') }} m on r.referred_id = m.person_id
left join {{ ref('int_excluded_persons') }} x on r.referrer_id = x.person_id
left join {{ ref('int_excluded_persons') }} y on r.referred_id = y.person_id
-- who came by a link of their own, under whatever name, is no referral
where coalesce(m.survivor_id, r.referred_id) is distinct from coalesce(s.survivor_id, r.referrer_id)
  and r._exclusion is null and x.person_id is null and y.person_id is null
  and {{ changed_filter('r.referral_id') }}
