"""What Dagster is told: which assets there are, which have partitions, when the schedule exists."""

from __future__ import annotations

import importlib
from datetime import datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from data_quality.contract import load_contracts
from orchestration.definitions import defs
from orchestration.lib.dbt_manifest import manifest_json, marts, marts_on, models_on
from orchestration.settings import DBT_PROJECT_DIR, ConfigError


@pytest.fixture(scope="module")
def loaded() -> dg.Definitions:
    return defs()


def test_only_deliveries_are_partitioned_and_their_backfill_is_one_run(loaded: dg.Definitions) -> None:
    graph = loaded.resolve_asset_graph()
    partitioned = {key.to_user_string() for key in graph.get_all_asset_keys() if graph.get(key).partitions_def}
    assert partitioned == {"deliveries/crm", "deliveries/contact_center", "deliveries/ecommerce", "deliveries/context"}
    for name in partitioned:
        policy = graph.get(dg.AssetKey(name.split("/"))).backfill_policy
        assert policy is not None and policy.max_partitions_per_run is None


def test_every_feed_and_model_is_an_asset_and_every_mart_leads_to_the_release(loaded: dg.Definitions) -> None:
    graph = loaded.resolve_asset_graph()
    keys = {key.to_user_string() for key in graph.get_all_asset_keys()}
    models = {node["name"] for node in manifest_json()["nodes"].values() if node["resource_type"] == "model"}
    assert {f"raw/{feed}" for feed in load_contracts()} <= keys
    assert {key.split("/")[1] for key in keys if key.split("/")[0] in ("staging", "intermediate", "marts")} == models
    parents = graph.get(dg.AssetKey(["release", "current"])).parent_keys
    assert {key.path[-1] for key in parents} == set(marts())
    checked = {key.asset_key.to_user_string() for key in graph.asset_check_keys}
    assert checked == {f"raw/{feed}" for feed in load_contracts()} | {f"marts/{mart}" for mart in marts()}


def test_staging_has_one_model_a_contract_and_its_columns() -> None:
    nodes = {node["name"]: node for node in manifest_json()["nodes"].values() if node["resource_type"] == "model"}
    assert {name[4:] for name in nodes if name.startswith("stg_")} == set(load_contracts())
    sources = manifest_json()["sources"].values()
    assert {source["name"] for source in sources if source["source_name"] == "raw"} == set(load_contracts())
    for feed, contract in load_contracts().items():
        assert nodes[f"stg_{feed}"]["fqn"][-2] == contract.domain


def test_every_model_says_its_grain_in_the_first_line() -> None:
    for path in (DBT_PROJECT_DIR / "models").rglob("*.sql"):
        assert path.read_text(encoding="utf-8").startswith("-- grain: one row per "), path


def test_marts_without_a_configured_feed_are_off() -> None:
    of_contracts = set(marts_on({"subscriptions"}))
    assert {"churn_daily", "retention_daily"} <= of_contracts
    assert not of_contracts & {"sales_daily", "clv_daily", "fcr_daily", "cart_abandonment_daily", "contact_volume_daily"}
    assert "stg_cart_events" not in models_on({"order_lines"})
    assert {"sales_daily", "int_refunds", "stg_orders"} <= models_on({"order_lines"})
    assert not {"fcr_daily", "cart_abandonment_daily"} & models_on({"order_lines"}), "metric_daily reads the marts that are on"


@pytest.mark.parametrize("env", ["local", "ci"])
def test_outside_production_there_is_no_schedule(env: str, cx_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CX_ENV", env)
    module = importlib.import_module("orchestration.defs.automation.schedules")
    assert list(module.schedules().schedules or []) == []


def test_production_without_configuration_fails_loudly(cx_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CX_ENV", "production")
    module = importlib.import_module("orchestration.defs.automation.schedules")
    with pytest.raises(ConfigError, match="no configuration at"):
        module.schedules()


def test_the_production_schedule_runs_in_the_business_zone(cx_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At 03:00 in Auckland it asks for everything not yet taken, from the oldest waiting file to yesterday there."""
    monkeypatch.setenv("CX_ENV", "production")
    landing = cx_home / "landing"
    landing.mkdir()
    (landing / "cx.toml").write_text(
        '[business]\ntimezone = "Pacific/Auckland"\n[[feed]]\nfeed = "refunds"\npattern = "refunds_{day}.csv"\nformat = "csv"\n'
    )
    (landing / "refunds_2025-01-02.csv").write_text("refund_id\n")
    module = importlib.import_module("orchestration.defs.automation.schedules")
    (schedule,) = module.schedules().schedules
    assert (schedule.cron_schedule, schedule.execution_timezone) == ("0 3 * * *", "Pacific/Auckland")
    request = schedule(dg.build_schedule_context(scheduled_execution_time=datetime.now()))
    from orchestration.settings import Settings

    assert request.tags["dagster/asset_partition_range_start"] == "2025-01-02"
    assert request.tags["dagster/asset_partition_range_end"] == str(Settings().today() - timedelta(days=1))
    assert dg.AssetKey(["deliveries", "ecommerce"]) in request.asset_selection
    assert dg.AssetKey(["deliveries", "crm"]) not in request.asset_selection


def test_nothing_runs_in_several_processes(loaded: dg.Definitions) -> None:
    """The warehouse has one writer, and a report is written where a run's only process ends."""
    for name in ("nightly", "rebuild", "__ASSET_JOB"):
        assert loaded.resolve_job_def(name).executor_def.name == "in_process", name


def test_a_backfill_of_the_nightly_job_from_the_ui_is_one_run(loaded: dg.Definitions) -> None:
    """Dagster decides that by the job's policy, which is that of its partitioned assets; `tests/ui_backfill.py` does it."""
    job = loaded.resolve_job_def("nightly")
    assert job.backfill_policy == dg.BackfillPolicy.single_run()
    assert isinstance(job.partitions_def, dg.DailyPartitionsDefinition)
    assert {key.path[0] for key in job.asset_layer.executable_asset_keys} >= {"deliveries", "raw", "marts", "release"}
