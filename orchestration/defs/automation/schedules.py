"""The nightly schedule, declared only in production: elsewhere it is absent, not stopped.

Belongs here: cron times and zones. Does not: what runs (`jobs`).
"""

import dagster as dg

from orchestration.lib.run_lock import RunLocked
from orchestration.runs import nightly_window, plan
from orchestration.settings import Settings


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
            return dg.SkipReason(str(locked))
        return dg.RunRequest(asset_selection=run.assets, tags=run.tags)

    return dg.Definitions(schedules=[nightly_schedule])
