"""Contracts -> docs/contracts.md, the page of every feed; and contract.schema.json, by which editors check a contract.

Belongs here: both texts. Does not: anything that is not in a contract. `make docs` writes them; a test says when they are old.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from data_quality.contract import CONTRACTS_DIR, Contract, Limits, Property, load_contracts
from data_quality.rules import raw_type

PAGE = CONTRACTS_DIR.parent.parent / "docs" / "contracts.md"
SCHEMA = CONTRACTS_DIR.parent / "contract.schema.json"
_DELIVERIES = {
    "append": "append: every row is new",
    "delta": "delta: rows that changed; a key that is missing is unchanged",
    "snapshot": "snapshot: the whole; a key that is missing is deleted",
}

_INTRODUCTION = """\
Made by `make docs` from `data_quality/contracts/*.yml`; change those. One contract is all there is to know of a feed: the
reader's columns, the raw table, the rules for rows, the checks of deliveries and this page follow from it. Field names are
those of the Open Data Contract Standard where it has them. How exports become these columns stands in `cx.toml`
([configuration.md](configuration.md)).

A row that breaks a rule of severity *error* goes to quarantine with all its reasons; of *warning* it stays, and is counted in
the verdict `row_warnings`. An *exclusion* leaves a right row out of every metric, under a reason that is published. Columns
that a file has beside these are kept in raw `_extra`. What each gate does is in [gates.md](gates.md)."""


def schema() -> str:
    """The JSON schema of a contract."""
    return (
        json.dumps({"$schema": "https://json-schema.org/draft/2020-12/schema", **Contract.model_json_schema()}, indent=1) + "\n"
    )


def page() -> str:
    """The page of all feeds."""
    contracts = load_contracts()
    lines = [
        "# Contracts of the feeds",
        "",
        *_INTRODUCTION.splitlines(),
        "",
        "| feed | domain | delivered as | key | what |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| [{feed}](#{feed}) | {c.domain} | {c.delivery} | {', '.join(c.key)} | {_cell(c.description)} |"
        for feed, c in contracts.items()
    ]
    for contract in contracts.values():
        lines += ["", *_feed(contract)]
    return "\n".join(lines) + "\n"


def _feed(contract: Contract) -> Iterator[str]:
    yield f"## {contract.id}"
    yield ""
    yield f"{contract.description} Contract {contract.version}, {contract.status}."
    yield ""
    order = (
        f"the highest `{contract.versionColumn}`, then the newest delivery" if contract.versionColumn else "the newest delivery"
    )
    yield f"- Delivered as {_DELIVERIES[contract.delivery]}. Of several rows of a key, {order} counts."
    if contract.eventTime:
        yield f"- It happened at `{contract.eventTime}`."
    limits = contract.limits
    low, high = limits.volumeRatio
    told = [
        f"refused with more than {limits.quarantineShare:.0%} bad rows",
        f"warned of outside {low:g} to {high:g} times the usual volume of the weekday",
        f"more than {limits.orphanShare:.0%} of ids without their row"
        if any(c.relationships for c in contract.properties)
        else "",
        f"more than {limits.repeatedKeyShare:.0%} of keys told in two ways"
        if limits.repeatedKeyShare
        else "any key told in two ways",
        "" if limits.freshnessDays is None else f"a newest event more than {limits.freshnessDays} days before the delivery day",
    ]
    yield f"- Limits: {', '.join(part for part in told if part)}."
    yield ""
    yield "| column | type | | what |"
    yield "|---|---|---|---|"
    for column in contract.properties:
        yield f"| `{column.name}` | {raw_type(column)} | {', '.join(_marks(column))} | {_cell(column.description)} |"
    for column in contract.normalized:
        yield f"| `{column.name}_key` | VARCHAR | made | What `{column.name}` means, however it was typed. |"
    if contract.quality:
        yield ""
        yield "| rule | severity | holds for every row | |"
        yield "|---|---|---|---|"
        for rule in contract.quality:
            query = rule.query.replace("{{", "{").replace("}}", "}")
            yield f"| {rule.name} | {rule.severity} | `{_cell(query)}` | {_cell(rule.description)} |"
    if contract.exclusions:
        yield ""
        yield "| exclusion | when | |"
        yield "|---|---|---|"
        for exclusion in contract.exclusions:
            yield f"| {exclusion.name} | `{_cell(exclusion.when)}` | {_cell(exclusion.description)} |"


def _marks(column: Property) -> Iterator[str]:
    if column.primaryKey:
        yield "key"
    elif column.required:
        yield "required"
    if column.classification != "public":
        yield column.classification
    for relationship in column.relationships:
        yield f"of [{relationship.to}](#{relationship.feed})"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def write(page_path: Path = PAGE, schema_path: Path = SCHEMA) -> None:
    """Write both files."""
    page_path.write_text(page(), encoding="utf-8")
    schema_path.write_text(schema(), encoding="utf-8")


if __name__ == "__main__":
    write()
    print(f"{PAGE} and {SCHEMA}: {len(load_contracts())} feeds, {len(Limits.model_fields)} limits")
