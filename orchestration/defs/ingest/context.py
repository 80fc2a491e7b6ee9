"""Deliveries and raw tables of the domain `context`."""

import dagster as dg

from orchestration.defs.ingest.domain import domain_assets


@dg.definitions
def context_assets() -> dg.Definitions:
    """Assets of the domain."""
    return dg.Definitions(assets=domain_assets("context"))
