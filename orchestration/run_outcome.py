"""What Dagster knows of a run that has ended, for its report.

Belongs here: reading a run's record and events. Does not: what a report says (`lib.report`), or when a run ends
(`run_context`, which every run passes, whoever started it, and which calls this when the steps are done).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import dagster as dg
from dagster._core.execution.stats import StepEventStatus

from orchestration.lib import report
from orchestration.runs import KIND_TAG, RANGE_END_TAG, RANGE_START_TAG

if TYPE_CHECKING:
    from orchestration.settings import Settings

BEGAN_TAG = "cx/began"
"""When `cx` was called: Dagster's clock starts after its own imports."""
SCHEDULE_TAG = "dagster/schedule_name"
"""Dagster's tag of the runs that a schedule asked for."""
RELEASE_STEP = "release__current"
_FAILURES = {
    dg.DagsterEventType.STEP_FAILURE,
    dg.DagsterEventType.RUN_FAILURE,
    dg.DagsterEventType.RUN_CANCELED,
    dg.DagsterEventType.ENGINE_EVENT,
}


def problems_of(events: Iterable[Any]) -> list[str]:
    """What went wrong in a failed run, the innermost cause of each failure in one line."""
    found = []
    for event in events:
        data = event.event_specific_data
        failure = getattr(data, "user_failure_data", None)
        error = getattr(data, "error", None) or getattr(data, "error_info", None)
        if failure is not None and failure.description:
            found.append(failure.description)
        elif error is not None and dg.DagsterEventType(event.event_type_value) in _FAILURES:
            while error.cause is not None:
                error = error.cause
            if re.search(r"InterruptedError|KeyboardInterrupt", f"{error.cls_name} {error.message}"):
                found.append(report.INTERRUPTED)
                continue
            # Without the path of the exception's class: the sentence is for people.
            found.append(re.sub(r"^(\w+\.)+\w+: ", "", " ".join(error.message.split())))
    return list(dict.fromkeys(found))


def is_at_work(instance: dg.DagsterInstance | None, run_id: str | None) -> bool:
    """Whether this is a run, and one that has not ended: `dagster job execute` opens the home once more after its run."""
    run = instance.get_run_by_id(run_id) if instance is not None and run_id is not None else None
    return run is not None and not run.is_finished


def is_scheduled(instance: dg.DagsterInstance, run_id: str) -> bool:
    """Whether a schedule asked for the run, so that nobody watches it."""
    run = instance.get_run_by_id(run_id)
    return run is not None and SCHEDULE_TAG in run.tags


def ran(instance: dg.DagsterInstance, run_id: str, problem: str | None = None) -> report.Ran | None:
    """The run as Dagster's storage tells it when its steps are done; None where it is none that publishes.

    Args:
        instance: Dagster's storage.
        run_id: the run; its status says nothing yet, Dagster sets it after the last resource is gone.
        problem: why it did not begin, or ended early, where that is known.
    """
    record = instance.get_run_record_by_id(run_id)
    if record is None:
        return None
    run = record.dagster_run
    if run.execution_plan_snapshot_id is not None:
        snapshot = instance.get_execution_plan_snapshot(run.execution_plan_snapshot_id)
        if RELEASE_STEP not in snapshot.step_keys_to_execute:
            return None  # somebody materializes a part in the UI
    steps = instance.get_run_step_stats(run_id)
    problems = [problem] if problem else []
    if any(step.status == StepEventStatus.FAILURE for step in steps):
        problems += problems_of(entry.dagster_event for entry in instance.all_logs(run_id, of_type=_FAILURES))
    elif not any(step.step_key == RELEASE_STEP and step.status == StepEventStatus.SUCCESS for step in steps):
        problems = problems or [report.INTERRUPTED]
    began = run.tags.get(BEGAN_TAG) or record.start_time or record.create_timestamp.timestamp()
    days = [date.fromisoformat(run.tags[tag]) if tag in run.tags else None for tag in (RANGE_START_TAG, RANGE_END_TAG)]
    return report.Ran(
        run_id=run_id,
        kind=run.tags.get(KIND_TAG, run.job_name),
        first_day=days[0],
        last_day=days[1],
        began=datetime.fromtimestamp(float(began), UTC),
        ended=datetime.now(UTC),
        problems=tuple(dict.fromkeys(problems)),
        steps=tuple((s.step_key, s.end_time - s.start_time) for s in steps if s.start_time and s.end_time),
    )


def collect(
    settings: Settings,
    instance: dg.DagsterInstance,
    run_id: str,
    models: dict[str, float] | None = None,
    problem: str | None = None,
    was_refused: bool = False,
) -> dict[str, Any] | None:
    """The report of a run of Dagster's, to be called while the lock is held; None where there is nothing to report.

    A report that cannot be made is no failure of the run.
    """
    try:
        what = ran(instance, run_id, problem and " ".join(problem.split()))
        return what and report.collect(settings, replace(what, models=models or {}, was_refused=was_refused))
    except Exception as error:
        with suppress(Exception):
            instance.report_engine_event(f"no report was written: {error!r}", run_id=run_id)
        return None
