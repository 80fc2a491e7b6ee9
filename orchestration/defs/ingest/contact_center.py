"""Deliveries and raw tables of the domain `contact_center`."""

import dagster as dg

from orchestration.defs.ingest.domain import domain_assets


@dg.definitions
def contact_center_assets() -> dg.Definitions:
    """Assets of the domain."""
    return dg.Definitions(assets=domain_assets("contact_center"))
