"""The registry of metrics: what an entry in dbt_project/models/semantic must say, and whether each one does.

Belongs here: the schema of an entry, and the check of all entries against marts, contracts and MetricFlow's measures.
Does not: computing anything with metrics (dbt), or what a run needs of them (`dbt_manifest.metrics`).

An entry is the `config.meta` of a MetricFlow metric. `python -m orchestration.lib.registry` says what is wrong.
"""

from __future__ import annotations

import re
import sys
from datetime import date
from functools import cache
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from data_quality.contract import load_contracts
from orchestration.lib.dbt_manifest import filter_of, manifest_json
from orchestration.settings import DBT_PROJECT_DIR

LANGUAGES = ("en", "nl", "de", "it", "zh")
SUMMED = ("additive", "ratio", "mean")
"""Classes whose parts may be summed over days and over dimensions."""


class RegistryError(Exception):
    """An entry of the registry is not complete; the message names file, metric, field and what to write."""


class Labels(BaseModel):
    """The metric's name in the languages besides English, which is MetricFlow's own `label`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    nl: str = Field(min_length=1)
    de: str = Field(min_length=1)
    it: str = Field(min_length=1)
    zh: str = Field(min_length=1)


class Entry(BaseModel):
    """What the registry says of one metric."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    name: str
    label: str = Field(min_length=1)
    description: str = Field(min_length=10)
    file: str
    mart: str
    additivity: Literal["additive", "ratio", "mean", "distinct", "snapshot", "quantile", "model"] = Field(alias="class")
    parts: tuple[str, ...] = Field(min_length=1)
    """Columns of the mart; the first is the numerator."""
    minus: tuple[str, ...] = ()
    """Parts taken off the first one before it is divided."""
    denominator: tuple[str, ...] = ()
    """Columns whose sum divides; the second part where the file does not say."""
    sumsq: str | None = None
    """Column with the sum of squares of a mean; the third part where the file does not say."""
    scale: int = Field(1, ge=1)
    value: str | None = None
    apart: tuple[str, ...] | None = None
    """Dimensions that are never summed over: currencies, scales; where the file does not say, those in NEVER_POOLED."""
    period: str | None = None
    """Of a distinct metric whose mart has no column `period`: the one it has."""
    cells: Literal["filtered", "all"] = "filtered"
    """all: the metric is every row of its mart, and MetricFlow's filter only names its headline."""
    maturity: str | None = None
    formula: str = Field(min_length=1)
    unit: Literal["share", "count", "currency", "points", "minutes", "seconds", "score", "index", "price", "coefficient"]
    direction: Literal["up", "down", "none"]
    window: str = Field(min_length=1)
    matures: str = Field(min_length=1)
    interval: Literal["wilson", "nps", "normal", "none"]
    min_n: int = Field(ge=0)
    version: int = Field(ge=1)
    valid_from: date
    owner: Literal["customer_care", "crm", "ecommerce", "marketing", "finance", "hr"]
    feeds: tuple[str, ...] = Field(min_length=1)
    """All are needed; of `a|b` one."""
    labels: Labels

    @field_validator("valid_from", mode="before")
    @classmethod
    def _day(cls, value: Any) -> Any:
        return date.fromisoformat(value) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _fits_together(self) -> Entry:
        if self.additivity == "additive" and len(self.parts) > 1:
            raise ValueError("class: an additive metric has one part; write class ratio or mean, or one part")
        if self.additivity in ("ratio", "mean") and not self.denominator:
            raise ValueError(f"denominator: nothing divides {self.parts[0]}; write a second part or `denominator: [...]`")
        if self.interval == "wilson" and (self.unit != "share" or not self.denominator or self.minus):
            raise ValueError("interval: wilson is for a share of counts; write unit share and a denominator, or another interval")
        if self.interval == "nps" and not (self.denominator and (self.minus or {"promoters", "detractors"} <= {*self.parts})):
            raise ValueError(
                "interval: nps is for a difference of shares; write `minus: [...]`, or parts promoters and detractors"
            )
        if self.interval == "normal" and not (self.sumsq and self.denominator):
            raise ValueError("interval: normal needs the sum of squares; write `sumsq: <column>` or interval none")
        if unknown := [c for c in (*self.minus, *([self.sumsq] if self.sumsq else [])) if c not in self.parts]:
            raise ValueError(f"parts: {', '.join(unknown)} is counted with and not among the parts; write it there")
        return self

    @property
    def title(self) -> dict[str, str]:
        """The label by language."""
        return {"en": self.label, **self.labels.model_dump()}


