"""The dbt manifest, built at set-up and whenever a file of `dbt_project/` changes; loaded in 0.15 s otherwise.

Belongs here: building and loading the manifest, and what can be read from it (models, marts, what a mart needs).
Does not: running dbt (`dbt_build`).
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from orchestration.settings import DBT_PROJECT_DIR

if TYPE_CHECKING:
    from dbt.contracts.graph.manifest import Manifest

TARGET = DBT_PROJECT_DIR / "target"
_SOURCES = ("*.sql", "*.yml")

os.environ.setdefault("DBT_SEND_ANONYMOUS_USAGE_STATS", "false")
os.environ.setdefault("DO_NOT_TRACK", "1")


class ManifestError(Exception):
    """The dbt project does not parse; the message is dbt's own."""


@dataclass(frozen=True)
class Mart:
    """What the rest of the pipeline needs to know of a mart."""

    name: str
    feeds: frozenset[str]
    grain: tuple[str, ...]
    checks: dict[str, str]
    """Hard bounds by name: SQL conditions of the model's contract."""


@dataclass(frozen=True)
class Metric:
    """A published number: the columns of its mart that are its parts, and the one that divides them."""

    name: str
    mart: str
    additivity: str
    parts: tuple[str, ...]
    denominator: tuple[str, ...]
    """Parts whose sum divides the first part; the second one where the YAML does not say. Without meaning for a sole part."""
    value: str | None
    """Column of the ratio or mean; None where the only part is the value, or BI divides the parts."""
    date: str
    """SQL of the day a row of the mart is about."""
    is_final: str
    final_on: str
    minus: tuple[str, ...] = ()
    """Parts taken off the first one before it is divided: detractors, negative mentions."""
    scale: int = 1
    """What the division is multiplied by: 100 for points."""
    where: str = "true"
    """SQL of the mart's rows that are the metric's cells: its MetricFlow filter, unless the entry says `cells: all`."""


def project_fingerprint() -> str:
    """Hash of every file of the dbt project: what the parsed manifest was made of."""
    return _fingerprint(lambda _: True)


def definitions_fingerprint() -> str:
    """Hash of what decides the rows of a table: the version of all definitions together, without what only explains them.

    Tests count: a test that is new has to see every day once. Of the registry count the fields that `metric_daily` is made
    of; another label, owner or wording of a formula rebuilds nothing.
    """
    files = _fingerprint(
        lambda path: (
            path.parts[0] != "analyses"
            and path.name not in ("explain.sql", "exposures.yml")
            and (path.parts[:2] != ("models", "semantic") or path.suffix == ".sql")
        )
    )
    return hashlib.sha256(json.dumps([files, _defined()], sort_keys=True, default=str).encode()).hexdigest()


_WORDS = {"labels", "formula", "direction", "window", "matures", "owner"}
"""Fields of an entry that say what a metric means to people, and decide no row."""


def _defined() -> list[Any]:
    """What the files of the registry say that decides rows: entries without words, filters, and the columns they name."""
    metrics, models = _registry_files()
    entries = [
        {
            "name": one["name"],
            "filter": [one.get("filter"), one.get("type_params") if "filter" in str(one.get("type_params")) else None],
            **{field: value for field, value in meta.items() if field not in _WORDS},
        }
        for one in metrics
        if "mart" in (meta := one.get("config", {}).get("meta", {}))
    ]
    columns = [[model.get("primary_entity"), model.get("dimensions")] for model in models]
    return [sorted(entries, key=lambda entry: entry["name"]), sorted(columns, key=str)]


