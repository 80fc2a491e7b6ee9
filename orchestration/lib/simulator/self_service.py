"""Help without an agent, what contacts cost and bring, and how customers sounded.

Here belongs: the rows of the voice menu, of sessions with machines, of parcels and of speech analysis, their exports and
the marts made of them. Not here: contacts and orders themselves (`company`).
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from random import Random
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from orchestration.lib.simulator.company import Contact, Maker, Order
from orchestration.lib.simulator.exports import VENDOR_TIME, Cell, Column, Layout
from orchestration.lib.simulator.exports import _money as hundredths
from orchestration.lib.simulator.exports import _vendor_time as vendor_time
from orchestration.lib.simulator.exports import _zulu as zulu
from orchestration.lib.simulator.exports import _zulu_ms as zulu_ms
from orchestration.lib.simulator.subject import Subject, Truth
from orchestration.lib.simulator.truth import UNKNOWN, Books, Rows, counted_contacts, ratio

TOPICS = ("delivery", "return", "payment", "product", "subscription", None)
TOUCHES = 3


class SelfServiceSession(NamedTuple):
    """A session with a machine, one version."""

    session_id: str
    channel: str
    person_id: str | None
    topic: str | None
    started_at: datetime
    ended_at: datetime | None
    outcome: str
    goal_reached: bool | None
    handed_off_at: datetime | None
    contact_id: str | None
    is_test: bool | None
    updated_at: datetime


class IvrEvent(NamedTuple):
    """Something that happened in the voice menu."""

    event_id: str
    session_id: str
    contact_id: str | None
    person_id: str | None
    event: str
    intent: str | None
    depth: int | None
    occurred_at: datetime


class SentimentSegment(NamedTuple):
    """What an analysis heard in a piece of a contact, one version; the score in hundredths."""

    segment_id: str
    contact_id: str
    person_id: str | None
    journey_id: str | None
    segment_index: int
    speaker: str | None
    sentiment: str | None
    score: int | None
    started_at: datetime
    updated_at: datetime


class Shipment(NamedTuple):
    """A parcel, one version."""

    shipment_id: str
    order_id: str
    shipped_at: datetime | None
    promised_at: datetime | None
    delivered_at: datetime | None
    carrier: str | None
    status: str | None
    updated_at: datetime


# ---- what happened --------------------------------------------------------------------------------------------------


def make(maker: Maker) -> None:
    """Sessions, parcels and analysed contacts of the company."""
    contacts = _first_versions(maker.deliveries["contacts"])
    _make_sessions(maker, [c for c in contacts if c.direction == "inbound" and not c.is_spam and not c.previous_contact_id])
    _make_shipments(maker, _first_versions(maker.deliveries["orders"]))
    _make_segments(maker, [c for c in contacts if c.outcome == "handled"])


def _first_versions(files: list[list[Any]]) -> list[Any]:
    found: dict[str, Any] = {}
    for row in (row for rows in files for row in rows):
        found.setdefault(row[0], row)
    return list(found.values())


def _make_sessions(maker: Maker, contacts: list[Contact]) -> None:
    """Sessions out of nothing, sessions that went to an agent, and sessions that a contact followed after all.

    Some of these contacts come exactly at the end of the window, some a second after it.
    """
    rng = maker.stream("self service")
    for day in range(maker.days):
        for _ in range(1 + maker.customers // 250):
            person = f"P{rng.randint(1, maker.customers):06d}" if rng.random() < 0.8 else None
            known = person if person and maker.joined[person] <= day else None
            started = maker.clock.plain(day, rng.randrange(86_000))
            _make_session(maker, rng, started, known, rng.choice(TOPICS), None)
    for contact in contacts:
        pick = rng.random()
        if pick < 0.10:
            before = contact.started_at - timedelta(seconds=rng.randint(20, 400))
            _make_session(maker, rng, before, contact.person_id, contact.topic, contact)
        elif pick < 0.22:
            gap = rng.choice((3600, 2 * 86_400, 6 * 86_400, 7 * 86_400, 7 * 86_400 + 1, 9 * 86_400))
            topic = contact.topic if rng.random() < 0.8 else rng.choice(TOPICS)
            _make_session(maker, rng, contact.started_at - timedelta(seconds=gap), contact.person_id, topic, None)


def _make_session(
    maker: Maker, rng: Random, started: datetime, person: str | None, topic: str | None, contact: Contact | None
) -> None:
    """One session; a few are corrected on a later day, a few were made by testers."""
    day = maker.clock.index(started)
    if day < 0 or maker.clock.changes_offset(day):
        return
    channel = rng.choices(("ivr", "bot", "sms"), (5, 4, 1))[0]
    ended = contact.started_at if contact else started + timedelta(seconds=rng.randint(15, 300))
    to_agent = contact is not None or rng.random() < 0.15
    row = SelfServiceSession(
        maker.number("Z"), channel, person, topic, started, ended if rng.random() < 0.97 else None,
        "handed_off" if to_agent else "contained", rng.choices((True, False, None), (6, 3, 1))[0] if not to_agent else False,
        ended if to_agent else None, contact.contact_id if contact else None, rng.random() < 0.02, ended,
    )  # fmt: skip
    delivered = maker.post("self_service_sessions", row, day, 1 if rng.random() < 0.01 else 0)
    if not to_agent and rng.random() < 0.05 and delivered + 2 < maker.days:
        later = row._replace(
            goal_reached=not row.goal_reached, updated_at=maker.clock.plain(delivered + 1, rng.randrange(9 * 3600, 17 * 3600))
        )
        maker.post("self_service_sessions", later, delivered + 1)
    if channel == "ivr":
        at, depth = started, 1
        intents = ("delivery status", "delivery status", "invoice", "opening hours", "cancel", None)
        steps = [("menu", None, 1), ("selection", rng.choice(intents), 1)]
        while rng.random() < 0.45:
            depth += 1
            steps += [("menu", None, depth), ("selection", rng.choice(intents), depth if rng.random() < 0.9 else None)]
        if not to_agent:
            steps.append(("hangup", None, None))
        for event, intent, level in steps:
            at += timedelta(seconds=rng.randint(2, 15), milliseconds=rng.randrange(1000))
            if maker.clock.index(at) < maker.days:
                event_row = IvrEvent(maker.number("I"), row.session_id, row.contact_id, person, event, intent, level, at)
                maker.post_event(rng, "ivr_events", event_row, at)


def _make_shipments(maker: Maker, orders: list[Order]) -> None:
    """Parcels of the orders: one or two, delivered after days, now and then lost or for ever on their way."""
    rng = maker.stream("shipments")
    for order in orders:
        if order.sales_channel == "store" or order.status == "cancelled":
            continue
        for _ in range(2 if rng.random() < 0.15 else 1):
            shipped = order.ordered_at + timedelta(seconds=rng.randint(4 * 3600, 3 * 86_400))
            delivered = shipped + timedelta(seconds=rng.randint(12 * 3600, 5 * 86_400))
            if maker.clock.index(shipped) >= maker.days:
                continue
            row = Shipment(
                maker.number("N"), order.order_id, shipped, order.ordered_at + timedelta(days=3), None,
                rng.choice(("PostNL", "DHL", None)), "shipped", shipped,
            )  # fmt: skip
            maker.post("shipments", row, maker.clock.index(shipped), 1 if rng.random() < 0.01 else 0)
            fate = rng.choices(("delivered", "lost", "on its way"), (95, 2, 3))[0]
            if fate != "on its way" and maker.clock.index(delivered) < maker.days:
                last = row._replace(delivered_at=delivered if fate == "delivered" else None, status=fate, updated_at=delivered)
                maker.post("shipments", last, maker.clock.index(delivered), 1 if rng.random() < 0.02 else 0)


def _make_segments(maker: Maker, contacts: list[Contact]) -> None:
    """Analysed contacts: all of some persons, whose contacts are journeys, and a few of the others."""
    rng = maker.stream("emotion")
    for contact in contacts:
        journey = f"J-{contact.person_id}" if contact.person_id and int(contact.person_id[1:]) % 4 == 0 else None
        if rng.random() > (1.0 if journey else 0.12):
            continue
        day = maker.clock.index(contact.started_at)
        mood, at = rng.gauss(0.0, 0.5), contact.answered_at or contact.started_at
        for n in range(rng.choice((1, 2, 3, 4, 5, 7, 9))):
            score = round(100 * min(1.0, max(-1.0, mood + 0.06 * n + rng.gauss(0, 0.25))))
            word = "positive" if score > 20 else "negative" if score < -20 else "neutral"
            at += timedelta(seconds=rng.randint(3, 40))
            row = SentimentSegment(
                f"{contact.contact_id}-{n + 1}", contact.contact_id, contact.person_id, journey, n + 1,
                rng.choice(("customer", "customer", "agent", None)), word if rng.random() < 0.95 else None,
                score if rng.random() < 0.9 else None, at, at,
            )  # fmt: skip
            delivered = maker.post("sentiment_segments", row, day, 1 if rng.random() < 0.01 else 0)
            if rng.random() < 0.02 and delivered + 2 < maker.days:
                heard_at = maker.clock.plain(delivered + 1, rng.randrange(9 * 3600, 17 * 3600))
                again = row._replace(sentiment="negative", score=-60, updated_at=heard_at)
                maker.post("sentiment_segments", again, delivered + 1)


# ---- how it is exported ---------------------------------------------------------------------------------------------


def _yes_no_unknown(value: bool | None, _: ZoneInfo) -> Cell:
    return {True: "yes", False: "no", None: "-"}[value]


def _offset_or_nothing(value: datetime | None, zone: ZoneInfo) -> Cell:
    return None if value is None else value.astimezone(zone).isoformat(timespec="seconds")


def _as_it_is(value: Any, _: ZoneInfo) -> Cell:
    return value


LAYOUTS = {
    "self_service_sessions": Layout(
        "contact_center",
        "csv",
        "csv",
        (
            Column("session_id", "SessionId"),
            Column("channel", "Medium", lambda value, _: value.upper(), 'lower("Medium")'),
            Column("person_id", "CustomerId"),
            Column("topic", "Subject"),
            Column("started_at", "Begin", vendor_time),
            Column("ended_at", "End", vendor_time),
            Column("outcome", "Result"),
            Column("goal_reached", "GoalReached", _yes_no_unknown),
            Column("handed_off_at", "HandedOff", vendor_time),
            Column("contact_id", "ContactId"),
            Column("is_test", "Tester", _yes_no_unknown),
            Column("updated_at", "Changed", vendor_time),
        ),
        delimiter="|",
        datetime_format=VENDOR_TIME,
        missing=("", "-"),
    ),
    "ivr_events": Layout(
        "contact_center",
        "ndjson",
        "ndjson",
        (
            Column("event_id", "id"),
            Column("session_id", "call"),
            Column("contact_id", "contact"),
            Column("person_id", "customer"),
            Column("event", "kind"),
            Column("intent", "choice"),
            Column("depth", "level", _as_it_is),
            Column("occurred_at", "ts", zulu_ms),
        ),
    ),
    "sentiment_segments": Layout(
        "contact_center",
        "csv.gz",
        "csv",
        (
            *(Column(name, name) for name in ("segment_id", "contact_id", "person_id", "journey_id", "segment_index", "speaker")),
            Column("sentiment", "label", lambda value, _: value and value.upper(), 'lower("label")'),
            Column("score", "score", hundredths),
            Column("started_at", "started_at", zulu),
            Column("updated_at", "updated_at", zulu),
        ),
        delimiter=";",
        newline="\r\n",
    ),
    "shipments": Layout(
        "ecommerce",
        "csv",
        "csv",
        (
            Column("shipment_id", "parcel"),
            Column("order_id", "order_id"),
            *(Column(name, name, _offset_or_nothing) for name in ("shipped_at", "promised_at", "delivered_at")),
            Column("carrier", "carrier"),
            Column("status", "status"),
            Column("updated_at", "updated_at", zulu),
        ),
    ),
}


# ---- what is true about it ------------------------------------------------------------------------------------------


def _sessions(books: Books) -> list[SelfServiceSession]:
    """Sessions that are no test and no test person's."""
    sessions = books.rows["self_service_sessions"]
    return [session for session in sessions if not session.is_test and not books.excluded(session.person_id)]