NEVER_POOLED = {"currency": ("currency", "price"), "scale_id": None, "window_days": None}
"""Dimension -> units it keeps apart; None: all. Euros and dollars, answers on different scales, or the same persons looked
at through different windows have no sum. Amounts in the reporting currency (parts named ..._reporting) have one."""


def _entry(node: dict[str, Any]) -> Entry:
    meta = dict(node["config"]["meta"])
    parts = list(meta.get("parts") or [])
    meta.setdefault("denominator", parts[1:2])
    if meta.get("interval") == "normal" and len(parts) > 2:
        meta.setdefault("sumsq", parts[2])
    given = {"name": node["name"], "label": node["label"] or "", "description": node["description"] or ""}
    return Entry.model_validate({**meta, **given, "file": f"{DBT_PROJECT_DIR.name}/{node['original_file_path']}"})


def _declared() -> list[dict[str, Any]]:
    """Metrics of the semantic files that are more than a part or another headline of a metric."""
    nodes = manifest_json()["metrics"].values()
    return [n for n in nodes if n["config"]["meta"] and "variant_of" not in n["config"]["meta"]]


@cache
def entries() -> dict[str, Entry]:
    """Every entry by metric.

    Raises:
        RegistryError: naming everything that is wrong.
    """
    if found := problems():
        raise RegistryError("\n".join(found))
    return {node["name"]: _entry(node) for node in sorted(_declared(), key=lambda n: n["name"])}


def apart_of(entry: Entry, grain: tuple[str, ...] | list[str]) -> list[str]:
    """Dimensions of the mart that the metric's parts are never summed over."""
    if entry.apart is not None:
        return list(entry.apart)
    one_currency = any(part.endswith("_reporting") for part in entry.parts)
    return [
        dimension
        for dimension in grain
        if dimension in NEVER_POOLED
        and (NEVER_POOLED[dimension] is None or (entry.unit in NEVER_POOLED[dimension] and not one_currency))
    ]


def problems() -> list[str]:
    """What is wrong with the registry: one sentence each, with file, metric, field and what to write."""
    models = {n["name"]: n for n in manifest_json()["nodes"].values() if n["resource_type"] == "model"}
    marts = {name: node for name, node in models.items() if node["schema"] == "marts"}
    found, good = [], []
    for node in _declared():
        place = f"{DBT_PROJECT_DIR.name}/{node['original_file_path']}: metric {node['name']}"
        try:
            entry = _entry(node)
        except ValidationError as error:
            found += [f"{place}: {_told(dict(issue))}" for issue in error.errors()]
            continue
        good.append(entry)
        found += [f"{place}: {problem}" for problem in _against_mart(entry, marts, node)]
    names = {entry.name for entry in good}
    for node in manifest_json()["metrics"].values():
        variant_of = node["config"]["meta"].get("variant_of")
        if variant_of is not None and variant_of not in names:
            place = f"{DBT_PROJECT_DIR.name}/{node['original_file_path']}: metric {node['name']}"
            found.append(f"{place}: variant_of: there is no metric {variant_of}")
    if found:
        return sorted(found)  # what marts lack follows from them
    measured = _measured()
    for name, mart in marts.items():
        meta = mart["config"]["meta"]
        if "person_id" in meta["grain"] or not ("metric_date" in meta["grain"] or "date" in meta) or meta.get("summary"):
            continue  # a list of persons, or what is made of the other marts
        place = f"{DBT_PROJECT_DIR.name}/models/semantic/{name}.yml"
        about = [entry for entry in good if entry.mart == name]
        if not about:
            found.append(f"{place}: mart {name} has no metric; write one with `config.meta.mart: {name}`")
        divided = {c for entry in about for c in (entry.parts[0], *entry.minus, *entry.denominator)}
        missing = sorted(divided - measured.get(name, set()))
        if about and missing:
            found.append(f"{place}: measures: no measure reads {', '.join(missing)}; write one named {name}_{missing[0]}")
    return sorted(found)


def beside() -> set[tuple[str, str]]:
    """Counts of marts that are part of no metric, as (mart, column): each one is context by intention, or a metric forgotten."""
    used: dict[str, set[str]] = {}
    for entry in entries().values():
        used.setdefault(entry.mart, set()).update(entry.parts, entry.denominator, [entry.value or ""])
    nodes = [n for n in manifest_json()["nodes"].values() if n["resource_type"] == "model" and n["name"] in used]
    return {
        (node["name"], column)
        for node in nodes
        for column, described in node["columns"].items()
        if _is_count(column, described, node) and column not in used[node["name"]]
    }


