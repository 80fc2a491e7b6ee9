-- grain: one row per known person with an order up to the day in the variable as_of: clv_predicted as of that day (`cx clv as-of`)
{{ clv_predicted_as_of("cast(getvariable('as_of') as date)") }}
