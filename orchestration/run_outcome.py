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

from orchestration.lib import report
from orchestration.runs import KIND_TAG, RANGE_END_TAG, RANGE_START_TAG

if TYPE_CHECKING:
    from orchestration.settings import Settings

BEGAN_TAG = "cx/began"
"""When `cx` was called: Dagster's clock starts after its own imports."""
_ENDED = (dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED)
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


def ran(instance: dg.DagsterInstance, run_id: str) -> report.Ran | None:
    """The run as Dagster's storage tells it; None where there is no such run."""
    record = instance.get_run_record_by_id(run_id)
    if record is None:
        return None
    run = record.dagster_run
    problems: list[str] = []
    if run.status in (dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED):
        problems = problems_of(entry.dagster_event for entry in instance.all_logs(run_id, of_type=_FAILURES))
        problems = problems or ["the run failed; cx ui shows its log"]
    began = run.tags.get(BEGAN_TAG) or record.start_time or record.create_timestamp.timestamp()
    days = [date.fromisoformat(run.tags[tag]) if tag in run.tags else None for tag in (RANGE_START_TAG, RANGE_END_TAG)]
    steps = [step for step in instance.get_run_step_stats(run_id) if step.start_time and step.end_time]
    return report.Ran(
        run_id=run_id,
        kind=run.tags.get(KIND_TAG, run.job_name),
        first_day=days[0],
        last_day=days[1],
        began=datetime.fromtimestamp(float(began), UTC),
        ended=datetime.now(UTC),
        problems=tuple(problems),
        steps=tuple((step.step_key, step.end_time - step.start_time) for step in steps),
    )


def collect(
    settings: Settings, instance: dg.DagsterInstance, run_id: str, models: dict[str, float] | None = None
) -> dict[str, Any] | None:
    """The report of a run of Dagster's, to be called before the lock is let go.

    None while it has not ended: the executor of several processes opens this home for each step.
    """
    try:
        run = instance.get_run_by_id(run_id)
        what = ran(instance, run_id) if run and run.status in _ENDED else None
        return what and report.collect(settings, replace(what, models=models or {}))
    except Exception as error:  # a report that cannot be made is no failure of the run
        with suppress(Exception):
            instance.report_engine_event(f"no report was written: {error!r}", run_id=run_id)
        return None


def not_begun(settings: Settings, instance: dg.DagsterInstance, run_id: str, problem: str) -> dict[str, Any] | None:
    """The report of a run of Dagster's whose home could not be opened."""
    try:
        what = ran(instance, run_id)
        return what and report.collect(settings, replace(what, was_refused=True, problems=(" ".join(problem.split()),)))
    except Exception:  # the run fails with its own error
        return None
