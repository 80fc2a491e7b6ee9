"""dbt's unit tests: the SQL of the models on fixed rows, in an empty company whose last complete day is 31 January 2026."""

from __future__ import annotations

import os
from datetime import date

import pytest

from orchestration.lib import warehouse
from orchestration.lib.dbt_manifest import ensure_manifest, manifest_json, runner_manifest
from orchestration.settings import DBT_PROJECT_DIR, CxConfig, Settings


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[str, str]]:
    """Status and message of every unit test by its id."""
    from dbt.cli.main import dbtRunner

    settings = Settings(tmp_path_factory.mktemp("unit"))
    settings.make_folders()
    with warehouse.connect(settings) as con:
        warehouse.prepare(con, CxConfig())
        warehouse.advance_clock(con, date(2026, 1, 31))
    os.environ["CX_WAREHOUSE"] = str(settings.warehouse)
    ensure_manifest()
    where = ["--project-dir", str(DBT_PROJECT_DIR), "--profiles-dir", str(DBT_PROJECT_DIR), "--target-path",
             str(settings.home / "dbt"), "--log-path", str(settings.home / "dbt"), "--log-level-file", "none"]  # fmt: skip
    # dbt reads the columns of the inputs from the warehouse: every table exists, without rows.
    built = dbtRunner(manifest=runner_manifest()).invoke(["--quiet", "--no-write-json", "run", "--full-refresh", *where])
    assert built.success, built.exception or [r.message for r in built.result.results if r.status != "success"]
    outcome = dbtRunner(manifest=runner_manifest()).invoke(
        ["--quiet", "--no-write-json", "test", "--select", "test_type:unit", *where]
    )
    return {result.node.unique_id: (str(result.status), result.message or "") for result in outcome.result.results}


@pytest.mark.parametrize("name", sorted(manifest_json()["unit_tests"]))
def test_unit_test_of_a_model_passes(name: str, results: dict[str, tuple[str, str]]) -> None:
    status, message = results[name]
    assert status == "pass", message
