"""What random histories tell of surveys: the scale registry, invitations, answers, parcels, employees.

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
    ("survey_responses",),
    ("survey_responses", "surveys"),
    ("survey_responses", "surveys", "persons"),
    ("survey_responses", "survey_invitations", "persons"),
    ("survey_invitations", "survey_responses", "surveys", "shipments"),
    ("survey_invitations", "persons"),
    ("employee_surveys",),
)
SPOILED = {
    "surveys": (("scale_max", "-1"), ("direction", "up"), ("question_version", "two")),
    "survey_invitations": (("status", "lost"), ("sent_at", ""), ("invitation_id", "")),
    "survey_responses": (("score", "ten"), ("status", "done"), ("answered_at", "noon"), ("survey_id", "")),
    "employee_surveys": (("metric_kind", "mood"), ("score", "-1"), ("answered_at", "")),
    "shipments": (("shipped_at", "soon"), ("order_id", "")),
}
SCALES = (("0", "10"), ("1", "10"), ("1", "7"), ("1", "5"), ("0", "1"), (None, None))
KINDS = ("nps", "nps", "nps", "csat", "ces", "switch_likelihood", "resolved", "visitor_intent", "task_completion")


def question(world: _World, day: date) -> Told:
    """A question, or another version of it; few ids, so that answers find it."""
    rng, known = world.rng, world.some("surveys")
    if known and rng.random() < 0.4:
        other: dict[str, Any] = rng.choice((
            {"favourable_from": None if known["scale_min"] is None else known["scale_max"]}, {"direction": "high_is_bad"},
            {"options": "buy|look|ask"}, {"options": "Buy"}, {"metric_kind": rng.choice(KINDS)},
        ))  # fmt: skip
        return world.tell("surveys", {**known, **other})
    low, high = rng.choice(SCALES)
    return world.tell(
        "surveys",
        {"survey_id": rng.choice(("V1", "V2")), "question_id": rng.choice(("q1", "q2")), "question_version": rng.choice((1, 2)),
         "metric_kind": rng.choice(KINDS), "scale_min": low, "scale_max": high, "options": rng.choice((None, "buy|Look")),
         "direction": rng.choice((None, "high_is_good", "high_is_bad")),
         "favourable_from": rng.choice((None, None, high))},
    )  # fmt: skip


def invitation(world: _World, day: date) -> Told:
    """An invitation or what became of it; sometimes several for one person."""
    rng, known = world.rng, world.some("survey_invitations")
    if known and rng.random() < 0.35:
        other = rng.choice((
            {"status": rng.choice(("bounced", "delivered"))}, {"person_id": world.person()}, {"sent_at": world.instant(day)},
            {"order_id": "O1"}, {"channel": "sms"}, {"survey_id": "V2"},
        ))  # fmt: skip
        return world.tell("survey_invitations", {**known, **other})
    told: Told = []
    person = world.person()
    for _ in range(rng.choice((1, 1, 2, 5))):
        told += world.tell(
            "survey_invitations",
            {"invitation_id": world.fresh("F"), "survey_id": rng.choice(("V1", "V2")), "person_id": person,
             "channel": rng.choice((None, "email")), "sent_at": world.instant(day), "order_id": rng.choice((None, "O1", "O2")),
             "status": rng.choice(("delivered", "delivered", "delivered", "suppressed"))},
        )  # fmt: skip
    return told


def response(world: _World, day: date) -> Told:
    """An answer, to an invitation or not, or its revision; some exactly at the end of a window, or a moment after."""
    rng, known = world.rng, world.some("survey_responses")
    if known and rng.random() < 0.35:
        other: dict[str, Any] = rng.choice((
            {"person_id": world.person()}, {"status": rng.choice(("completed", "partial", "preview", "test"))},
            {"answered_at": world.instant(day)}, {"channel": "web"}, {"order_id": "O2"}, {"question_version": None},
            {"invitation_id": f"F{rng.randint(1, 6)}"}, {"survey_id": "V2"},
            {"answer": "look"} if known["score"] is None else {"score": "5"},
        ))  # fmt: skip
        return world.tell("survey_responses", {**known, **other})
    kind, (low, high) = rng.choice(KINDS), rng.choice(SCALES)
    is_choice = kind in ("visitor_intent", "task_completion")
    score = None if is_choice else rng.choice(("5", "5", high or "9", low or "7", "3.5" if low else "6.5"))
    if score is not None and low is not None and not float(low) <= float(score) <= float(high or 0):
        score = high
    at, person = world.instant(day), world.person()
    asked = world.some("survey_invitations")
    if asked and rng.random() < 0.5:
        # exactly the response window later, or a moment more
        at = asked["sent_at"] + timedelta(days=rng.choice((0, 1, 3, 30)), seconds=rng.choice((0, 0, 1)))
    elif known and rng.random() < 0.4:
        # the same person on the same day, or when the trailing window ends
        at = known["answered_at"] + timedelta(days=rng.choice((0, 0, 5, 89, 90)))
        person = known["person_id"]
    return world.tell(
        "survey_responses",
        {"response_id": world.fresh("Q"), "survey_id": rng.choice(("V1", "V1", "V2")), "metric_kind": kind, "person_id": person,
         "question_id": rng.choice((None, "q1", "q1", "q2")), "question_version": rng.choice((None, None, 1, 2)),
         "invitation_id": rng.choice((None, f"F{rng.randint(1, 6)}", asked["invitation_id"] if asked else None)),
         "order_id": rng.choice((None, None, "O1", "O2")), "channel": rng.choice((None, "email")), "score": score,
         "answer": rng.choice(("buy", "look", "Yes", "no", "partly", "else")) if is_choice else None,
         "scale_min": None if is_choice else low, "scale_max": None if is_choice else high, "answered_at": at,
         "status": rng.choice(("completed",) * 6 + ("partial", "dismissed", "preview"))},
    )  # fmt: skip


def parcel(world: _World, day: date) -> Told:
    """A parcel of one of the orders that answers are about, or what became of it."""
    rng, known = world.rng, world.some("shipments")
    if known and rng.random() < 0.5:
        shipped = known["shipped_at"]
        other: dict[str, Any] = rng.choice((
            {"delivered_at": (shipped or world.instant(day)) + timedelta(days=rng.choice((0, 1, 5)))}, {"status": "lost"},
            {"order_id": "O2"}, {"delivered_at": None, "status": "shipped"},
        ))  # fmt: skip
        return world.tell("shipments", {**known, **other})
    return world.tell(
        "shipments",
        {"shipment_id": world.fresh("N"), "order_id": rng.choice(("O1", "O2")),
         "shipped_at": rng.choice((None, world.instant(day))), "delivered_at": None, "status": rng.choice((None, "shipped"))},
    )  # fmt: skip


def employee(world: _World, day: date) -> Told:
    """Answers of a team, around the size below which nothing is published; corrections move people between teams."""
    rng, known = world.rng, world.some("employee_surveys")
    if known and rng.random() < 0.4:
        other: dict[str, Any] = rng.choice((
            {"team": rng.choice(("A", "B", None))}, {"status": rng.choice(("completed", "test"))}, {"score": known["scale_max"]},
            {"answered_at": world.instant(day)}, {"favourable_from": known["scale_max"]},
        ))  # fmt: skip
        return world.tell("employee_surveys", {**known, **other})
    told: Told = []
    team, (low, high) = rng.choice(("A", "B", "C", None)), rng.choice((("0", "1"), ("1", "10"), ("0", "10"), ("1", "5")))
    for _ in range(rng.choice((1, 2, 4, 5))):
        told += world.tell(
            "employee_surveys",
            {"response_id": world.fresh("W"), "survey_id": "pulse", "team": team,
             "metric_kind": rng.choice(("satisfaction", "satisfaction", "enps")), "score": rng.choice((low, high)),
             "scale_min": low, "scale_max": high, "favourable_from": rng.choice((None, None, high)),
             "answered_at": world.instant(day), "status": rng.choice(("completed",) * 8 + ("partial",))},
        )  # fmt: skip
    return told


MAKERS: dict[str, Callable[[_World, date], Told]] = {
    "surveys": question,
    "survey_invitations": invitation,
    "survey_responses": response,
    "shipments": parcel,
    "employee_surveys": employee,
}
