"""What happened in the demo company, and in which day's file each row is delivered.

Here belongs: the entities (one immutable tuple per row version), the random processes that make them, lateness,
repeated delivery and the choice of bad rows. Not here: file formats (`exports`) and metric definitions (`truth`).

Money is kept in whole cents and instants in UTC, so nothing is rounded twice. Some situations are left out on purpose,
because the marts' specification does not decide them: a refund or a line is never delivered before its order header, a
known person's handled contact always has a topic, and a case is never reopened after it was closed.
"""

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    import pandas as pd


class Person(NamedTuple):
    """A customer record of the CRM, the contact centre or the shop, one version."""

    person_id: str
    email: str
    phone: str | None
    name: str
    country: str
    created_at: datetime
    is_test: bool
    updated_at: datetime
    source: str | None = None
    external_id: str | None = None
    account_id: str | None = None
    merged_into_id: str | None = None
    merged_at: datetime | None = None
    is_deleted: bool = False


class Subscription(NamedTuple):
    """A term of a contract, one version."""

    subscription_id: str
    person_id: str
    plan: str
    mrr: int
    started_at: datetime
    ended_at: datetime | None
    status: str
    cancel_reason: str | None
    updated_at: datetime


class SurveyResponse(NamedTuple):
    """An answer to one survey question, one version."""

    response_id: str
    survey_id: str
    metric_kind: str
    person_id: str | None
    case_id: str | None
    score: int | None
    scale_min: int | None
    scale_max: int | None
    answered_at: datetime
    status: str
    updated_at: datetime
    # What the answers below do not tell; those of the module `surveys` do.
    question_id: str | None = None
    question_version: int | None = None
    invitation_id: str | None = None
    order_id: str | None = None
    contact_id: str | None = None
    channel: str | None = None
    answer: str | None = None


class Order(NamedTuple):
    """An order header, one version; amounts in cents."""

    order_id: str
    person_id: str | None
    visitor_id: str
    cart_id: str | None
    ordered_at: datetime
    status: str
    currency: str
    sales_channel: str | None
    country: str | None
    discount_amount: int
    tax_amount: int
    shipping_amount: int
    is_test: bool
    updated_at: datetime


class OrderLine(NamedTuple):
    """A line of an order, one version; amounts in cents."""

    order_id: str
    line_id: str
    product_id: str
    product_name: str
    quantity: int
    unit_price: int
    discount_amount: int
    unit_cost: int | None
    is_return: bool
    is_gift_card: bool
    updated_at: datetime
    # What stands in for a header; the demo company's shop always exports one.
    ordered_at: datetime | None = None
    person_id: str | None = None
    currency: str | None = None
    country: str | None = None


class Refund(NamedTuple):
    """Money given back, in cents."""

    refund_id: str
    order_id: str
    refunded_at: datetime
    amount: int
    reason: str | None
    currency: str = "EUR"


class CartEvent(NamedTuple):
    """Something that happened in a cart; price in cents."""

    event_id: str
    cart_id: str
    person_id: str | None
    visitor_id: str
    event: str
    occurred_at: datetime
    product_id: str | None
    quantity: int | None
    unit_price: int | None
    device: str | None


class Contact(NamedTuple):
    """A contact or a transfer leg, one version."""

    contact_id: str
    case_id: str | None
    person_id: str | None
    channel: str
    direction: str
    topic: str | None
    queue: str | None
    agent_id: str | None
    started_at: datetime
    answered_at: datetime | None
    ended_at: datetime
    wait_seconds: int
    talk_seconds: int
    hold_seconds: int
    wrap_seconds: int
    outcome: str
    root_contact_id: str | None
    previous_contact_id: str | None
    is_spam: bool
    updated_at: datetime


class Case(NamedTuple):
    """What a customer wants solved, one version."""

    case_id: str
    person_id: str | None
    channel: str
    topic: str | None
    priority: str
    queue: str | None
    agent_id: str | None
    status: str
    opened_at: datetime
    resolved_at: datetime | None
    closed_at: datetime | None
    reassignment_count: int | None
    reopen_count: int | None
    is_spam: bool
    updated_at: datetime
    # The demo company's targets are a feed of their own.
    due_at: datetime | None = None


class CaseEvent(NamedTuple):
    """Something that happened to a case."""

    event_id: str
    case_id: str
    event: str
    occurred_at: datetime
    actor_type: str
    actor_id: str | None


class Spoiled(NamedTuple):
    """A row that looks like `row` except for one field, which holds a text that no reader may accept."""

    row: Any
    field: str
    text: str | None
    reason: str


@dataclass(frozen=True)
class BadRow:
    """Where a row stands that must end in quarantine.

    `line` is the physical line: 1-based, with the header as line 1 in CSV. NDJSON has no header; in Parquet, which has
    no lines, it is the 1-based row number.
    """

    feed: str
    file: str
    line: int
    reason: str


FEEDS: dict[str, type] = {
    "persons": Person,
    "subscriptions": Subscription,
    "survey_responses": SurveyResponse,
    "orders": Order,
    "order_lines": OrderLine,
    "refunds": Refund,
    "cart_events": CartEvent,
    "contacts": Contact,
    "cases": Case,
    "case_events": CaseEvent,
}
APPEND_FEEDS = {"refunds", "cart_events", "case_events"}
KEY_WIDTH = {"order_lines": 2}
"""How many of a feed's first fields are its key; one where nothing is said."""

# (field, text, what is wrong): Parquet is typed, so only a missing id can go wrong there.
SPOILS: dict[str, list[tuple[str, str | None, str]]] = {
    "persons": [("person_id", None, "person_id is missing")],
    "subscriptions": [("person_id", None, "person_id is missing")],
    "survey_responses": [("score", "ten", "score is not a number")],
    "orders": [
        ("tax_amount", "1O.5o", "tax_amount is not a number"),
        ("status", "on_the_moon", "status is unknown"),
        ("order_id", None, "order_id is missing"),
    ],
    "order_lines": [("quantity", "two", "quantity is not a number"), ("order_id", None, "order_id is missing")],
    "refunds": [("amount", "a lot", "amount is not a number")],
    "cart_events": [
        ("event", "wishlist", "event is unknown"),
        ("quantity", "three", "quantity is not a number"),
        ("event_id", None, "event_id is missing"),
    ],
    "contacts": [
        ("outcome", "Exploded", "outcome is unknown"),
        ("wait_seconds", "12s", "wait_seconds is not a number"),
        ("contact_id", None, "contact_id is missing"),
    ],
    "cases": [("reopen_count", "once", "reopen_count is not a number"), ("case_id", None, "case_id is missing")],
    "case_events": [("event", "Teleported", "event is unknown"), ("case_id", None, "case_id is missing")],
}
MIN_ROWS_FOR_BAD = 40
SUBJECT_MAKERS: list[Callable[["Maker"], None]] = []
"""What adds the subjects' rows, in order, after everything in this module happened (see `subject`)."""

