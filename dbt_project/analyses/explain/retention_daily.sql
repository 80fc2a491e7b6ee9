-- grain: one row per cell of retention_daily, part and source row (macros/explain.sql)
with persons as (
  {{ retention_rows() }}
)

{{ explained('persons', ['basis', 'period', 'plan'], ['active_at_start', 'retained']) }}
