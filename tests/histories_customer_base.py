"""Random rows of the customer base for the histories: spend, campaigns, referral links, the catalogue.

Belongs here: one maker a feed, with what its contract must refuse. Does not: orders, contracts, persons (`tests.histories`).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

Values = dict[str, Any]
Told = list[tuple[str, Values]]

THEMES: tuple[tuple[str, ...], ...] = (
    ("marketing_spend", "orders", "order_lines", "subscriptions"),
    ("referrals", "orders", "order_lines", "persons"),
    ("referrals", "subscriptions", "persons"),
    ("orders", "order_lines", "products"),
)
SPOILED = {
    "marketing_spend": (("amount", "-1.00"), ("cost_category", "party"), ("currency", "USD"), ("spend_date", "soon")),
    "campaigns": (("channel", ""), ("started_on", "soon")),
    "referrals": (("referrer_id", ""), ("created_at", "soon")),
    "products": (("unit_cost", "cheap"), ("product_id", "")),
}


def _spend(world: Any, day: date) -> Told:
    rng, known = world.rng, world.some("marketing_spend")
    if known and rng.random() < 0.4:
        other = rng.choice(({"amount": 500}, {"spend_date": day}, {"channel": "referral"}, {"cost_category": "agency"}))
        return world.tell("marketing_spend", {**known, **other})
    return world.tell(
        "marketing_spend",
        {"spend_id": world.fresh("M"), "spend_date": day, "channel": rng.choice(("search", "unknown", "referral")),
         "cost_category": rng.choice(("media", "media", "tools")), "amount": rng.choice((0, 1, 1000, 2550)), "currency": "EUR"},
    )  # fmt: skip


def _campaign(world: Any, day: date) -> Told:
    values = {"campaign_id": world.fresh("A"), "channel": "search", "started_on": day, "ended_on": None}
    return world.tell("campaigns", values)


def _referral(world: Any, day: date) -> Told:
    rng, known = world.rng, world.some("referrals")
    if known and rng.random() < 0.5:
        other = rng.choice((
            {"referred_id": rng.choice(world.persons)}, {"referred_id": None}, {"referrer_id": rng.choice(world.persons)},
            {"created_at": world.instant(day)}, {"created_at": known["created_at"] - timedelta(days=1)},
        ))  # fmt: skip
        return world.tell("referrals", {**known, **other})
    return world.tell(
        "referrals",
        {"referral_id": world.fresh("L"), "referrer_id": rng.choice(world.persons), "created_at": world.instant(day),
         "referred_id": rng.choice((None, *world.persons))},
    )  # fmt: skip


def _product(world: Any, day: date) -> Told:
    rng = world.rng
    values = {"product_id": rng.choice(("A", "B", "C")), "category": rng.choice((None, "tea", "mugs")), "is_gift_card": False}
    return world.tell("products", values)


MAKERS: dict[str, Callable[[Any, date], Told]] = {
    "marketing_spend": _spend,
    "campaigns": _campaign,
    "referrals": _referral,
    "products": _product,
}
