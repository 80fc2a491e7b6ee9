-- grain: one row per cart of somebody in whom no metric is interested: the day of its last event, and the reason
{{ config(
    unique_key='cart_id',
    meta={
      'changed_by': [
        ['stg_cart_events', 'cart'],
        ['int_excluded_persons', 'person', {'table': 'stg_cart_events', 'on': 'person_id', 'key': 'cart_id'}],
      ],
      'logs': [{'entity': 'cart', 'key': 'cart_id', 'day': 'last_event_day'}]
    }
) }}

{# One event of a known tester is enough: before they signed in they were a visitor. #}
with of_testers as (
  select e.cart_id, min(x.reason) as reason
  from {{ ref('stg_cart_events') }} e
  join {{ ref('int_excluded_persons') }} x on e.person_id = x.person_id
  where e._exclusion is null and {{ changed_filter('e.cart_id') }}
  group by e.cart_id
)

select t.cart_id, max(e.event_day) as last_event_day, any_value(t.reason) as reason
from of_testers t
join {{ ref('stg_cart_events') }} e on t.cart_id = e.cart_id
where e._exclusion is null
group by t.cart_id