def _against_mart(entry: Entry, marts: dict[str, Any], node: dict[str, Any]) -> list[str]:
    if entry.mart not in marts:
        return [f"mart: there is no mart {entry.mart}; write one of {', '.join(sorted(marts))}"]
    mart, found = marts[entry.mart], []
    columns, grain = mart["columns"], mart["config"]["meta"]["grain"]
    there = ", ".join(columns)
    for name in ("parts", "denominator"):
        unknown = [column for column in getattr(entry, name) if column not in columns]
        if unknown:
            found.append(f"{name}: {entry.mart} has no column {', '.join(unknown)}; write one of {there}")
    if entry.value is not None and entry.value not in columns:
        found.append(f"value: {entry.mart} has no column {entry.value}; write one of {there}, or leave it out")
    for dimension in entry.apart or ():
        if dimension not in grain:
            found.append(f"apart: {entry.mart} has no dimension {dimension}; write one of {', '.join(grain)}")
    wanted = [f"{entry.maturity}_{c}" if entry.maturity else c for c in ("is_final", "final_on")]
    if unknown := [column for column in wanted if column not in columns]:
        found.append(f"maturity: {entry.mart} has no column {', '.join(unknown)}; write the prefix of its own, or add them")
    if entry.additivity == "distinct" and "period" not in grain and entry.period is None:
        found.append("period: the mart has no column `period`; write the metric's one, like `period: trailing_30d`")
    if entry.additivity == "distinct" and "period" in grain and entry.cells == "filtered" and "period" not in filter_of(node):
        found.append("filter: MetricFlow would add periods; filter on one, or name the headline and write `cells: all`")
    contracts = load_contracts()
    for needed in entry.feeds:
        for feed in needed.split("|"):
            if feed not in contracts:
                found.append(f"feeds: there is no contract of {feed}; write one of {', '.join(sorted(contracts))}")
            elif not set(needed.split("|")) & set(mart["config"]["meta"]["feeds"]) and len(entry.feeds) == 1:
                found.append(f"feeds: {entry.mart} is off with {feed} alone; write one of its own feeds")
    return found


def _is_count(column: str, described: dict[str, Any], mart: dict[str, Any]) -> bool:
    """Whether a column of a mart is one that sums: a whole or decimal number that is no dimension."""
    kind = (described.get("data_type") or "").lower()
    return column not in mart["config"]["meta"]["grain"] and (kind in ("bigint", "hugeint") or kind.startswith("decimal"))


@cache
def _measured() -> dict[str, set[str]]:
    """By mart the columns that some measure of its semantic model reads."""
    found: dict[str, set[str]] = {}
    for model in manifest_json()["semantic_models"].values():
        columns = found.setdefault(model["node_relation"]["alias"], set())
        for measure in model["measures"]:
            columns |= set(re.findall(r"\w+", measure["expr"] or measure["name"]))
    return found


def _told(issue: dict[str, Any]) -> str:
    """What a person is told of a field that does not fit."""
    field = ".".join(str(part) for part in issue["loc"])
    message = issue["msg"].removeprefix("Value error, ")
    if issue["type"] == "missing":
        return f"{field}: is missing; write it{_EXAMPLES.get(field, '')}"
    if issue["type"] == "extra_forbidden":
        known = [(about.alias or name) for name, about in Entry.model_fields.items() if name not in ("name", "file")]
        return f"{field}: there is no such field; write one of {', '.join(known)}"
    if issue["type"] == "literal_error":
        return f"{field}: is '{issue['input']}'; write {issue['ctx']['expected']}"
    return f"{field}: {message}{_EXAMPLES.get(field, '')}" if field else message


_EXAMPLES = {
    "label": ", like `label: Churn rate`",
    "description": ", a sentence that says who is counted",
    "formula": ", like `formula: lost / active_at_start`",
    "labels": ", like `labels: {nl: ..., de: ..., it: ..., zh: ...}`",
    "parts": ", like `parts: [lost, active_at_start]`",
    "valid_from": ", like `valid_from: 2025-01-01`",
    "feeds": ", like `feeds: [cart_events, orders|order_lines]`",
    "min_n": ", like `min_n: 30`",
}


if __name__ == "__main__":
    wrong = problems()
    print("\n".join(wrong) or f"{len(entries())} metrics, all complete")
    sys.exit(bool(wrong))
