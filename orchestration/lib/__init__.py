"""Pure code: configuration, readers, warehouse, dbt, releases, simulator. Nothing in here imports Dagster."""
