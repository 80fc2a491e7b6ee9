"""A rule stands in one place, a contract or dbt; and the pages made of contracts are as new as they are."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from data_quality import documentation
from data_quality.acceptance import ACCEPTABLE, NEVER
from data_quality.contract import Contract, load_contracts
from data_quality.suites import delivery, marts
from orchestration.lib import gates
from orchestration.lib.dbt_build import MODEL_GATE
from orchestration.lib.dbt_manifest import manifest_json

DOCS = Path(__file__).parents[2] / "docs"
_MISSING, _UNIQUE, _RELATED = (
    {"not_null", "required"},
    {"unique", "primary_key", "unique_grain"},
    {"relationships", "foreign_key"},
)


def written_twice(manifest: dict[str, Any], contracts: dict[str, Contract]) -> list[str]:
    """Tests and constraints of dbt on raw tables and staging models that a contract makes already, one sentence each."""
    found = []
    feeds = {f"stg_{feed}": feed for feed in contracts}
    about = {node_id: feeds[node["name"]] for node_id, node in manifest["nodes"].items() if node["name"] in feeds}
    about |= {
        source_id: source["name"]
        for source_id, source in manifest["sources"].items()
        if source["source_name"] == "raw" and source["name"] in contracts
    }
    for node_id, feed in about.items():
        node = manifest["nodes"].get(node_id) or manifest["sources"][node_id]
        said = [(c["type"], name, c.get("expression") or "") for name, col in node["columns"].items() for c in col["constraints"]]
        for c in node.get("constraints", []):
            said += [(c["type"], name, c.get("expression") or "") for name in c.get("columns") or [""]]
        found += _repeated(contracts[feed], said, f"{node['original_file_path']}: {node['name']}")
    for test in manifest["nodes"].values():
        if test["resource_type"] != "test" or not test.get("test_metadata"):
            continue
        kwargs = test["test_metadata"]["kwargs"]
        columns = [test.get("column_name")] if test.get("column_name") else list(kwargs.get("columns") or [""])
        expression = json.dumps({name: value for name, value in kwargs.items() if name != "model"})
        for parent in {test.get("attached_node")} & about.keys():
            said = [(test["test_metadata"]["name"], column, expression) for column in columns]
            found += _repeated(contracts[about[parent]], said, f"{test['original_file_path']}: {test['name']}")
    return found


def _repeated(contract: Contract, said: list[tuple[str, str, str]], place: str) -> list[str]:
    found = []
    for kind, name, expression in said:
        for column in contract.properties:
            if column.name != name and not (not name and re.search(rf"\b{column.name}\b", expression)):
                continue
            rules = [rule.name for rule in contract.quality if re.search(rf"\b{column.name}\b", rule.query)]
            claims = {
                "required: true": column.required and kind in _MISSING,
                "primaryKey: true": column.primaryKey and kind in _UNIQUE | _MISSING,
                "relationships": bool(column.relationships) and kind in _RELATED,
                f"the rule {', '.join(rules)}": bool(rules) and kind not in _MISSING | _UNIQUE | _RELATED,
            }
            for claim in [claim for claim, holds in claims.items() if holds][:1]:
                found.append(f"{place}: {kind} of {column.name} is in the contract {contract.id} already ({claim}); take one out")
    return found


def test_no_rule_stands_in_a_contract_and_in_dbt() -> None:
    assert written_twice(manifest_json(), load_contracts()) == []


@pytest.mark.parametrize(
    ("column", "constraint", "test", "claim"),
    [
        ("order_id", {"type": "not_null"}, None, "required: true"),
        ("order_id", {"type": "primary_key"}, None, "primaryKey: true"),
        ("status", None, {"name": "accepted_values", "kwargs": {"values": ["paid"]}}, "the rule known_status"),
        (
            "tax_amount",
            {"type": "check", "expression": "tax_amount >= 0"},
            None,
            "the rule believable_amount, amounts_not_negative",
        ),
        ("", None, {"name": "expression_is_true", "kwargs": {"expression": "tax_amount >= 0"}}, "the rule believable_amount"),
        ("", None, {"name": "unique_grain", "kwargs": {"columns": ["order_id"]}}, "primaryKey: true"),
        ("person_id", None, {"name": "relationships", "kwargs": {"to": "ref('stg_persons')"}}, "relationships"),
        ("sales_channel", None, {"name": "accepted_values", "kwargs": {"values": ["web"]}}, None),
        ("person_id", {"type": "not_null"}, None, None),
    ],
)
def test_a_rule_written_twice_is_found(
    column: str, constraint: dict[str, Any] | None, test: dict[str, Any] | None, claim: str | None
) -> None:
    for node_id, node in (("model.cx.stg_orders", {"name": "stg_orders"}), ("source.cx.raw.orders", {"name": "orders"})):
        constraints = [constraint] if constraint else []
        told = {
            **node, "resource_type": "model", "source_name": "raw", "original_file_path": "orders.yml", "constraints": [],
            "columns": {column: {"constraints": constraints}},
        }  # fmt: skip
        nodes: dict[str, Any] = {} if node_id.startswith("source") else {node_id: told}
        if test:
            nodes["test"] = {
                "resource_type": "test", "name": "t", "attached_node": node_id, "column_name": column or None,
                "original_file_path": "orders.yml", "test_metadata": test,
            }  # fmt: skip
        sources = {node_id: told} if node_id.startswith("source") else {}
        found = written_twice({"nodes": nodes, "sources": sources}, load_contracts())
        assert len(found) == (claim is not None), found
        assert claim is None or (found[0].startswith("orders.yml: ") and f"({claim}" in found[0])


def test_the_page_of_contracts_and_the_schema_are_up_to_date() -> None:
    for path, text in ((documentation.PAGE, documentation.page()), (documentation.SCHEMA, documentation.schema())):
        assert path.read_text(encoding="utf-8") == text, f"{path.name} is old: run `make docs`"


def test_the_page_tells_columns_rules_and_limits_of_every_feed() -> None:
    page = documentation.page()
    for feed, contract in load_contracts().items():
        section = page.split(f"\n## {feed}\n")[1].split("\n## ")[0]
        for column in contract.properties:
            assert f"| `{column.name}` |" in section
        for rule in (*contract.quality, *contract.exclusions):
            assert f"| {rule.name} |" in section
    assert "of [persons.person_id](#persons)" in page and "more than 3 days before the delivery day" in page


def test_the_schema_for_editors_takes_every_contract_and_no_other_key() -> None:
    jsonschema = pytest.importorskip("jsonschema")
    schema = json.loads(documentation.schema())
    for path in documentation.CONTRACTS_DIR.glob("*.yml"):
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        jsonschema.validate(content, schema)
        assert path.read_text(encoding="utf-8").startswith("# yaml-language-server: $schema=../contract.schema.json\n")
    for wrong in ({**content, "deliver": "delta"}, {**content, "delivery": "weekly"}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(wrong, schema)


def test_every_gate_is_in_the_list_of_gates() -> None:
    listed = (DOCS / "gates.md").read_text(encoding="utf-8")
    names = {check.gate for check in [*delivery.hold_checks(), *delivery.warn_checks(), *delivery.reference_checks()]}
    names |= {check.gate for check in [*delivery.arrival_checks(), *marts.mart_checks()]} | {MODEL_GATE}
    names |= {gate for gate, _ in gates.expected(set(load_contracts()), with_arrival=True) if not gate.startswith("assert_")}
    names |= {"orphans", "missing_rates", "missing_currencies", "mapped_answers", "known_scales"}
    assert {name for name in names if f"`{name}`" not in listed} == set()
    rows = [line.split(" | ") for line in listed.splitlines() if line.startswith("| `")]
    accepted = {gate for gate, *_, answer, _ in rows if answer.startswith("yes")}
    assert accepted == {f"| `{gate}`" for gate in ACCEPTABLE}
    assert {gate for gate, _, severity, *_ in rows if severity in ("block", "hold")} >= {f"| `{gate}`" for gate in NEVER}
