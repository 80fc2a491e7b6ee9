"""What must hold: contracts, the SQL that follows from them, the suites that judge, the verdicts. Knows no Dagster."""
