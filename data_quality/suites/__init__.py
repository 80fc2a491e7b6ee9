"""Great Expectations suites. DuckDB counts, one profile row per thing judged; a suite judges all of them in one batch."""
