"""Which page shows what: blocks of metrics and marts, as data.

Belongs here: the pages, their blocks and the order of both. Does not: how a block looks (static/blocks.js), what it is
called in five languages (words.yml), or the queries (`data`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
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
    told: Callable[[Mapping[str, Any], Mapping[str, Any]], dict[str, Any]] | None = None
    """What else it knows: a function of `data` of the release's manifest and the definitions of metrics."""

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
        "customers",
        (
            Block("figures", "figures", (
                ACTIVE_90D,
                {"metric": "active_customers", "own": "trailing_365d", "where": {"basis": "orders"}},
                {"metric": "retention_rate", "own": "trailing_30d", "where": LOST},
                CHURN_30D,
                {"metric": "churn_rate", "own": "trailing_30d", "where": CONTRACTS, "word": "basis.contracts"},
                "false_churn_rate", "new_customers", REPEAT_365D,
                {"metric": "second_purchase_rate", "where": {"window_days": 90}},
                {"metric": "purchase_frequency", "own": "trailing_365d"},
                "cac_full", "referral_rate", "clv_historic", "clv_simple",
            )),
            Block("trends", "churn", (
                {"metric": "active_customers", "own": "trailing_90d"},
                {"metric": "churn_rate", "own": "trailing_30d", "where": {"plan": "all"}},
                {"metric": "retention_rate", "own": "trailing_30d", "where": LOST},
                "new_customers", "false_churn_rate", "second_purchase_rate",
            )),
            Block("curve", "survival", ("survival",), {"event": "ended", "time": "tenure_days", "name": "plan"},
                  rows=data.survival, marts=("survival",)),
            Block("curve", "repurchase", ("repurchase_survival",), {"event": "came_back", "time": "gap_days", "name": "channel"},
                  rows=data.repurchase, marts=("repurchase_survival",)),
            Block("cohorts", "cohorts", ("cohort_retention_by_segment", "cohort_retention_by_segment_rolling", "cohort_retention",
                  "cohort_retention_rolling"), {"segments": True}, rows=data.cohorts, marts=("retention_cohorts",)),
            Block("segments", "cohorts.segment", ("cohort_retention_by_segment",), rows=data.cohorts_by_segment,
                  marts=("retention_cohorts_by_segment",)),
            Block("cohort_value", "value", ("clv_historic",), rows=data.value_by_cohort, marts=("clv_customer",)),
            Block("predicted", "predicted", ("clv_predicted", "clv_predicted_24m", "clv_predicted_active"), rows=data.predicted,
                  marts=("clv_predicted_monthly",)),
            Block("backtests", "backtests", rows=data.backtests, marts=("clv_backtest",)),
            Block("experience", "experience", ("experience_value", "experience_value_churn", "experience_value_orders",
                  "experience_value_referrals", "experience_value_difference"), rows=data.experience,
                  marts=("experience_value_monthly",)),
            Block("associations", "associations", ("experience_association",), rows=data.associations,
                  marts=("experience_association_monthly",)),
            Block("matrix", "acquisition", ("new_customers", "acquisition_spend", "cac_full", "cac_paid"), {"by": "channel"}),
        ),
    ),
    Page(
        "contact-centre",
        (
            Block("figures", "figures", (
                "contact_volume", "handled_contacts", "abandoned_contacts", "contacts_per_order", "fcr_rate", "one_touch_rate",
                "resolution_time", "first_response_time", "aht", "transfer_rate", "queue_abandonment_rate",
                "average_speed_of_answer", {"metric": "service_level", "each": True}, "containment_rate",
                "resolved_containment_rate", "quality_score", "service_to_sales_rate",
            )),
            Block("hours", "hours", ("contact_volume",), rows=data.hours, marts=("contact_volume_daily",)),
            Block("trends", "volume", ("contact_volume", "fcr_rate"), {"by": "channel"}),
            Block("trends", "trends", ("resolution_time", "aht", "transfer_rate", "queue_abandonment_rate", "service_level",
                  "containment_rate", "contacts_per_order", "quality_score")),
            Block("matrix", "channels", ("contact_volume", "abandoned_contacts", "fcr_rate", "resolution_time", "aht",
                  "transfer_rate", "queue_abandonment_rate"), {"by": "channel"}),
            Block("matrix", "topics", ("contact_volume", "fcr_rate", "resolution_time", "aht", "transfer_rate", "one_touch_rate"),
                  {"by": "topic"}),
            Block("matrix", "queues", ("contact_volume", "average_speed_of_answer", "queue_abandonment_rate", "transfer_rate",
                  "aht"), {"by": "queue"}),
            Block("matrix", "ivr", ("ivr_top_requests", "ivr_selection_depth"), {"by": "intent"}),
            Block("matrix", "self_service", ("self_service_sessions", "containment_rate", "resolved_containment_rate",
                  "self_service_goal_rate", "handed_off_sessions"), {"by": "channel"}),
        ),
    ),
    Page(
        "agents",
        (
            Block("agents", "agents", (
                "agent_handled_legs", "agent_aht_to_team", "agent_aht", "agent_transfers_to_team", "agent_transfers_per_leg",
                "agent_fcr_to_team", "agent_fcr", "agent_csat_to_team", "agent_csat", "agent_quality_to_team",
                "agent_quality_score", "agent_evaluations",
            ), rows=data.agents, marts=("agent_performance_daily",)),
        ),
        fine=("agent_id",),
    ),
    Page(
        "voice",
        (
            Block("figures", "figures", (
                {"metric": "nps", "each": True}, {"metric": "csat", "each": True}, {"metric": "ces_ease_rate", "each": True},
                "would_recommend_rate", "repurchase_likelihood", "switch_likelihood", "overall_experience",
                "task_completion_rate", "net_emotion", "tone_change", "peak_end_emotion", "social_sentiment",
            )),
            Block("nps_split", "nps_split", ("nps",)),
            Block("trends", "trends", ("nps", "csat", "ces_ease_rate", "fcr_survey", "switch_likelihood", "overall_experience")),
            Block("matrix", "surveys", ("nps", "csat", "ces_ease_rate", "response_rate"), {"by": "survey_id"}),
            Block("stack", "emotion", ("positive_emotion_rate", "neutral_emotion_rate", "negative_emotion_rate")),
            Block("matrix", "emotion.channels", ("analysed_contacts", "net_emotion", "tone_change", "emotion_scored_rate"),
                  {"by": "channel"}),
            Block("figures", "pressure", (
                "response_rate",
                {"metric": "survey_pressure", "own": "trailing_30d"}, {"metric": "survey_pressure_p90", "own": "trailing_30d"},
                {"metric": "survey_pressure_over_limit", "own": "trailing_30d"}, "answered_before_delivery",
            )),
            Block("matrix", "social", ("social_mentions", "social_sentiment", "social_positive_rate", "social_negative_rate"),
                  {"by": "network"}),
            Block("matrix", "intents", ("visitor_intent", "task_completion_rate"), {"by": "intent"}),
            Block("figures", "employees", ({"metric": "employee_satisfaction", "each": True}, {"metric": "enps", "each": True})),
        ),
    ),
    Page(
        "commerce",
        (
            Block("figures", "figures", (
                "net_sales", "gross_sales", "discounts", "refunds", "orders", "units", "average_order_value", "margin_rate",
                "carts", "cart_abandonment_rate", "checkout_abandonment", "recovered_carts", "sessions", "engaged_session_rate",
                {"metric": "engaged_customer_rate_30d", "own": "trailing_30d"},
                {"metric": "touches_per_person_day_30d", "own": "trailing_30d"},
            )),
            Block("trends", "trends", ("net_sales", "orders", "average_order_value", "refunds", "cart_abandonment_rate",
                  "engaged_session_rate")),
            Block("trends", "sales.by", ("net_sales", "orders"), {"by": "country"}),
            Block("matrix", "countries", ("net_sales", "orders", "units", "average_order_value", "discounts", "refunds"),
                  {"by": "country"}),
            Block("matrix", "sales_channels", ("net_sales", "orders", "units", "average_order_value", "discounts", "refunds"),
                  {"by": "sales_channel"}),
            Block("matrix", "carts", ("carts", "cart_abandonment_rate", "checkout_abandonment", "recovered_carts",
                  "emptied_carts"), {"by": "device"}),
            Block("matrix", "engagement", ("sessions", "engaged_session_rate", "average_engaged_seconds", "page_views", "clicks"),
                  {"by": "device"}),
            Block("matrix", "engagement.channels", ("sessions", "engaged_session_rate", "average_engaged_seconds", "page_views"),
                  {"by": "channel"}),
            Block("figures", "initiatives", ({"metric": "sales_since_initiative", "each": True},)),
        ),
    ),
    Page(
        "customer-360",
        (Block("persons", "persons", rows=data.persons, marts=("customer_360",)),),
        is_personal=True,
    ),
    Page(
        "data-health",
        (
            Block("feeds", "feeds"),
            Block("gates", "gates"),
            Block("freshness", "freshness"),
            Block("restated", "restated", options={"all": True}, rows=data.restated, marts=("restatements",)),
            Block("acceptances", "acceptances"),
            Block("releases", "releases", rows=data.releases, marts=("releases",)),
        ),
        told=data.health,
    ),
)  # fmt: skip
