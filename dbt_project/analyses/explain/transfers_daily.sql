-- grain: one row per cell of transfers_daily, part and source row (macros/explain.sql)
with contacts as (
  select
    c.contact_day as metric_date, c.channel, coalesce(c.topic, 'unknown') as topic, coalesce(c.queue, 'unknown') as queue,
    c.contact_id as entity, c._key, {{ not_handled('c') }} as left_out,
    c.contact_id in (select contact_id from {{ ref('int_transfers') }}) as is_transferred
  from {{ ref('stg_contacts') }} c
),

counted as (
  select
    metric_date, channel, topic, queue, entity, 'contacts' as feed, _key, left_out,
    case when is_transferred then 'transferred' else 'not transferred' end as note,
    case when left_out is null then 1 end as handled,
    case when left_out is null and is_transferred then 1 end as transferred,
    cast(null as integer) as transfers,
    cast(null as integer) as warm_transfers,
    cast(null as integer) as blind_transfers
  from contacts

  union all

  select
    c.metric_date, c.channel, c.topic, c.queue, t.contact_id, 'transfers', t._key,
    case
      when t._exclusion is not null then t._exclusion
      when t.kind = 'ivr' then 'from the voice menu to a queue is no transfer'
      when c.entity is null then 'of a contact that has not come'
      when c.left_out is not null then 'its contact is left out: ' || c.left_out
    end,
    t.kind || ' transfer',
    null, null,
    case when i.transfer_id is not null then 1 end,
    case when i.kind = 'warm' then 1 end,
    case when i.kind = 'blind' then 1 end
  from {{ ref('stg_transfers') }} t
  left join contacts c on t.contact_id = c.entity
  left join {{ ref('int_transfers') }} i on t.transfer_id = i.transfer_id
)

{{ explained('counted', ['channel', 'topic', 'queue'], ['handled', 'transferred', 'transfers', 'warm_transfers', 'blind_transfers']) }}