def _fingerprint(is_counted: Callable[[Path], bool]) -> str:
    digest = hashlib.sha256()
    for path in sorted(p for pattern in _SOURCES for p in DBT_PROJECT_DIR.rglob(pattern)):
        relative = path.relative_to(DBT_PROJECT_DIR)
        if TARGET not in path.parents and is_counted(relative):
            digest.update(relative.as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def ensure_manifest() -> Path:
    """Parse the project where its files changed since the last parse; return the path of manifest.json.

    Raises:
        ManifestError: the project does not parse.
    """
    manifest, stamp = TARGET / "manifest.json", TARGET / "fingerprint"
    list_metric_marts()
    fingerprint = project_fingerprint()
    if _is_fresh(manifest, stamp, fingerprint):
        return manifest
    TARGET.mkdir(parents=True, exist_ok=True)
    with FileLock(TARGET / ".lock"):
        if not _is_fresh(manifest, stamp, fingerprint):
            from dbt.cli.main import dbtRunner

            stamp.unlink(missing_ok=True)
            result = dbtRunner().invoke(
                ["--quiet", "parse", "--project-dir", str(DBT_PROJECT_DIR), "--profiles-dir", str(DBT_PROJECT_DIR),
                 "--target-path", str(TARGET), "--log-path", str(TARGET / "logs"), "--log-level-file", "none"]
            )  # fmt: skip
            if not result.success:
                raise ManifestError(str(result.exception))
            stamp.write_text(fingerprint, encoding="utf-8")
    return manifest


def list_metric_marts() -> None:
    """Write which marts have metrics to macros/metric_marts.sql, where that says otherwise.

    dbt wants to know what a model reads before it knows the registry; so `metric_daily` reads what this file lists.
    """
    files = {path.stem for path in (DBT_PROJECT_DIR / "models" / "marts").rglob("*.sql")}
    named = {one["config"]["meta"]["mart"] for one in _registry_files()[0] if "mart" in one.get("config", {}).get("meta", {})}
    lines = "".join(f"    '{mart}',\n" for mart in sorted(named & files))
    text = (
        "{# Marts with metrics. Written by orchestration/lib/dbt_manifest.py from models/semantic whenever that changes. #}\n"
        "{% macro metric_marts() -%}\n  {%- do return([\n" + lines + "  ]) -%}\n{%- endmacro %}\n"
    )
    path = DBT_PROJECT_DIR / "macros" / "metric_marts.sql"
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")


def _registry_files() -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Metrics and semantic models as the files of models/semantic write them, without dbt."""
    paths = sorted((DBT_PROJECT_DIR / "models" / "semantic").rglob("*.yml"))
    return _read_registry(tuple((path, path.stat().st_mtime_ns) for path in paths))


@cache
def _read_registry(files: tuple[tuple[Path, int], ...]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    import yaml

    metrics, models = [], []
    for path, _ in files:
        text = yaml.load(path.read_text(encoding="utf-8"), getattr(yaml, "CSafeLoader", yaml.SafeLoader)) or {}
        metrics += text.get("metrics", [])
        models += text.get("semantic_models", [])
    return metrics, models


def _is_fresh(manifest: Path, stamp: Path, fingerprint: str) -> bool:
    return manifest.exists() and stamp.exists() and stamp.read_text(encoding="utf-8") == fingerprint


@cache
def manifest_json() -> dict[str, Any]:
    """The manifest as dbt writes it."""
    return json.loads(ensure_manifest().read_text(encoding="utf-8"))


def runner_manifest() -> Manifest:
    """The manifest as `dbtRunner` takes it, so that a run parses nothing."""
    from dbt.contracts.graph.manifest import Manifest

    ensure_manifest()
    manifest = Manifest.from_msgpack((TARGET / "partial_parse.msgpack").read_bytes())
    manifest.build_flat_graph()
    return manifest


@cache
def marts() -> dict[str, Mart]:
    """All marts by name."""
    found = {}
    nodes = [node for node in _models() if node["schema"] == "marts"]
    every = frozenset(
        feed for node in nodes if node["config"]["meta"]["feeds"] != "all" for feed in node["config"]["meta"]["feeds"]
    )
    for node in nodes:
        meta = node["config"]["meta"]
        found[node["name"]] = Mart(
            name=node["name"],
            feeds=every if meta["feeds"] == "all" else frozenset(meta["feeds"]),
            grain=tuple(meta["grain"]),
            checks={c["name"]: c["expression"] for c in node["constraints"] if c["type"] == "check"},
        )
    return dict(sorted(found.items()))


@cache
def metrics() -> dict[str, Metric]:
    """All metrics by name, as the registry (dbt_project/models/semantic) defines them."""
    dates = {node["name"]: node["config"]["meta"].get("date", "metric_date") for node in _models()}
    found = {}
    for node in manifest_json()["metrics"].values():
        meta = node["config"]["meta"]
        if "mart" not in meta:
            continue  # a part, which MetricFlow wants to be a metric, too; or another headline of one that is here
        maturity = f"{meta['maturity']}_" if "maturity" in meta else ""
        found[node["name"]] = Metric(
            name=node["name"],
            mart=meta["mart"],
            additivity=meta["class"],
            parts=tuple(meta["parts"]),
            denominator=tuple(meta.get("denominator", meta["parts"][1:2])),
            value=meta.get("value"),
            date=dates[meta["mart"]],
            is_final=f"{maturity}is_final",
            final_on=f"{maturity}final_on",
            minus=tuple(meta.get("minus", ())),
            scale=meta.get("scale", 1),
            where="true" if meta.get("cells") == "all" else filter_of(node),
        )
    return dict(sorted(found.items()))


def filter_of(node: dict[str, Any]) -> str:
    """The filter of a MetricFlow metric, or that of its numerator, as SQL over the columns of its mart; `true` without one."""
    filters = [node["filter"], (node["type_params"].get("numerator") or {}).get("filter")]
    texts = [one["where_sql_template"].strip() for found in filters if found for one in found["where_filters"]]
    return " and ".join(_DIMENSION.sub(lambda found: _columns_of_dimensions()[found[1]], text) for text in texts) or "true"


_DIMENSION = re.compile(r"\{\{\s*Dimension\(\s*['\"](\w+)['\"]\s*\)\s*\}\}")


@cache
def _columns_of_dimensions() -> dict[str, str]:
    """By a dimension's name in MetricFlow (entity__dimension) the column of its mart."""
    return {
        f"{model['primary_entity']}__{dimension['name']}": dimension["expr"] or dimension["name"]
        for model in manifest_json()["semantic_models"].values()
        for dimension in model["dimensions"]
    }


@cache
def definition_of(model: str) -> str:
    """Version of a model's definition: twelve hex digits of a hash over its SQL, all it reads, and their macros."""
    manifest = manifest_json()
    names = {node["unique_id"]: node for node in _models()}
    nodes, macros = {}, {}
    queue = [node["unique_id"] for node in _models() if node["name"] == model]
    while queue:
        unique_id = queue.pop()
        if unique_id in names and unique_id not in nodes:
            nodes[unique_id] = names[unique_id]["raw_code"]
            queue += [*names[unique_id]["depends_on"]["nodes"], *names[unique_id]["depends_on"]["macros"]]
        elif unique_id.startswith("macro.cxmarts.") and unique_id not in macros:
            macros[unique_id] = manifest["macros"][unique_id]["macro_sql"]
            queue += manifest["macros"][unique_id]["depends_on"]["macros"]
    return hashlib.sha256(json.dumps([nodes, macros], sort_keys=True).encode()).hexdigest()[:12]


@cache
def explained_marts() -> frozenset[str]:
    """Marts of which `cx explain` lists the source rows: those with a file in analyses/explain."""
    return frozenset(path.stem for path in (DBT_PROJECT_DIR / "analyses" / "explain").glob("*.sql"))


def marts_on(feeds_on: set[str]) -> list[str]:
    """Marts of which at least one feed is configured; the others are switched off, visibly, in the release."""
    return [name for name, mart in marts().items() if mart.feeds & feeds_on]


def models_on(feeds_on: set[str]) -> set[str]:
    """Models a run builds: every mart that is on with everything it needs, and the staging of every configured feed."""
    names = {node["unique_id"]: node["name"] for node in _models()}
    # A summary of all marts reads those that are on; any other model needs whatever it reads, also a mart that is off.
    off = set(marts()) - set(marts_on(feeds_on))
    parents = {}
    for node in _models():
        unread = off if node["config"]["meta"].get("feeds") == "all" else set()
        parents[node["name"]] = [names[p] for p in node["depends_on"]["nodes"] if p in names and names[p] not in unread]
    wanted, queue = set(), [*marts_on(feeds_on), *(f"stg_{feed}" for feed in feeds_on)]
    while queue:
        name = queue.pop()
        if name not in wanted:
            wanted.add(name)
            queue += parents[name]
    return wanted


@cache
def readers_of(feed: str) -> frozenset[str]:
    """Models that read rows of the feed, by whatever way."""
    manifest = manifest_json()
    queue = [name for name, source in manifest["sources"].items() if source["source_name"] == "raw" and source["name"] == feed]
    found: set[str] = set()
    while queue:
        for child in manifest["child_map"][queue.pop()]:
            node = manifest["nodes"].get(child)
            if node and node["resource_type"] == "model" and node["name"] not in found:
                found.add(node["name"])
                queue.append(child)
    return frozenset(found)


def in_order(models: set[str]) -> list[str]:
    """The models and all they need, each after what it needs."""
    nodes = {node["unique_id"]: node for node in _models()}
    order: dict[str, None] = {}

    def add(unique_id: str) -> None:
        if nodes[unique_id]["name"] not in order:
            for parent in sorted(nodes[unique_id]["depends_on"]["nodes"]):
                if parent in nodes:
                    add(parent)
            order[nodes[unique_id]["name"]] = None

    for unique_id in sorted(nodes):
        if nodes[unique_id]["name"] in models:
            add(unique_id)
    return list(order)


def tests_on(models: set[str]) -> dict[str, list[str]]:
    """Data tests whose every model is among `models`, with the marts each is about."""
    names = {node["unique_id"]: node["name"] for node in _models()}
    found = {}
    for node in manifest_json()["nodes"].values():
        if node["resource_type"] == "test":
            about = {names[parent] for parent in node["depends_on"]["nodes"] if parent in names}
            if about <= models:
                found[node["name"]] = sorted(about & set(marts()))
    return found


def gate_of_test(test: str) -> str:
    """The gate a dbt test is reported under: its own name where it says a sentence, else the generic test's."""
    return test if test.startswith("assert_") else "unique_grain"


def _models() -> list[dict[str, Any]]:
    return [node for node in manifest_json()["nodes"].values() if node["resource_type"] == "model"]


if __name__ == "__main__":
    ensure_manifest()
