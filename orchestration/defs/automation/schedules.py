"""The nightly schedule, declared only in production: elsewhere it is absent, not stopped.

Belongs here: cron times and zones, and that a night which does not begin has a report. Does not: what runs (`jobs`).
"""

import uuid

import dagster as dg

from orchestration.lib import alerts, report
from orchestration.lib.run_lock import RunLocked
from orchestration.runs import nightly_window, plan
from orchestration.settings import ConfigError, Settings


@dg.definitions
def schedules() -> dg.Definitions:
    """Every night at 03:00 in the business time zone, for the day that ended three hours before."""
    settings = Settings()
    if settings.env != "production":
        return dg.Definitions()
    zone = settings.config.business.timezone

    @dg.schedule(
        name="nightly",
        job_name="nightly",
        cron_schedule="0 3 * * *",
        execution_timezone=zone,
        default_status=dg.DefaultScheduleStatus.RUNNING,
    )
    def nightly_schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        try:
            run = plan(settings, "nightly", nightly_window(settings))
        except RunLocked as locked:
            _report_stop(settings, str(locked))
            return dg.SkipReason(str(locked))
        except ConfigError as wrong:
            _report_stop(settings, str(wrong))
            raise
        return dg.RunRequest(asset_selection=run.assets, tags=run.tags)

    return dg.Definitions(schedules=[nightly_schedule])


def _report_stop(settings: Settings, problem: str) -> None:
    """The report of a night that does not begin, and its alert: there is no run that could have them, and no terminal."""
    try:
        day = settings.yesterday()
    except ConfigError:
        day = None
    ran = report.Ran(str(uuid.uuid4()), "nightly", day, day, problems=(problem,), was_refused=True)
    alerts.deliver(settings, report.collect(settings, ran), is_unattended=True)
