{#
  Which cart an event is of, where the shop does not say. Belongs here: the carts of shops without cart ids. Does not: what
  a cart holds (int_carts).

  The shop's cart id is the unit. Where an event has none, those of its visitor (of its person, where there is no visitor)
  with gaps under cart_gap_minutes are one cart. An event that comes late may join two of them, so all carts of a
  `cart_owner` are made anew together: of a cart with an id that is the id.
#}

{# Events that count and have no cart id, with one that their cart's owner and first instant make. #}
{% macro visitor_cart_events(condition) -%}
  select
    * exclude (begins, begun_at)
    replace (cart_owner || ' ' || cast(begun_at as varchar) as cart_id)
  from (
    select
      *,
      max(case when begins then occurred_at end)
        over (partition by cart_owner order by occurred_at, event_id rows unbounded preceding) as begun_at
    from (
      select
        *,
        coalesce(
          occurred_at - lag(occurred_at) over (partition by cart_owner order by occurred_at, event_id)
            >= to_minutes({{ setting('cart_gap_minutes') }}),
          true
        ) as begins
      from {{ ref('stg_cart_events') }}
      where _exclusion is null and cart_id is null and {{ condition }}
    )
  )
{%- endmacro %}

{# All events that count, each with the id of its cart. #}
{% macro cart_events(condition='true') -%}
  select * from {{ ref('stg_cart_events') }} where _exclusion is null and cart_id is not null and {{ condition }}
  union all by name
  {{ visitor_cart_events(condition) }}
{%- endmacro %}
