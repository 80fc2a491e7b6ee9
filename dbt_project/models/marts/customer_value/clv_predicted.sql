-- grain: one row per known person with an order, as of the last complete day
{#
  Rebuilt whole: everybody grows a day older every night. No row without a fit. Any past day is the same with another
  as-of day (`cx clv as-of DAY`); it needs no store.
#}
{{ config(materialized='table', pre_hook="") }}

{{ clv_predicted_as_of(data_through()) }}
