"""What a run is: the assets it selects and the tags that name its window. The same for schedules and for `cx`.

Belongs here: turning a window into a Dagster run. Does not: executing it (`cli`) or deciding when (`defs.automation`).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import dagster as dg

from data_quality.contract import load_contracts
from orchestration.lib import ingest, warehouse
from orchestration.lib.dbt_manifest import models_on
from orchestration.lib.run_lock import run_lock
from orchestration.partitions import FIRST_DELIVERY_DAY, Window
from orchestration.settings import ConfigError, Settings

KIND_TAG = "cx/kind"
FIT_TAG = "cx/fit"
"""`true`: fit customer lifetime value anew, also where that is not due."""
# Dagster's names for a run over a range of partitions; it exports no constants for them.
RANGE_START_TAG, RANGE_END_TAG = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"


@dataclass(frozen=True)
class RunPlan:
    """Job, assets and tags of one run."""

    job: str
    assets: list[dg.AssetKey]
    tags: dict[str, str] = field(default_factory=dict)


def plan(settings: Settings, kind: str, window: Window | None, with_fit: bool = False) -> RunPlan:
    """Plan a run of the window; without one, of everything that is loaded (a rebuild). `with_fit`: value is fitted, due or not.

    Raises:
        ConfigError: cx.toml configures no feed, or one that has no contract.
    """
    feeds = {source.feed for source in settings.config.feed}
    contracts = load_contracts()
    unknown = sorted(feeds - set(contracts))
    if unknown or not feeds:
        problem = f"feed {unknown[0]!r} has no contract" if unknown else "no [[feed]] is configured"
        raise ConfigError(f"{settings.config_path}: {problem}; write one of {', '.join(contracts)}")
    if window is not None and not (window.start >= FIRST_DELIVERY_DAY and window.last <= settings.today()):
        # The last day of a run becomes the last complete day, and that never goes back.
        raise ConfigError(f"{window} is not between {FIRST_DELIVERY_DAY} and today, {settings.today()}: is it a slip of the pen?")
    domains = sorted({contracts[feed].domain for feed in feeds})
    assets = [dg.AssetKey(["raw", feed]) for feed in contracts if feed in feeds]
    assets += [dg.AssetKey([_schema(model), model]) for model in sorted(models_on(feeds))]
    assets.append(dg.AssetKey(["release", "current"]))
    if settings.config.postgres is not None:
        assets.append(dg.AssetKey(["release", "postgres"]))
    if window is None:
        return RunPlan("rebuild", assets, {KIND_TAG: kind})
    tags = {
        KIND_TAG: kind,
        RANGE_START_TAG: str(window.start),
        RANGE_END_TAG: str(window.last),
    }
    if with_fit:
        tags[FIT_TAG] = "true"
    return RunPlan("nightly", [dg.AssetKey(["deliveries", domain]) for domain in domains] + assets, tags)


def nightly_window(settings: Settings) -> Window:
    """From the oldest delivery that is not yet taken to yesterday in the business zone; yesterday where none waits.

    Raises:
        RunLocked: a run is working on this CX_HOME.
    """
    yesterday = settings.yesterday()
    settings.make_folders()
    with run_lock(settings, "looking for new deliveries"), warehouse.connect(settings) as con:
        warehouse.prepare(con, settings.config)
        return ingest.untaken_days(con, settings, yesterday) or Window.of_days(yesterday, yesterday)


def _schema(model: str) -> str:
    return {"stg": "staging", "int": "intermediate"}.get(model[:3], "marts")