Step = tuple[str, OrderLine | None]
Course = list[tuple[str, datetime]]

CURRENCY = "EUR"
PLANS = {"basic": 990, "plus": 1990, "premium": 3990}
COUNTRIES = ("NL", "NL", "NL", "NL", "BE", "BE", "DE", "DE", "FR")
WEEKDAY = (1.05, 0.95, 0.90, 0.95, 1.10, 1.25, 1.15)
MONTH = (0.85, 0.85, 0.95, 1.0, 1.05, 1.0, 0.9, 0.85, 1.0, 1.05, 1.25, 1.4)
TOP_WEIGHT = max(WEEKDAY) * max(MONTH)
HOUR = (4, 2, 1, 1, 1, 1, 3, 6, 9, 11, 12, 12, 13, 12, 11, 11, 12, 13, 15, 18, 20, 18, 12, 8)
CONTACT_HOUR = (0,) * 8 + (8, 12, 13, 11, 9, 10, 10, 9, 8, 7, 6, 5, 4, 3) + (0, 0)
DAY = 86_400
FOLLOW_UP_WINDOW = timedelta(hours=7 * 24)


class Clock:
    """Business-local days and instants of the simulated range."""

    def __init__(self, start: date, days: int, timezone: str) -> None:
        self.start, self.days, self.zone = start, days, ZoneInfo(timezone)
        self.last = start + timedelta(days=days - 1)
        self._changes: dict[int, bool] = {}

    def index(self, instant: datetime) -> int:
        """Day number of an instant; 0 is the first day."""
        return (instant.astimezone(self.zone).date() - self.start).days

    def local(self, day: int, second: int, fold: int = 0) -> datetime:
        """The instant of a wall-clock second of a day."""
        naive = datetime.combine(self.start + timedelta(days=day), datetime.min.time()) + timedelta(seconds=second)
        return naive.replace(tzinfo=self.zone, fold=fold).astimezone(UTC)

    def plain(self, day: int, second: int) -> datetime:
        """Like `local`, but never at a wall-clock time that is doubled or skipped: local-time files cannot say it."""
        instant = self.local(day, second)
        return instant if instant == self.local(day, second, fold=1) else self.local(day, second + 7200)

    def changes_offset(self, day: int) -> bool:
        """Whether the clock changes on that day."""
        if day not in self._changes:
            self._changes[day] = self.local(day + 1, 0) - self.local(day, 0) != timedelta(days=1)
        return self._changes[day]

    def weight(self, day: int) -> float:
        """How busy a day is; 1 is usual."""
        today = self.start + timedelta(days=day)
        return WEEKDAY[today.weekday()] * MONTH[today.month - 1]

    def office(self, instant: datetime) -> datetime:
        """The instant itself in office hours (08:00 to 20:00), else the next opening, spread over its first hour."""
        wall = instant.astimezone(self.zone)
        if 8 <= wall.hour < 20:
            return instant
        return self.plain(self.index(instant) + (wall.hour >= 20), 8 * 3600 + wall.minute * 60 + wall.second)


@dataclass
class Company:
    """A simulated company: what its systems deliver, and what is true about it."""

    clock: Clock
    timezone: str
    deliveries: dict[str, list[list[Any]]]
    bad_rows: list[BadRow] = field(default_factory=list)
    identities: dict[str, str] = field(default_factory=dict, repr=False)
    """Who each person of any system really is, by the id of their record in the CRM."""
    _truths: dict[date, "dict[str, pd.DataFrame]"] = field(default_factory=dict, repr=False)

    @property
    def start(self) -> date:
        """First day."""
        return self.clock.start

    @property
    def data_through(self) -> date:
        """Last day."""
        return self.clock.last

    @property
    def delivered_rows(self) -> dict[str, int]:
        """Data rows over all files of each feed, repeated and bad ones too."""
        return {feed: sum(map(len, files)) for feed, files in self.deliveries.items()}

    def write_exports(self, landing: Path, feeds: Iterable[str] | None = None) -> list[Path]:
        """Write one file per feed (all, or those named) and day under `landing`; returns the paths written."""
        from orchestration.lib.simulator.exports import write_exports

        return write_exports(self, landing, feeds)

    def config(self, feeds: Iterable[str] | None = None) -> str:
        """The text of a `cx.toml` that maps the exports (all, or those named) to the canonical feeds."""
        from orchestration.lib.simulator.exports import config

        return config(self, feeds)

    def truth(self, through: date | None = None) -> "dict[str, pd.DataFrame]":
        """The marts, counted from the rows delivered up to and including day `through` (default: the last day)."""
        from orchestration.lib.simulator.truth import truth

        through = through or self.data_through
        if not self.start <= through <= self.data_through:
            raise ValueError(f"through must lie in {self.start} .. {self.data_through}, not {through}")
        if through not in self._truths:
            self._truths[through] = truth(self, through)
        return {mart: frame.copy() for mart, frame in self._truths[through].items()}


def simulate(
    customers: int = 2000,
    days: int = 120,
    start: date = date(2025, 9, 1),
    seed: int = 7,
    timezone: str = "Europe/Amsterdam",
) -> Company:
    """Make a company; the same arguments always make the same one."""
    if customers < 1 or days < 1:
        raise ValueError("customers and days must be at least 1")
    return Maker(customers, days, start, seed, timezone).make()


class _Issue(NamedTuple):
    day: int
    person_id: str | None
    topic: str


