"""MetricFlow in this process: the SQL it makes of a metric, without a connection of its own.

Belongs here: asking MetricFlow. Does not: what its answers are compared with.
"""

from __future__ import annotations

from functools import cache
from types import SimpleNamespace
from typing import Any

from orchestration.lib.dbt_manifest import TARGET, ensure_manifest, manifest_json


@cache
def engine() -> Any:
    """MetricFlow on the project's semantic manifest, writing SQL for DuckDB."""
    from metricflow.engine.metricflow_engine import MetricFlowEngine
    from metricflow.protocols.sql_client import SqlEngine
    from metricflow.sql.render.duckdb_renderer import DuckDbSqlPlanRenderer
    from metricflow_semantics.model.dbt_manifest_parser import parse_manifest_from_dbt_generated_manifest
    from metricflow_semantics.model.semantic_manifest_lookup import SemanticManifestLookup

    ensure_manifest()
    written = (TARGET / "semantic_manifest.json").read_text(encoding="utf-8")
    client = SimpleNamespace(sql_engine_type=SqlEngine.DUCKDB, sql_plan_renderer=DuckDbSqlPlanRenderer())
    return MetricFlowEngine(SemanticManifestLookup(parse_manifest_from_dbt_generated_manifest(written)), client)


def sql_of(metrics: list[str], group_by: list[str]) -> str:
    """MetricFlow's SQL for metrics by the names of its dimensions, as `metric_time__day`."""
    from metricflow.engine.metricflow_engine import MetricFlowQueryRequest

    request = MetricFlowQueryRequest.create(metric_names=metrics, group_by_names=group_by)
    return engine().explain(request).sql_statement.sql


def sql_of_saved(query: str) -> str:
    """MetricFlow's SQL for a saved query of the project."""
    from metricflow.engine.metricflow_engine import MetricFlowQueryRequest

    return engine().explain(MetricFlowQueryRequest.create(saved_query_name=query)).sql_statement.sql


@cache
def dimensions_of(metric: str) -> dict[str, str]:
    """By column of a metric's mart the dimension's name in MetricFlow, in the semantic model that has its measures."""
    node = next(node for node in manifest_json()["metrics"].values() if node["name"] == metric)
    measure = node["type_params"]["input_measures"][0]["name"]
    model = next(
        model for model in manifest_json()["semantic_models"].values() if any(m["name"] == measure for m in model["measures"])
    )
    return {
        dimension["expr"] or dimension["name"]: f"{model['primary_entity']}__{dimension['name']}"
        for dimension in model["dimensions"]
        if dimension["type"] == "categorical"
    }
