"""What random histories tell of the contact centre's operations beside the core's cases and contacts.

Belongs here: makers of rows of these feeds, and what they add to the core's rows. Does not: the making of a history
(`tests.histories`), any expected number.
"""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.histories import _World

Told = list[tuple[str, dict[str, Any]]]

THEMES = (
    ("cases", "case_events", "business_calendars", "holidays", "service_targets"),
    ("cases", "case_events", "contacts", "business_calendars", "service_targets", "agents"),
    ("contacts", "transfers", "agents", "qa_evaluations"),
    ("contacts", "service_targets"),
)
SPOILED = {
    "business_calendars": (("opens", "9:00"), ("weekday", "8"), ("closes", "")),
    "holidays": (("holiday_date", "Christmas"),),
    "service_targets": (("kind", "solve"), ("target_seconds", "-1"), ("valid_from", "")),
    "agents": (("is_test", "perhaps"), ("agent_id", "")),
    "transfers": (("kind", "cold"), ("occurred_at", "")),
    "qa_evaluations": (("points_earned", "9"), ("evaluated_at", "")),
}
AGENTS = ("A1", "A2", "A3", None)
SECONDS = (None, Decimal(0), Decimal(5), Decimal(20), Decimal(61))


def contact(world: _World, day: date) -> Told:
    """A contact of the core, of which somebody also says who took it, when and for how long."""
    rng, told = world.rng, world._contact(day)
    for _, values in list(told):
        if rng.random() < 0.7:
            answered = values["started_at"] + timedelta(seconds=rng.choice((0, 20, 90_000)))
            more = {
                "answered_at": rng.choice((None, answered)), "ended_at": rng.choice((None, answered + timedelta(minutes=5))),
                "agent_id": rng.choice(AGENTS), **{f"{part}_seconds": rng.choice(SECONDS) for part in ("wait", "talk", "hold")},
            }  # fmt: skip
            told += world.tell("contacts", {**values, **more})
    return told


def case(world: _World, day: date) -> Told:
    """A case or an event of the core, with its owner, its due time, or who acted."""
    rng, told = world.rng, world._case(day)
    for feed, values in list(told):
        if feed == "case_events" and rng.random() < 0.5:
            told += world.tell(feed, {**values, "actor_type": rng.choice(("agent", "bot", "system", "customer"))})
        elif feed == "cases" and rng.random() < 0.5:
            due = values["opened_at"] + timedelta(hours=rng.choice((0, 30, 31)))
            more = {"agent_id": rng.choice(AGENTS), "due_at": rng.choice((None, None, due)), "queue": rng.choice((None, "first"))}
            told += world.tell(feed, {**values, **more})
        if feed == "cases" and "contacts" in world.feeds and rng.random() < 0.7:
            told += _called(world, values)
    return told


def _called(world: _World, case: dict[str, Any]) -> Told:
    """The call a case was raised on and who solved it; then perhaps another one, or a reopening, about where the window ends."""
    rng, case = world.rng, dict(case)
    case |= {"case_id": rng.choice((case["case_id"], world.fresh("C"))), "is_spam": None, "agent_id": rng.choice(AGENTS[:3])}
    case |= {"resolved_at": case["opened_at"] + timedelta(hours=rng.choice((0, 1, 200)))}
    call = {
        "contact_id": world.fresh("T"), "case_id": case["case_id"], "person_id": rng.choice(world.persons), "topic": "bill",
        "channel": "phone", "direction": "inbound", "queue": None, "is_spam": None, "outcome": "handled", "root_contact_id": None,
        "started_at": case["opened_at"] - timedelta(minutes=rng.choice((0, 0, 5, -5))),
    }  # fmt: skip
    told = world.tell("contacts", call) + world.tell("cases", case)
    later = call["started_at"] + timedelta(days=rng.choice((1, 7, 7)), seconds=rng.choice((0, 0, 1)))
    if rng.random() < 0.4:
        again = {"contact_id": world.fresh("T"), "case_id": rng.choice((None, case["case_id"])), "started_at": later}
        told += world.tell("contacts", {**call, **again})
    elif "case_events" in world.feeds and rng.random() < 0.4:
        event = {"event_id": world.fresh("V"), "case_id": case["case_id"], "occurred_at": later, "event": "reopened"}
        told += world.tell("case_events", event)
    return told


