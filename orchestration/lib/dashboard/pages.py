"""Which page shows what: blocks of metrics and marts, as data.

Belongs here: the pages, their blocks and the order of both. Does not: how a block looks (static/blocks.js), what it is
called in five languages (words.yml), or the queries (`data`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from orchestration.lib.dashboard import data

Pick = str | dict[str, Any]
"""A metric by name, or {"metric": name, "own": its own period, "where": {dimension: value}, "word": key of a name}."""


@dataclass(frozen=True)
class Block:
    """One part of a page."""

    kind: str
    """What draws it: a function of static/blocks.js."""
    word: str
    """Key of its heading in words.yml; `<word>.note`, where there is one, stands below it."""
    picks: tuple[Pick, ...] = ()
    """Metrics it shows."""
    options: dict[str, Any] = field(default_factory=dict)
    """For its function."""
    rows: Callable[[Any], Any] | None = None
    """A query of `data` whose answer it shows."""
    marts: tuple[str, ...] = ()
    """Marts that query reads; without one of them the block says so."""

    @property
    def metrics(self) -> set[str]:
        """Names of the metrics it shows."""
        return {pick if isinstance(pick, str) else pick["metric"] for pick in self.picks} | set(self.options.get("also", ()))


@dataclass(frozen=True)
class Page:
    """One file of the dashboard."""

    name: str
    """Its file without .html, and the key of its title in words.yml."""
    blocks: tuple[Block, ...]
    is_personal: bool = False
    """Whether it shows persons: written only where `[dashboard] personal_data` allows it."""
    fine: tuple[str, ...] = ()
    """Breakdowns of `data.TOO_FINE` that it draws."""

    @property
    def file(self) -> str:
        """Its file in the folder of the dashboard."""
        return f"{self.name}.html"

    @property
    def metrics(self) -> set[str]:
        """Names of all metrics it shows."""
        return set().union(*(block.metrics for block in self.blocks))


LOST = {"basis": "inactivity", "plan": "all"}
CONTRACTS = {"basis": "contractual", "plan": "all"}
ACTIVE_90D: Pick = {"metric": "active_customers", "own": "trailing_90d", "where": {"basis": "orders"}}
REPEAT_365D: Pick = {"metric": "repeat_purchase_rate", "own": "trailing_365d"}
CHURN_30D: Pick = {"metric": "churn_rate", "own": "trailing_30d", "where": LOST}

PAGES = (
    Page(
        "index",
        (
            Block("moved", "moved", (
                "net_sales", "orders", ACTIVE_90D, CHURN_30D, "nps", "csat", "ces_ease_rate", "fcr_rate", "resolution_time",
                "contact_volume", "service_level", "cart_abandonment_rate", "containment_rate", "contacts_per_order",
                "transfer_rate", "aht", "net_emotion", "response_rate",
            )),
            Block("figures", "figures", options={"groups": [
                {"word": "group.money", "picks": ["net_sales", "average_order_value", "clv_historic", "cart_abandonment_rate"]},
                {"word": "group.customers", "picks": [ACTIVE_90D, CHURN_30D, "new_customers", REPEAT_365D]},
                {"word": "group.voice", "picks": ["nps", "csat", "ces_ease_rate", "net_emotion"]},
                {"word": "group.service", "picks": ["contact_volume", "fcr_rate", "resolution_time", "containment_rate"]},
            ], "also": [
                "net_sales", "average_order_value", "clv_historic", "cart_abandonment_rate", "active_customers", "churn_rate",
                "new_customers", "repeat_purchase_rate", "nps", "csat", "ces_ease_rate", "net_emotion", "contact_volume",
                "fcr_rate", "resolution_time", "containment_rate",
            ]}),
            Block("trends", "trends", ("net_sales", CHURN_30D, "nps", "fcr_rate", "resolution_time", "contact_volume")),
            Block("cohorts", "cohorts", ("cohort_retention", "cohort_retention_rolling"), rows=data.cohorts,
                  marts=("retention_cohorts",)),
            Block("matrix", "channels", ("contact_volume", "fcr_rate", "resolution_time", "aht", "transfer_rate", "net_emotion"),
                  {"by": "channel"}),
            Block("matrix", "sales_channels", ("net_sales", "orders", "average_order_value", "refunds"), {"by": "sales_channel"}),
            Block("restated", "restated", rows=data.restated, marts=("restatements",)),
        ),
    ),
    Page(
        "data-health",
        (
            Block("feeds", "feeds"),
            Block("gates", "gates"),
            Block("off", "off", options={"also": ()}),
            Block("restated", "restated", options={"all": True}, rows=data.restated, marts=("restatements",)),
            Block("acceptances", "acceptances"),
            Block("releases", "releases", rows=data.releases, marts=("releases",)),
        ),
    ),
)  # fmt: skip
