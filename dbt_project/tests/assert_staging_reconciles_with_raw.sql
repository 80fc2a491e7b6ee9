-- Every raw row is staged, excluded or superseded by a newer version of its key: counted apart, feed by feed.
-- A snapshot feed also supersedes the keys its newest delivery does not hold.
{% set feeds = ['persons', 'subscriptions', 'survey_responses', 'cases', 'case_events', 'contacts', 'orders', 'order_lines', 'refunds', 'cart_events'] %}
with counted as (
  {% for feed in feeds -%}
  select
    '{{ feed }}' as feed,
    (select count(distinct _key) from {{ source('raw', feed) }}
      where '{{ feed }}' not in (select feed from {{ ops('feeds') }} where delivery = 'snapshot')
         or _delivery_day = (select max(_delivery_day) from {{ source('raw', feed) }})) as keys,
    (select count(*) from {{ ref('stg_' ~ feed) }} where _exclusion is null) as staged,
    (select count(*) from {{ ref('stg_' ~ feed) }} where _exclusion is not null) as excluded,
    (select count(distinct _key) from {{ ref('stg_' ~ feed) }}) as distinct_keys
  {{ 'union all' if not loop.last }}
  {% endfor -%}
)

select * from counted where staged + excluded <> keys or distinct_keys <> keys
