"""The contact centre's operations: opening hours, targets, and how fast cases are answered and solved.

Belongs here: the feeds of this subject (business calendars, holidays, service targets), automatic replies, and the marts
counted from them and from the core's cases, events and contacts. Not here: the cases and contacts themselves (`company`),
contact volume and first contact resolution (`truth`).
"""

from __future__ import annotations

import math
import random
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from orchestration.lib.simulator.company import Case, CaseEvent, Maker
from orchestration.lib.simulator.exports import Column, Layout
from orchestration.lib.simulator.subject import Subject, Truth
from orchestration.lib.simulator.surveys import answers
from orchestration.lib.simulator.truth import (
    ONE_DAY,
    UNKNOWN,
    Books,
    Rows,
    counted_contacts,
    is_one_touch,
    issue_contacts,
    issues,
    ratio,
    resolved_at,
)  # fmt: skip

MINUTE = timedelta(minutes=1)
GAMMA = 1.02


class Opening(NamedTuple):
    """From when to when a calendar is open on a weekday, one version."""

    calendar_id: str
    weekday: int
    opens: str
    closes: str
    updated_at: datetime


class Holiday(NamedTuple):
    """A day on which a calendar stays closed, one version."""

    calendar_id: str
    holiday_date: date
    name: str | None
    updated_at: datetime


class ServiceTarget(NamedTuple):
    """How fast something is to be done from a day on, one version."""

    kind: str
    channel: str
    queue: str
    valid_from: date
    target_seconds: int
    clock: str | None
    updated_at: datetime


class Transfer(NamedTuple):
    """A contact that was passed on."""

    transfer_id: str
    contact_id: str
    kind: str
    from_queue: str | None
    to_queue: str | None
    from_agent_id: str | None
    to_agent_id: str | None
    occurred_at: datetime


class Agent(NamedTuple):
    """Who answers customers, one version."""

    agent_id: str
    name: str | None
    team: str | None
    is_test: bool | None
    updated_at: datetime


class Evaluation(NamedTuple):
    """A criterion of a quality evaluation, one version; points and weights are whole here."""

    evaluation_id: str
    criterion: str
    contact_id: str
    agent_id: str | None
    evaluated_at: datetime
    weight: int | None
    points_earned: int | None
    points_possible: int | None
    is_not_applicable: bool | None
    is_auto_fail: bool | None
    updated_at: datetime


# ---- the company ----------------------------------------------------------------------------------------------------


def make(maker: Maker) -> None:
    """Opening hours with a longer evening from the fifth week on, holidays, targets that get tighter, automatic replies."""
    rng = maker.stream("contact centre operations")
    _make_calendars(maker)
    _make_targets(maker)
    _make_automatic_replies(maker, rng)
    _make_agents(maker)
    _make_transfers(maker, rng)
    _make_evaluations(maker, rng)


def _make_calendars(maker: Maker) -> None:
    first = maker.clock.plain(0, 6 * 3600)
    for weekday in range(1, 6):
        maker.post("business_calendars", Opening("default", weekday, "08:30", "12:30", first), 0)
        maker.post("business_calendars", Opening("default", weekday, "13:00", "18:00", first), 0)
    maker.post("business_calendars", Opening("default", 6, "09:00", "13:00", first), 0)
    for weekday in range(1, 8):
        maker.post("business_calendars", Opening("vip", weekday, "00:00", "24:00", first), 0)
    # From the day it is told on, all cases are measured by the longer Thursday: a correction of the past.
    if maker.days > 30:
        longer = Opening("default", 4, "13:00", "21:00", maker.clock.plain(29, 9 * 3600))
        maker.post("business_calendars", longer, 29)
    start = maker.clock.start
    for days, name, told in ((12, "Founder's day", 0), (33, "Outing", 0), (54, "Stocktaking", 58)):
        if days < maker.days and told < maker.days:
            row = Holiday("default", start + timedelta(days=days), name, maker.clock.plain(told, 7 * 3600))
            maker.post("holidays", row, told)


def _make_targets(maker: Maker) -> None:
    start, first = maker.clock.start, maker.clock.plain(0, 6 * 3600)
    told: list[tuple[str, str, str, int, int, str | None]] = [
        ("answer", "phone", "all", 0, 60, None),
        ("answer", "all", "vip", 0, 20, "calendar"),
        ("answer", "chat", "all", 20, 45, None),
        ("answer", "phone", "all", 40, 40, None),
        ("first_response", "email", "all", 0, 4 * 3600, "business"),
        ("resolution", "all", "all", 0, 16 * 3600, "business"),
        ("resolution", "all", "vip", 0, 24 * 3600, "calendar"),
        ("resolution", "phone", "all", 35, 8 * 3600, "business"),
    ]
    for kind, channel, queue, day, seconds, clock in told:
        if day < maker.days:
            row = ServiceTarget(kind, channel, queue, start + timedelta(days=day), seconds, clock, first)
            # Told when it begins, one of them some days after.
            maker.post("service_targets", row._replace(updated_at=maker.clock.plain(day, 6 * 3600)), day, 2 if day == 35 else 0)


