"""Resources that assets ask for by name."""

import dagster as dg

from orchestration.run_context import CxHome


@dg.definitions
def resources() -> dg.Definitions:
    """The one resource: the CX_HOME a run works on."""
    return dg.Definitions(resources={"cx_home": CxHome()})
