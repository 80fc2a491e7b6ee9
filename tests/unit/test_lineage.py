"""Every metric has an explanation, and an explanation reads nothing that its mart does not."""

from __future__ import annotations

from datetime import date

import pytest

from orchestration import cli
from orchestration.lib.dbt_manifest import explained_marts, manifest_json, marts, metrics
from orchestration.lib.explain import ExplainError, explain, value_of
from orchestration.settings import Settings

# Marts whose rows are not listed: models, quantiles, what is made of other metrics, counts of all feeds at once; and the answers
# of employees, of whom small groups are not published, so that nobody is told by them.
EXPLAINED_LATER = {
    "sales_since_initiative", "survival", "repurchase_survival", "person_coverage_daily", "survey_pressure_daily",
    "employee_satisfaction_monthly", "experience_association_monthly", "experience_value_monthly", "clv_predicted_monthly",
}  # fmt: skip


def _nodes(kind: str) -> dict[str, dict]:
    found = (node for node in manifest_json()["nodes"].values() if node["resource_type"] == kind)
    return {node["name"]: node for node in found if kind != "analysis" or "/explain/" in node["original_file_path"]}


def test_every_mart_with_metrics_is_explained() -> None:
    assert explained_marts() == set(_nodes("analysis"))
    assert set(_nodes("analysis")) | EXPLAINED_LATER == {metric.mart for metric in metrics().values()}


@pytest.mark.parametrize("mart", sorted(_nodes("analysis")))
def test_an_explanation_reads_only_what_its_mart_reads(mart: str) -> None:
    """A model that is off where the mart is on would be missing from the warehouse; and the mart proves nothing of itself."""
    models = _nodes("model")
    names = {node["unique_id"]: name for name, node in models.items()}
    ancestors, queue = set(), [mart]
    while queue:
        parents = [names[parent] for parent in models[queue.pop()]["depends_on"]["nodes"] if parent in names]
        queue += [parent for parent in parents if parent not in ancestors]
        ancestors |= set(parents)
    read = {names[parent] for parent in _nodes("analysis")[mart]["depends_on"]["nodes"]}
    assert read <= ancestors
    assert not read & set(marts())


def test_a_rate_over_several_cells_is_made_of_its_parts() -> None:
    known = metrics()
    assert value_of(known["fcr_rate"], {"resolved_first_contact": 3, "issues": 4}) == 0.75
    assert value_of(known["cart_abandonment_rate"], {"abandoned": 3, "converted": 1}) == 0.75
    assert value_of(known["fcr_rate"], {"resolved_first_contact": 0, "issues": 0}) is None
    assert value_of(known["net_sales"], {"net_amount_reporting": 7}) == 7


def test_an_unknown_metric_lists_the_known_ones(tmp_path) -> None:
    with pytest.raises(ExplainError, match=r"no metric 'fcr'; .*did you mean .*metrics are .*fcr_rate.*net_sales"):
        explain(Settings(tmp_path), "fcr", date(2026, 1, 5), {}, 20)


def test_an_unknown_dimension_lists_the_known_ones(tmp_path) -> None:
    with pytest.raises(ExplainError, match="fcr_rate has no dimension 'country'; there is channel, topic"):
        explain(Settings(tmp_path), "fcr_rate", date(2026, 1, 5), {"country": "NL"}, 20)
    with pytest.raises(ExplainError, match=r"no warehouse at .*: run cx nightly"):
        explain(Settings(tmp_path), "fcr_rate", date(2026, 1, 5), {}, 20)


def test_a_dimension_is_given_once(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A cell has one value of it: of two, one would be passed over in silence."""
    monkeypatch.setattr("sys.argv", ["cx", "explain", "net_sales", "2026-01-05", "--by", "country=NL", "--by", "country=BE"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 1 and "--by country is there twice" in capsys.readouterr().err
