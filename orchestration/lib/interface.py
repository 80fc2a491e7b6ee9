"""What readers of a release may rely on: its relations, their columns and types, and the metrics with their versions.

Belongs here: what the code would publish (`described`), the committed record of it (data_quality/published_columns.yml),
and what of that record a change breaks. Does not: what a column means (contracts, registry), or any rule about rows.

What is new is free. What is gone, or has another type, breaks somebody's dashboard: it needs a higher `interface`, an entry
under `breaking`, and of the metrics made of it a higher version (docs/bi.md, "What you may rely on").
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import yaml

from data_quality.rules import ident
from orchestration.lib import restatements
from orchestration.lib.dbt_manifest import manifest_json, marts, metrics
from orchestration.settings import PROJECT_ROOT

RECORD = PROJECT_ROOT / "data_quality" / "published_columns.yml"
_NOTICE_DAYS = 90
"""So long a deprecated column stays at least."""
_HEAD = """\
# What readers of a release may rely on (docs/bi.md, "What you may rely on"): every relation with its columns and types, and the
# version of every metric. `make interface` writes `metrics` and `relations`; people write the rest:
#   interface   a number that grows when something below `relations` or `metrics` goes or changes its type
#   breaking    what went with which number: {interface, on, what: [relation.column ...], why, instead}; `at_once: why` where
#               it was not deprecated before
#   deprecated  relation.column: {since, until, instead}; its description in the contract begins with "Deprecated"
"""


@dataclass
class Promise:
    """The interface of releases: relations by name with column -> type, versions of metrics; and what people wrote of it."""

    relations: dict[str, dict[str, str]]
    metrics: dict[str, int]
    interface: int = 1
    breaking: list[dict[str, Any]] = field(default_factory=list)
    deprecated: dict[str, dict[str, Any]] = field(default_factory=dict)


def promised(path: Path = RECORD) -> Promise:
    """The committed record."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return Promise(**yaml.load(path.read_text(encoding="utf-8"), loader))


def described() -> Promise:
    """What a release with every mart has, by the contracts of the marts and the code that makes views, macros and logs.

    Types are DuckDB's names for them. No data are read: it is a release without a row, in memory.
    """
    with duckdb.connect() as con:
        _make_empty_release(con)
        columns = con.execute(
            "select table_name, column_name, data_type from duckdb_columns() where schema_name = 'marts' "
            "order by table_name, column_index"
        ).fetchall()
        relations: dict[str, dict[str, str]] = {}
        for table, column, kind in columns:
            relations.setdefault(table, {})[column] = kind
        macros = con.execute(
            "select function_name, parameters from duckdb_functions() where schema_name = 'marts' order by function_name"
        ).fetchall()
        for macro, parameters in macros:
            rows = con.execute(f"describe from marts.{ident(macro)}({', '.join('null' for _ in parameters)})").fetchall()
            relations[f"{macro}({', '.join(parameters)})"] = {column: kind for column, kind, *_ in rows}
    versions = {
        node["name"]: node["config"]["meta"]["version"]
        for node in manifest_json()["metrics"].values()
        if node["name"] in metrics()
    }
    return Promise(dict(sorted(relations.items())), dict(sorted(versions.items())))


def _make_empty_release(con: duckdb.DuckDBPyConnection) -> None:
    from orchestration.lib import release  # which says in its manifest what is promised here

    con.execute("create schema marts")
    nodes = {node["name"]: node for node in manifest_json()["nodes"].values() if node["resource_type"] == "model"}
    for mart in marts():
        columns = ", ".join(f"{ident(name)} {about['data_type']}" for name, about in nodes[mart]["columns"].items())
        con.execute(f"create table marts.{ident(mart)} ({columns})")
    con.execute(restatements.RESTATEMENTS_DDL.replace("ops.restatements", "marts.restatements"))
    con.execute(f"create table marts.releases ({', '.join(f'{c} {t}' for c, (t, _) in restatements.RELEASES.items())})")
    release.create_relations(con, list(marts()))


def breaks(before: Promise, now: Promise) -> dict[str, str]:
    """By the name of what breaks (`relation`, `relation.column` or `metric NAME`) a sentence about it."""
    found = {}
    for relation, columns in before.relations.items():
        if relation not in now.relations:
            found[relation] = f"{relation} is gone"
            continue
        for column, kind in columns.items():
            is_now = now.relations[relation].get(column)
            if is_now is None:
                found[f"{relation}.{column}"] = f"{relation}.{column} is gone"
            elif is_now != kind:
                found[f"{relation}.{column}"] = f"{relation}.{column} was {kind} and is {is_now}"
    for metric, version in before.metrics.items():
        if metric not in now.metrics:
            found[f"metric {metric}"] = f"the metric {metric} is gone"
        elif now.metrics[metric] < version:
            found[f"metric {metric}"] = f"the metric {metric} goes back from version {version} to {now.metrics[metric]}"
    return found


