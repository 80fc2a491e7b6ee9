"""Dagster's event log with connections kept open: the same events in the same databases as Dagster's own class stores."""

import os
import sqlite3
import threading
from pathlib import Path

import dagster as dg
import pytest

from orchestration.lib.event_log import KeptOpenSqliteEventLogStorage
from orchestration.settings import Settings

OWN = "telemetry:\n  enabled: false\n"


@dg.asset(
    partitions_def=dg.DailyPartitionsDefinition("2026-01-01", end_date="2026-03-01"),
    backfill_policy=dg.BackfillPolicy.single_run(),
)
def deliveries(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
    return dg.MaterializeResult(metadata={"days": len(context.partition_keys)}, tags={"team": "cx"})


@dg.asset(deps=[deliveries], check_specs=[dg.AssetCheckSpec("is_there", asset="mart")])
def mart() -> dg.MaterializeResult:
    return dg.MaterializeResult(check_results=[dg.AssetCheckResult(passed=True, check_name="is_there")])


@dg.asset(deps=[mart])
def broken() -> None:
    raise ValueError("broken on purpose")


def days_of_february() -> dict[str, str]:
    return {"dagster/asset_partition_range_start": "2026-02-01", "dagster/asset_partition_range_end": "2026-02-28"}


def run(instance: dg.DagsterInstance) -> dg.ExecuteInProcessResult:
    job = dg.Definitions([deliveries, mart, broken], jobs=[dg.define_asset_job("all", tags=days_of_february())]).resolve_job_def(
        "all"
    )
    return job.execute_in_process(instance=instance, raise_on_error=False)


def told(instance: dg.DagsterInstance, run_id: str) -> dict[str, object]:
    """What the instance remembers of the run, without ids and times."""
    records = [record.event_log_entry for record in instance.get_records_for_run(run_id).records]
    events = [
        (e.dagster_event_type, e.step_key, e.dagster_event.partition, str(e.dagster_event.asset_key))
        for e in records
        if e.dagster_event
    ]
    latest = instance.get_latest_materialization_event(deliveries.key)
    (check,) = instance.event_log_storage.get_asset_check_execution_history(dg.AssetCheckKey(mart.key, "is_there"), limit=5)
    return {
        "events": sorted((str(a), str(b), str(c), d) for a, b, c, d in events),
        "days": sorted(instance.get_materialized_partitions(deliveries.key)),
        "latest": (latest.asset_materialization.tags["team"], latest.asset_materialization.metadata["days"].value),
        "check": str(check.status),
        "run": instance.get_run_by_id(run_id).status,
    }


def test_the_same_events_as_dagsters_own_class_stores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for name, text, batch in (
        ("own", OWN, "0"),
        ("kept_open", None, "1000"),
        ("one_by_one", None, "0"),
        ("small_batches", None, "7"),
    ):
        settings = Settings(tmp_path / name)
        settings.make_folders()
        if text:
            (settings.dagster_home / "dagster.yaml").write_text(text)
        monkeypatch.setenv("DAGSTER_HOME", str(settings.dagster_home))
        monkeypatch.setenv("DAGSTER_EVENT_BATCH_SIZE", batch)
        with dg.DagsterInstance.get() as instance:
            assert isinstance(instance.event_log_storage, KeptOpenSqliteEventLogStorage) == (text is None)
            result = run(instance)
            found.append(told(instance, result.run_id))
        # The other class reads what this one wrote.
        (settings.dagster_home / "dagster.yaml").write_text(OWN)
        with dg.DagsterInstance.get() as instance:
            assert told(instance, result.run_id) == found[-1]
    own, *others = found
    assert len(own["days"]) == 28 and own["run"] == dg.DagsterRunStatus.FAILURE and own["latest"] == ("cx", 28)
    for other in others:
        assert other == own


@pytest.fixture
def instance(cx_home: Path, monkeypatch: pytest.MonkeyPatch):
    settings = Settings(cx_home)
    settings.make_folders()
    for name, value in settings.environment.items():
        monkeypatch.setenv(name, value)
    with dg.DagsterInstance.get() as found:
        yield found


def test_few_connections_stay_open_however_many_runs_there_are(instance: dg.DagsterInstance) -> None:
    run_ids = [run(instance).run_id for _ in range(6)]
    assert all(instance.get_records_for_run(run_id).records for run_id in run_ids)
    assert len(instance.event_log_storage._kept) <= 6


def test_threads_take_turns(instance: dg.DagsterInstance) -> None:
    """The webserver reads runs in one thread while another one stores them."""
    run_id, errors = run(instance).run_id, []

    def read() -> None:
        try:
            for _ in range(20):
                assert instance.get_records_for_run(run_id).records
        except Exception as error:
            errors.append(error)

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    assert len(instance.get_records_for_run(run(instance).run_id).records) == len(instance.get_records_for_run(run_id).records)
    for reader in readers:
        reader.join()
    assert errors == []


def test_another_process_can_write_between_our_events(instance: dg.DagsterInstance) -> None:
    """No transaction stays open: the daemon writes to the same databases."""
    run(instance)
    with sqlite3.connect(Path(os.environ["DAGSTER_HOME"]) / "history" / "runs" / "index.db", timeout=1) as other:
        other.execute("create table somebody_elses (x)")
    assert run(instance).run_id


def test_a_run_whose_database_was_deleted_is_empty(instance: dg.DagsterInstance) -> None:
    run_id = run(instance).run_id
    for path in (Path(os.environ["DAGSTER_HOME"]) / "history" / "runs").glob(f"{run_id}*"):
        path.unlink()
    assert instance.get_records_for_run(run_id).records == []


def test_a_batch_is_stored_whole_or_not_at_all(instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch) -> None:
    """Dagster then stores its events one by one; none is there twice."""
    storage, calls = instance.event_log_storage, 0
    store = storage._store_asset_event

    def fail_once(*arguments: object) -> None:
        nonlocal calls
        calls += 1
        if calls == 40:
            raise OSError("disk of a test")
        store(*arguments)

    monkeypatch.setattr(storage, "_store_asset_event", fail_once)
    result = run(instance)
    types = [record.event_log_entry.dagster_event_type for record in instance.get_records_for_run(result.run_id).records]
    assert calls > 40
    assert types.count(dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED) == 30
    assert types.count(dg.DagsterEventType.ASSET_MATERIALIZATION) == 29
