"""docs/metrics.md: every metric that was asked for, what answers it, and what holds the answer; docs/values.md: what can be set.

Belongs here: the list of what was asked, the page made of it and the registry, the page of configurable values. Does not:
definitions (the registry), figures that results were held against (docs/figures.yml, filled by who writes the test), values
and their meaning (`orchestration.settings.Business`).

`python -m orchestration.lib.catalogue` writes the pages; a unit test fails while one is not what this would write.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from orchestration.lib.dbt_manifest import explained_marts, filter_of, manifest_json
from orchestration.lib.registry import LANGUAGES, Entry, entries
from orchestration.settings import PROJECT_ROOT, Business

PAGE = PROJECT_ROOT / "docs" / "metrics.md"
VALUES_PAGE = PROJECT_ROOT / "docs" / "values.md"
FIGURES = PROJECT_ROOT / "docs" / "figures.yml"

ASKED: dict[str, dict[str, tuple[str, ...]]] = {
    "Survey": {
        "nps": ("nps",),
        "nps_trailing_90d": ("nps_trailing_90d",),
        "would_recommend_rate": ("would_recommend_rate",),
        "csat": ("csat", "csat_mean"),
        "ces_ease_rate": ("ces_ease_rate",),
        "ces_high_effort_rate": ("ces_high_effort_rate",),
        "switch_likelihood": ("switch_likelihood", "switch_likelihood_mean"),
        "repurchase_likelihood": ("repurchase_likelihood", "repurchase_likelihood_mean"),
        "overall_experience": ("overall_experience", "overall_experience_favourable_rate"),
        "visitor_intent": ("visitor_intent",),
        "task_completion_rate": ("task_completion_rate",),
        "employee_satisfaction": ("employee_satisfaction", "enps"),
        "response_rate": ("response_rate",),
        "survey_pressure": ("survey_pressure*", "invitations_per_order", "answered_before_delivery"),
    },
    "Customer base": {
        "active_customers": ("active_customers*",),
        "churn_rate": ("churn_rate", "reactivated_customers", "false_churn_rate"),
        "retention_rate": ("retention_rate",),
        "cohort_retention": ("cohort_retention*",),
        "survival": ("survival*", "repurchase_survival"),
        "second_purchase_rate": ("second_purchase_rate*",),
        "repeat_purchase_rate": ("repeat_purchase_rate",),
        "purchase_frequency": ("purchase_frequency",),
        "clv_historic": ("clv_historic",),
        "clv_simple": ("clv_simple",),
        "clv_predicted": ("clv_predicted*",),
        "new_customers": ("new_customers",),
        "cac_paid": ("cac_paid",),
        "cac_full": ("cac_full",),
        "referral_rate": ("referral_rate", "referrer_rate"),
        "experience_association": ("experience_association*",),
        "experience_value": ("experience_value*",),
    },
    "Commerce": {
        "sales": (
            "gross_sales", "discounts", "refunds", "net_sales", "orders", "units", "average_order_value", "tax", "shipping",
        ),
        "sales_since_initiative": ("sales_since_initiative*",),
        "cart_abandonment_rate": ("cart_abandonment_rate", "checkout_abandonment", "recovered_carts", "emptied_carts"),
        "engagement": (
            "sessions", "engaged_seconds", "page_views", "clicks", "touches_per_person_day*", "engaged_session_rate",
            "engaged_customer_rate*",
        ),
    },
    "Contact centre": {
        "contact_volume": ("contact_volume", "handled_contacts", "abandoned_contacts"),
        "contacts_per_order": ("contacts_per_order*", "contacts_per_journey"),
        "resolution_time": ("resolution_time*",),
        "first_response_time": ("first_response_time*",),
        "fcr_rate": ("fcr_rate", "fcr_coverage"),
        "one_touch_rate": ("one_touch_rate",),
        "fcr_survey": ("fcr_survey*",),
        "aht": ("aht*",),
        "transfer_rate": ("transfer_rate",),
        "transfers_per_contact": ("transfers_per_contact", "warm_transfers_per_contact", "blind_transfers_per_contact"),
        "queue_abandonment_rate": ("queue_abandonment_rate*",),
        "service_level": ("service_level*",),
        "ivr_top_requests": ("ivr_top_requests", "ivr_selection_depth", "ivr_request_*"),
        "containment_rate": ("containment_rate",),
        "resolved_containment_rate": ("resolved_containment_rate",),
        "service_to_sales_rate": ("service_to_sales_rate*",),
        "quality_score": ("quality_score*", "auto_fail_rate", "quality_sample_rate"),
        "net_emotion": ("net_emotion",),
        "peak_end_emotion": ("peak_end_emotion",),
        "tone_change": ("tone_change",),
        "agent_performance": ("agent_*",),
    },
    "Context": {
        "social_mentions": ("social_mentions", "social_referral_mentions"),
        "social_sentiment": ("social_sentiment",),
        "stock_price": ("stock_price*",),
        "benchmark": ("benchmark*",),
        "customer_360": ("customer_360",),
    },
}  # fmt: skip
"""By subject what was asked for, and the names (or patterns of names) in the registry that answer it."""

TABLES = {"customer_360": "customer_360"}
"""What was asked for and is a table of persons, no number: the mart that is the answer."""
VIEWS = {"benchmark": ("every metric, beside its past, its target and the figures of others", "tests/unit/test_benchmark.py")}
"""What was asked for of every metric, and is a view of the release: what it says, and what holds it."""


def render() -> str:
    """The page."""
    known, answering = entries(), {}
    lines = [
        "# Metrics",
        "",
        "Written by `make docs` from the registry (`dbt_project/models/semantic`); do not edit. Each name that was asked for,",
        "the metrics that answer it, and what holds them: dbt unit tests with hand-computed cases (unit), reconciliation tests",
        "on every run (run), counts kept in plain Python for simulated companies (books), end-to-end tests that name the mart",
        "(e2e), and real or published figures. Every metric is besides held to MetricFlow's own SQL and, where its parts add up,",
        "rolled up from days to quarters (`tests/e2e/test_metrics.py`). **missing** is meant as it says. `cx explain`",
        "goes from a value to the rows of the exports that add up to it, or to the deliveries of its day ([why.md](why.md)).",
    ]
    for subject, asked in ASKED.items():
        lines += [
            "",
            f"## {subject}",
            "",
            "| asked | metric | mart | class | formula | explained to | held by | figure |",
            "|---|---|---|---|---|---|---|---|",
        ]
        for name, patterns in asked.items():
            found = [entry for entry in known.values() if any(fnmatchcase(entry.name, pattern) for pattern in patterns)]
            answering |= {entry.name: name for entry in found}
            if not found and TABLES.get(name) in _models():
                lines.append(f"| `{name}` | a table, no number | `{TABLES[name]}` | | | | {_held_by(TABLES[name])} | |")
            elif not found and name in VIEWS:
                about, held_by = VIEWS[name]
                lines.append(f"| `{name}` | {about} | view `{name}` | as parent | | | `{held_by}` | |")
            elif not found:
                lines.append(f"| `{name}` | **missing** | | | | | | |")
            for n, entry in enumerate(found):
                lines.append(_row(f"`{name}`" if n == 0 else "", entry))
            absent = [p for p in patterns if "*" not in p and found and not any(fnmatchcase(e.name, p) for e in found)]
            lines += [f"| | `{pattern}` **missing** | | | | | | |" for pattern in absent if pattern != name or found]
    others = [entry for name, entry in known.items() if name not in answering]
    if others:
        lines += ["", "## Besides", "", "| metric | mart | class | formula | explained to | held by | figure |"]
        lines += ["|---" * 7 + "|"]
        lines += [_row("", entry).removeprefix("| ") for entry in others]
    missing = [
        name
        for asked in ASKED.values()
        for name in asked
        if name not in answering.values() and TABLES.get(name) not in _models() and name not in VIEWS
    ]
    count = sum(len(asked) for asked in ASKED.values())
    lines += [
        "",
        f"{len(known)} metrics answer {count - len(missing)} of {count} names."
        + (f" Missing: {', '.join(missing)}." if missing else ""),
    ]
    by_rows = sum(entry.mart in explained_marts() for entry in known.values())
    others = sorted({entry.mart for entry in known.values()} - explained_marts())
    lines += ["", "## How far `cx explain` goes", ""]
    lines += [f"To the rows of the exports that add up to it, for {by_rows} of {len(known)} metrics."]
    if others:
        lines += ["To the deliveries of the day, for those of", f"{', '.join(f'`{mart}`' for mart in others)}."]
    heads = ["metric", "unit", "good is", "final after", "version", "owner", *LANGUAGES]
    lines += [
        "",
        "## Names and definitions",
        "",
        "Final after what stands there, and `late_allowance_days` for rows that come late.",
    ]
    lines += ["", f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for entry in known.values():
        names = " | ".join(_cell(text) for text in entry.title.values())
        lines.append(
            f"| `{entry.name}` | {entry.unit} | {entry.direction} | {_cell(entry.matures)} "
            f"| {entry.version}, from {entry.valid_from} | {entry.owner} | {names} |"
        )
    lines += ["", *(f"- **{entry.label}** (`{entry.name}`): {entry.description}{_headline(entry)}" for entry in known.values())]
    return "\n".join(lines) + "\n"


def _headline(entry: Entry) -> str:
    """Of a metric that is every row of its mart: which of them MetricFlow takes, where nothing else is asked for."""
    if entry.cells != "all":
        return ""
    node = next(one for one in manifest_json()["metrics"].values() if one["name"] == entry.name)
    return f" MetricFlow takes the rows where `{' '.join(filter_of(node).split())}`."


def _row(asked: str, entry: Entry) -> str:
    figure = "; ".join(f"{one['figure']} ({one['source']})" for one in figures().get(entry.name, []))
    return (
        f"| {asked} | `{entry.name}` | `{entry.mart}` | {entry.additivity} | {_cell(entry.formula)} "
        f"| {'rows' if entry.mart in explained_marts() else 'deliveries'} | {_held_by(entry.mart)} | {_cell(figure)} |"
    ).replace("|  | `", "| | `")


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _held_by(mart: str) -> str:
    """The tests that hold a mart, by kind."""
    units = sum(node["model"] == mart for node in manifest_json()["unit_tests"].values())
    runs = [
        node["name"]
        for node in manifest_json()["nodes"].values()
        if node["resource_type"] == "test" and node["name"].startswith("assert_")
        and any(parent.split(".")[-1] == mart for parent in node["depends_on"]["nodes"])
    ]  # fmt: skip
    modules = sorted(path.stem for path, text in _tests() if re.search(rf"\b{mart}\b", text))
    told = [f"unit: {units}"] if units else []
    told += ["run: " + ", ".join(f"`{name}`" for name in sorted(runs))] if runs else []
    told += ["books"] if mart in _truth() else []
    told += ["e2e: " + ", ".join(f"`{module}`" for module in modules)] if modules else []
    return "; ".join(told) or "nothing else"


@cache
def _models() -> set[str]:
    return {node["name"] for node in manifest_json()["nodes"].values() if node["resource_type"] == "model"}


@cache
def _truth() -> set[str]:
    """Marts that the simulator keeps books of, which tests compare cell by cell."""
    from orchestration.lib.simulator import truth

    return set(truth.MART_KEYS)


_CARRYING = {"test_duckdb_versions", "test_postgres", "test_release_interface"}
"""Tests that carry marts to readers: they name some, and hold no number of theirs."""


@cache
def _tests() -> list[tuple[Path, str]]:
    return [(path, text) for path, text in _read(PROJECT_ROOT / "tests" / "e2e") if path.stem not in _CARRYING]


def _read(folder: Path) -> Iterator[tuple[Path, str]]:
    for path in sorted(folder.glob("test_*.py")):
        yield path, path.read_text(encoding="utf-8")


@cache
def figures() -> dict[str, list[dict[str, Any]]]:
    """By metric the real or published figures its results were held against."""
    return yaml.safe_load(FIGURES.read_text(encoding="utf-8")) or {}


def render_values() -> str:
    """The page of `[business]`: each key with its default, what may stand there, and what it decides."""
    lines = [
        "# Values of the definitions",
        "",
        "Written by `make docs` from `orchestration/settings.py`; do not edit. Keys of `[business]` in `cx.toml`",
        "([configuration.md](configuration.md)); each has a default, and any of them may be left out. After a change the",
        "next run builds everything anew, and published values that become others are told as restated by it.",
        "",
        "| key | default | may be | decides |",
        "|---|---|---|---|",
    ]
    for key, told in Business.model_json_schema()["properties"].items():
        default = f"`{json.dumps(told['default'])}`"
        lines.append(f"| `{key}` | {default} | {_may_be(told)} | {' '.join(told['description'].split())} |")
    return "\n".join(lines) + "\n"


def _may_be(told: dict[str, Any]) -> str:
    if "enum" in told:
        return ", ".join(f"`{json.dumps(word)}`" for word in told["enum"])
    low = f"more than {told['exclusiveMinimum']:g}" if "exclusiveMinimum" in told else f"{told.get('minimum', 0):g}"
    if told["type"] in ("integer", "number"):
        if "maximum" not in told:
            return low if "exclusiveMinimum" in told else f"{low} or more"
        return f"{low} to {told['maximum']:g}"
    return {"boolean": "`true`, `false`", "string": "text"}[told["type"]]


if __name__ == "__main__":
    PAGE.write_text(render(), encoding="utf-8")
    VALUES_PAGE.write_text(render_values(), encoding="utf-8")
