"""The release as an asset: publishes what this run's verdicts allow, and fails closed.

Belongs here: the decision and its report to Dagster. Does not: how a release is written (`orchestration.lib.release`).
"""

import dagster as dg

from data_quality.verdict import of_run, refusals
from orchestration.lib import gates, release
from orchestration.lib.dbt_manifest import marts
from orchestration.run_context import FULL_REFRESH_TAG, CxHome


@dg.asset(
    key=["release", "current"],
    deps=[dg.AssetKey(["marts", mart]) for mart in marts()],
    group_name="release",
    kinds={"duckdb", "parquet"},
    description="What readers open: the audited marts of one run, swapped in atomically.",
)
def current_release(context: dg.AssetExecutionContext, cx_home: CxHome) -> dg.MaterializeResult:
    """Publish, unless a verdict of this run forbids it or one is missing."""
    feeds = cx_home.feeds_on()
    with_arrival = context.run.tags.get(FULL_REFRESH_TAG) != "true"
    with cx_home.warehouse() as con:
        verdicts = of_run(con, context.run_id)
        refused = refusals(verdicts, gates.expected(feeds, with_arrival))
        if refused:
            raise dg.Failure(
                "not published, readers keep the last release: " + "; ".join(v.sentence() for v in refused),
                allow_retries=False,
            )
        name = release.publish(con, cx_home.settings, context.run_id, feeds, verdicts)
    manifest = release.manifest_of(cx_home.settings, name)
    return dg.MaterializeResult(
        metadata={
            "release": name,
            "path": dg.MetadataValue.path(str(cx_home.settings.releases / name)),
            "data_through": str(manifest["data_through"]),
            "marts": len(manifest["marts"]),
            "gates_passed": manifest["gates"]["passed"],
            "gates_not_passed": len(manifest["gates"]["not_passed"]),
        }
    )
