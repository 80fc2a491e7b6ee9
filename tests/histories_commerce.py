"""What random histories tell of commerce beside the core's shop.

Belongs here: makers of rows of these feeds. Does not: the making of a history (`tests.histories`), any expected number.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.histories import _World

Told = list[tuple[str, dict[str, Any]]]

THEMES = (
    ("web_sessions", "page_events"),
    ("web_sessions", "page_events", "persons", "orders", "order_lines"),
    ("page_events", "persons"),
    ("orders", "order_lines", "refunds", "fx_rates"),
    ("order_lines", "refunds", "persons", "fx_rates"),
    ("orders", "order_lines", "fx_rates", "cart_events"),
    ("initiatives", "orders", "order_lines", "refunds"),
)
SPOILED = {
    "initiatives": (("start_date", "spring"), ("name", "")),
    "fx_rates": (("rate", "0"), ("rate", "1,2"), ("currency", "dollar"), ("rate_date", "")),
    "web_sessions": (("engaged_seconds", "-1"), ("started_at", ""), ("page_views", "1.5")),
    "page_events": (("event", "hover"), ("occurred_at", "noon"), ("session_id", "")),
}


def visit(world: _World, day: date) -> Told:
    """A session, its events, or a correction of either."""
    rng = world.rng
    feed = rng.choice([feed for feed in ("web_sessions", "page_events") if feed in world.feeds])
    known = world.some(feed)
    if known and rng.random() < 0.35:
        other: dict[str, Any] = rng.choice((
            {"person_id": world.person()}, {"is_bot": rng.choice((None, True))}, {"device": "tablet"},
            {"engaged_seconds": "10"}, {"session_id": "W1"} if feed == "page_events" else {"page_views": 2},
            {"occurred_at" if feed == "page_events" else "started_at": world.instant(day)},
        ))  # fmt: skip
        return world.tell(feed, {**known, **other})
    # few ids, so that events and sessions meet
    session_id = f"W{rng.randint(1, 9)}"
    common = {
        "session_id": session_id, "person_id": world.person(), "device": rng.choice((None, "mobile", "desktop")),
        "engaged_seconds": rng.choice((None, "0", "3.3333", "9.9999", "10")), "is_bot": rng.choice((None,) * 7 + (False, True)),
    }  # fmt: skip
    if feed == "web_sessions":
        return world.tell(
            feed,
            {**common, "started_at": world.instant(day), "page_views": rng.choice((None, 0, 1, 2)),
             "clicks": rng.choice((None, 0, 3)), "has_key_event": rng.choice((None, False, False, True)),
             "channel": rng.choice((None, "mail"))},
        )  # fmt: skip
    told: Told = []
    at = world.instant(day)
    for _ in range(rng.choice((1, 1, 2, 3))):
        event = rng.choice(("page_view", "page_view", "click", "key_event"))
        told += world.tell(feed, {**common, "event_id": world.fresh("G"), "event": event, "occurred_at": at})
        at += timedelta(minutes=rng.choice((0, 1, 40)))
    return told


def rate(world: _World, day: date) -> Told:
    """A rate of the day or of days around it, or another word on one that is known."""
    rng, known = world.rng, world.some("fx_rates")
    if known and rng.random() < 0.3:
        return world.tell("fx_rates", {**known, "rate": rng.choice(("0.5", "1.00005", "0.33333333"))})
    return world.tell(
        "fx_rates",
        {"currency": rng.choice(("USD", "USD", "GBP")), "to_currency": rng.choice(("EUR",) * 8 + ("GBP",)),
         "rate_date": day - timedelta(days=rng.choice((0, 0, 0, 1, 3, 7, 8, -1, 20))),
         "rate": rng.choice(("0.9", "0.85", "1.15", "0.0062471"))},
    )  # fmt: skip


def initiative(world: _World, day: date) -> Told:
    """Something the company did, or another word on when."""
    rng, known = world.rng, world.some("initiatives")
    start = day + timedelta(days=rng.choice((0, 0, -1, -5, 3)))
    end = rng.choice((None, None, start, start + timedelta(days=4)))
    if known and rng.random() < 0.5:
        other: dict[str, Any] = rng.choice(({"name": "Renamed"}, {"start_date": start, "end_date": end}, {"end_date": None}))
        return world.tell("initiatives", {**known, **other})
    initiative_id = f"I{rng.randint(1, 3)}"
    return world.tell("initiatives", {"initiative_id": initiative_id, "name": "Better", "start_date": start, "end_date": end})


def cart_without_id(world: _World, day: date) -> Told:
    """Events of a visitor whose shop has no cart ids, half an hour apart or not quite, and an order of theirs."""
    rng, known = world.rng, world.some("cart_events")
    if known and rng.random() < 0.2:
        other: dict[str, Any] = rng.choice(({"visitor_id": "V2"}, {"occurred_at": world.instant(day)}, {"event": "empty"}))
        return world.tell("cart_events", {**known, **other})
    visitor, person = rng.choice((("V1", None), ("V1", "P1"), ("V2", None), (None, "P1")))
    at = world.instant(day)
    if known and rng.random() < 0.5:
        # between two carts, so that they may be one
        at = known["occurred_at"] + timedelta(minutes=rng.choice((-30, -29, 0, 29, 30, 45)))
        visitor, person = known.get("visitor_id"), known.get("person_id")
    told: Told = []
    for event in rng.choice((("add",), ("add", "checkout"), ("add", "remove"), ("empty", "add"))):
        values = {"event_id": world.fresh("E"), "cart_id": None, "visitor_id": visitor, "person_id": person, "event": event,
                  "occurred_at": at, "quantity": rng.choice((None, 1, 2)), "device": rng.choice((None, "mobile"))}  # fmt: skip
        if visitor or person:
            told += world.tell("cart_events", values)
        at += timedelta(minutes=rng.choice((0, 1, 29, 30, 59)))
    if "orders" in world.feeds and rng.random() < 0.5:
        order = {"order_id": world.fresh("O"), "person_id": person, "visitor_id": visitor, "cart_id": None, "status": "paid",
                 "ordered_at": at + timedelta(minutes=rng.choice((-31, -1, 0, 60, 24 * 60))), "currency": "EUR",
                 "is_test": None, "country": None, "discount_amount": None}  # fmt: skip
        told += world.tell("orders", order)
        told += world._line(order["order_id"], "1", None)
    return told


def some_cart(world: _World, day: date) -> Told:
    """A cart of a shop with ids, or without."""
    return world._cart(day) if world.rng.random() < 0.5 else cart_without_id(world, day)


MAKERS: dict[str, Callable[[_World, date], Told]] = {
    "web_sessions": visit,
    "page_events": visit,
    "fx_rates": rate,
    "initiatives": initiative,
    "cart_events": some_cart,
}