def _make_automatic_replies(maker: Maker, rng: random.Random) -> None:
    """A third of the cases by mail and chat are acknowledged at once; that is no first response."""
    written = {
        row.case_id
        for rows in maker.deliveries["cases"]
        for row in rows
        if row.channel != "phone"
    }  # fmt: skip
    opened = sorted(
        {row for rows in maker.deliveries["case_events"] for row in rows if row.event == "opened" and row.case_id in written}
    )
    for event in opened:
        at = event.occurred_at + timedelta(seconds=rng.randint(1, 20))
        if rng.random() < 0.35 and maker.clock.index(at) < maker.days:
            actor = rng.choice(("system", "bot"))
            row = CaseEvent(maker.number("VB"), event.case_id, "replied", at, actor, None)
            maker.post_event(rng, "case_events", row, at)


def _make_agents(maker: Maker) -> None:
    """Three teams and a test user; somebody moves to another team, and a new team is told late."""
    for n in range(1, 33):
        team = "second line" if n > 24 else ("north", "south")[n % 2]
        told = 3 if n == 24 else 0
        if told < maker.days:
            at = maker.clock.plain(told, 5 * 3600)
            maker.post("agents", Agent(f"A{n:02d}", f"Agent {n}", team, n == 23, at), told)
    for n, day in ((5, 25), (8, 57)):
        if day < maker.days:
            maker.post("agents", Agent(f"A{n:02d}", f"Agent {n}", "south", False, maker.clock.plain(day, 9 * 3600)), day)


def _newest_contacts(maker: Maker) -> list[Any]:
    newest: dict[str, Any] = {}
    for rows in maker.deliveries["contacts"]:
        for row in rows:
            if row.contact_id not in newest or row.updated_at >= newest[row.contact_id].updated_at:
                newest[row.contact_id] = row
    return list(newest.values())


def _make_transfers(maker: Maker, rng: random.Random) -> None:
    """Every leg was a transfer, some have no leg; calls come from the voice menu, which is none."""
    contacts = _newest_contacts(maker)
    taken_by = {contact.contact_id: contact.agent_id for contact in contacts}
    for contact in contacts:
        first, at = contact.root_contact_id or contact.contact_id, contact.started_at
        is_leg = first != contact.contact_id
        if is_leg or (contact.outcome == "handled" and rng.random() < 0.02):
            kind = rng.choices(("warm", "blind"), (6, 4))[0]
            # Some systems do not say who passed it on.
            sender = None if rng.random() < 0.1 else taken_by.get(first)
            row = Transfer(maker.number("TR"), first, kind, contact.queue, "second_line", sender, contact.agent_id, at)
            maker.post_event(rng, "transfers", row, at)
        elif contact.channel == "phone" and contact.direction == "inbound" and rng.random() < 0.5:
            row = Transfer(maker.number("TR"), first, "ivr", None, contact.queue, None, None, at)
            maker.post_event(rng, "transfers", row, at)


def _make_evaluations(maker: Maker, rng: random.Random) -> None:
    """Every ninth handled contact is evaluated some days later, a few are evaluated anew, legs and outbound calls too."""
    form = (("greeting", None, 2, False), ("solution", 3, 5, False), ("tone", 2, 5, False), ("identification", 1, 1, True))
    for contact in _newest_contacts(maker):
        if contact.outcome != "handled" or rng.random() >= 0.11:
            continue
        at = contact.ended_at + timedelta(seconds=rng.randint(3600, 6 * 86_400))
        again = at + timedelta(days=2) if rng.random() < 0.15 else None
        evaluation = maker.number("QA")
        agent = contact.agent_id if rng.random() < 0.8 else None
        for criterion, weight, most, fails in form:
            earned = rng.choices((most, 0), (4, 1))[0] if fails else rng.randint(0, most)
            skipped = rng.random() < 0.12
            row = Evaluation(
                evaluation, criterion, contact.contact_id, agent, at, weight, None if skipped and rng.random() < 0.5 else earned,
                most, True if skipped else rng.choice((None, False)), fails, at,
            )  # fmt: skip
            if maker.clock.index(at) < maker.days:
                maker.post("qa_evaluations", row, maker.clock.index(at))
            if again and maker.clock.index(again) < maker.days and not skipped:
                better = row._replace(points_earned=most, updated_at=again)
                maker.post("qa_evaluations", better, maker.clock.index(again))


# ---- time by a calendar ---------------------------------------------------------------------------------------------


