-- grain: one row per cart of somebody in whom no metric is interested: the day of its last event, and the reason
{{ config(
    unique_key='cart_owner',
    meta={
      'changed_by': [
        ['stg_cart_events', 'cart'],
        ['int_excluded_persons', 'person', {'table': 'stg_cart_events', 'on': 'person_id', 'key': 'cart_owner'}],
      ],
      'logs': [{'entity': 'cart', 'key': 'cart_owner', 'day': 'last_event_day'}]
    }
) }}

{# One event of a known tester is enough: before they signed in they were a visitor. Other carts of that visitor are others'. #}
with of_testers as (
  select e.event_id, e.cart_owner, x.reason
  from {{ ref('stg_cart_events') }} e
  join {{ ref('int_excluded_persons') }} x on e.person_id = x.person_id
  where e._exclusion is null and {{ changed_filter('e.cart_owner') }}
)

select e.cart_id, any_value(e.cart_owner) as cart_owner, max(e.event_day) as last_event_day, min(t.reason) as reason
from ({{ cart_events('cart_owner in (select cart_owner from of_testers)') }}) e
left join of_testers t on e.event_id = t.event_id
group by e.cart_id
having min(t.reason) is not null