class Maker:
    """Builds a Company; one method or `Subject` per subject, one random stream each: they do not disturb others."""

    def __init__(self, customers: int, days: int, start: date, seed: int, timezone: str) -> None:
        self.customers, self.days, self.seed, self.timezone = customers, days, seed, timezone
        self.clock = Clock(start, days, timezone)
        self.deliveries: dict[str, list[list[Any]]] = {feed: [[] for _ in range(days)] for feed in FEEDS}
        self.joined: dict[str, int] = {}  # day a person may first do something
        self.country: dict[str, str] = {}
        self.testers: set[str] = set()
        self.identities: dict[str, str] = {}
        # by customer: another id of theirs, and from when or until when it is written
        self.shop_ids: dict[str, tuple[datetime, str]] = {}
        self.desk_ids: dict[str, tuple[datetime, str]] = {}
        self.duplicates: dict[str, tuple[datetime, str]] = {}
        self.issues: list[_Issue] = []
        self.case_outcomes: list[tuple[str, str | None, datetime]] = []
        self.numbers: dict[str, int] = {}

    def stream(self, name: str) -> random.Random:
        """A random stream of its own."""
        return random.Random(f"cxmarts:{self.seed}:{name}")

    def number(self, prefix: str) -> str:
        """The next id with that prefix."""
        self.numbers[prefix] = self.numbers.get(prefix, 100_000) + 1
        return f"{prefix}{self.numbers[prefix]}"

    def post(self, feed: str, row: Any, day: int, lag: int = 0) -> int:
        """Deliver a row on its day, `lag` days late, but never after the last day; returns the day of delivery."""
        delivery = min(max(day, 0) + lag, self.days - 1)
        self.deliveries[feed][delivery].append(row)
        return delivery

    def post_event(self, rng: random.Random, feed: str, row: Any, instant: datetime, not_before: int = 0) -> None:
        """Deliver an event at least once: now and then late, now and then again on the next day."""
        delivery = self.post(feed, row, max(self.clock.index(instant), not_before), _lag(rng, 0.008))
        if rng.random() < 0.012 and delivery + 1 < self.days:
            self.post(feed, row, delivery + 1)

    def make(self) -> Company:
        """Everything in its order."""
        self.make_persons()
        self.make_identities()
        self.make_subscriptions()
        self.make_shop()
        self.make_contact_centre()
        self.make_surveys()
        for make in SUBJECT_MAKERS:
            make(self)
        self.write_other_ids()
        self.sort()
        bad = self.spoil()
        return Company(self.clock, self.timezone, self.deliveries, bad, self.identities)

    # ---- CRM ----------------------------------------------------------------------------------------------------

    def make_persons(self) -> None:
        """Customers: four in ten were there before the first day, one in a hundred is a test account.

        A few share the mailbox of their firm, some families a telephone, and one in twenty belongs to an account.
        """
        rng = self.stream("persons")
        firsts = ("Anna", "Bram", "Chloë", "Daan", "Eva", "Finn", "Noor", "Jürgen", "Lotte", "Zoë", "Sem", "Élise")
        lasts = ("de Vries", "Jansen", "van den Berg", "Müller", "Dubois", "Peeters", "O'Neill", "Bakker", "Visser")
        for n in range(self.customers):
            key = f"P{n + 1:06d}"
            before = rng.random() < 0.4
            day = -rng.randint(1, 700) if before else rng.randrange(self.days)
            created = self.clock.local(day, rng.choices(range(24), HOUR)[0] * 3600 + rng.randrange(3600))
            is_test = n % 100 == 42 or (self.customers <= 42 and n == 0)
            person = Person(
                key,
                f"info@firm{n // 100}.example.com" if n % 100 in (7, 8) else f"{key.lower()}@example.com",
                _mobile(rng) if rng.random() < 0.8 else None,
                f"{rng.choice(firsts)} {rng.choice(lasts)}",
                rng.choice(COUNTRIES),
                created,
                is_test,
                created,
                account_id=f"A{n // 20 % 10:02d}" if n % 20 == 3 else None,
            )
            if n % 400 in range(20, 29):
                person = person._replace(phone=f"+3161{n // 400:07d}")
            self.identities[key] = key
            self.joined[key], self.country[key] = max(day, -1) + 1, person.country
            if is_test:
                self.testers.add(key)
            self.post("persons", person, day)
            if rng.random() < 0.35:
                # From the day after the first version on, so that each file holds one state of a person.
                change = rng.randint(max(day, 0) + 1, max(day, 0) + self.days)
                if change < self.days:
                    moved = person._replace(
                        phone=_mobile(rng),
                        country=rng.choice(COUNTRIES),
                        updated_at=self.clock.local(change, rng.randrange(6 * 3600, 23 * 3600)),
                    )
                    self.post("persons", moved, change)

    def make_identities(self) -> None:
        """The same customers in other systems, under other ids and typed otherwise; duplicates that the CRM merges.

        The shop knows most by their e-mail address and some by the CRM's id, the contact centre by their telephone number.
        Of the duplicates one in three was merged by mistake, and is a person again some days later.
        """
        rng = self.stream("identities")
        first: dict[str, Person] = {}
        for rows in self.deliveries["persons"]:
            for person in rows:
                first.setdefault(person.person_id, person)
        for n, (key, person) in enumerate(sorted(first.items())):
            draws = [rng.random() for _ in range(4)]
            if key in self.testers:
                continue
            if person.phone and draws[0] < 0.3:
                number = person.phone.removeprefix("+31")
                typed = [f"0031 {number[0]} {number[1:]}", f"+31 (0){number}", person.phone]
                typed += [f"0{number[0]}-{number[1:5]} {number[5:]}"] if person.country == "NL" else []
                desk = Person(
                    f"TEL-{key[1:]}", person.email.upper() if draws[1] < 0.3 else None, rng.choice(typed), person.name,
                    person.country, person.created_at, False, person.created_at, source="contact_center",
                    account_id=person.account_id,
                )  # fmt: skip
                self.desk_ids[key] = self.post_identity(rng, desk, key)
            if draws[2] < 0.3:
                mailbox, _, domain = person.email.partition("@")
                shop = Person(
                    f"WEB-{key[1:]}", rng.choice((f"{mailbox}+shop@{domain}", f"{mailbox.upper()}@{domain}", person.email)), None,
                    person.name, person.country, person.created_at, False, person.created_at, source="shop",
                    external_id=key if draws[3] < 0.5 else None, account_id=person.account_id,
                )  # fmt: skip
                self.shop_ids[key] = self.post_identity(rng, shop, key)
            if n % 80 == 11:
                self.make_duplicate(rng, person, is_mistake=n % 240 == 11)

    def post_identity(self, rng: random.Random, person: Person, key: str) -> tuple[datetime, str]:
        """Deliver a record of another system some days after the CRM's; returns from when its id is written, and the id."""
        day = self.joined[key] + rng.randrange(15)
        made = self.clock.local(min(day, self.days - 1), rng.randrange(9 * 3600, 18 * 3600))
        self.identities[person.person_id] = key
        self.post("persons", person._replace(created_at=made, updated_at=made), day)
        return made, person.person_id

    def make_duplicate(self, rng: random.Random, person: Person, is_mistake: bool) -> None:
        """A second record of the CRM, merged into the first; back again where it was somebody else."""
        key, copy = person.person_id, f"P9{person.person_id[2:]}"
        day = self.joined[key]
        merged, back = day + rng.randint(5, 40), day + rng.randint(50, 70)
        made, at, again = (self.clock.local(d, rng.randrange(9 * 3600, 18 * 3600)) for d in (day, merged, back))
        row = person._replace(
            person_id=copy, email=f"{copy.lower()}@example.com", phone=None, account_id=None, created_at=made, updated_at=made
        )
        self.identities[copy] = copy if is_mistake else key
        self.duplicates[key] = (at, copy)
        told = [(day, row)]
        told += [(merged, row._replace(merged_into_id=key, merged_at=at, is_deleted=True, updated_at=at))]
        told += [(back, row._replace(updated_at=again))] if is_mistake else []
        for on, version in told:
            if on < self.days:
                self.post("persons", version, on)

    def write_other_ids(self) -> None:
        """Every system writes its own ids: the shop and the contact centre theirs once they have them, the CRM all others."""
        systems = {
            "orders": ("ordered_at", self.shop_ids), "cart_events": ("occurred_at", self.shop_ids),
            "contacts": ("started_at", self.desk_ids), "cases": ("opened_at", self.desk_ids),
        }  # fmt: skip
        for feed, (time, ids) in systems.items():
            for rows in self.deliveries[feed]:
                for n, row in enumerate(rows):
                    since, other = ids.get(row.person_id, (None, None))
                    until, copy = self.duplicates.get(row.person_id, (None, None))
                    if since is not None and getattr(row, time) >= since:
                        rows[n] = row._replace(person_id=other)
                    elif until is not None and feed == "orders" and row.ordered_at < until and int(row.order_id[1:]) % 2:
                        rows[n] = row._replace(person_id=copy)

    def make_subscriptions(self) -> None:
        """Terms with renewals: at once, after a gap of up to 7 days, after a longer gap (a reactivation) or never."""
        rng = self.stream("subscriptions")
        for key, joined in self.joined.items():
            if key in self.testers or rng.random() > 0.33:
                continue
            day = joined if rng.random() < 0.3 else rng.randint(joined, max(joined, self.days))
            plan = rng.choices(list(PLANS), (5, 3, 2))[0]
            at_midnight = rng.random() < 0.6
            while day < self.days:
                length = rng.choice((7, 14, 30, 30, 30, 60, 90))
                fates = ("renew", "short gap", "long gap", "upgrade", "cancel", "announce")
                fate = rng.choices(fates, (50, 16, 10, 8, 9, 7))[0]
                cancelled = fate in ("cancel", "announce")
                end_day = day + (rng.randint(1, length) if cancelled else length)
                self.make_term(rng, key, plan, day, end_day, fate, at_midnight)
                if rng.random() < 0.03 and day + 2 < self.days:
                    # A second contract beside the first one.
                    self.make_term(rng, key, rng.choice(list(PLANS)), day + 2, day + 2 + length, "renew", at_midnight)
                if cancelled and rng.random() < 0.6:
                    break
                gap = rng.randint(8, 45) if cancelled or fate == "long gap" else 0
                if fate == "short gap":
                    gap = rng.randint(1, 7)
                if fate == "upgrade" or rng.random() < 0.05:
                    plan = rng.choice(list(PLANS))
                day = end_day + gap

    def make_term(self, rng: random.Random, person: str, plan: str, day: int, end_day: int, fate: str, at_midnight: bool) -> None:
        """One term: delivered when it starts, again when its end is known."""
        second = 0 if at_midnight else rng.randrange(9 * 3600, 20 * 3600)
        started, ended = self.clock.local(day, second), self.clock.local(end_day, second)
        term = Subscription(self.number("S"), person, plan, PLANS[plan], started, None, "active", None, started)
        self.post("subscriptions", term, day, _lag(rng, 0.01))
        cancelled = fate in ("cancel", "announce")
        # An announced end is known before cover stops: the row then carries an instant in the future.
        known_day = end_day if fate != "announce" else rng.randint(day + 1, max(day + 1, end_day - 1))
        if known_day >= self.days:
            return
        updated = ended if known_day == end_day else self.clock.local(known_day, rng.randrange(9 * 3600, 18 * 3600))
        status, reason = ("cancelled", rng.choice(("price", "moved", "unused"))) if cancelled else ("expired", None)
        last = term._replace(ended_at=ended, status=status, cancel_reason=reason, updated_at=updated)
        self.post("subscriptions", last, known_day, _lag(rng, 0.01))

    # ---- shop ---------------------------------------------------------------------------------------------------

    def make_shop(self) -> None:
        """Orders with all that belongs to them, and the carts that never became one."""
        rng = self.stream("orders")
        self.products = _catalogue(self.stream("catalogue"))
        moments: list[tuple[datetime, str, str | None]] = []
        for key, joined in self.joined.items():
            rate = rng.gammavariate(0.9, 0.020 / 0.9)
            leaves = joined + rng.expovariate(1 / 300)
            if joined > 0 and joined < self.days and rng.random() < 0.7:
                moments.append((self.shop_time(rng, joined), key, key))
            at = float(joined)
            while True:
                at += rng.expovariate(max(rate, 1e-6) * TOP_WEIGHT)
                if at >= min(leaves, self.days):
                    break
                if rng.random() < self.clock.weight(int(at)) / TOP_WEIGHT:
                    moments.append((self.shop_time(rng, int(at)), key, key))
        guest = 0
        for day in range(self.days):
            expected = 0.0035 * self.customers * self.clock.weight(day)
            for _ in range(_poisson(rng, expected)):
                guest += 1
                moments.append((self.shop_time(rng, day), f"guest{guest}", None))
        moments.sort(key=lambda moment: moment[:2])
        earlier: set[str] = set()
        carts = self.stream("carts")
        for ordered_at, who, person in moments:
            bought = self.make_order(rng, carts, ordered_at, who, person, person in earlier)
            if bought and person:
                earlier.add(person)
        for _ in range(int(len(moments) * 1.3)):
            self.make_lone_cart(carts)

    def shop_time(self, rng: random.Random, day: int) -> datetime:
        """An instant of that day by the shop's hours, with more than its share right around midnight."""
        if self.clock.changes_offset(day) and rng.random() < 0.12:
            # Wall-clock times that occur twice in autumn: the offset in the export tells them apart.
            return self.clock.local(day, 7200 + rng.randrange(3600), fold=rng.randrange(2))
        pick = rng.random()
        if pick < 0.02:
            return self.clock.local(day, rng.randrange(1800))
        if pick < 0.04:
            return self.clock.local(day, DAY - 1 - rng.randrange(1800))
        return self.clock.local(day, rng.choices(range(24), HOUR)[0] * 3600 + rng.randrange(3600))

    def make_order(
        self, rng: random.Random, carts: random.Random, at: datetime, who: str, person: str | None, returning: bool
    ) -> bool:
        """One order with its header versions, lines, cart, refunds and issues; returns whether something was bought."""
        day, order_id = self.clock.index(at), self.number("O")
        is_test = person in self.testers
        channel = rng.choices(("web", "app", "store", None), (60, 25, 13, 2))[0]
        country = self.country[person] if person else rng.choice(COUNTRIES)
        lag = _lag(rng, 0.012)

        lines, return_only = self.make_lines(rng, order_id, at, returning)
        goods = [line for line in lines if not line.is_return and not line.is_gift_card]
        value = sum(line.quantity * line.unit_price - line.discount_amount for line in goods)
        discount = min(rng.choice((500, 750, 1000)), value * 3 // 10) if goods and rng.random() < 0.12 else 0
        shipping = 495 if goods and value < 5000 and channel != "store" else 0
        tax = round((value - discount) * 21 / 121)

        cart_id = None
        if channel in ("web", "app") and not return_only and carts.random() < 0.9:
            cart_id = self.make_ordered_cart(carts, at, who, person, [line for line in lines if not line.is_return])
        header = Order(
            order_id, person, _visitor(who), cart_id, at, "paid", CURRENCY, channel,
            None if rng.random() < 0.02 else country, discount, tax, shipping, is_test, at,
        )  # fmt: skip
        fate = rng.choices(("paid", "paid later", "cancelled later", "cancelled"), (76, 18, 4, 2))[0]
        if channel == "store" or return_only:
            fate = "paid"
        changed = at + timedelta(seconds=rng.randint(300, 4 * DAY))
        final = "cancelled" if fate.startswith("cancelled") else "paid"
        # A nightly export shows the state at the end of the day: what changed on the same day is one version.
        same_day = self.clock.index(changed) == day
        if fate in ("paid", "cancelled"):
            delivered = self.post("orders", header._replace(status=final), day, lag)
        elif same_day:
            delivered = self.post("orders", header._replace(status=final, updated_at=changed), day, lag)
        else:
            delivered = self.post("orders", header._replace(status="pending"), day, lag)
            if self.clock.index(changed) < self.days:
                later = header._replace(status=final, updated_at=changed)
                self.post("orders", later, max(self.clock.index(changed), delivered))
            else:
                final = "pending"
        for line in lines:
            self.post("order_lines", line, delivered)
        if goods and rng.random() < 0.006 and delivered + 1 < self.days:
            updated = self.clock.local(delivered + 1, rng.randrange(8 * 3600, 18 * 3600))
            corrected = goods[0]._replace(quantity=goods[0].quantity + 1, updated_at=updated)
            self.post("order_lines", corrected, delivered + 1)

        back = sum(-line.quantity * line.unit_price for line in lines if line.is_return)
        if final == "paid" and value - discount - back > 0 and rng.random() < 0.10:
            self.make_refunds(rng, order_id, at, value - discount - back, delivered)
        if final == "paid" and not is_test and not return_only and rng.random() < 0.22:
            topic = rng.choices(("delivery", "return", "payment", "product"), (5, 3, 1, 2))[0]
            self.issues.append(_Issue(day + rng.randint(1, 20), person, topic))
        return final != "cancelled" and not return_only

    def make_lines(self, rng: random.Random, order_id: str, at: datetime, returning: bool) -> tuple[list[OrderLine], bool]:
        """The lines of an order, and whether it only takes goods back."""
        return_only = returning and rng.random() < 0.012
        gift_only = not return_only and rng.random() < 0.01
        count = 0 if return_only or gift_only else 1 + min(_poisson(rng, 0.9), 6)
        lines: list[OrderLine] = []

        def add(product: tuple[str, str, int, int | None], quantity: int, discount: int = 0) -> None:
            sku, name, price, cost = product
            lines.append(
                OrderLine(
                    order_id, str(len(lines) + 1), sku, name, quantity, price, discount, cost,
                    quantity < 0, sku.startswith("GIFT"), at,
                )
            )  # fmt: skip

        for _ in range(count):
            product = self.products[min(int(rng.paretovariate(0.7)) - 1, len(self.products) - 1)]
            quantity = rng.choices((1, 2, 3, 6), (75, 17, 6, 2))[0]
            discount = product[2] * quantity * rng.choice((10, 15, 20)) // 100 if rng.random() < 0.15 else 0
            add(product, quantity, discount)
        if gift_only or rng.random() < 0.025:
            add(("GIFT-50", "Gift card 50", 5000, None), rng.choices((1, 2), (4, 1))[0])
        if return_only or (returning and rng.random() < 0.02):
            add(rng.choice(self.products), -1)
        return lines, return_only

    def make_refunds(self, rng: random.Random, order_id: str, at: datetime, most: int, not_before: int) -> None:
        """One or two refunds, within the week or up to 45 days later."""
        left = most
        for _ in range(1 if rng.random() < 0.9 else 2):
            wait = rng.randint(1, 6) if rng.random() < 0.4 else rng.randint(7, 45)
            amount = left if rng.random() < 0.4 else max(1, left * rng.randint(20, 80) // 100)
            left -= amount
            refunded_at = self.shop_time(rng, self.clock.index(at) + wait)
            if self.clock.index(refunded_at) < self.days:
                reason = rng.choice(("damaged", "too_late", "size"))
                row = Refund(self.number("R"), order_id, refunded_at, amount, reason)
                self.post_event(rng, "refunds", row, refunded_at, not_before)
            if left <= 0:
                return

    # ---- carts --------------------------------------------------------------------------------------------------

    def make_ordered_cart(
        self, rng: random.Random, ordered_at: datetime, who: str, person: str | None, lines: list[OrderLine]
    ) -> str | None:
        """The cart of an order; None where it would have begun before the first day."""
        pick = rng.random()
        if pick < 0.03:
            gap = -rng.randint(20, 900)  # a second tab goes on after the order
        elif pick < 0.86:
            gap = rng.randint(15, 3600)
        elif pick < 0.92:
            gap = rng.randint(3600, DAY - 60)
        elif pick < 0.93:
            gap = DAY + rng.choice((0, 1))  # the very edge of the time-out
        elif pick < 0.985:
            gap = rng.randint(DAY + 60, 7 * DAY - 60)
        else:
            gap = rng.randint(7 * DAY + 60, 10 * DAY)
        last = ordered_at - timedelta(seconds=gap)
        steps: list[Step] = [("add", line) for line in lines]
        if rng.random() < 0.12:
            steps += [("add", lines[0]), ("remove", lines[0])]
        if rng.random() < 0.9:
            steps.append(("checkout", None))
        return self.make_cart(rng, last, who, person, steps)

    def make_lone_cart(self, rng: random.Random) -> None:
        """A cart without an order: left, or emptied."""
        day = rng.randrange(self.days)
        if rng.random() > self.clock.weight(day) / TOP_WEIGHT:
            day = rng.randrange(self.days)
        person = f"P{rng.randint(1, self.customers):06d}" if rng.random() < 0.45 else None
        if person and self.joined[person] > day:
            person = None
        who = person or f"visit{rng.randrange(10**7)}"
        lines = [
            OrderLine("", "", sku, name, rng.choices((1, 2), (5, 1))[0], price, 0, cost, False, False, datetime.min)
            for sku, name, price, cost in rng.choices(self.products, k=1 + min(_poisson(rng, 0.6), 4))
        ]
        steps: list[Step] = [("add", line) for line in lines]
        pick = rng.random()
        if pick < 0.06:
            steps.append(("empty", None))
        elif pick < 0.10:
            steps += [("remove", line) for line in lines]
        elif pick < 0.13:
            steps += [("empty", None), ("add", lines[0])]
        elif pick < 0.40:
            steps.append(("checkout", None))
        self.make_cart(rng, self.shop_time(rng, day), who, person, steps)

    def make_cart(self, rng: random.Random, last: datetime, who: str, person: str | None, steps: list[Step]) -> str | None:
        """Post the events of a cart, the last one at `last`."""
        moments = [last]
        for _ in steps[1:]:
            # Milliseconds keep the order of events clear; the last event stays on the whole second.
            moments.append(moments[-1] - timedelta(milliseconds=rng.randint(2_000, 240_000)))
        if self.clock.index(moments[-1]) < 0 or self.clock.index(last) >= self.days:
            return None
        cart_id = self.number("C")
        device: str | None = rng.choices(("mobile", "desktop", "tablet", None), (55, 35, 8, 2))[0]
        other = rng.choice(("desktop", "mobile")) if rng.random() < 0.04 else device
        silent = rng.random() < 0.04  # the last event does not name the device
        for n, ((event, line), at) in enumerate(zip(steps, reversed(moments), strict=True)):
            named = None if silent and n == len(steps) - 1 and n > 0 else device if n == 0 else other
            quantity = line.quantity if line else None
            if quantity == 1 and event == "add" and rng.random() < 0.03:
                quantity = None  # one unit where the shop says nothing
            row = CartEvent(
                self.number("E"), cart_id, person, _visitor(who), event, at,
                line.product_id if line else None, quantity, line.unit_price if line else None, named,
            )  # fmt: skip
            self.post_event(rng, "cart_events", row, at)
        return cart_id

    # ---- contact centre -----------------------------------------------------------------------------------------

    def make_contact_centre(self) -> None:
        """Issues become contacts and cases; spam and outbound calls come on top."""
        rng = self.stream("contacts")
        for key, joined in self.joined.items():
            if key not in self.testers:
                for _ in range(_poisson(rng, 0.010 * max(self.days - joined - 1, 0))):
                    topic = rng.choices(("account", "subscription", "product", "delivery"), (4, 2, 3, 2))[0]
                    self.issues.append(_Issue(rng.randint(joined + 1, self.days), key, topic))
        for day in range(self.days):
            for _ in range(_poisson(rng, 0.0022 * self.customers * self.clock.weight(day))):
                topic = rng.choice(("delivery", "product", "payment", "return"))
                self.issues.append(_Issue(day, None, topic))
        self.issues.sort(key=lambda issue: (issue.day, issue.person_id or "", issue.topic))
        self.taken: set[tuple[str | None, str | None, datetime]] = set()
        for issue in self.issues:
            if issue.day < self.days:
                self.make_issue(rng, issue)
        for day in range(self.days):
            for _ in range(_poisson(rng, 0.0007 * self.customers)):
                self.make_spam(rng, day)

    def contact_time(self, rng: random.Random, day: int) -> datetime:
        """An instant in contact hours; a few are right around midnight."""
        pick = rng.random()
        if pick < 0.015:
            return self.clock.plain(day, rng.randrange(1500))
        if pick < 0.03:
            return self.clock.plain(day, DAY - 1 - rng.randrange(1500))
        hour = rng.choices(range(24), CONTACT_HOUR)[0]
        return self.clock.plain(day, hour * 3600 + rng.randrange(3600))

    def make_issue(self, rng: random.Random, issue: _Issue) -> None:
        """A first contact, perhaps a case, perhaps more contacts."""
        person, topic = issue.person_id, issue.topic
        channel = rng.choices(("phone", "email", "chat"), (50, 28, 22))[0]
        at = self.contact_time(rng, issue.day)
        outcome = "handled"
        if channel == "phone" and rng.random() < 0.10:
            outcome = "abandoned"
        elif channel != "email" and rng.random() < 0.15:
            outcome = "contained"
        if outcome != "handled":
            known = person if rng.random() < 0.7 else None
            self.make_contact(rng, at, known, channel, topic if rng.random() < 0.6 else None, None, outcome)
            if outcome == "contained" or rng.random() < 0.4:
                return
            at = self.clock.office(at + timedelta(seconds=rng.randint(900, 7200)))
            if self.clock.index(at) >= self.days:
                return
        case_id = self.number("K") if rng.random() < 0.93 else None
        first = self.make_contact(rng, at, person, channel, topic, case_id, "handled")
        if first is None:
            return
        if case_id:
            self.make_case(rng, case_id, first)
        contact = first
        while rng.random() < 0.20:
            if rng.random() < 0.04:
                # The very edge of the 7 x 24 h window, on both sides.
                at = contact.started_at + FOLLOW_UP_WINDOW + timedelta(seconds=rng.randrange(2))
            else:
                at = self.contact_time(rng, self.clock.index(contact.started_at) + rng.randint(1, 12))
            if self.clock.index(at) >= self.days:
                return
            same_case = case_id if rng.random() < 0.8 else None
            follow_up = self.make_contact(rng, at, person, rng.choice((channel, "phone")), topic, same_case, "handled")
            if follow_up is None:
                return
            contact = follow_up

    def make_contact(
        self, rng: random.Random, at: datetime, person: str | None, channel: str, topic: str | None,
        case_id: str | None, outcome: str, direction: str = "inbound", spam: bool = False,
    ) -> Contact | None:  # fmt: skip
        """One contact with its transfer legs and later correction; None where that person is already on the line."""
        if (person, topic, at) in self.taken:
            return None
        self.taken.add((person, topic, at))
        day = self.clock.index(at)
        wait = rng.randint(3, 420) if channel != "email" else rng.randint(120, 4 * 3600)
        talk = int(min(rng.lognormvariate(5.6, 0.7), 900)) if outcome == "handled" and not spam else 0
        hold = rng.randint(5, 90) if talk and rng.random() < 0.3 else 0
        # Nothing runs into the small hours, where the clock may change.
        close = self.clock.plain(day, DAY - 1) if at < self.clock.plain(day, DAY - 1800) else at + timedelta(minutes=25)
        if self.clock.changes_offset(day) and at < self.clock.local(day, 2 * 3600):
            close = self.clock.local(day, 2 * 3600 - 1)
        answered = min(at + timedelta(seconds=wait), close) if outcome == "handled" else None
        wait = int((answered - at).total_seconds()) if answered else wait
        ended = min((answered or at + timedelta(seconds=wait)) + timedelta(seconds=talk + hold), close)
        queue = None if outcome == "contained" else "sales" if topic == "product" else "billing" if topic in (
            "payment", "subscription"
        ) else rng.choices(("service", "vip"), (9, 1))[0]  # fmt: skip
        agent = f"A{rng.randint(1, 24):02d}" if outcome == "handled" else None
        contact_id = self.number("T")
        contact = Contact(
            contact_id, case_id, person, channel, direction, topic, queue, agent, at, answered, ended, wait, talk, hold,
            rng.randint(10, 90) if talk else 0, outcome, contact_id if rng.random() < 0.5 else None, None, spam, ended,
        )  # fmt: skip
        self.post("contacts", contact, day, _lag(rng, 0.01))
        if outcome == "handled" and channel != "email" and not spam and rng.random() < 0.12:
            leg = contact._replace(
                contact_id=self.number("T"), root_contact_id=contact_id, previous_contact_id=contact_id,
                queue="second_line", agent_id=f"A{rng.randint(25, 32)}", wait_seconds=15, started_at=ended,
                answered_at=ended + timedelta(seconds=15), ended_at=ended + timedelta(seconds=rng.randint(45, 315)),
            )  # fmt: skip
            if self.clock.index(ended) < self.days:
                self.post("contacts", leg._replace(updated_at=leg.ended_at), self.clock.index(ended))
        if topic and not spam and rng.random() < 0.02 and day + 1 < self.days:
            # An agent corrects the topic on the next day: the mart's row moves.
            fixed = contact._replace(
                topic="product" if topic != "product" else "delivery",
                updated_at=self.clock.plain(day + 1, rng.randrange(9 * 3600, 17 * 3600)),
            )
            if (person, fixed.topic, at) not in self.taken:
                self.taken.add((person, fixed.topic, at))
                self.post("contacts", fixed, day + 1)
        if outcome == "handled" and direction == "inbound" and not spam and rng.random() < 0.06:
            back = self.clock.office(ended + timedelta(seconds=rng.randint(3600, 2 * DAY)))
            if self.clock.index(back) < self.days:
                self.make_contact(rng, back, person, "phone", topic, case_id, "handled", "outbound")
        return contact

    def make_spam(self, rng: random.Random, day: int) -> None:
        """A spam mail, every other one with a case."""
        case_id = self.number("K") if rng.random() < 0.5 else None
        at = self.contact_time(rng, day)
        contact = self.make_contact(rng, at, None, "email", None, case_id, "handled", spam=True)
        if case_id and contact:
            closed = self.clock.office(contact.ended_at + timedelta(hours=2))
            self.post_case(rng, case_id, contact, [("opened", contact.started_at), ("closed", closed)], True, True)

    def make_case(self, rng: random.Random, case_id: str, first: Contact) -> None:
        """The course of a case, from the first contact to its end, if it has one."""
        opened, office = first.started_at, self.clock.office
        at = opened + timedelta(minutes=rng.randint(1, 20))
        course = [("opened", opened), ("assigned", at)]
        by_phone = first.channel != "email" and rng.random() < 0.5
        if not by_phone:
            at = office(at + _span(rng.lognormvariate(4.5, 1.0)))
            course.append(("replied", at))
        if rng.random() < 0.17:
            at = office(at + timedelta(minutes=rng.randint(10, 900)))
            course.append(("assigned", at))
        fate = rng.choices(("resolved", "closed", "nothing"), (88, 5, 7))[0]
        while fate == "resolved":
            quick = by_phone and len(course) == 2
            at = max(first.ended_at, at) if quick else office(at + _span(60 * rng.lognormvariate(2.6, 1.0)))
            course.append(("resolved", at))
            if rng.random() >= 0.10:
                break
            at = office(at + _span(60 * rng.uniform(2, 200)))
            if self.clock.index(at) < self.days and rng.random() < 0.7:
                self.make_contact(rng, at, first.person_id, first.channel, first.topic, case_id, "handled")
            at += timedelta(minutes=2)
            course.append(("reopened", at))
            fate = rng.choices(("resolved", "closed", "nothing"), (85, 5, 10))[0]
        if fate == "closed" or (fate == "resolved" and rng.random() < 0.8):
            at = office(at + timedelta(days=4, minutes=rng.randint(0, 300)))
            course.append(("closed", at))
        self.post_case(rng, case_id, first, course, False, rng.random() < 0.12)

    def post_case(self, rng: random.Random, case_id: str, first: Contact, course: Course, spam: bool, mute: bool) -> None:
        """Deliver the events of a case, and its row as it stood at the end of each day on which something happened.

        A `mute` case comes from a tool that fills in neither resolved_at nor the counters: only its events tell.
        """
        case = Case(
            case_id, first.person_id, first.channel, first.topic, rng.choice(("normal", "normal", "high")), first.queue,
            first.agent_id, "open", first.started_at, None, None, None if mute else 0, None if mute else 0, spam,
            first.started_at,
        )  # fmt: skip
        assigned = 0
        for n, (event, at) in enumerate(course):
            day = self.clock.index(at)
            if day >= self.days:
                return
            by_customer = event in ("opened", "reopened")
            actor = ("customer", first.person_id) if by_customer else ("agent", first.agent_id)
            row = CaseEvent(self.number("V"), case_id, event, at, *(("system", None) if event == "closed" else actor))
            self.post_event(rng, "case_events", row, at)
            case = case._replace(updated_at=at)
            if event == "assigned":
                assigned += 1
                if assigned > 1:
                    case = case._replace(
                        agent_id=f"A{rng.randint(1, 24):02d}",
                        reassignment_count=None if mute else assigned - 1,
                    )
            elif event == "resolved":
                case = case._replace(status="resolved", resolved_at=None if mute else at)
                self.case_outcomes.append((case_id, first.person_id, at))
            elif event == "reopened":
                count = None if mute else (case.reopen_count or 0) + 1
                case = case._replace(status="open", resolved_at=None, reopen_count=count)
            elif event == "closed":
                case = case._replace(status="closed", closed_at=at)
            if n + 1 == len(course) or self.clock.index(course[n + 1][1]) != day:
                # The first version is never late: an event must not come before its case.
                self.post("cases", case, day, _lag(rng, 0.01) if day > self.clock.index(case.opened_at) else 0)

    # ---- surveys ------------------------------------------------------------------------------------------------

    def make_surveys(self) -> None:
        """Answers after orders (nps) and after resolved cases (csat, ces)."""
        rng = self.stream("surveys")
        for orders in self.deliveries["orders"]:
            for order in orders:
                if order.person_id and order.status == "paid" and not order.is_test and rng.random() < 0.12:
                    at = order.updated_at + timedelta(seconds=rng.randint(3600, 6 * DAY))
                    score = min(10, max(0, round(rng.gauss(8.1, 2.0))))
                    self.post_response(rng, "relation", "nps", order.person_id, None, score, 0, 10, at)
        for case_id, person, resolved in self.case_outcomes:
            if rng.random() < 0.22:
                at = resolved + timedelta(seconds=rng.randint(600, 3 * DAY))
                score = min(5, max(1, round(rng.gauss(4.1, 1.0))))
                self.post_response(rng, "after_case", "csat", person, case_id, score, 1, 5, at)
                if rng.random() < 0.6:
                    score = min(7, max(1, round(rng.gauss(5.3, 1.3))))
                    self.post_response(rng, "after_case", "ces", person, case_id, score, 1, 7, at)

    def post_response(
        self, rng: random.Random, survey: str, kind: str, person: str | None, case_id: str | None,
        score: int, low: int, high: int, at: datetime,
    ) -> None:  # fmt: skip
        """One answer; a few are not completed, a few are revised later."""
        day = self.clock.index(at)
        if day >= self.days:
            return
        status = rng.choices(("completed", "partial", "dismissed", "preview"), (92, 4, 3, 1))[0]
        row = SurveyResponse(
            self.number("Q"), survey, kind, person, case_id, score if status in ("completed", "preview") else None,
            low, high, at, status, at,
        )  # fmt: skip
        self.post("survey_responses", row, day, _lag(rng, 0.01))
        revised = at + timedelta(seconds=rng.randint(DAY, 3 * DAY))
        if status == "completed" and rng.random() < 0.02 and self.clock.index(revised) < self.days:
            better = row._replace(score=min(high, score + 1), updated_at=revised)
            self.post("survey_responses", better, self.clock.index(revised))

    # ---- files --------------------------------------------------------------------------------------------------

    def sort(self) -> None:
        """Order the rows of each file by time and key, as a database export would."""
        for feed, files in self.deliveries.items():
            order = _file_order(feed)
            for rows in files:
                rows.sort(key=order)

    def spoil(self) -> list[BadRow]:
        """Put a bad row into some of the larger files; says where they stand."""
        from orchestration.lib.simulator.exports import file_name, line_of

        rng = self.stream("bad rows")
        found: list[BadRow] = []
        for feed, files in self.deliveries.items():
            for day, rows in enumerate(files):
                if feed not in SPOILS or len(rows) < MIN_ROWS_FOR_BAD or rng.random() >= 0.08:
                    continue
                name, text, reason = rng.choice(SPOILS[feed])
                position = rng.randrange(len(rows) + 1)
                # A twin under ids of its own: were it accepted, counts would be off.
                rows.insert(position, Spoiled(self.twin(feed, rng.choice(rows)), name, text, reason))
                where = file_name(feed, self.clock.start + timedelta(days=day))
                found.append(BadRow(feed, where, line_of(feed, rows, position), reason))
        return found

    def twin(self, feed: str, row: Any) -> Any:
        """The row under new ids."""
        key = row._fields[0]
        twin = row._replace(**{key: self.number(f"X{feed[:2].upper()}")})
        if feed == "order_lines":
            # Line breaks stay with the good rows: a bad row fills exactly one line.
            twin = row._replace(line_id="99", product_name="Bad row")
        elif feed == "cart_events":
            twin = twin._replace(cart_id=self.number("XC"), event="add", quantity=1)
        elif feed == "contacts":
            twin = twin._replace(root_contact_id=None, previous_contact_id=None)
        return twin


def _file_order(feed: str) -> Callable[[Any], tuple[Any, ...]]:
    if feed == "order_lines":
        return lambda row: (row.updated_at, row.order_id, int(row.line_id))
    if feed == "refunds":
        return lambda row: (row.refunded_at, row.refund_id)
    if "updated_at" in FEEDS[feed]._fields:
        return lambda row: (row.updated_at, row[0])
    if "occurred_at" in FEEDS[feed]._fields:
        return lambda row: (row.occurred_at, row[0])
    return lambda row: row[0]


def _catalogue(rng: random.Random) -> list[tuple[str, str, int, int | None]]:
    """Products as (sku, name, price, cost); two names need quotes and break the line."""
    things: Iterable[str] = ("Lamp", "Mug", "Chair", "Rug", "Vase", "Clock", "Blanket", "Shelf", "Mirror", "Basket")
    products: list[tuple[str, str, int, int | None]] = []
    for thing in things:
        for look in ("oak", "blue", "small", "XL"):
            price = rng.randrange(590, 8990, 100) + 5 * rng.randrange(2)
            cost = price * rng.randint(40, 65) // 100
            products.append((f"SKU-{len(products) + 1:03d}", f"{thing}, {look}", price, cost))
    rng.shuffle(products)
    for place, name in ((6, 'Candle set "Nordic"\n3 pieces'), (17, "Table linen\nwashed, 140 × 240")):
        products[place] = (products[place][0], name, *products[place][2:])
    return products


def _lag(rng: random.Random, share: float) -> int:
    """Days by which a row is late: mostly none."""
    return rng.randint(1, 3) if rng.random() < share else 0


def _poisson(rng: random.Random, mean: float) -> int:
    """A Poisson draw for small means: unit arrivals until the mean is used up."""
    count, left = 0, mean - rng.expovariate(1)
    while left > 0:
        count, left = count + 1, left - rng.expovariate(1)
    return count


def _span(minutes: float) -> timedelta:
    """A duration in whole seconds: exports do not carry fractions, so truth must not either."""
    return timedelta(seconds=int(minutes * 60))


def _mobile(rng: random.Random) -> str:
    """A Dutch mobile number; a few of them nobody can have, because numbers after 066 and 067 are none."""
    return f"+316{rng.randrange(10**8):08d}"


def _visitor(who: str) -> str:
    return f"v-{who.lower()}"