class Calendars:
    """Opening hours, minute by minute: a minute is open when the clock on the wall shows a time of an opening of its day."""

    def __init__(self, books: Books) -> None:
        self.zone = books.zone
        self.openings: dict[tuple[str, int], list[tuple[str, str]]] = defaultdict(list)
        for row in books.rows["business_calendars"]:
            self.openings[row.calendar_id, row.weekday].append((row.opens, row.closes))
        self.names = {name for name, _ in self.openings}
        self.closed = {(row.calendar_id, row.holiday_date) for row in books.rows["holidays"]}
        self._runs: dict[tuple[str, date], list[tuple[datetime, datetime]]] = {}

    def of(self, queue: str, channel: str) -> str | None:
        """The calendar a case follows."""
        return next((name for name in (queue, channel, "default") if name in self.names), None)

    def runs(self, name: str, day: date) -> list[tuple[datetime, datetime]]:
        """The stretches of one UTC day at which the calendar is open."""
        if (name, day) not in self._runs:
            found: list[tuple[datetime, datetime]] = []
            minute = datetime.combine(day, time(), UTC)
            for _ in range(1440):
                wall = minute.astimezone(self.zone)
                shown, today = f"{wall:%H:%M}", wall.date()
                if (name, today) not in self.closed and any(
                    opens <= shown < closes for opens, closes in self.openings.get((name, today.isoweekday()), ())
                ):
                    if found and found[-1][1] == minute:
                        found[-1] = (found[-1][0], minute + MINUTE)
                    else:
                        found.append((minute, minute + MINUTE))
                minute += MINUTE
            self._runs[name, day] = found
        return self._runs[name, day]

    def after(self, name: str, instant: datetime) -> Iterator[tuple[datetime, datetime]]:
        """What is open from an instant on."""
        day = instant.astimezone(UTC).date()
        while day.year < 2070:
            for opens, closes in self.runs(name, day):
                if closes > instant:
                    yield max(opens, instant), closes
            day += ONE_DAY

    def seconds(self, name: str, since: datetime, until: datetime) -> float:
        """For how long the calendar is open between two instants."""
        total, day = 0.0, since.astimezone(UTC).date()
        while day <= until.astimezone(UTC).date():
            for opens, closes in self.runs(name, day):
                total += max((min(closes, until) - max(opens, since)).total_seconds(), 0.0)
            day += ONE_DAY
        return total

    def due(self, name: str, since: datetime, seconds: int) -> datetime:
        """The last instant by which the calendar was open for no longer than that."""
        left = timedelta(seconds=seconds)
        for opens, closes in self.after(name, since):
            if left < closes - opens:
                return opens + left
            left -= closes - opens
        raise ValueError(f"{name} does not open again")


class Targets:
    """What is to be done how fast."""

    def __init__(self, books: Books) -> None:
        self.rows: dict[tuple[str, str, str], list[tuple[date, int, str]]] = defaultdict(list)
        for row in books.rows["service_targets"]:
            self.rows[row.kind, row.channel, row.queue].append((row.valid_from, row.target_seconds, row.clock or "calendar"))

    def of(self, kind: str, channel: str, queue: str, day: date) -> tuple[int, str] | None:
        """Seconds and clock in force on a day: a queue's own come first, then a channel's."""
        for key in ((kind, channel, queue), (kind, "all", queue), (kind, channel, "all"), (kind, "all", "all")):
            begun = [row for row in sorted(self.rows.get(key, ())) if row[0] <= day]
            if begun:
                return begun[-1][1:]
        return None


# ---- cases ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class CaseFacts:
    """What the marts need to know of a case that counts; durations in seconds."""

    case_id: str
    agent_id: str | None
    cell: tuple[str, str, str]
    raised_at: datetime | None
    resolved_at: datetime | None
    is_one_touch: bool
    business_seconds: float | None
    answered_at: datetime | None
    answer_business_seconds: float | None
    due_at: datetime | None
    answer_due_at: datetime | None


_FACTS: WeakKeyDictionary[Books, list[CaseFacts]] = WeakKeyDictionary()


def case_facts(books: Books) -> list[CaseFacts]:
    """Every case but spam. A case nobody delivered a row of is known by its events."""
    if books not in _FACTS:
        _FACTS[books] = list(_case_facts(books))
    return _FACTS[books]


def _case_facts(books: Books) -> Iterator[CaseFacts]:
    calendars, targets = Calendars(books), Targets(books)
    events: dict[str, list[CaseEvent]] = defaultdict(list)
    for event in sorted(books.rows["case_events"], key=lambda event: event.occurred_at):
        events[event.case_id].append(event)
    taken: dict[str, list[tuple[datetime, datetime]]] = defaultdict(list)
    for contact in books.rows["contacts"]:
        is_leg = contact.root_contact_id not in (None, contact.contact_id)
        if contact.case_id and contact.answered_at and contact.outcome == "handled" and not contact.is_spam and not is_leg:
            taken[contact.case_id].append((contact.answered_at, contact.ended_at or contact.answered_at))
    cases: dict[str, Case | None] = {case_id: None for case_id in events}
    cases |= {case.case_id: case for case in books.rows["cases"]}
    for case_id, case in cases.items():
        if case and case.is_spam:
            continue
        history = events[case_id]
        raised = case.opened_at if case else min((e.occurred_at for e in history if e.event == "opened"), default=None)
        resolved = resolved_at(case, history)
        if resolved and raised and resolved < raised:
            resolved = None
        channel, topic, queue = (
            (case.channel or UNKNOWN, case.topic or UNKNOWN, case.queue or UNKNOWN) if case else (UNKNOWN,) * 3
        )
        calendar = calendars.of(queue, channel)
        # Somebody answers by a reply, or by being on the line when the case is raised or after.
        answers = [(e.occurred_at, e.occurred_at) for e in history if e.event == "replied" and e.actor_type in (None, "agent")]
        answered = min(
            (max(at, raised) for at, until in [*answers, *taken[case_id]] if until >= raised), default=None
        ) if raised else None  # fmt: skip

        def business(until: datetime | None, since: datetime | None = raised, name: str | None = calendar) -> float | None:
            return calendars.seconds(name, since, until) if name and since and until else None

        def due(kind: str, since: datetime | None = raised, name: str | None = calendar, where: Any = (channel, queue)) -> Any:
            target = targets.of(kind, *where, books.day(since)) if since else None
            if since is None or target is None or (target[1] == "business" and name is None):
                return None
            return since + timedelta(seconds=target[0]) if target[1] == "calendar" else calendars.due(name, since, target[0])

        yield CaseFacts(
            case_id, case.agent_id if case else None, (channel, topic, queue), raised, resolved, is_one_touch(case, history),
            business(resolved), answered, business(answered), case.due_at if case and case.due_at else due("resolution"),
            due("first_response"),
        )  # fmt: skip


