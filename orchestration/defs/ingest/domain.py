"""Assets of one domain of exports: its deliveries, partitioned by delivery day, and its raw tables, not partitioned.

Belongs here: how a domain becomes assets. Does not: reading or loading (`orchestration.lib.ingest`).
Dagster's events cost CPU per asset and partition (docs/adr/0005-partitions.md), so only deliveries are partitioned.
"""

from collections.abc import Iterator

import dagster as dg

from data_quality.contract import contracts_of
from data_quality.verdict import record
from orchestration.lib import ingest, rereading, warehouse
from orchestration.partitions import FIRST_DELIVERY_DAY, Window
from orchestration.run_context import FULL_REFRESH_TAG, CxHome
from orchestration.settings import ConfigError, Settings


def delivery_days() -> dg.DailyPartitionsDefinition:
    """One partition a delivery day, in the business time zone where one is configured."""
    try:
        zone = Settings().config.business.timezone
    except ConfigError:
        zone = "UTC"  # definitions load without a configuration; a run does not start without one
    return dg.DailyPartitionsDefinition(start_date=str(FIRST_DELIVERY_DAY), timezone=zone, end_offset=1)


def domain_assets(domain: str) -> list[dg.AssetsDefinition]:
    """The deliveries asset and the raw tables of a domain."""
    contracts = contracts_of(domain)
    deliveries_key = dg.AssetKey(["deliveries", domain])

    @dg.asset(
        key=deliveries_key,
        partitions_def=delivery_days(),
        backfill_policy=dg.BackfillPolicy.single_run(),
        group_name=domain,
        kinds={"file"},
        description=f"Exports of {domain} by delivery day: which files arrived, which are new or changed.",
    )
    def deliveries(context: dg.AssetExecutionContext, cx_home: CxHome) -> dg.MaterializeResult:
        span = context.partition_time_window
        window = Window(span.start.date(), span.end.date())
        with cx_home.warehouse() as con:
            taken = ingest.take_deliveries(con, cx_home.settings, domain, window, context.run_id)
            warehouse.advance_clock(con, window.last)
            record(con, context.run_id, taken.verdicts)
        context.log.info(f"{domain} {window}: {sum(taken.pending.values())} to load, {taken.unchanged} unchanged")
        return dg.MaterializeResult(
            metadata={"window": str(window), "to_load": sum(taken.pending.values()), "unchanged": taken.unchanged}
        )

    @dg.multi_asset(
        name=f"raw_{domain}",
        specs=[
            dg.AssetSpec(
                ["raw", feed],
                deps=[deliveries_key],
                group_name=domain,
                kinds={"duckdb"},
                description=f"{contract.description} Rows as delivered and typed, each with its file and line.",
            )
            for feed, contract in contracts.items()
        ],
        can_subset=True,
    )
    def raw(context: dg.AssetExecutionContext, cx_home: CxHome) -> Iterator[dg.MaterializeResult]:
        # Holidays first: they say which days of the others are no usual ones.
        feeds = sorted((key.path[-1] for key in context.selected_asset_keys), key=lambda feed: (feed != "holidays", feed))
        with cx_home.warehouse() as con:
            ingest.require_a_clock(con)
            is_rebuild = context.run.tags.get(FULL_REFRESH_TAG) == "true"
            anew = feeds if is_rebuild else ingest.changed_reading(con, cx_home.settings, feeds)
            if anew:
                context.log.info(f"every delivery of {', '.join(anew)} is loaded anew")
                rereading.reset_feeds(con, cx_home.settings, anew)

            def progress(feed: str, done: int, of: int) -> None:
                share = cx_home.progress.estimate(*ingest.bytes_of_run(con, context.run_id))
                cx_home.progress.say(f"loading {feed}: {done:,} of {of:,} deliveries, {share}", context.log.info)

            for feed in feeds:
                loaded = ingest.load_feed(con, cx_home.settings, feed, context.run_id, progress)
                record(con, context.run_id, loaded.verdicts)
                for verdict in loaded.verdicts:
                    if not verdict.passed:
                        context.log.warning(verdict.sentence())
                yield dg.MaterializeResult(
                    asset_key=["raw", feed],
                    metadata={
                        "deliveries_accepted": loaded.accepted,
                        "deliveries_refused": loaded.refused,
                        "rows_read": loaded.rows_read,
                        "dagster/row_count": loaded.rows_accepted,
                        "rows_quarantined": loaded.rows_quarantined,
                    },
                )

    return [deliveries, raw]