def _contacts(books: Books) -> Iterator[Contact]:
    """Contacts that count, of anybody but test persons."""
    return (contact for contact in counted_contacts(books) if not books.excluded(contact.person_id))


def _self_service_daily(books: Books) -> Rows:
    """A row wherever a session started. A contact that was contained is no contact: nobody had to help."""
    window = timedelta(days=books.definitions.containment_window_days)
    contacts: dict[tuple[str | None, str], list[datetime]] = defaultdict(list)
    for contact in _contacts(books):
        if contact.outcome != "contained":
            contacts[books.survivor(contact.person_id), contact.topic or UNKNOWN].append(contact.started_at)
    parts: dict[tuple[Any, ...], dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for session in _sessions(books):
        topic, person = session.topic or UNKNOWN, books.survivor(session.person_id)
        row = parts[books.day(session.started_at), session.channel, topic]
        row["sessions"] += 1
        row[session.outcome] += 1
        row["known"] += person is not None
        if session.outcome == "contained" and session.goal_reached:
            row["goal"] += 1
            if person is not None:
                waits = [at - session.started_at for at in contacts[person, topic]]
                row["resolved"] += not any(timedelta(0) <= wait <= window for wait in waits)
    for (day, channel, topic), row in parts.items():
        yield {
            "metric_date": day,
            "channel": channel,
            "topic": topic,
            "sessions": row["sessions"],
            "contained": row["contained"],
            "handed_off": row["handed_off"],
            "goal_reached": row["goal"],
            "known_person_sessions": row["known"],
            "resolved_contained": row["resolved"],
            "containment_rate": ratio(row["contained"], row["sessions"]),
            "resolved_containment_rate": ratio(row["resolved"], row["known"]),
            **books.finality(day, window.days),
            **_prefixed("containment", books.finality(day, 0)),
        }


def _ivr_requests_daily(books: Books) -> Rows:
    """A row per intent chosen on the day. Choices of a session that nobody exported count, those of tests do not."""
    sessions = {session.session_id: session for session in books.rows["self_service_sessions"]}
    days: dict[date, dict[str, list[IvrEvent]]] = defaultdict(lambda: defaultdict(list))
    for event in books.rows["ivr_events"]:
        session = sessions.get(event.session_id)
        person = (session.person_id if session else None) or event.person_id
        is_tests = (session and session.is_test) or books.excluded(person)
        if event.event == "selection" and not is_tests:
            days[books.day(event.occurred_at)][event.intent or UNKNOWN].append(event)
    for day, intents in days.items():
        for intent, chosen in intents.items():
            depths = [event.depth for event in chosen if event.depth is not None]
            yield {
                "metric_date": day,
                "intent": intent,
                "selections": len(chosen),
                "depth_sum": sum(depths),
                "depth_count": len(depths),
                "depth_mean": ratio(sum(depths), len(depths)),
                "share_of_day": len(chosen) / sum(len(others) for others in intents.values()),
                "rank_of_day": 1 + sum(len(others) > len(chosen) for others in intents.values()),
                **books.finality(day, 0),
            }


def _orders_of(books: Books) -> dict[str, list[datetime]]:
    """When each known person ordered, up to the last complete day."""
    found: dict[str, list[datetime]] = defaultdict(list)
    for sale in books.sales:
        if sale.is_purchase and sale.person and sale.day and sale.day <= books.through:
            found[sale.person].append(sale.order.ordered_at)
    return found


def _service_to_sales_daily(books: Books) -> Rows:
    """A row wherever somebody handled a contact.

    Every order looks for its contact: the last one of the person before it, on whatever topic; the later id of two at
    once. A contact that its person had to repeat sold nothing, and the order goes to no earlier one.
    """
    again = timedelta(days=books.definitions.fcr_window_days)
    soon = timedelta(hours=books.definitions.service_to_sales_hours)
    window = timedelta(days=books.definitions.service_to_sales_days)
    parts: dict[tuple[Any, ...], dict[str, int]] = defaultdict(lambda: defaultdict(int))
    contacts_of: dict[str, list[Contact]] = defaultdict(list)
    for contact in _contacts(books):
        if contact.outcome == "handled":
            parts[books.day(contact.started_at), contact.channel, contact.topic or UNKNOWN]["handled"] += 1
            person = books.survivor(contact.person_id)
            if person:
                contacts_of[person].append(contact)
    orders_of = _orders_of(books)
    for person, contacts in contacts_of.items():
        waits: dict[str, list[timedelta]] = defaultdict(list)
        for ordered_at in orders_of.get(person, []):
            before = [contact for contact in contacts if contact.started_at <= ordered_at]
            if before:
                last = max(before, key=lambda contact: (contact.started_at, contact.contact_id))
                waits[last.contact_id].append(ordered_at - last.started_at)
        for contact in contacts:
            place = (contact.started_at, contact.contact_id)
            is_repeated = any(
                (other.topic or UNKNOWN) == (contact.topic or UNKNOWN)
                and (other.started_at, other.contact_id) > place
                and other.started_at - contact.started_at <= again
                for other in contacts
            )
            row = parts[books.day(contact.started_at), contact.channel, contact.topic or UNKNOWN]
            row["eligible"] += 1
            if not is_repeated:
                row["resolved"] += 1
                row["soon"] += any(wait <= soon for wait in waits[contact.contact_id])
                row["sold"] += any(wait <= window for wait in waits[contact.contact_id])
    for (day, channel, topic), row in parts.items():
        yield {
            "metric_date": day,
            "channel": channel,
            "topic": topic,
            "handled_contacts": row["handled"],
            "eligible_contacts": row["eligible"],
            "resolved_contacts": row["resolved"],
            "sold_soon": row["soon"],
            "sold": row["sold"],
            "soon_sales_rate": ratio(row["soon"], row["eligible"]),
            "service_to_sales_rate": ratio(row["sold"], row["eligible"]),
            **books.finality(day, max(again, window).days),
        }


def _contacts_per_order_daily(books: Books) -> Rows:
    """A row wherever somebody got in touch or ordered, or a known person's order was delivered.

    An order is delivered with its last parcel that the carrier did not lose, and not before all of these are.
    """
    window = timedelta(days=books.definitions.order_contact_days)
    parcels: dict[str, list[datetime | None]] = defaultdict(list)
    for parcel in books.rows["shipments"]:
        if parcel.status != "lost":
            parcels[parcel.order_id].append(parcel.delivered_at)
    parts: dict[date, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    contacts_of: dict[str | None, list[datetime]] = defaultdict(list)
    for contact in _contacts(books):
        parts[books.day(contact.started_at)]["contacts"] += 1
        contacts_of[books.survivor(contact.person_id)].append(contact.started_at)
    for sale in books.sales:
        if not sale.is_purchase or sale.day is None:
            continue
        ordered_at = sale.order.ordered_at
        if sale.day <= books.through:
            parts[sale.day]["orders"] += 1
            if sale.person:
                parts[sale.day]["known"] += 1
                parts[sale.day]["contacted"] += any(ordered_at <= at <= ordered_at + window for at in contacts_of[sale.person])
        delivered = parcels[sale.order.order_id]
        if sale.person and delivered and None not in delivered and max(delivered) >= ordered_at:
            day = books.day(max(delivered))
            parts[day]["journeys"] += 1
            parts[day]["journey_contacts"] += sum(ordered_at <= at <= max(delivered) for at in contacts_of[sale.person])
    for day, row in parts.items():
        yield {
            "metric_date": day,
            "contacts": row["contacts"],
            "orders": row["orders"],
            "known_person_orders": row["known"],
            "contacted_orders": row["contacted"],
            "journeys": row["journeys"],
            "journey_contacts": row["journey_contacts"],
            "contacts_per_order": ratio(row["contacts"], row["orders"]),
            "contacted_order_rate": ratio(row["contacted"], row["known"]),
            "contacts_per_journey": ratio(row["journey_contacts"], row["journeys"]),
            **books.finality(day, window.days),
            **_prefixed("gross", books.finality(day, 0)),
        }


class _Emotion(NamedTuple):
    """An analysed contact."""

    contact_id: str
    journey: str | None
    started_at: datetime
    day: date
    channel: str
    topic: str
    segments: list[SentimentSegment]
    values: list[Fraction]

    @property
    def mean(self) -> Decimal | None:
        """What the customer felt, over the whole contact."""
        return _rounded(sum(self.values) / len(self.values), 6) if self.values else None

    @property
    def change(self) -> Decimal | None:
        """Last third less first third; of fewer than three values there is none."""
        third = len(self.values) // 3
        return _rounded(sum(self.values[-third:]) / third - sum(self.values[:third]) / third, 6) if third else None


def _emotions(books: Books) -> list[_Emotion]:
    """Contacts with segments of the customer, by what the contact's row says of them, whatever kind of contact it is."""
    contacts = {contact.contact_id: contact for contact in books.rows["contacts"]}
    segments: dict[str, list[SentimentSegment]] = defaultdict(list)
    for segment in books.rows["sentiment_segments"]:
        contact = contacts.get(segment.contact_id)
        # A transfer leg is excluded as a leg before it is as spam.
        is_leg = contact and contact.root_contact_id not in (None, contact.contact_id)
        is_spam = contact and contact.is_spam and not is_leg
        if segment.speaker != "agent" and not is_spam:
            segments[segment.contact_id].append(segment)
    found = []
    for contact_id, heard in segments.items():
        heard.sort(key=lambda segment: (segment.segment_index, segment.segment_id))
        contact = contacts.get(contact_id)
        told = [contact.person_id if contact else None, *(segment.person_id for segment in heard)]
        if books.excluded(next((person for person in told if person), None)):
            continue
        first = min(segment.started_at for segment in heard)
        found.append(
            _Emotion(
                contact_id,
                next((segment.journey_id for segment in heard if segment.journey_id), None),
                first,
                books.day(first),
                contact.channel if contact else UNKNOWN,
                contact.topic or UNKNOWN if contact else UNKNOWN,
                heard,
                [value for segment in heard if (value := _value(segment)) is not None],
            )
        )
    return found


def _value(segment: SentimentSegment) -> Fraction | None:
    if segment.score is not None:
        return Fraction(segment.score, 100)
    return Fraction({"positive": 1, "neutral": 0, "negative": -1}[segment.sentiment]) if segment.sentiment else None


def _rounded(value: Fraction, places: int) -> Decimal:
    exact = Decimal(value.numerator) / Decimal(value.denominator)
    return exact.quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP)


def _emotion_daily(books: Books) -> Rows:
    cells: dict[tuple[Any, ...], list[_Emotion]] = defaultdict(list)
    for emotion in _emotions(books):
        cells[emotion.day, emotion.channel, emotion.topic].append(emotion)
    for (day, channel, topic), emotions in cells.items():
        words = [segment.sentiment for emotion in emotions for segment in emotion.segments]
        positive, neutral, negative = (words.count(word) for word in ("positive", "neutral", "negative"))
        scored = positive + neutral + negative
        changes = [change for emotion in emotions if (change := emotion.change) is not None]
        yield {
            "metric_date": day,
            "channel": channel,
            "topic": topic,
            "contacts": len(emotions),
            "segments": len(words),
            "scored": scored,
            "positive": positive,
            "neutral": neutral,
            "negative": negative,
            "net_positive": positive - negative,
            "tone_contacts": len(changes),
            "tone_change_sum": float(sum(changes)),
            "tone_change_sumsq": _sum_of_squares(changes),
            "net_emotion": ratio(positive - negative, scored),
            "tone_change": ratio(float(sum(changes)), len(changes)),
            **books.finality(day, 0),
        }


def _journey_emotion_daily(books: Books) -> Rows:
    """A journey of three touches or more, on the day of its last one, also where that is a day to come."""
    journeys: dict[str, list[_Emotion]] = defaultdict(list)
    for emotion in _emotions(books):
        if emotion.journey and emotion.mean is not None:
            journeys[emotion.journey].append(emotion)
    cells: dict[tuple[Any, ...], list[Decimal]] = defaultdict(list)
    for touches in journeys.values():
        if len(touches) >= TOUCHES:
            touches.sort(key=lambda touch: (touch.started_at, touch.contact_id))
            third, last = len(touches) // 3, touches[-1]
            middle = [touch.mean for touch in touches[third : len(touches) - third]]
            peak = max(middle, key=lambda mean: (abs(mean), -mean))
            cells[last.day, last.channel].append((peak + last.mean) / 2)
    for (day, channel), found in cells.items():
        yield {
            "metric_date": day,
            "channel": channel,
            "journeys": len(found),
            "peak_end_sum": float(sum(found)),
            "peak_end_sumsq": _sum_of_squares(found),
            "peak_end_emotion": ratio(float(sum(found)), len(found)),
            **books.finality(day, books.definitions.journey_rest_days),
        }


def _sum_of_squares(values: Iterable[Decimal]) -> float:
    return float(sum(value**2 for value in values))


def _prefixed(name: str, finality: dict[str, Any]) -> dict[str, Any]:
    return {f"{name}_{column}": value for column, value in finality.items()}


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


SUBJECT = Subject(
    feeds={
        "self_service_sessions": SelfServiceSession,
        "ivr_events": IvrEvent,
        "sentiment_segments": SentimentSegment,
        "shipments": Shipment,
    },
    append=frozenset({"ivr_events"}),
    layouts=LAYOUTS,
    make=make,
    spoils={
        "self_service_sessions": [("channel", "PIGEON", "channel is unknown"), ("session_id", None, "session_id is missing")],
        "ivr_events": [("event", "sneezed", "event is unknown"), ("event_id", None, "event_id is missing")],
        "sentiment_segments": [("score", "1.5", "score is out of range"), ("contact_id", None, "contact_id is missing")],
        "shipments": [("shipment_id", None, "shipment_id is missing")],
    },
    marts={
        "self_service_daily": Truth(
            ("metric_date", "channel", "topic"),
            _words(
                "sessions contained handed_off goal_reached known_person_sessions resolved_contained "
                "containment_rate resolved_containment_rate containment_is_final containment_final_on"
            ),
            _self_service_daily,
        ),
        "ivr_requests_daily": Truth(
            ("metric_date", "intent"),
            _words("selections depth_sum depth_count depth_mean share_of_day rank_of_day"),
            _ivr_requests_daily,
        ),
        "service_to_sales_daily": Truth(
            ("metric_date", "channel", "topic"),
            _words("handled_contacts eligible_contacts resolved_contacts sold_soon sold soon_sales_rate service_to_sales_rate"),
            _service_to_sales_daily,
        ),
        "contacts_per_order_daily": Truth(
            ("metric_date",),
            _words(
                "contacts orders known_person_orders contacted_orders journeys journey_contacts "
                "contacts_per_order contacted_order_rate contacts_per_journey gross_is_final gross_final_on"
            ),
            _contacts_per_order_daily,
        ),
        "emotion_daily": Truth(
            ("metric_date", "channel", "topic"),
            _words(
                "contacts segments scored positive neutral negative net_positive tone_contacts tone_change_sum "
                "tone_change_sumsq net_emotion tone_change"
            ),
            _emotion_daily,
        ),
        "journey_emotion_daily": Truth(
            ("metric_date", "channel"),
            ("journeys", "peak_end_sum", "peak_end_sumsq", "peak_end_emotion"),
            _journey_emotion_daily,
        ),
    },
)
