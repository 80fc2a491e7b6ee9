"""The dbt models as assets, one by one; staging, intermediate, marts. Not partitioned: `ops.affected` says what to do.

Belongs here: how models become assets, and the one step that builds them; with the fits of customer lifetime value in the
middle of it where they are due, and the snapshot of a month. Does not: calling dbt (`lib.dbt_build`), fitting (`lib.clv_fit`).
dagster-dbt's own `dbt.cli()` starts a second process and 4 CPU seconds later dbt; here dbt runs in this one.
"""

from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, DagsterDbtTranslatorSettings, dbt_assets

from data_quality.verdict import record
from orchestration.lib import clv_as_of, clv_fit, clv_snapshot, dbt_build
from orchestration.lib.dbt_functions import register
from orchestration.lib.dbt_manifest import ensure_manifest, in_order, marts, models_on
from orchestration.run_context import CxHome
from orchestration.runs import FIT_TAG

# The step that builds the models makes the fits in between: a step of its own would cut it in two.
CLV_FITS = dg.AssetSpec(
    ["ops", "clv_fits"],
    deps=[dg.AssetKey(["intermediate", name]) for name in clv_fit.NEEDED],
    group_name="customer_value",
    kinds={"python", "scipy"},
    description="Parameters of purchase and spend models by segment; every clv_fit_days days, or by `cx clv fit`.",
)


class Translator(DagsterDbtTranslator):
    """Asset keys are [schema, table], groups are the folders below staging and marts."""

    def get_asset_spec(self, manifest: Mapping[str, Any], unique_id: str, project: Any) -> dg.AssetSpec:
        """The model's spec with our key and group."""
        spec = super().get_asset_spec(manifest, unique_id, project)
        node = {**manifest["nodes"], **manifest["sources"]}[unique_id]
        group = "intermediate" if "intermediate" in node["fqn"] else node["fqn"][-2]
        return spec.replace_attributes(key=dg.AssetKey([node["schema"], node["name"]]), group_name=group)


@dbt_assets(
    manifest=ensure_manifest(),
    name="dbt_build",
    # Verdicts of dbt tests appear as one check a gate (defs/quality), not one a test.
    dagster_dbt_translator=Translator(DagsterDbtTranslatorSettings(enable_asset_checks=False)),
)
def dbt_models(context: dg.AssetExecutionContext, cx_home: CxHome) -> Iterator[dg.MaterializeResult]:
    """Build and test the selected models; what was built is reported even when something else failed."""
    selected = {key.path[-1]: key for key in context.selected_asset_keys}
    fingerprint = dbt_build.fingerprint(cx_home.settings)
    with cx_home.warehouse() as con:
        # Emptied first and written last: tables of a rebuild that died half-way are found wanting by the next run.
        full_refresh = con.execute("select fingerprint is distinct from ? from ops.clock", [fingerprint]).fetchone()[0]
        if full_refresh:
            con.execute("update ops.clock set fingerprint = null")
            context.log.info("definitions, configured values or all rows are new: every model is built whole")

        is_due = clv_fit.is_due(con, cx_home.settings.config.business)
        month_end = clv_snapshot.due(con) if clv_snapshot.MART in selected else None

    def progress(text: str) -> None:
        cx_home.progress.say(text, context.log.info)

    wants_fit = "clv_params" in selected and (context.run.tags.get(FIT_TAG) == "true" or is_due)
    needed = frozenset(in_order(set(clv_fit.NEEDED))) if wants_fit or month_end else frozenset()

    def between() -> None:
        if wants_fit:
            _fit(context, cx_home)
        if month_end:
            _keep_month(context, cx_home, month_end)

    built = dbt_build.build(cx_home.settings, set(selected), full_refresh, progress, needed, between)
    cx_home.note_models(built.models)
    with cx_home.warehouse() as con:
        record(con, context.run_id, built.verdicts)
        if full_refresh and models_on(cx_home.feeds_on()) <= set(built.models):
            con.execute("update ops.clock set fingerprint = ?", [fingerprint])
        looked_at, rebuilt = (
            {
                mart: count if by_day else "all"
                for mart, count, by_day in con.execute(
                    f"select mart, count(*), count(*) = count(day) from ops.{table} group by mart"
                ).fetchall()
            }
            for table in ("affected", "rebuilt")
        )
    # Of a mart that is empty and stays so nothing was to be done, and that is done: else Dagster would skip its gates.
    done = built.models | dict.fromkeys(built.idle & marts().keys(), 0.0)
    for name in in_order(set(done)):
        if name in done:
            metadata: dict[str, Any] = {"seconds": round(done[name], 3)}
            if name in looked_at:
                metadata |= {"days_looked_at": looked_at[name], "days_rebuilt": rebuilt.get(name, 0)}
            yield dg.MaterializeResult(asset_key=selected[name], metadata=metadata)
    failed = [verdict for verdict in built.verdicts if not verdict.passed]
    for verdict in failed:
        context.log.error(verdict.sentence())
    if set(selected) - set(built.models) - built.idle:
        sentences = "; ".join(verdict.sentence() for verdict in failed)
        raise dg.Failure(sentences or "dbt did not build every model", allow_retries=False)


def _fit(context: dg.AssetExecutionContext, cx_home: CxHome) -> None:
    """Fit as of the last complete day. A fit that fails does not stop the night: the one before it goes on to score."""
    cx_home.progress.say("fitting customer lifetime value", context.log.info)
    with cx_home.warehouse() as con:
        try:
            fitted = clv_fit.fit(con, cx_home.settings.config.business, context.run_id)
        except Exception as error:
            record(con, context.run_id, [clv_fit.failed(error)])
            context.log.error(f"customer lifetime value was not fitted: {error}", exc_info=True)
            return
    rows = [
        {"segment": one.segment, "customers": one.customers, "model": one.model, "used": one.is_used, "why not": one.message}
        for one in fitted
    ]
    context.log_event(
        dg.AssetMaterialization(
            CLV_FITS.key,
            metadata={
                "segments": len(fitted),
                "used": sum(one.is_used for one in fitted),
                "customers": max((one.customers for one in fitted), default=0),
                "fits": dg.MetadataValue.table([dg.TableRecord(row) for row in rows]) if rows else "too few customers",
            },
        )
    )


def _keep_month(context: dg.AssetExecutionContext, cx_home: CxHome, month_end: date) -> None:
    """Keep what is predicted as of the end of a month, by the fit that was newest then."""
    cx_home.progress.say(f"keeping the predictions of {month_end}", context.log.info)
    scores = dbt_build.compiled_analysis(cx_home.settings, clv_as_of.ANALYSIS).compiled_code
    with cx_home.warehouse() as con:
        register(con)
        persons = clv_snapshot.take(con, month_end, scores, context.run_id)
    context.log.info(f"predictions of {persons:,} persons as of {month_end} are kept")
