"""Which asset check a verdict is shown on, and the numbers that Dagster plots from night to night.

Belongs here: gates by the question they answer, figures by subject. Does not: Dagster (`defs.quality.gates`), judging.

Dagster pays 6.5 ms of CPU for a check that is evaluated, and a full night has 500 gates on assets: so there is a check for
each question about an asset, and its table has every gate (docs/adr/0008-asset-checks.md).
"""

from __future__ import annotations

import re
from functools import cache

import duckdb

from data_quality.contract import load_contracts
from data_quality.rules import ident
from data_quality.verdict import Verdict
from orchestration.lib.dbt_manifest import gate_of_test, marts, models_on, tests_on

FEED_CHECKS = ("arrival", "delivery", "volume", "rows")
MART_CHECKS = ("contract", "plausible", "reconciled")
ASKS = {
    "arrival": "Did everything come that cx.toml expects, and is anything new in it?",
    "delivery": "Could the deliveries of this run be read, and are few enough of their rows bad?",
    "volume": "Are there about as many rows as on this weekday, and is their content new?",
    "rows": "Is every row accounted for, and does the row exist that it refers to?",
    "contract": "Has the mart its columns and types, one row a grain, and no value out of bounds?",
    "plausible": "Is everything dated and finite, and did counts and metrics move as usual?",
    "reconciled": "Do its numbers equal the staged rows they are made of?",
}
"""What each check asks, as the UI shows it."""
_OF_FEED = {
    "arrival": "arrival",
    "freshness": "arrival",
    "volume": "volume",
    "repeated_content": "volume",
    "row_accounting": "rows",
    "orphans": "rows",
    "references": "rows",
    "row_warnings": "rows",
    "unique_keys": "rows",
    "missing_rates": "rows",
    "missing_currencies": "rows",
    "mapped_answers": "rows",
    "known_scales": "rows",
}
_OF_MART = {"mart_plausible": "plausible", "mart_moved": "plausible", "metric_moved": "plausible", "clv_fit": "plausible"}
_COUNT = re.compile(r"(-?\d+(?:\.\d+)?(?:e[+-]?\d+)?)(?: of (?=raw)| ([a-z]+))?", re.IGNORECASE)


@cache
def checks_of() -> dict[tuple[str, str], tuple[str, ...]]:
    """Names of the checks of each asset, as (schema, name): a mart that no test reconciles has no check for it."""
    tested = {mart for test, about in tests_on(models_on(set(load_contracts()))).items() if _is_sentence(test) for mart in about}
    of_marts = {("marts", mart): MART_CHECKS if mart in tested else MART_CHECKS[:-1] for mart in marts()}
    return {("raw", feed): FEED_CHECKS for feed in load_contracts()} | of_marts


def check_of(verdict: Verdict) -> str:
    """The check that shows a verdict; a gate that is new here is on the first of what it may be about."""
    if verdict.subject in marts():
        is_test = _is_sentence(verdict.gate) and "reconciled" in checks_of()["marts", verdict.subject]
        return _OF_MART.get(verdict.gate, "reconciled" if is_test else "contract")
    return _OF_FEED.get(verdict.gate, "delivery")


def _is_sentence(test: str) -> bool:
    return gate_of_test(test) == test and test.startswith("assert_")


def counts(con: duckdb.DuckDBPyConnection, run_id: str, names: set[str]) -> dict[tuple[str, str], dict[str, int | float]]:
    """Numbers of a run by (subject, check): rows of its deliveries by feed, rows of each mart named."""
    found: dict[tuple[str, str], dict[str, int | float]] = {}
    rows = con.execute(
        "select feed, count(*), count(*) filter (where status = 'refused'), coalesce(sum(rows_read), 0)::bigint, "
        "coalesce(sum(rows_bad), 0)::bigint from ops.deliveries where run_id = $1 "
        "and status not in ('pending', 'replaced') group by feed",
        [run_id],
    ).fetchall()
    for feed, deliveries, refused, read, bad in rows:
        # Of all rows that were judged: those of a refused delivery are what its gate is about.
        share = bad / read if read else 0.0
        found[feed, "delivery"] = {"deliveries": deliveries, "refused": refused, "bad_share": round(share, 6)}
        found[feed, "volume"] = {"rows_read": read}
    there = con.execute("select table_name from duckdb_tables() where schema_name = 'marts'").fetchall()
    tables = sorted(names & {name for (name,) in there})
    if tables:
        each = " union all ".join(f"select {n}, count(*) from marts.{ident(name)}" for n, name in enumerate(tables))
        found |= {(tables[n], "contract"): {"rows": count} for n, count in con.execute(each).fetchall()}
    return found


def figures(verdict: Verdict) -> dict[str, int | float]:
    """The numbers of a verdict under names that stay: its gate where it is one, what is counted where there are several."""
    parts = _COUNT.findall(verdict.figure)
    if not parts:
        return {}
    if verdict.figure.strip() == parts[0][0]:
        bound = _COUNT.fullmatch(verdict.bound.strip())
        return {verdict.gate: _number(parts[0][0])} | ({f"{verdict.gate}_bound": _number(bound[1])} if bound else {})
    # The first of a name counts: of all rows, before those that the second identity looks at.
    named: dict[str, int | float] = {}
    for number, name in parts:
        if name:
            named.setdefault(f"{verdict.gate}_{name.lower()}", _number(number))
    return named


def _number(text: str) -> int | float:
    return int(text) if re.fullmatch(r"-?\d+", text) else float(text)
