"""The release in PostgreSQL as an asset: a copy for BI servers, made after each release where cx.toml has `[postgres]`.

Belongs here: when it is copied, and its report to Dagster. Does not: how (`orchestration.lib.postgres`).
"""

from collections.abc import Iterator

import dagster as dg

from orchestration.lib import postgres
from orchestration.run_context import CxHome


@dg.asset(
    key=["release", "postgres"],
    deps=[dg.AssetKey(["release", "current"])],
    group_name="release",
    kinds={"postgres"},
    output_required=False,
    description="The current release in a schema of a PostgreSQL server, where cx.toml has [postgres].",
)
def postgres_release(context: dg.AssetExecutionContext, cx_home: CxHome) -> Iterator[dg.MaterializeResult]:
    """Copy what this run published. A failure here takes nothing back: the release is published, and the report says so."""
    if cx_home.settings.config.postgres is None:
        context.log.info("cx.toml has no [postgres]: nothing is copied")
        return
    try:
        copied = postgres.publish(cx_home.settings)
    except postgres.PostgresError as problem:
        raise dg.Failure(f"the release is published, but not to PostgreSQL: {problem}", allow_retries=False) from None
    yield dg.MaterializeResult(metadata=vars(copied))
