"""The gates as Dagster asset checks: one check a raw feed, one a mart, each with every verdict of the run on it.

Belongs here: running the gates that follow dbt, and showing verdicts as checks. Does not: judging
(`orchestration.lib.gates`, `data_quality`), or the decision to publish: that reads the ledger, not these checks.
"""

from collections.abc import Iterator

import dagster as dg

from data_quality.contract import load_contracts
from data_quality.verdict import Verdict, of_run, record
from orchestration.lib import gates
from orchestration.lib.dbt_manifest import marts
from orchestration.run_context import CxHome


def _spec(schema: str, name: str, blocking: bool) -> dg.AssetCheckSpec:
    return dg.AssetCheckSpec("gates", asset=dg.AssetKey([schema, name]), blocking=blocking)


@dg.multi_asset_check(
    name="gates",
    # Checks of raw feeds do not block in Dagster's graph: row accounting comes after staging, so a blocking check would
    # stand before and behind the same step. Publishing reads the ledger, where a failed accounting does block.
    specs=[_spec("raw", feed, False) for feed in load_contracts()] + [_spec("marts", mart, True) for mart in marts()],
    can_subset=True,
)
def gate_checks(context: dg.AssetCheckExecutionContext, cx_home: CxHome) -> Iterator[dg.AssetCheckResult]:
    """Judge row accounting and mart profiles, then show every verdict of the run on the asset it concerns."""
    feeds = cx_home.feeds_on()
    with cx_home.warehouse() as con:
        judged = [
            *gates.row_accounting(con, feeds),
            *gates.orphans(con, feeds),
            *gates.missing_rates(con, feeds),
            *gates.survey_answers(con, feeds),
            *gates.judge_marts(con, feeds),
        ]
        record(con, context.run.run_id, judged)
        verdicts = of_run(con, context.run.run_id)
    for key in sorted(context.selected_asset_check_keys):
        about = [verdict for verdict in verdicts if verdict.subject == key.asset_key.path[-1]]
        failed = [verdict for verdict in about if not verdict.passed]
        standing = [verdict for verdict in failed if verdict.stands_in_the_way]
        blocking = [verdict for verdict in standing if verdict.severity == "block"]
        yield dg.AssetCheckResult(
            asset_key=key.asset_key,
            check_name=key.name,
            passed=not standing,
            severity=dg.AssetCheckSeverity.ERROR if blocking else dg.AssetCheckSeverity.WARN,
            description="; ".join(verdict.sentence() for verdict in failed) or f"{len(about)} verdicts, all passed",
            metadata=_metadata(about),
        )


def _metadata(verdicts: list[Verdict]) -> dict[str, dg.MetadataValue]:
    rows = [
        dg.TableRecord(
            {
                "gate": v.gate,
                "passed": v.passed,
                "figure": v.figure,
                "bound": v.bound,
                "message": v.message,
                "accepted": v.accepted,
            }
        )
        for v in verdicts
    ]
    return {"verdicts": dg.MetadataValue.int(len(verdicts)), "ledger": dg.MetadataValue.table(rows)} if rows else {}
