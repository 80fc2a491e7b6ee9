-- active(D) = active(D - 1) + new + reactivated - lapsed, and on the last day as many persons as their orders and contracts tell.
with mart as (
  select * from {{ ref('active_customers_daily') }} where {{ tested_days('active_customers_daily') }}
),

steps as (
  select m.metric_date, m.basis, m.period, m.active_customers as actual,
    coalesce(b.active_customers, 0) + m.new_customers + m.reactivated_customers - m.lapsed_customers as expected
  from mart m
  left join {{ ref('active_customers_daily') }} b on m.basis = b.basis and m.period = b.period and b.metric_date = m.metric_date - 1
),

last_day as (
  select m.metric_date, m.basis, m.period, m.active_customers as actual,
    case m.basis
      when 'contracts' then (
        select count(distinct person_id) from {{ ref('int_contract_terms') }} where started_day <= {{ data_through() }} and ended_day > {{ data_through() }}
      )
      else (
        select count(distinct d.person_id) from {{ ref('int_customer_days') }} d
        where d.orders > 0 and d.activity_day <= {{ data_through() }}
          and d.activity_day > {{ data_through() }} - case m.period when 'trailing_30d' then 30 when 'trailing_90d' then 90 else 365 end
      )
    end as expected
  from mart m
  where m.metric_date = {{ data_through() }}
)

select * from steps where actual <> expected
union all
select * from last_day where actual <> expected