def opening(world: _World, day: date) -> Told:
    """Opening hours of the whole week at once, or of one day: openings overlap, touch, and end at midnight."""
    rng = world.rng
    calendar = rng.choice(("default", "default", "first", "phone"))
    told: Told = []
    for weekday in range(1, 8) if rng.random() < 0.4 else (rng.randint(1, 7),):
        opens, closes = rng.choice(
            (("00:00", "24:00"), ("08:00", "12:30"), ("12:30", "18:00"), ("08:00", "20:15"), ("00:30", "03:00"))
        )
        told += world.tell("business_calendars", {"calendar_id": calendar, "weekday": weekday, "opens": opens, "closes": closes})
    return told


def holiday(world: _World, day: date) -> Told:
    """A day that is closed, now, soon or before."""
    when = day + timedelta(days=world.rng.choice((-5, -1, 0, 1, 2)))
    return world.tell("holidays", {"calendar_id": world.rng.choice(("default", "first")), "holiday_date": when, "name": None})


def target(world: _World, day: date) -> Told:
    """A target from a day on, or another value of one."""
    rng, known = world.rng, world.some("service_targets")
    if known and rng.random() < 0.3:
        return world.tell("service_targets", {**known, "target_seconds": rng.choice((0, 20, 86_400))})
    kind = rng.choice(("answer", "first_response", "resolution"))
    clock = None if kind == "answer" else rng.choice((None, "calendar", "business", "business"))
    return world.tell(
        "service_targets",
        {"kind": kind, "channel": rng.choice(("all", "phone")), "queue": rng.choice(("all", "first")), "clock": clock,
         "valid_from": day + timedelta(days=rng.choice((-400, -3, 0, 2))), "target_seconds": rng.choice((5, 20, 3600, 28_800))},
    )  # fmt: skip


def agent(world: _World, day: date) -> Told:
    """An agent, who may be of another team than before, or a test user."""
    rng = world.rng
    return world.tell(
        "agents",
        {
            "agent_id": rng.choice(AGENTS[:3]),
            "team": rng.choice(("red", "blue", None)),
            "is_test": rng.choice((None, None, None, True)),
        },
    )


def transfer(world: _World, day: date) -> Told:
    """A transfer of a contact that may come later, or never; or the same one told otherwise."""
    rng, known = world.rng, world.some("transfers")
    if known and rng.random() < 0.2:
        return world.tell("transfers", {**known, "kind": rng.choice(("warm", "ivr")), "contact_id": "T1"})
    return world.tell(
        "transfers",
        {"transfer_id": world.fresh("R"), "contact_id": f"T{rng.randint(1, 6)}", "kind": rng.choice(("warm", "blind", "ivr")),
         "from_agent_id": rng.choice(AGENTS), "occurred_at": world.instant(day)},
    )  # fmt: skip


def evaluation(world: _World, day: date) -> Told:
    """Criteria of an evaluation; few ids, so that they are corrected, also in which contact they are of."""
    rng, told = world.rng, []
    sheet, contact_id, by = f"Q{rng.randint(1, 4)}", f"T{rng.randint(1, 6)}", rng.choice(AGENTS)
    for criterion in ("a", "b")[: rng.choice((1, 2))]:
        told += world.tell(
            "qa_evaluations",
            {"evaluation_id": sheet, "criterion": criterion, "contact_id": contact_id, "agent_id": by,
             "evaluated_at": world.instant(day), "weight": rng.choice((None, Decimal(1), Decimal(3))),
             "points_earned": rng.choice((None, Decimal(0), Decimal(3))), "points_possible": rng.choice((Decimal(3), Decimal(5))),
             "is_not_applicable": rng.choice((None, False, True)), "is_auto_fail": rng.choice((None, True))},
        )  # fmt: skip
    return told


MAKERS = {
    "contacts": contact, "cases": case, "case_events": case, "business_calendars": opening, "holidays": holiday,
    "service_targets": target, "agents": agent, "transfers": transfer, "qa_evaluations": evaluation,
}  # fmt: skip
