"""The jobs that schedules, the UI and `cx` run. Nightly run, backfill and late file are one job over another window.

Belongs here: jobs. Does not: when they run (`schedules`).
"""

import dagster as dg

from orchestration.defs.ingest.domain import delivery_days
from orchestration.run_context import FULL_REFRESH_TAG


@dg.definitions
def jobs() -> dg.Definitions:
    """Both run in one process: DuckDB's file has one writer, and dbt and Great Expectations are imported once."""
    nightly = dg.define_asset_job(
        "nightly",
        selection=dg.AssetSelection.all(),
        partitions_def=delivery_days(),
        executor_def=dg.in_process_executor,
        description="Take the deliveries of a day or a range of days, build what they touch, judge it, publish it.",
    )
    rebuild = dg.define_asset_job(
        "rebuild",
        selection=dg.AssetSelection.all() - dg.AssetSelection.key_prefixes("deliveries"),
        executor_def=dg.in_process_executor,
        tags={FULL_REFRESH_TAG: "true"},
        description="Load every delivery anew from the landing folder, build everything, judge it, publish it.",
    )
    # What somebody materializes in the UI by hand runs in one process, too.
    return dg.Definitions(jobs=[nightly, rebuild], executor=dg.in_process_executor)
