"""What every run of this code location has: its resource and its executor."""

import dagster as dg

from orchestration.run_context import CxHome


@dg.definitions
def resources() -> dg.Definitions:
    """The CX_HOME a run works on, and one process a run, also for assets materialized by hand in the UI."""
    return dg.Definitions(resources={"cx_home": CxHome()}, executor=dg.in_process_executor)
