"""What random histories tell of self service, emotion, parcels, social media and prices.

Belongs here: makers of rows of these feeds. Does not: the making of a history (`tests.histories`), any expected number.
Scores, targets and prices are whole hundredths, as the histories write every amount.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.histories import _World

Told = list[tuple[str, dict[str, Any]]]

THEMES = (
    ("self_service_sessions", "contacts", "persons"),
    ("self_service_sessions", "ivr_events"),
    ("self_service_sessions", "ivr_events", "persons"),
    ("contacts", "orders", "order_lines", "shipments", "persons"),
    ("contacts", "order_lines", "shipments"),
    ("sentiment_segments", "contacts"),
    ("sentiment_segments", "contacts", "persons"),
    ("social_mentions", "stock_prices", "benchmarks"),
)
SPOILED = {
    "self_service_sessions": (("channel", "pigeon"), ("started_at", ""), ("outcome", "lost")),
    "ivr_events": (("event", "sneeze"), ("depth", "0"), ("session_id", "")),
    "sentiment_segments": (("score", "1.5"), ("sentiment", "so-so"), ("segment_index", "")),
    "shipments": (("order_id", ""), ("delivered_at", "soon")),
    "social_mentions": (("sentiment", "so-so"), ("published_at", "")),
    "benchmarks": (("kind", "goal"), ("value", ""), ("valid_from", "soon")),
    "stock_prices": (("close", "0"), ("trading_day", "friday"), ("currency", "")),
}
WORDS = (None, "positive", "neutral", "negative")
# to the second at the end of the windows of 7 and 30 days, or past it
GAPS = (0, 1, 3600, 86_400, 86_401, 7 * 86_400, 7 * 86_400 + 1, 30 * 86_400, 30 * 86_400 + 1)


def session(world: _World, day: date) -> Told:
    """A session, some of them before a contact that is known already; or a correction of one."""
    rng, known = world.rng, world.some("self_service_sessions")
    if known and rng.random() < 0.35:
        other: dict[str, Any] = rng.choice((
            {"person_id": world.person()}, {"goal_reached": not known["goal_reached"]}, {"is_test": not known["is_test"]},
            {"outcome": "contained"}, {"outcome": "handed_off"}, {"topic": "bill"}, {"started_at": world.instant(day)},
        ))  # fmt: skip
        return world.tell("self_service_sessions", {**known, **other})
    contact = world.some("contacts")
    started, person, topic = world.instant(day), world.person(), rng.choice(("bill", "late", None))
    if contact and rng.random() < 0.6:
        started = contact["started_at"] - timedelta(seconds=rng.choice(GAPS))
        person, topic = contact["person_id"], contact["topic"]
    # few ids, so that events of the menu find their session
    session_id = f"Z{rng.randint(1, 9)}" if "ivr_events" in world.feeds else world.fresh("Z")
    return world.tell(
        "self_service_sessions",
        {"session_id": session_id, "channel": rng.choice(("ivr", "sms", "bot")), "person_id": person, "topic": topic,
         "started_at": started, "outcome": rng.choice(("contained", "contained", "contained", "handed_off")),
         "goal_reached": rng.choice((True, True, True, False, None)), "is_test": rng.choice((None, False, False, True))},
    )  # fmt: skip


def menu(world: _World, day: date) -> Told:
    """Something in the voice menu."""
    rng, known = world.rng, world.some("ivr_events")
    if known and rng.random() < 0.2:
        return world.tell("ivr_events", {**known, "event_id": known["event_id"], "intent": rng.choice(("bill", "late", None))})
    return world.tell(
        "ivr_events",
        {"event_id": world.fresh("I"), "session_id": f"Z{rng.randint(1, 9)}", "intent": rng.choice(("bill", "late", None)),
         "event": rng.choice(("menu", "selection", "selection", "selection", "hangup")), "depth": rng.choice((None, 1, 2, 3)),
         "occurred_at": world.instant(day), "person_id": rng.choice((None, None, world.person()))},
    )  # fmt: skip


def parcel(world: _World, day: date) -> Told:
    """A parcel of an order, known or not; or what became of one."""
    rng, known = world.rng, world.some("shipments")
    if known and rng.random() < 0.5:
        arrives = known["shipped_at"] + timedelta(days=rng.choice((0, 1, 3, 40)))
        other: dict[str, Any] = rng.choice((
            {"delivered_at": arrives, "status": "delivered"}, {"delivered_at": arrives, "status": "delivered"},
            {"status": "lost", "delivered_at": None}, {"delivered_at": None, "status": None},
            {"order_id": rng.choice(("O1", "O2", "X9"))},
        ))  # fmt: skip
        return world.tell("shipments", {**known, **other})
    order = world.some("orders") or world.some("order_lines")
    shipped = world.instant(day)
    contact = world.some("contacts")
    delivered = rng.choice((None, shipped, shipped + timedelta(days=2)))
    if contact and contact["started_at"] >= shipped and rng.random() < 0.4:
        delivered = contact["started_at"]
    return world.tell(
        "shipments",
        {"shipment_id": world.fresh("N"), "order_id": order["order_id"] if order else "O1", "shipped_at": shipped,
         "delivered_at": delivered, "status": rng.choice((None, "shipped", "delivered"))},
    )  # fmt: skip


def segment(world: _World, day: date) -> Told:
    """Segments of a contact of a journey, in few contacts and journeys, so that these grow; or another score."""
    rng, known = world.rng, world.some("sentiment_segments")
    if known and rng.random() < 0.3:
        other: dict[str, Any] = rng.choice((
            {"sentiment": rng.choice(WORDS)}, {"score": rng.choice((None, -100, 0, 35))}, {"speaker": "agent"},
            {"journey_id": rng.choice((None, "J1", "J2"))}, {"contact_id": rng.choice(("T1", "T2", "T9"))},
            {"segment_index": rng.randint(1, 9)}, {"started_at": world.instant(day)},
        ))  # fmt: skip
        return world.tell("sentiment_segments", {**known, **other})
    contact_id, journey, at = f"T{rng.randint(1, 9)}", rng.choice((None, "J1", "J1", "J2")), world.instant(day)
    told: Told = []
    for n in range(rng.choice((1, 2, 3, 5))):
        told += world.tell(
            "sentiment_segments",
            {"segment_id": world.fresh("G"), "contact_id": contact_id, "journey_id": journey, "segment_index": n + 1,
             "speaker": rng.choice((None, "customer", "customer", "agent")), "sentiment": rng.choice(WORDS),
             "score": rng.choice((None, -100, -35, 0, 20, 35, 100)), "started_at": at,
             "person_id": rng.choice((None, None, world.person()))},
        )  # fmt: skip
        at += timedelta(seconds=rng.choice((0, 30)))
    return told


def mention(world: _World, day: date) -> Told:
    """Something said in public, or another reading of it."""
    rng, known = world.rng, world.some("social_mentions")
    if known and rng.random() < 0.35:
        other: dict[str, Any] = rng.choice((
            {"sentiment": rng.choice(WORDS)}, {"is_spam": not known["is_spam"]}, {"is_referral": True}, {"is_repost": True},
            {"network": "Y"}, {"published_at": world.instant(day)},
        ))  # fmt: skip
        return world.tell("social_mentions", {**known, **other})
    return world.tell(
        "social_mentions",
        {"mention_id": world.fresh("M"), "network": rng.choice(("X", "Y")), "published_at": world.instant(day),
         "sentiment": rng.choice(WORDS), "is_repost": rng.choice((None, False, True)),
         "is_referral": rng.choice((None, False, False, True)), "is_spam": rng.choice((None, False, False, True))},
    )  # fmt: skip


def price(world: _World, day: date) -> Told:
    """A closing price of the day, or another one for a day that had one."""
    rng, known = world.rng, world.some("stock_prices")
    if known and rng.random() < 0.3:
        return world.tell("stock_prices", {**known, "close": rng.choice((100, 999)), "adjusted_close": rng.choice((None, 500))})
    return world.tell(
        "stock_prices",
        {"symbol": rng.choice(("CXM", "CXN")), "trading_day": day, "close": rng.choice((1000, 1250)),
         "adjusted_close": rng.choice((None, 1000)), "currency": rng.choice(("EUR", "USD"))},
    )  # fmt: skip


def benchmark(world: _World, day: date) -> Told:
    """A target from a day on, or another version of one."""
    rng, known = world.rng, world.some("benchmarks")
    if known and rng.random() < 0.35:
        other: dict[str, Any] = rng.choice((
            {"value": 80}, {"valid_from": day, "valid_to": None}, {"valid_to": known["valid_from"]}, {"source": "yearbook"},
        ))  # fmt: skip
        return world.tell("benchmarks", {**known, **other})
    return world.tell(
        "benchmarks",
        {"benchmark_id": world.fresh("B"), "metric": rng.choice(("fcr_rate", "carts")),
         "kind": rng.choice(("target", "industry")), "industry": rng.choice((None, "retail")),
         "source": rng.choice((None, None, "yearbook")), "value": rng.choice((50, 75)),
         "valid_from": day + timedelta(days=rng.choice((0, 0, 1, -30))), "valid_to": None},
    )  # fmt: skip


MAKERS: dict[str, Callable[[_World, date], Told]] = {
    "self_service_sessions": session, "ivr_events": menu, "shipments": parcel, "sentiment_segments": segment,
    "social_mentions": mention, "stock_prices": price, "benchmarks": benchmark,
}  # fmt: skip