def _bucket(seconds: float) -> int:
    return -1 if seconds < 1 else math.floor(math.log(seconds) / math.log(GAMMA))


def _middle(bucket: int) -> float:
    return 0.0 if bucket < 0 else GAMMA ** (bucket + 0.5) / 60


def _quantile(seconds: list[float], tenths: int) -> float | None:
    """The middle of the bucket of the case with which so many tenths are reached."""
    buckets = sorted(map(_bucket, seconds))
    return _middle(buckets[-(-tenths * len(buckets) // 10) - 1]) if buckets else None


def _minutes(seconds: list[float]) -> float:
    return sum(seconds) / 60


def _resolved(books: Books) -> dict[tuple[Any, ...], list[CaseFacts]]:
    """By day and dimensions; without a time at which it was raised a case counts nowhere."""
    cells: dict[tuple[Any, ...], list[CaseFacts]] = defaultdict(list)
    for case in case_facts(books):
        if case.resolved_at and case.raised_at:
            cells[(books.day(case.resolved_at), *case.cell)].append(case)
    return cells


def _calendar_seconds(case: CaseFacts) -> float:
    return (case.resolved_at - case.raised_at).total_seconds()


def _resolution_daily(books: Books) -> Rows:
    for (day, channel, topic, queue), cases in _resolved(books).items():
        taken = [_calendar_seconds(case) for case in cases]
        business = [case.business_seconds for case in cases if case.business_seconds is not None]
        due = [case for case in cases if case.due_at]
        in_time = sum(case.resolved_at <= case.due_at for case in due)
        one_touch = sum(case.is_one_touch for case in cases)
        yield {
            "metric_date": day,
            "channel": channel,
            "topic": topic,
            "queue": queue,
            "cases_resolved": len(cases),
            "resolution_minutes": _minutes(taken),
            "cases_with_calendar": len(business),
            "business_minutes": _minutes(business),
            "cases_with_target": len(due),
            "resolved_in_time": in_time,
            "one_touch_cases": one_touch,
            "average_resolution_minutes": ratio(_minutes(taken), len(cases)),
            "average_business_minutes": ratio(_minutes(business), len(business)),
            "resolution_p50_minutes": _quantile(taken, 5),
            "resolution_p90_minutes": _quantile(taken, 9),
            "business_p50_minutes": _quantile(business, 5),
            "business_p90_minutes": _quantile(business, 9),
            "resolved_in_time_rate": ratio(in_time, len(due)),
            "one_touch_rate": ratio(one_touch, len(cases)),
            **books.finality(day, books.definitions.reopen_window_days),
        }


def _resolution_histogram_daily(books: Books) -> Rows:
    cells: dict[tuple[Any, ...], int] = defaultdict(int)
    for cell, cases in _resolved(books).items():
        for case in cases:
            cells[(*cell, "calendar", _bucket(_calendar_seconds(case)))] += 1
            if case.business_seconds is not None:
                cells[(*cell, "business", _bucket(case.business_seconds))] += 1
    for (day, channel, topic, queue, clock, bucket), count in cells.items():
        yield {
            "metric_date": day,
            "channel": channel,
            "topic": topic,
            "queue": queue,
            "clock": clock,
            "bucket": bucket,
            "bucket_minutes": _middle(bucket),
            "cases": count,
            **books.finality(day, books.definitions.reopen_window_days),
        }


def _first_response_daily(books: Books) -> Rows:
    cells: dict[tuple[Any, ...], list[CaseFacts]] = defaultdict(list)
    for case in case_facts(books):
        if case.answered_at:
            cells[(books.day(case.answered_at), *case.cell)].append(case)
    for (day, channel, topic, queue), cases in cells.items():
        taken = _minutes([(case.answered_at - case.raised_at).total_seconds() for case in cases])
        business = [case.answer_business_seconds for case in cases if case.answer_business_seconds is not None]
        yield {
            "metric_date": day,
            "channel": channel,
            "topic": topic,
            "queue": queue,
            "cases_answered": len(cases),
            "response_minutes": taken,
            "cases_with_calendar": len(business),
            "business_minutes": _minutes(business),
            "average_response_minutes": ratio(taken, len(cases)),
            "average_business_minutes": ratio(_minutes(business), len(business)),
            **books.finality(day, 0),
        }


def _service_level_daily(books: Books) -> Rows:
    """A contact was due once it was answered, or had waited longer than its target; a case when its time was over."""
    targets, cells = Targets(books), defaultdict(lambda: [0, 0])
    for contact in _offered(books):
        day, queue = books.day(contact.started_at), contact.queue or UNKNOWN
        target, wait = targets.of("answer", contact.channel, queue, day), _wait(contact)
        if target is not None and wait is not None and (contact.outcome == "handled" or wait > target[0]):
            cell = cells[(day, "answer", contact.channel, contact.topic or UNKNOWN, queue)]
            cell[0] += 1
            cell[1] += contact.outcome == "handled" and wait <= target[0]
    for case in case_facts(books):
        for kind, due_at, done_at in (
            ("resolution", case.due_at, case.resolved_at),
            ("first_response", case.answer_due_at, case.answered_at),
        ):
            if due_at:
                cell = cells[(books.day(due_at), kind, *case.cell)]
                cell[0] += 1
                cell[1] += done_at is not None and done_at <= due_at
    for (day, kind, channel, topic, queue), (due, met) in cells.items():
        yield {
            "metric_date": day,
            "kind": kind,
            "channel": channel,
            "topic": topic,
            "queue": queue,
            "due": due,
            "met": met,
            "service_level": ratio(met, due),
            **books.finality(day, books.definitions.reopen_window_days if kind == "resolution" else 0),
        }


# ---- contacts -------------------------------------------------------------------------------------------------------


def _offered(books: Books) -> Iterator[Any]:
    """Inbound contacts that somebody took, or that were given up."""
    for contact in counted_contacts(books):
        if contact.outcome in ("handled", "abandoned"):
            yield contact


def _wait(contact: Any) -> float | None:
    if contact.wait_seconds is not None:
        return float(contact.wait_seconds)
    return (contact.answered_at - contact.started_at).total_seconds() if contact.answered_at else None


def _queue_daily(books: Books) -> Rows:
    """Who gave up with neither a queue nor a waiting time hung up in the voice menu."""
    cells: dict[tuple[Any, ...], list[Any]] = defaultdict(list)
    for contact in _offered(books):
        if contact.outcome == "handled" or contact.queue is not None or contact.wait_seconds is not None:
            cells[_contact_cell(books, contact)].append(contact)
    for cell, contacts in cells.items():
        given_up = [contact for contact in contacts if contact.outcome == "abandoned"]
        waits = [contact.wait_seconds for contact in given_up if contact.wait_seconds is not None]
        short = sum(wait <= books.definitions.short_abandon_seconds for wait in waits)
        waited = [wait for c in contacts if c.outcome == "handled" and (wait := _wait(c)) is not None]
        offered, abandoned = len(contacts), len(given_up)
        yield {
            **dict(zip(("metric_date", *_CELL), cell, strict=True)),
            "offered": offered,
            "answered": offered - abandoned,
            "abandoned": abandoned,
            "short_abandoned": short,
            "timed_answers": len(waited),
            "wait_seconds": sum(waited),
            "offered_without_short": offered - short,
            "abandoned_without_short": abandoned - short,
            "queue_abandonment_rate": ratio(abandoned, offered),
            "queue_abandonment_rate_without_short": ratio(abandoned - short, offered - short),
            "average_wait_seconds": ratio(sum(waited), len(waited)),
            **books.finality(cell[0], 0),
        }


def _contact_cell(books: Books, contact: Any) -> tuple[date, str, str, str]:
    return books.day(contact.started_at), contact.channel, contact.topic or UNKNOWN, contact.queue or UNKNOWN


def _handled(books: Books) -> dict[str, Any]:
    """Inbound contacts that somebody took, by id; those of days to come, too, for their legs and transfers."""
    return {
        contact.contact_id: contact
        for contact in books.rows["contacts"]
        if contact.direction == "inbound" and contact.outcome == "handled" and not contact.is_spam
        and contact.root_contact_id in (None, contact.contact_id)
    }  # fmt: skip


def _legs(books: Books) -> Iterator[tuple[Any, Any, float | None]]:
    """Handled legs with the contact they belong to and their handle time."""
    handled = _handled(books)
    for leg in books.rows["contacts"]:
        contact = handled.get(leg.root_contact_id or leg.contact_id)
        if contact and leg.outcome == "handled":
            parts = [leg.talk_seconds, leg.hold_seconds, leg.wrap_seconds]
            yield leg, contact, None if parts == [None] * 3 else float(sum(part or 0 for part in parts))


def _handling_daily(books: Books) -> Rows:
    messaging = books.definitions.messaging_channels.split(",")
    cells: dict[tuple[Any, ...], dict[str, float]] = defaultdict(lambda: defaultdict(float))
    contacts: dict[str, tuple[Any, float]] = {}
    for leg, contact, seconds in _legs(books):
        if seconds is not None:
            apart = "messaging_" if leg.channel in messaging else ""
            cell = cells[(books.day(leg.started_at), leg.channel, leg.topic or contact.topic or UNKNOWN, leg.queue or UNKNOWN)]
            cell[f"{apart}legs"] += 1
            cell[f"{apart}leg_seconds"] += seconds
            contacts[contact.contact_id] = (contact, contacts.get(contact.contact_id, (None, 0.0))[1] + seconds)
    for contact, seconds in contacts.values():
        apart = "messaging_" if contact.channel in messaging else ""
        cell = cells[_contact_cell(books, contact)]
        cell[f"{apart}contacts"] += 1
        cell[f"{apart}contact_seconds"] += seconds
    for key, cell in cells.items():
        yield {
            **dict(zip(("metric_date", *_CELL), key, strict=True)),
            **{name: cell[name] for name in _HANDLING},
            "aht": ratio(cell["leg_seconds"], cell["legs"]),
            "aht_per_contact": ratio(cell["contact_seconds"], cell["contacts"]),
            "aht_messaging": ratio(cell["messaging_leg_seconds"], cell["messaging_legs"]),
            "aht_messaging_per_contact": ratio(cell["messaging_contact_seconds"], cell["messaging_contacts"]),
            **books.finality(key[0], 0),
        }


def _transfers(books: Books) -> Iterator[tuple[Transfer, Any]]:
    """Transfers of handled inbound contacts between people."""
    handled = _handled(books)
    for transfer in books.rows["transfers"]:
        if transfer.kind != "ivr" and transfer.contact_id in handled:
            yield transfer, handled[transfer.contact_id]


def _transfers_daily(books: Books) -> Rows:
    kinds: dict[str, list[str]] = defaultdict(list)
    for transfer, contact in _transfers(books):
        kinds[contact.contact_id].append(transfer.kind)
    cells: dict[tuple[Any, ...], list[list[str]]] = defaultdict(list)
    for contact in _handled(books).values():
        cells[_contact_cell(books, contact)].append(kinds[contact.contact_id])
    for key, contacts in cells.items():
        transferred, every = sum(map(bool, contacts)), [kind for passed in contacts for kind in passed]
        yield {
            **dict(zip(("metric_date", *_CELL), key, strict=True)),
            "handled": len(contacts),
            "transferred": transferred,
            "transfers": len(every),
            "warm_transfers": every.count("warm"),
            "blind_transfers": every.count("blind"),
            "transfer_rate": ratio(transferred, len(contacts)),
            "transfers_per_contact": ratio(len(every), len(contacts)),
            **books.finality(key[0], 0),
        }


class _Judged(NamedTuple):
    contact: Any
    agent: str | None
    earned: float
    possible: float
    is_auto_failed: bool


def _evaluations(books: Books) -> list[_Judged]:
    """Evaluations of contacts and legs that are no spam; the first criterion says of which contact and agent."""
    contacts = {contact.contact_id: contact for contact in books.rows["contacts"]}
    sheets: dict[str, list[Evaluation]] = defaultdict(list)
    for row in sorted(books.rows["qa_evaluations"], key=lambda row: row.criterion):
        sheets[row.evaluation_id].append(row)
    found = []
    for sheet in sheets.values():
        contact = contacts.get(sheet[0].contact_id)
        is_leg = contact is not None and contact.root_contact_id not in (None, contact.contact_id)
        if contact is None or (contact.is_spam and not is_leg):
            continue
        agent = next((row.agent_id for row in sheet if row.agent_id), None) or contact.agent_id
        applied = [r for r in sheet if not r.is_not_applicable and r.points_earned is not None and r.points_possible is not None]
        weights = [1 if row.weight is None else row.weight for row in applied]
        found.append(
            _Judged(
                contact,
                agent,
                float(sum(weight * row.points_earned for weight, row in zip(weights, applied, strict=True))),
                float(sum(weight * row.points_possible for weight, row in zip(weights, applied, strict=True))),
                any(row.is_auto_fail and row.points_earned < row.points_possible for row in applied),
            )
        )
    return found


def _quality_daily(books: Books) -> Rows:
    handled = _handled(books)
    judged: dict[tuple[Any, ...], list[_Judged]] = defaultdict(list)
    for evaluation in _evaluations(books):
        judged[_contact_cell(books, evaluation.contact)].append(evaluation)
    rated: dict[str, tuple[datetime, str, bool]] = {}
    for answer in answers(books):
        row = answer.row
        if row.metric_kind == "csat" and row.contact_id and answer.exclusion is None and answer.favourable_from is not None:
            said = (row.answered_at, row.response_id, answer.ease >= answer.favourable_from)
            rated[row.contact_id] = max(rated.get(row.contact_id, said), said)
    counts: dict[tuple[Any, ...], int] = defaultdict(int)
    for contact in handled.values():
        counts[_contact_cell(books, contact)] += 1
    for key in judged.keys() | counts.keys():
        sheets = judged[key]
        earned, possible = sum(sheet.earned for sheet in sheets), sum(sheet.possible for sheet in sheets)
        sampled = {sheet.contact.contact_id for sheet in sheets} & handled.keys()
        failed = sum(sheet.is_auto_failed for sheet in sheets)
        compared = [sheet for sheet in sheets if sheet.possible and sheet.contact.contact_id in rated]
        good = books.definitions.quality_good_percent
        agreeing = sum((100 * sheet.earned >= good * sheet.possible) == rated[sheet.contact.contact_id][2] for sheet in compared)
        yield {
            **dict(zip(("metric_date", *_CELL), key, strict=True)),
            "handled": counts[key],
            "evaluated_contacts": len(sampled),
            "evaluations": len(sheets),
            "auto_failed": failed,
            "points_earned": earned,
            "points_possible": possible,
            "quality_score": ratio(earned, possible),
            "auto_fail_rate": ratio(failed, len(sheets)),
            "sample_rate": ratio(len(sampled), counts[key]),
            "compared": len(compared),
            "agreeing": agreeing,
            "csat_agreement": ratio(agreeing, len(compared)),
            **books.finality(key[0], books.definitions.quality_window_days),
        }


# ---- agents ---------------------------------------------------------------------------------------------------------


def _agent_performance_daily(books: Books) -> Rows:
    """Each agent's own counts, and the team's average in a cell times the agent's volume in it."""
    teams = {row.agent_id: row.team or UNKNOWN for row in books.rows["agents"]}
    nobody = {row.agent_id for row in books.rows["agents"] if row.is_test}
    cases = {case.case_id: case for case in case_facts(books)}
    work: dict[tuple[Any, ...], dict[str, float]] = defaultdict(lambda: defaultdict(float))

    def add(day: date, agent: str | None, channel: str, topic: str | None, **counts: float) -> None:
        if agent is not None and agent not in nobody:
            for name, count in counts.items():
                work[day, agent, channel, topic or UNKNOWN][name] += count

    for leg, contact, seconds in _legs(books):
        counts = {"handled_legs": 1, "timed_legs": seconds is not None, "handle_seconds": seconds or 0}
        add(books.day(leg.started_at), leg.agent_id, leg.channel, leg.topic or contact.topic, **counts)
    for transfer, contact in _transfers(books):
        add(books.day(transfer.occurred_at), transfer.from_agent_id, contact.channel, contact.topic, transfers=1)
    for case in cases.values():
        if case.resolved_at and case.raised_at:
            counts = {"cases_resolved": 1, "one_touch_cases": case.is_one_touch}
            add(books.day(case.resolved_at), case.agent_id, case.cell[0], case.cell[1], **counts)
    is_resolved = issues(books)
    about: dict[str, list[Any]] = defaultdict(list)
    for contact in issue_contacts(books):
        about[contact.case_id].append(contact)
    for case in cases.values():
        if case.resolved_at and case.raised_at and about[case.case_id]:
            first = min(about[case.case_id], key=lambda contact: (contact.started_at, contact.contact_id))
            # a case that was solved before anybody called about it has no first contact
            if first.contact_id in is_resolved and first.started_at <= case.resolved_at:
                counts = {"fcr_cases": 1, "fcr_resolved": is_resolved[first.contact_id]}
                add(books.day(case.resolved_at), case.agent_id, case.cell[0], case.cell[1], **counts)
    for answer in answers(books):
        case, judged = cases.get(answer.row.case_id), answer.exclusion is None and answer.favourable_from is not None
        if answer.row.metric_kind == "csat" and judged and case and case.resolved_at:
            counts = {"csat_answers": 1, "csat_satisfied": answer.ease >= answer.favourable_from}
            add(books.day(case.resolved_at), case.agent_id, case.cell[0], case.cell[1], **counts)
    for sheet in _evaluations(books):
        counts = {"evaluations": 1, "points_earned": sheet.earned, "points_possible": sheet.possible}
        add(books.day(sheet.contact.started_at), sheet.agent, sheet.contact.channel, sheet.contact.topic, **counts)

    of_team: dict[tuple[Any, ...], dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for (day, agent, channel, topic), counts in work.items():
        for name, count in counts.items():
            of_team[day, teams.get(agent, UNKNOWN), channel, topic][name] += count
    agents: dict[tuple[date, str], dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for (day, agent, channel, topic), counts in work.items():
        row, team = agents[day, agent], of_team[day, teams.get(agent, UNKNOWN), channel, topic]
        for name in _WORK:
            row[name] += counts[name]
        for name, volume in _AGAINST_TEAM.items():
            if team[volume]:
                row[f"expected_{name}"] += counts[volume] * team[name] / team[volume]
    for (day, agent), row in agents.items():
        ratios = {
            "aht": ("handle_seconds", "timed_legs"), "transfers_per_leg": ("transfers", "handled_legs"),
            "one_touch_rate": ("one_touch_cases", "cases_resolved"), "fcr": ("fcr_resolved", "fcr_cases"),
            "csat": ("csat_satisfied", "csat_answers"), "quality_score": ("points_earned", "points_possible"),
            **{to_team: (name, f"expected_{name}") for to_team, name in _TO_TEAM.items()},
        }  # fmt: skip
        windows = books.definitions
        maturity = max(windows.quality_window_days, windows.reopen_window_days, windows.fcr_window_days)
        yield {
            "metric_date": day,
            "agent_id": agent,
            "team": teams.get(agent, UNKNOWN),
            **{name: row[name] for name in (*_WORK, *(f"expected_{name}" for name in _AGAINST_TEAM))},
            **{name: ratio(row[above], row[below]) for name, (above, below) in ratios.items()},
            "is_small_sample": row["handled_legs"] < books.definitions.agent_min_n,
            **books.finality(day, maturity),
        }


_WORK = (
    "handled_legs", "timed_legs", "handle_seconds", "transfers", "cases_resolved", "one_touch_cases", "fcr_cases",
    "fcr_resolved", "csat_answers", "csat_satisfied", "evaluations", "points_earned", "points_possible",
)  # fmt: skip
_AGAINST_TEAM = {
    "handle_seconds": "timed_legs", "transfers": "handled_legs", "one_touch_cases": "cases_resolved",
    "fcr_resolved": "fcr_cases", "csat_satisfied": "csat_answers", "points_earned": "points_possible",
}  # fmt: skip
_TO_TEAM = {
    "aht_to_team": "handle_seconds", "transfers_to_team": "transfers", "one_touch_to_team": "one_touch_cases",
    "fcr_to_team": "fcr_resolved", "csat_to_team": "csat_satisfied", "quality_to_team": "points_earned",
}  # fmt: skip
_HANDLING = tuple(f"{apart}{of}" for apart in ("", "messaging_") for of in ("legs", "leg_seconds", "contacts", "contact_seconds"))


# ---- the subject ----------------------------------------------------------------------------------------------------


def _zulu(value: Any, _: Any) -> Any:
    return None if value is None else f"{value:%Y-%m-%dT%H:%M:%S}Z"


def _flag(value: Any, _: Any) -> Any:
    return None if value is None else "true" if value else "false"


def _plain(*names: str) -> tuple[Column, ...]:
    return tuple(Column(name, name) for name in names)


_CELL = ("channel", "topic", "queue")
SUBJECT = Subject(
    feeds={
        "business_calendars": Opening, "holidays": Holiday, "service_targets": ServiceTarget, "agents": Agent,
        "transfers": Transfer, "qa_evaluations": Evaluation,
    },
    layouts={
        "business_calendars": Layout(
            "contact_center", "csv", "csv",
            (*_plain("calendar_id", "weekday", "opens", "closes"), Column("updated_at", "updated_at", _zulu)),
            delimiter=";", expected=None,
        ),
        "holidays": Layout(
            "contact_center", "csv", "csv",
            (*_plain("calendar_id", "holiday_date", "name"), Column("updated_at", "updated_at", _zulu)),
            expected=None,
        ),
        "agents": Layout(
            "contact_center", "csv", "csv",
            (Column("agent_id", "Login"), Column("name", "Name"), Column("team", "Team"), Column("is_test", "Test", _flag),
             Column("updated_at", "LastModified", _zulu)),
            delimiter=";", expected=None,
        ),
        "transfers": Layout(
            "contact_center", "ndjson", "ndjson",
            (*_plain("transfer_id", "contact_id", "kind", "from_queue", "to_queue", "from_agent_id", "to_agent_id"),
             Column("occurred_at", "at", _zulu)),
            expected=None,
        ),
        "qa_evaluations": Layout(
            "contact_center", "csv", "csv",
            (*_plain("evaluation_id", "criterion", "contact_id", "agent_id"), Column("evaluated_at", "evaluated_at", _zulu),
             *_plain("weight", "points_earned", "points_possible"),
             *(Column(name, name, _flag) for name in ("is_not_applicable", "is_auto_fail")),
             Column("updated_at", "updated_at", _zulu)),
            expected=None,
        ),
        "service_targets": Layout(
            "contact_center", "ndjson", "ndjson",
            (*_plain("kind", "channel", "queue", "valid_from", "target_seconds", "clock"),
             Column("updated_at", "updated_at", _zulu)),
            expected=None,
        ),
    },
    make=make,
    append=frozenset({"transfers"}),
    marts={
        "resolution_daily": Truth(
            ("metric_date", *_CELL),
            ("cases_resolved", "resolution_minutes", "cases_with_calendar", "business_minutes", "cases_with_target",
             "resolved_in_time", "one_touch_cases", "average_resolution_minutes", "average_business_minutes",
             "resolution_p50_minutes", "resolution_p90_minutes", "business_p50_minutes", "business_p90_minutes",
             "resolved_in_time_rate", "one_touch_rate"),
            _resolution_daily,
        ),
        "resolution_histogram_daily": Truth(
            ("metric_date", *_CELL, "clock", "bucket"), ("bucket_minutes", "cases"), _resolution_histogram_daily
        ),
        "first_response_daily": Truth(
            ("metric_date", *_CELL),
            ("cases_answered", "response_minutes", "cases_with_calendar", "business_minutes", "average_response_minutes",
             "average_business_minutes"),
            _first_response_daily,
        ),
        "queue_daily": Truth(
            ("metric_date", *_CELL),
            ("offered", "answered", "abandoned", "short_abandoned", "timed_answers", "wait_seconds", "offered_without_short",
             "abandoned_without_short", "queue_abandonment_rate", "queue_abandonment_rate_without_short", "average_wait_seconds"),
            _queue_daily,
        ),
        "handling_daily": Truth(
            ("metric_date", *_CELL),
            (*_HANDLING, "aht", "aht_per_contact", "aht_messaging", "aht_messaging_per_contact"),
            _handling_daily,
        ),
        "transfers_daily": Truth(
            ("metric_date", *_CELL),
            ("handled", "transferred", "transfers", "warm_transfers", "blind_transfers", "transfer_rate",
             "transfers_per_contact"),
            _transfers_daily,
        ),
        "quality_daily": Truth(
            ("metric_date", *_CELL),
            ("handled", "evaluated_contacts", "evaluations", "auto_failed", "points_earned", "points_possible", "quality_score",
             "auto_fail_rate", "sample_rate", "compared", "agreeing", "csat_agreement"),
            _quality_daily,
        ),
        "agent_performance_daily": Truth(
            ("metric_date", "agent_id"),
            ("team", *_WORK, *(f"expected_{name}" for name in _AGAINST_TEAM), "aht", "transfers_per_leg", "one_touch_rate",
             "fcr", "csat", "quality_score", *_TO_TEAM, "is_small_sample"),
            _agent_performance_daily,
        ),
        "service_level_daily": Truth(
            ("metric_date", "kind", *_CELL), ("due", "met", "service_level"), _service_level_daily
        ),
    },
    key_width={"business_calendars": 3, "holidays": 2, "service_targets": 4, "qa_evaluations": 2},
)  # fmt: skip
