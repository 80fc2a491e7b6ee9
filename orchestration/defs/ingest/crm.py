"""Deliveries and raw tables of the domain `crm`."""

import dagster as dg

from orchestration.defs.ingest.domain import domain_assets


@dg.definitions
def crm_assets() -> dg.Definitions:
    """Assets of the domain."""
    return dg.Definitions(assets=domain_assets("crm"))