def unannounced(before: Promise, now: Promise) -> list[str]:
    """What `now` breaks of the record `before` against the policy, a sentence each that says what to do.

    A break is announced by an entry under `breaking` with the record's `interface`; a column that goes was deprecated until
    then, or the entry says why at once; metrics made of it have a version higher than the recorded one.
    """
    entries = {name: entry for entry in before.breaking if entry["interface"] == before.interface for name in entry["what"]}
    said = []
    for name, sentence in breaks(before, now).items():
        entry = entries.get(name)
        if entry is None:
            said.append(
                f"{sentence}: put it back, or raise `interface` to {before.interface + 1} in {RECORD.name} and add an entry "
                f"under `breaking` with what: [{name}]"
            )
            continue
        until = before.deprecated.get(name, {}).get("until")
        if name not in before.deprecated and "at_once" not in entry:
            said.append(f"{sentence} and was never deprecated: deprecate it first, or say `at_once: why` in its entry")
        elif until is not None and entry["on"] < until and "at_once" not in entry:
            said.append(f"{sentence} on {entry['on']}, and was promised until {until}: wait, or say `at_once: why` in its entry")
        relation, _, column = name.partition(".")
        for metric in metrics().values():
            is_of = metric.mart == relation and column in {*metric.parts, *metric.denominator, *metric.minus, metric.value}
            if is_of and before.metrics.get(metric.name) == now.metrics.get(metric.name):
                said.append(f"{sentence}, and the metric {metric.name} is made of it: raise its version")
    return said


def problems(record: Promise, now: Promise) -> list[str]:
    """What does not fit: breaks against the policy, what the record lacks, entries that say nothing true."""
    found = unannounced(record, now)
    if not found and (record.relations, record.metrics) != (now.relations, now.metrics):
        new = sorted(
            {f"{r}.{c}" for r, columns in now.relations.items() for c in columns}
            - {f"{r}.{c}" for r, columns in record.relations.items() for c in columns}
        )
        named = f" ({', '.join(new[:5])}{' ...' if len(new) > 5 else ''})" if new else ""
        found.append(f"{RECORD.name} is not what would be published{named}: run `make interface` and commit it")
    numbers = [entry["interface"] for entry in record.breaking]
    if numbers != sorted(numbers) or record.interface != max([1, *numbers]):
        found.append("`interface` is the number of the newest entry under `breaking`, and those stand in their order")
    described_as = {
        f"{node['name']}.{name}": about["description"]
        for node in manifest_json()["nodes"].values()
        if node["resource_type"] == "model"
        for name, about in node["columns"].items()
    }
    for name, entry in record.deprecated.items():
        if "until" not in entry or (entry["until"] - entry["since"]).days < _NOTICE_DAYS:
            found.append(f"{name} is deprecated for less than {_NOTICE_DAYS} days: give `since` and `until`")
        relation, _, column = name.partition(".")
        if column not in now.relations.get(relation, {}):
            found.append(f"{name} is deprecated and is gone: take it out of `deprecated`")
        elif name in described_as and not described_as[name].startswith("Deprecated"):
            found.append(f"{name} is deprecated since {entry['since']}: begin its description with 'Deprecated, use ...'")
    return found


def write(path: Path = RECORD) -> list[str]:
    """Write what would be published to the record, keeping what people wrote; what is against the policy, instead of writing."""
    now = described()
    record = promised(path) if path.exists() else Promise({}, {})
    if said := unannounced(record, now):
        return said
    now.interface, now.breaking = record.interface, record.breaking
    gone = breaks(record, now)
    now.deprecated = {name: entry for name, entry in record.deprecated.items() if name not in gone}
    path.write_text(_HEAD + yaml.safe_dump(_head_first(now), sort_keys=False, width=130), encoding="utf-8")
    return []


def _head_first(promise: Promise) -> dict[str, Any]:
    names = ("interface", "breaking", "deprecated", "metrics", "relations")
    return {name: getattr(promise, name) for name in names}


def main() -> int:
    """`make interface`: bring the record up to date; says what stands against it, and changes nothing then."""
    said = write()
    for sentence in said:
        print(f"error: {sentence}", file=sys.stderr)
    return 1 if said else 0


if __name__ == "__main__":
    sys.exit(main())
