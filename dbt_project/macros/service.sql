{#
  What the models of the contact centre share: time counted by a business calendar, targets in force, quantiles from
  histograms. Belongs here: SQL that two models of this subject need. Does not: anything that is one model's own.
#}

{# Microseconds for which a calendar was open before an instant; `hours` is its row of int_business_hours, found with an asof join. #}
{% macro open_us(instant, hours) -%}
case when {{ instant }} is not null then coalesce(
  {{ hours }}.open_us_before + least(epoch_us({{ instant }}), epoch_us({{ hours }}.closes_at)) - epoch_us({{ hours }}.opens_at), 0
) end
{%- endmacro %}

{#
  The target in force for each kind, channel, queue and day of `asked` (a relation with channel, queue, day): that of the
  queue and channel, else of the queue, else of the channel, else of all; of each the latest one that had begun.
#}
{% macro targets_in_force(asked) -%}
select
  a.channel, a.queue, a.day, t.kind,
  max_by(t.target_seconds, (t.queue <> 'all', t.channel <> 'all', t.valid_from)) as target_seconds,
  max_by(coalesce(t.clock, 'calendar'), (t.queue <> 'all', t.channel <> 'all', t.valid_from)) as clock
from {{ asked }} a
join {{ ref('stg_service_targets') }} t
  on t.channel in (a.channel, 'all') and t.queue in (a.queue, 'all') and t.valid_from <= a.day
where t._exclusion is null
group by a.channel, a.queue, a.day, t.kind
{%- endmacro %}

{#
  Bucket of a duration: bucket b holds durations of 1.02^b up to 1.02^(b+1) seconds, so its middle is at most 1 % off;
  -1 holds those under a second. Counts of buckets add up over days and dimensions, and quantiles come from the sums.
#}
{% macro bucket(minutes) -%}
case when {{ minutes }} * 60 < 1 then -1 else cast(floor(ln({{ minutes }} * 60) / ln(1.02)) as integer) end
{%- endmacro %}
{% macro bucket_minutes(bucket) -%}
case when {{ bucket }} >= 0 then pow(1.02, {{ bucket }} + 0.5) / 60 when {{ bucket }} = -1 then 0.0 end
{%- endmacro %}

{# The value below which `tenths` of ten lie: the middle of the first bucket that, with those before, holds so many. #}
{% macro quantile_minutes(minutes, tenths) -%}
{{ bucket_minutes(
  'list_sort(list(' ~ bucket(minutes) ~ ') filter (where ' ~ minutes ~ ' is not null))[(' ~ tenths ~ ' * count(' ~ minutes ~ ') + 9) // 10]'
) }}
{%- endmacro %}
