"""The registry: every metric has a complete entry, and an incomplete one is told with its file, field and what to write."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from typing import Any

import pytest

from orchestration.lib import dbt_manifest, registry
from orchestration.lib.dbt_manifest import manifest_json, metrics


def test_every_metric_has_a_complete_entry() -> None:
    assert registry.problems() == []


BESIDE = {
    "engaged_customers_daily": "visiting_customers",
    "nps_trailing_daily": "answers answers_known",
    "person_coverage_daily": "records",
    # amounts in the currency of the order; the metrics are of those in the reporting currency
    "sales_daily": "cost_reporting discount_amount gross_amount net_amount refund_amount shipping_amount tax_amount",
    "sales_since_initiative": "days_since orders_last_year",
    "survey_daily": "left_out",
    "survey_pressure_daily": "invitations",
    "survey_response_daily": "answered_late bounced dismissed invited partial suppressed",
    "task_completion_daily": "partly unmapped",
}
"""Counts that stand beside the metrics of their mart, so that what is left out of them can be seen."""


def test_every_count_of_a_mart_is_part_of_a_metric() -> None:
    """Or is named above: a number nobody defined is one that two people read in two ways."""
    assert registry.beside() <= {(mart, column) for mart, columns in BESIDE.items() for column in columns.split()}


def test_the_registry_is_what_runs_use() -> None:
    known = registry.entries()
    assert set(known) == set(metrics())
    for name, metric in metrics().items():
        entry = known[name]
        assert (metric.mart, metric.parts, metric.denominator, metric.value) == (
            entry.mart, entry.parts, entry.denominator, entry.value,
        )  # fmt: skip
        assert set(entry.title) == set(registry.LANGUAGES)


def test_a_name_in_two_languages_is_a_slip() -> None:
    """Dutch and German are different words, except where a term of the field is English in both."""
    for entry in registry.entries().values():
        assert entry.labels.zh not in (entry.label, entry.labels.nl, entry.labels.de, entry.labels.it), entry.name
        assert any(ord(letter) > 0x3000 for letter in entry.labels.zh), entry.name


def _without(field: str) -> Callable[[dict[str, Any]], None]:
    return lambda node: node["config"]["meta"].pop(field)


def _with(**fields: Any) -> Callable[[dict[str, Any]], None]:
    return lambda node: node["config"]["meta"].update(fields)


def _unfiltered(node: dict[str, Any]) -> None:
    node["config"]["meta"].pop("cells")
    node["filter"] = None


@pytest.mark.parametrize(
    ("metric", "spoil", "told"),
    [
        ("fcr_rate", _without("formula"), "fcr_daily.yml: metric fcr_rate: formula: is missing; write it, like `formula: "),
        ("fcr_rate", _without("min_n"), "metric fcr_rate: min_n: is missing; write it, like `min_n: 30`"),
        ("fcr_rate", lambda n: n["config"]["meta"]["labels"].pop("zh"), "metric fcr_rate: labels.zh: is missing; write it"),
        ("fcr_rate", lambda n: n.update(description=""), "metric fcr_rate: description: .*a sentence that says who is counted"),
        ("fcr_rate", _with(parts=["solved", "issues"]), "metric fcr_rate: parts: fcr_daily has no column solved; write one of"),
        ("fcr_rate", _with(value="rate"), "metric fcr_rate: value: fcr_daily has no column rate; write one of .*, or leave it"),
        ("fcr_rate", _with(feeds=["calls"]), "metric fcr_rate: feeds: there is no contract of calls; write one of .*contacts"),
        ("fcr_rate", _with(mart="fcr"), "metric fcr_rate: mart: there is no mart fcr; write one of .*fcr_daily"),
        ("fcr_rate", _with(owner="it"), "metric fcr_rate: owner: is 'it'; write 'customer_care'"),
        ("fcr_rate", _with(colour="red"), "metric fcr_rate: colour: there is no such field; write one of label, description"),
        ("fcr_rate", _with(interval="normal"), "metric fcr_rate: interval: normal needs the sum of squares"),
        ("fcr_rate", _with(maturity="late"), "metric fcr_rate: maturity: fcr_daily has no column late_is_final"),
        ("contact_volume", _with(parts=["inbound", "handled"]), "metric contact_volume: class: an additive metric has one part"),
        ("churn_rate", _without("cells"), None),
        ("churn_rate", _unfiltered, "metric churn_rate: filter: MetricFlow would add periods"),
    ],
)  # fmt: skip
def test_an_incomplete_entry_is_told(
    metric: str, spoil: Callable[[dict[str, Any]], None], told: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoiled = copy.deepcopy(manifest_json())
    spoil(next(node for node in spoiled["metrics"].values() if node["name"] == metric))
    monkeypatch.setattr(registry, "manifest_json", lambda: spoiled)
    found = registry.problems()
    if told is None:
        assert found == []
    else:
        assert len(found) == 1 and re.search(told, found[0]), found


def test_a_mart_without_a_metric_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    spoiled = copy.deepcopy(manifest_json())
    for node in spoiled["metrics"].values():
        if node["config"]["meta"].get("mart") == "fcr_daily":
            node["config"]["meta"] = {}
    monkeypatch.setattr(registry, "manifest_json", lambda: spoiled)
    assert any("mart fcr_daily has no metric; write one" in problem for problem in registry.problems())


def test_a_filter_becomes_sql_of_the_marts_columns() -> None:
    nodes = {node["name"]: node for node in manifest_json()["metrics"].values()}
    assert dbt_manifest.filter_of(nodes["churn_rate_month"]) == "basis = 'inactivity' and period = 'month' and plan = 'all'"
    assert dbt_manifest.filter_of(nodes["fcr_rate"]) == "true"
    assert metrics()["churn_rate"].where == "true", "its cells are every basis, period and plan; the filter is the headline"


@pytest.fixture
def files(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Metrics as the files write them, to be changed."""
    written, models = copy.deepcopy(dbt_manifest._registry_files())
    monkeypatch.setattr(dbt_manifest, "_registry_files", lambda: (written, models))
    return written


@pytest.mark.parametrize(
    ("field", "value", "is_definition"),
    [
        ("labels", {"nl": "a", "de": "b", "it": "c", "zh": "d"}, False),
        ("formula", "other words", False),
        ("owner", "hr", False),
        ("matures", "never", False),
        ("denominator", ["issues", "eligible_contacts"], True),
        ("min_n", 31, True),
        ("version", 2, True),
        ("interval", "none", True),
        ("feeds", ["contacts", "cases"], True),
    ],
)
def test_what_decides_rows_is_a_definition_and_words_are_none(
    field: str, value: Any, is_definition: bool, files: list[dict[str, Any]]
) -> None:
    before = dbt_manifest.definitions_fingerprint()
    entry = next(metric for metric in files if metric["name"] == "fcr_rate")
    entry["label"], entry["description"] = "Other", "Another sentence"
    assert dbt_manifest.definitions_fingerprint() == before
    entry["config"]["meta"][field] = value
    assert (dbt_manifest.definitions_fingerprint() != before) == is_definition


def test_a_filter_is_a_definition(files: list[dict[str, Any]]) -> None:
    before = dbt_manifest.definitions_fingerprint()
    next(metric for metric in files if metric["name"] == "churn_rate")["filter"] = "true"
    assert dbt_manifest.definitions_fingerprint() != before
