"""Runs an expectation suite over a profile and turns its results into verdicts.

Belongs here: the one place that calls Great Expectations. Does not: any expectation (`delivery.py`, `marts.py`).
Great Expectations is imported inside the function: it costs 3 CPU seconds that only a run with gates should pay.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from data_quality.verdict import Severity, Verdict

if TYPE_CHECKING:
    import pandas as pd

os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")


@dataclass(frozen=True)
class Check:
    """One expectation on a profile: the gate it is, what a failure does, and how to say it."""

    gate: str
    severity: Severity
    expectation: Any
    figure: str
    """Profile column with the number judged."""
    bound: str
    """Profile column with its limit, or the limit itself."""
    message: str
    also: tuple[str, ...] = ()
    """More profile columns that help to understand a failure; sample rows have them, and those the expectation names."""


class CheckDidNotRun(Exception):
    """An expectation raised instead of judging: an error of ours or of the profile, never a pass or a data failure."""


def judge(
    profile: pd.DataFrame,
    subject: str,
    checks: Sequence[Check],
    label: str,
    accepted: Mapping[tuple[str, str], str] | None = None,
) -> tuple[list[Verdict], dict[str, set[str]]]:
    """Judge every row of `profile` by `checks`.

    Args:
        profile: one row per thing judged.
        subject: column that names what a verdict is about; one verdict per check and subject.
        checks: expectations of the suite.
        label: column that names the single row (a delivery, a day) in samples.
        accepted: by gate and label, who answers for a failure. It has a verdict of its own, failed and accepted.

    Returns:
        The verdicts, and per gate the labels of the rows that failed it and that nobody answers for.
    """
    import great_expectations as gx

    if profile.empty:
        return [], {check.gate: set() for check in checks}
    for check in checks:
        # Great Expectations passes over missing values: a figure that nobody computed would pass.
        for column in (value for name, value in check.expectation.configuration.kwargs.items() if name.startswith("column")):
            if column in profile.columns and profile[column].isna().any():
                raise CheckDidNotRun(f"gate {check.gate}: {column} is missing for some {subject}")
    if profile[label].astype(str).duplicated().any():
        raise CheckDidNotRun(f"{label} names two rows of the profile alike: a failure would be blamed on both")
    batch = _batches().get_batch({"dataframe": profile})
    suite = gx.ExpectationSuite(name="profile", expectations=[check.expectation for check in checks])
    # Which rows failed costs twice as much to find out as whether any did, and mostly none did.
    outcome = batch.validate(suite, result_format="BASIC")
    if not all(_all_passed(_find(outcome.results, check), len(profile)) for check in checks):
        outcome = batch.validate(suite, result_format={"result_format": "COMPLETE", "unexpected_index_column_names": [label]})
    by_check = {id(check): _find(outcome.results, check) for check in checks}
    for check in checks:
        result = by_check[id(check)]
        if result.success is not (not result.result.get("unexpected_index_list")):
            raise CheckDidNotRun(f"gate {check.gate}: {result.expectation_config.type} did not say which rows it judged how")
    verdicts: list[Verdict] = []
    failed_rows: dict[str, set[str]] = {}
    for check in checks:
        failing = {str(row[label]) for row in by_check[id(check)].result.get("unexpected_index_list") or []}
        answered = {name for name in failing if (check.gate, name) in (accepted or {})}
        failed_rows.setdefault(check.gate, set()).update(failing - answered)
        for name, rows in profile.groupby(subject, sort=True):
            waived = rows[rows[label].astype(str).isin(answered)]
            for row in waived.to_dict("records"):
                verdicts.append(_accepted(check, str(name), label, row, (accepted or {})[check.gate, str(row[label])]))
            bad = rows[rows[label].astype(str).isin(failing - answered)]
            worst = bad.iloc[0] if len(bad) else None
            if worst is None and len(waived):
                continue
            bound = check.bound
            if worst is not None and check.bound in profile.columns:
                bound = figure_text(worst[check.bound])
            verdicts.append(
                Verdict(
                    gate=check.gate,
                    subject=str(name),
                    severity=check.severity,
                    passed=worst is None,
                    figure="" if worst is None else figure_text(worst[check.figure]),
                    bound="" if worst is None else bound,
                    message="" if worst is None else f"{check.message} ({len(bad)} of {len(rows)}, first: {worst[label]})",
                    sample=[_sample(check, label, row) for row in bad.head(5).to_dict("records")],
                )
            )
    return verdicts, failed_rows


def _accepted(check: Check, subject: str, label: str, row: dict[str, Any], who: str) -> Verdict:
    what = check.message.removesuffix("; the delivery was refused")
    return Verdict(
        check.gate, subject, check.severity, False,
        figure=figure_text(row[check.figure]), bound=figure_text(row.get(check.bound, check.bound)),
        message=f"{what} ({row[label]})", sample=[_sample(check, label, row)], accepted=who,
    )  # fmt: skip


def _sample(check: Check, label: str, row: dict[str, Any]) -> dict[str, Any]:
    """Of a profile row what the check is about: what it names, its day, figure and bound; other gates have the rest."""
    judged = {str(value) for name, value in check.expectation.configuration.kwargs.items() if name.startswith("column")}
    shown = {label, "day", check.figure, check.bound, *judged, *check.also}
    return {name: _shown(value) for name, value in row.items() if name in shown}


def _shown(value: Any) -> Any:
    """Numbers stay numbers, of as many digits as verdicts show; JSON has none that is not finite."""
    if isinstance(value, float) and math.isfinite(value):
        return int(value) if value == int(value) else float(figure_text(value))
    return value if isinstance(value, int) else str(value)


@cache
def _batches() -> Any:
    """Where profiles become batches; made once a process, it costs more than judging one."""
    import great_expectations as gx

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    return context.data_sources.add_pandas("profiles").add_dataframe_asset("profile").add_batch_definition_whole_dataframe("all")


def _all_passed(result: Any, rows: int) -> bool:
    """Whether the expectation says of every row that it passed; of one that judged fewer rows nobody knows."""
    return result.success is True and result.result.get("unexpected_count") == 0 and result.result.get("element_count") == rows


def _find(results: Sequence[Any], check: Check) -> Any:
    """The result of a check's expectation; Great Expectations returns results in an order of its own."""
    wanted = check.expectation.configuration
    for result in results:
        if result.expectation_config.type == wanted.type and result.expectation_config.kwargs.items() >= wanted.kwargs.items():
            # An exception stands here itself, or under the id of each metric that raised it.
            told = [result.exception_info, *(info for info in result.exception_info.values() if isinstance(info, dict))]
            for info in told:
                if info.get("raised_exception"):
                    raise CheckDidNotRun(f"gate {check.gate}: {info.get('exception_message')}")
            return result
    raise CheckDidNotRun(f"gate {check.gate}: the suite returned no result for {wanted.type}")


def figure_text(value: Any) -> str:
    """A figure as verdicts show it."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
