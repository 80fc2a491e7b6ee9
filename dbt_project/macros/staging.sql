{#
  The newest version of every key of a raw feed: by version column, then delivery, then line. A snapshot feed keeps only
  the keys of its newest delivery day. Only keys that changed are read in an increment.
#}
{% macro newest_version(feed) -%}
  {%- set rows -%}
    from {{ source('raw', feed) }}
    where {{ changed_filter('_key') }}
      and (
        '{{ feed }}' not in (select feed from {{ ops('feeds') }} where delivery = 'snapshot')
        or _delivery_day = (select max(_delivery_day) from {{ source('raw', feed) }})
      )
  {%- endset -%}
  {%- set newest_first -%}
    row_number() over (partition by _key order by _version desc nulls last, _delivery_day desc, _file desc, _line desc)
  {%- endset -%}
  {%- if is_incremental() -%}
  select * {{ rows }} qualify {{ newest_first }} = 1
  {%- else -%}
  {#- Only keys with several versions are sorted: most feeds have few, and counting costs a third of sorting all. -#}
  select * {{ rows }}
    and _key not in (select _key {{ rows }} group by _key having count(*) > 1)
  union all
  (
    select * {{ rows }}
      and _key in (select _key {{ rows }} group by _key having count(*) > 1)
    qualify {{ newest_first }} = 1
  )
  {%- endif -%}
{%- endmacro %}
