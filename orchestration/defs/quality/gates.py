"""The gates as Dagster asset checks: on each raw feed and mart one a question, with every verdict of the run that answers it.

Belongs here: running the gates that follow dbt, and showing verdicts as checks. Does not: judging
(`orchestration.lib.gates`, `data_quality`), or the decision to publish: that reads the ledger, not these checks.
"""

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import dagster as dg

from data_quality.verdict import Verdict, of_run, record
from orchestration.lib import check_groups, clv_fit, gates, report
from orchestration.run_context import CxHome


@dg.multi_asset_check(
    name="gates",
    # Checks of raw feeds do not block in Dagster's graph: row accounting comes after staging, so a blocking check would
    # stand before and behind the same step. Publishing reads the ledger, where a failed accounting does block.
    specs=[
        dg.AssetCheckSpec(
            check,
            asset=dg.AssetKey([schema, name]),
            blocking=schema == "marts",
            description=f"{check_groups.ASKS[check]} Limits and what to do: docs/gates.md",
        )
        for (schema, name), checks in check_groups.checks_of().items()
        for check in checks
    ],
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
            *gates.missing_currencies(con, feeds),
            *gates.survey_answers(con, feeds),
            *gates.judge_marts(con, feeds),
            *clv_fit.judge(con, cx_home.settings.config.business, feeds),
        ]
        record(con, context.run.run_id, judged)
        verdicts = of_run(con, context.run.run_id)
        shown = {key.asset_key.path[-1] for key in context.selected_asset_check_keys}
        counts = check_groups.counts(con, context.run.run_id, shown)
    about: dict[tuple[str, str], list[Verdict]] = defaultdict(list)
    for verdict in verdicts:
        about[verdict.subject, check_groups.check_of(verdict)].append(verdict)
    for key in sorted(context.selected_asset_check_keys):
        place = key.asset_key.path[-1], key.name
        failed = [verdict for verdict in about[place] if not verdict.passed]
        standing = [verdict for verdict in failed if verdict.stands_in_the_way]
        blocking = [verdict for verdict in standing if verdict.severity == "block"]
        yield dg.AssetCheckResult(
            asset_key=key.asset_key,
            check_name=key.name,
            passed=not standing,
            severity=dg.AssetCheckSeverity.ERROR if blocking else dg.AssetCheckSeverity.WARN,
            description="; ".join(verdict.sentence() for verdict in failed) or _passed(about[place]),
            metadata=_metadata(about[place], counts.get(place, {})),
        )


def _passed(verdicts: list[Verdict]) -> str:
    return f"passed: {', '.join(sorted({verdict.gate for verdict in verdicts})) or 'nothing was to be judged'}"


def _metadata(verdicts: list[Verdict], counts: dict[str, int | float]) -> dict[str, dg.MetadataValue]:
    """Numbers, which Dagster plots over the nights; the gates that have any or failed; sample rows of those that failed."""
    numbers: dict[str, int | float] = {"failed": sum(not verdict.passed for verdict in verdicts), **counts}
    for verdict in sorted(verdicts, key=lambda verdict: verdict.passed):
        numbers = check_groups.figures(verdict) | numbers
    shown: dict[str, dg.MetadataValue] = {
        name: dg.MetadataValue.float(number) if isinstance(number, float) else dg.MetadataValue.int(number)
        for name, number in numbers.items()
    }
    if told := [verdict for verdict in verdicts if verdict.figure or not verdict.passed]:
        rows = [
            {
                "gate": v.gate, "passed": v.passed, "figure": v.figure, "bound": v.bound, "message": v.message,
                "accepted": v.accepted,
            }
            for v in sorted(told, key=lambda verdict: (verdict.passed, verdict.gate))
        ]  # fmt: skip
        shown["ledger"] = _table(rows)
    for verdict in verdicts:
        if not verdict.passed and verdict.sample:
            shown[f"{verdict.gate}_sample"] = _table([report.public_row(row) for row in verdict.sample])
    return shown


def _table(rows: list[dict[str, Any]]) -> dg.MetadataValue:
    """Of rows that need not have the same columns, without those that are empty; values as text but for flags."""
    names = list(dict.fromkeys(name for row in rows for name, value in row.items() if value not in (None, "")))
    schema = dg.TableSchema([dg.TableColumn(name, "bool" if name == "passed" else "string") for name in names])
    texts = [{name: row[name] if isinstance(row.get(name), bool) else str(row.get(name, "")) for name in names} for row in rows]
    return dg.MetadataValue.table([dg.TableRecord(row) for row in texts], schema=schema)
