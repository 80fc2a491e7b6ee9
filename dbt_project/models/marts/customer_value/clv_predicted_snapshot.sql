-- grain: one row per month and person with a purchase by its last day: the prediction as it stood then
{#
  Never computed anew: late rows, merges and better fits do not touch what somebody was told (orchestration/lib/clv_snapshot.py).
  Months whose end no nightly run saw, as those of a backfill, have no rows.
#}
{{ config(meta={'reach': [{'model': 'clv_snapshots', 'entity': 'snapshot', 'before': 0, 'after': 0}]}) }}
-- written in the middle of a run, depends_on: {{ ref('int_customer_purchases') }}, {{ ref('int_customer_segments') }}

select * exclude (run_id) from {{ ops('clv_snapshots') }}
where {{ affected_filter('metric_date') }}
