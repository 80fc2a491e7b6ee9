"""Random histories of tiny companies: what happened, how its exports told it, and in what order they were taken.

Belongs here: the steps a history is made of, the making of one from a random source, its text. Does not: what a history
means (`tests.ledger`), running it against the pipeline (`tests.replay`), any expected number.

A history is plain data: a configuration and a list of steps, of which any may be left out and the rest still is a
history. So a failing one is reduced by leaving out steps and rows, and can be kept as an example.

The company is made to be awkward, not likely: few persons, orders and contacts, so that every key is corrected; instants
near midnight and exactly at the ends of windows; days in clumps with weeks or half a year between them. The source of
randomness is a `random.Random`, or Hypothesis' `randoms()`, which it can shrink.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from random import Random
from typing import Any

from data_quality.contract import load_contracts
from tests import (
    histories_commerce,
    histories_contact_center,
    histories_customer_base,
    histories_persons,
    histories_self_service,
    histories_surveys,
)

Values = dict[str, Any]
SUBJECTS = (
    histories_commerce, histories_contact_center, histories_customer_base, histories_persons, histories_self_service,
    histories_surveys,
)  # fmt: skip
"""Modules that tell what happens in their feeds: THEMES, SPOILED and, by feed, MAKERS of a world's day."""
SNAPSHOTS = ("persons", "subscriptions", "cases")
ZONES = ("UTC", "Europe/Amsterdam", "America/New_York", "Asia/Kolkata", "Pacific/Auckland")
STARTS = (date(2025, 10, 20), date(2026, 3, 20), date(2024, 2, 20), date(2025, 12, 22), date(2025, 8, 3))
TIMES = (time(0), time(0, 0, 1), time(5, 30), time(12), time(22, 30), time(23, 59, 59))
CORE = (
    "persons", "subscriptions", "case_events", "cases", "contacts", "cart_events", "order_lines", "orders", "refunds",
)  # fmt: skip
THEMES: tuple[tuple[str, ...], ...] = (
    ("orders", "order_lines", "refunds", "persons"),
    ("orders", "order_lines"),
    ("order_lines", "refunds", "persons"),
    ("orders", "cart_events"),
    ("cart_events", "orders", "order_lines"),
    ("contacts", "case_events", "persons"),
    ("cases", "case_events"),
    ("cases", "case_events", "contacts"),
    ("subscriptions", "persons"),
    ("subscriptions",),
    ("subscriptions", "orders", "order_lines", "persons"),
    CORE,
    *(theme for module in SUBJECTS for theme in module.THEMES),
)
EVENTS = ("opened", "replied", "assigned", "resolved", "resolved", "reopened", "reopened", "closed")
# Wrong values per feed that its contract must send to quarantine.
SPOILED = {
    "orders": (("ordered_at", "soon"), ("status", "sold"), ("currency", "dollar"), ("order_id", "")),
    "order_lines": (("quantity", "some"), ("unit_price", ""), ("currency", "dollar")),
    "refunds": (("amount", "-1.00"), ("refunded_at", ""), ("currency", "dollar")),
    "cart_events": (("event", "look"), ("occurred_at", "2025-13-01T00:00:00Z")),
    "contacts": (("direction", "sideways"), ("started_at", "")),
    "cases": (("opened_at", "yesterday"), ("reopen_count", "1.5")),
    "case_events": (("event", "lost"), ("case_id", "")),
    "subscriptions": (("started_at", "soon"), ("subscription_id", "")),
    "persons": (("person_id", ""), ("is_test", "perhaps")),
    **{feed: spoiled for module in SUBJECTS for feed, spoiled in module.SPOILED.items()},
}


@dataclass(frozen=True)
class Line:
    """One row of a file: typed values by canonical column; amounts in cents, instants in UTC.

    `spoiled` replaces the text of one column, so that the row belongs in quarantine; the column `*` puts a field too many.
    """

    values: tuple[tuple[str, Any], ...]
    spoiled: tuple[str, str] | None = None


@dataclass(frozen=True)
class Content:
    """What a file holds. `broken` says why it cannot be read at all: empty, header, bytes."""

    feed: str
    lines: tuple[Line, ...] = ()
    broken: str | None = None

    def text(self) -> bytes:
        """The file as it lies in the landing folder: CSV with every column of the contract."""
        contract = load_contracts()[self.feed]
        columns = [column.name for column in contract.properties]
        if self.broken == "empty":
            return b""
        if self.broken == "header":
            columns = [column for column in columns if column not in contract.key]
        amounts = {column.name for column in contract.properties if column.logicalType == "number"} - {"quantity"}
        rows = [",".join(columns)]
        for line in self.lines:
            values, spoiled = dict(line.values), dict([line.spoiled] if line.spoiled else [])
            fields = [spoiled.get(name, _text(values.get(name), name in amounts)) for name in columns]
            rows.append(",".join([*fields, "surplus"] if "*" in spoiled else fields))
        return "".join(row + "\n" for row in rows).encode() + (b"\xff\xfe\n" if self.broken == "bytes" else b"")


@dataclass(frozen=True)
class Put:
    """A file comes, or comes again; `why` is what a reader of the history is told."""

    name: str
    day: date
    content: Content
    why: str


@dataclass(frozen=True)
class TakeAway:
    """A file that holds nothing loaded is taken away again (one that does is left: it may not go)."""

    name: str


@dataclass(frozen=True)
class Configure:
    """Configured values change."""

    business: tuple[tuple[str, Any], ...]


@dataclass(frozen=True)
class Night:
    """A run: nightly up to `last`, or exactly the days `first` .. `last`. `stop` is where it is killed: `taken`, `loaded`
    or `built` with how many feeds or models, `judged`."""

    last: date
    first: date | None = None
    stop: tuple[str, int] | None = None


Step = Put | TakeAway | Configure | Night


@dataclass(frozen=True)
class History:
    """A configuration and what happened under it."""

    feeds: tuple[str, ...]
    snapshots: tuple[str, ...]
    expected: tuple[str, ...]
    business: tuple[tuple[str, Any], ...]
    steps: tuple[Step, ...]

    def config(self, business: dict[str, Any]) -> str:
        """The text of cx.toml under these values."""
        lines = ["[business]", *(f"{name} = {_toml(value)}" for name, value in business.items())]
        for feed in self.feeds:
            lines += ["[[feed]]", f'feed = "{feed}"', f'pattern = "{feed}/{{day}}*.csv"', 'format = "csv"']
            lines += ['delivery = "snapshot"'] if feed in self.snapshots else []
            lines += ['expected = "daily"'] if feed in self.expected else []
        return "\n".join(lines) + "\n"

    def script(self) -> str:
        """The history for people: configuration, files with their contents, nights."""
        parts = [self.config(dict(self.business))]
        for n, step in enumerate(self.steps):
            match step:
                case Put():
                    text = step.content.text().decode("utf-8", "backslashreplace")
                    parts.append(f"--- {n}: {step.name} ({step.why})\n{_without_empty_columns(text)}")
                case TakeAway():
                    parts.append(f"--- {n}: take away {step.name}\n")
                case Configure():
                    parts.append(f"--- {n}: configure {dict(step.business)}\n")
                case Night():
                    window = f"{step.first} .. {step.last}" if step.first else f"nightly up to {step.last}"
                    killed = f", killed: {step.stop[0]} {step.stop[1]}" if step.stop else ""
                    parts.append(f"--- {n}: run {window}{killed}\n")
        return "".join(parts)


def _text(value: Any, is_amount: bool) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%dT%H:%M:%S}Z"
    if is_amount and isinstance(value, int):
        return f"{'-' if value < 0 else ''}{abs(value) // 100}.{abs(value) % 100:02d}"
    return str(value)


def _toml(value: Any) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value).lower()


def _without_empty_columns(text: str) -> str:
    rows = [line.split(",") for line in text.splitlines()]
    if len(rows) < 2 or len({len(row) for row in rows}) > 1:
        return text
    kept = [n for n in range(len(rows[0])) if any(row[n] for row in rows[1:])]
    return "".join(",".join(row[n] for n in kept) + "\n" for row in rows)


# ---- the company ----------------------------------------------------------------------------------------------------


@dataclass
class _World:
    """What is so at the moment, and the rows that say it."""

    rng: Random
    feeds: tuple[str, ...]
    persons: list[str]
    now: dict[str, dict[str, Values]] = field(default_factory=lambda: defaultdict(dict))
    made: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    version: int = 0

    def instant(self, day: date) -> datetime:
        return datetime.combine(day, self.rng.choice(TIMES), UTC)

    def person(self) -> str | None:
        return self.rng.choice([*self.persons, *self.persons, None])

    def currency(self) -> str:
        """What an amount is in: one currency, where nobody exports rates."""
        return self.rng.choice(("EUR", "EUR", "USD", "USD", "GBP")) if "fx_rates" in self.feeds else "EUR"

    def fresh(self, prefix: str) -> str:
        self.made[prefix] += 1
        return f"{prefix}{self.made[prefix]}"

    def some(self, feed: str) -> Values | None:
        """Something that exists already."""
        return self.now[feed][self.rng.choice(sorted(self.now[feed]))] if self.now[feed] else None

    def tell(self, feed: str, values: Values) -> list[tuple[str, Values]]:
        """The row that says so, with its version; nothing where nobody exports the feed."""
        contract = load_contracts()[feed]
        key = "/".join(str(values[name]) for name in contract.key)
        if contract.versionColumn:
            # Mostly newer; sometimes a correction keeps the version, or has none, or is older than what it corrects.
            self.version += self.rng.choice((1, 1, 1, 1, 0))
            age = self.rng.choice((0, 0, 0, 0, 0, 3))
            stamp = datetime(2025, 1, 1, tzinfo=UTC) + timedelta(minutes=max(self.version - age, 0))
            values = {**values, "updated_at": self.rng.choice((stamp, stamp, stamp, stamp, stamp, None))}
        self.now[feed][key] = values
        return [(feed, values)] if feed in self.feeds else []

    def day(self, day: date) -> list[tuple[str, Values]]:
        """What happens on a day, as rows."""
        makers = {
            "orders": self._order,
            "order_lines": self._order,
            "refunds": self._refund,
            "cart_events": self._cart,
            "contacts": self._contact,
            "cases": self._case,
            "case_events": self._case,
            "subscriptions": self._term,
            "persons": self._persons,
        }
        for module in SUBJECTS:
            makers |= {feed: partial(maker, self) for feed, maker in module.MAKERS.items()}
        told: list[tuple[str, Values]] = []
        for _ in range(self.rng.choice((0, 1, 2, 3, 5))):
            told += makers[self.rng.choice(self.feeds)](day)
        return told

    def _amount(self) -> int:
        return self.rng.choice((0, 1, 999, 1000, 2550))

    def _order(self, day: date) -> list[tuple[str, Values]]:
        rng, known = self.rng, self.some("orders")
        if known and rng.random() < 0.5:
            return self._correct_order(known, day)
        order_id = self.fresh("O")
        header: Values = {
            "order_id": order_id, "person_id": self.person(), "ordered_at": self.instant(day), "currency": self.currency(),
            "cart_id": rng.choice((None, *sorted({v["cart_id"] for v in self.now["cart_events"].values() if v["cart_id"]}))),
            "status": rng.choice(("paid", "paid", "paid", "pending", "cancelled")),
            "sales_channel": rng.choice(("web", "store", None)), "country": rng.choice(("NL", "DE", None)),
            "discount_amount": rng.choice((None, 0, 150)), "tax_amount": rng.choice((None, 21)),
            "shipping_amount": rng.choice((None, 495)), "is_test": rng.choice((None, False, False, True)),
        }  # fmt: skip
        told: list[tuple[str, Values]] = []
        has_header = "orders" in self.feeds and rng.random() < 0.85
        if has_header:
            told += self.tell("orders", header)
        for n in range(rng.choice((0, 1, 1, 2, 3)) if has_header else rng.choice((1, 2))):
            told += self._line(order_id, str(n + 1), None if has_header and rng.random() < 0.7 else header)
        return told

    def _line(self, order_id: str, line_id: str, header: Values | None) -> list[tuple[str, Values]]:
        rng = self.rng
        is_return = rng.random() < 0.2
        values: Values = {
            "order_id": order_id, "line_id": line_id, "product_id": rng.choice((None, "A", "B")),
            "quantity": -rng.choice((1, 2)) if is_return else rng.choice((1, 2, 3)),
            "unit_price": self._amount(), "discount_amount": rng.choice((None, 0, 50)), "unit_cost": rng.choice((None, 400, 700)),
            "is_return": is_return or rng.choice((None, False)), "is_gift_card": rng.choice((None, False, False, False, True)),
        }  # fmt: skip
        if header:
            values |= {name: header[name] if rng.random() < 0.8 else None for name in ("person_id", "country", "currency")}
            values["ordered_at"] = rng.choice((header["ordered_at"], header["ordered_at"], header["ordered_at"], None))
            if is_return and values["ordered_at"]:
                values["ordered_at"] += timedelta(days=rng.choice((0, -1, 1, 14)))
        return self.tell("order_lines", values)

    def _correct_order(self, order: Values, day: date) -> list[tuple[str, Values]]:
        rng = self.rng
        if rng.random() < 0.4:
            lines = [line for line in self.now["order_lines"].values() if line["order_id"] == order["order_id"]]
            if lines and rng.random() < 0.6:
                line = rng.choice(lines)
                changed = rng.choice(
                    (
                        {"unit_price": self._amount()},
                        {"quantity": line["quantity"] * 2},
                        {"unit_cost": None},
                        {"product_id": "C"},
                        {"discount_amount": 75},
                    )
                )
                return self.tell("order_lines", {**line, **changed})
            return self._line(order["order_id"], str(rng.choice((1, 4, 5))), rng.choice((None, order)))
        changed = rng.choice((
            {"person_id": self.person()}, {"status": rng.choice(("paid", "cancelled"))}, {"is_test": not order["is_test"]},
            {"ordered_at": self.instant(day)}, {"ordered_at": order["ordered_at"] + timedelta(days=rng.choice((-1, 1)))},
            {"country": rng.choice(("NL", "DE", None))}, {"discount_amount": rng.choice((None, 99))}, {},
            *([{"currency": self.currency()}] * 3 if "fx_rates" in self.feeds else []),
        ))  # fmt: skip
        return self.tell("orders", {**order, **changed})

    def _refund(self, day: date) -> list[tuple[str, Values]]:
        known, again = self.some("orders") or self.some("order_lines"), self.some("refunds")
        if again and self.rng.random() < 0.2:
            return self.tell("refunds", {**again, "amount": self.rng.choice((100, 333))})
        order_id = known["order_id"] if known and self.rng.random() < 0.85 else self.rng.choice(("O1", "O2", "X9"))
        at = self.instant(day + timedelta(days=self.rng.choice((0, 0, 0, 60))))
        return self.tell(
            "refunds",
            {"refund_id": self.fresh("R"), "order_id": order_id, "refunded_at": at, "amount": self.rng.choice((100, 1000)),
             "currency": self.currency()},
        )  # fmt: skip

    def _cart(self, day: date) -> list[tuple[str, Values]]:
        rng, known = self.rng, self.some("cart_events")
        if known and rng.random() < 0.15:
            # the same event, told otherwise
            other: Values = rng.choice(({"device": "mobile"}, {"occurred_at": self.instant(day)}, {"event": "checkout"}))
            return self.tell("cart_events", {**known, **other})
        cart_id = known["cart_id"] if known and known["cart_id"] and rng.random() < 0.4 else self.fresh("C")
        told: list[tuple[str, Values]] = []
        at = self.instant(day)
        for event in rng.choice((("add",), ("add",), ("add", "checkout"), ("add", "remove"), ("add", "empty"), ("empty", "add"))):
            values = {"event_id": self.fresh("E"), "cart_id": cart_id, "event": event, "occurred_at": at,
                      "person_id": self.person(), "quantity": rng.choice((None, 1, 2)),
                      "device": rng.choice((None, "mobile", "desktop"))}  # fmt: skip
            told += self.tell("cart_events", values)
            at += timedelta(minutes=rng.choice((0, 1, 90)))
        if "orders" in self.feeds and rng.random() < 0.5:
            hours = rng.choice((-1, 0, 1, 24, 24, 25, 24 * 7, 24 * 7 + 1))
            order = {"order_id": self.fresh("O"), "person_id": self.person(), "cart_id": cart_id, "currency": self.currency(),
                     "ordered_at": at + timedelta(hours=hours), "status": rng.choice(("paid", "paid", "cancelled")),
                     "is_test": None, "country": None, "discount_amount": None}  # fmt: skip
            told += self.tell("orders", order)
            told += self._line(order["order_id"], "1", None)
        return told

    def _contact(self, day: date) -> list[tuple[str, Values]]:
        rng, known = self.rng, self.some("contacts")
        if known and rng.random() < 0.25:
            other = rng.choice((
                {"person_id": self.person()}, {"topic": "bill"}, {"outcome": "abandoned"}, {"outcome": "handled"},
                {"is_spam": not known["is_spam"]}, {"started_at": self.instant(day), "ended_at": None}, {"case_id": "K1"},
                {"direction": "outbound"},
            ))  # fmt: skip
            return self.tell("contacts", {**known, **other})
        at, person, topic = self.instant(day), self.person(), rng.choice(("bill", "late", None))
        if known and rng.random() < 0.5:
            # exactly the window later, or a moment more
            at = known["started_at"] + timedelta(days=rng.choice((0, 1, 7)), seconds=rng.choice((0, 0, 1)))
            person, topic = known["person_id"], known["topic"]
        contact_id = self.fresh("T")
        return self.tell(
            "contacts",
            {"contact_id": contact_id, "case_id": rng.choice((None, "K1", "K2")), "person_id": person, "topic": topic,
             "channel": rng.choice(("phone", "chat")), "direction": rng.choice(("inbound", "inbound", "inbound", "outbound")),
             "queue": rng.choice((None, "first")), "started_at": at, "is_spam": rng.choice((None, None, True)),
             "outcome": rng.choice(("handled", "handled", "handled", "abandoned", "contained")),
             "root_contact_id": rng.choice((None, None, contact_id, "T1"))},
        )  # fmt: skip

    def _case(self, day: date) -> list[tuple[str, Values]]:
        rng = self.rng
        if rng.random() < 0.6:
            again = self.some("case_events")
            if again and rng.random() < 0.15:
                return self.tell(
                    "case_events", {**again, "case_id": rng.choice(("K1", "K2", "K3")), "occurred_at": self.instant(day)}
                )
            return self.tell(
                "case_events",
                {"event_id": self.fresh("V"), "case_id": rng.choice(("K1", "K2", "K3", "K9")), "occurred_at": self.instant(day),
                 "event": rng.choice(EVENTS)},
            )  # fmt: skip
        opened = self.instant(day)
        case: Values = {
            "case_id": rng.choice(("K1", "K2", "K3")), "person_id": self.person(), "opened_at": opened, "queue": None,
            "channel": rng.choice((None, "phone")), "topic": rng.choice((None, "bill")),
            "is_spam": rng.choice((None, None, None, True)), "reassignment_count": rng.choice((None, 0, 1)),
            "resolved_at": rng.choice((None, opened, opened + timedelta(hours=30))),
            "closed_at": rng.choice((None, opened + timedelta(days=20))), "reopen_count": rng.choice((None, 0)),
        }  # fmt: skip
        return self.tell("cases", case)

    def _term(self, day: date) -> list[tuple[str, Values]]:
        rng, known = self.rng, self.some("subscriptions")
        if known and rng.random() < 0.4:
            end = known["started_at"] + timedelta(days=rng.choice((0, 1, 30, (day - known["started_at"].date()).days % 400)))
            other: Values = rng.choice(
                ({"ended_at": end}, {"ended_at": None}, {"plan": "plus"}, {"person_id": rng.choice(self.persons)})
            )
            return self.tell("subscriptions", {**known, **other})
        start = self.instant(day)
        if known and known["ended_at"] and rng.random() < 0.6:
            # a renewal within the grace, on its last day, or after it
            start = known["ended_at"] + timedelta(days=rng.choice((-3, 0, 6, 7, 8, 20)))
        person = (known["person_id"] if known and rng.random() < 0.5 else None) or rng.choice(self.persons)
        # of a company's contract, nobody may know a person
        person, account = rng.choice(((person, None), (person, None), (person, "A1"), (None, "A1")))
        account = account if person else "A1"
        return self.tell(
            "subscriptions",
            {"subscription_id": self.fresh("S"), "person_id": person, "account_id": account,
             "plan": rng.choice(("basic", "plus", None)),
             "started_at": start,
             "ended_at": rng.choice((None, start + timedelta(days=rng.choice((0, 1, 10, 31)))))},
        )  # fmt: skip

    def _persons(self, day: date) -> list[tuple[str, Values]]:
        return self.tell("persons", histories_persons.person(self.rng, self.persons, self.some("persons")))


# ---- its deliveries -------------------------------------------------------------------------------------------------


def make_history(rng: Random, nights: tuple[int, int] = (4, 7)) -> History:
    """A history from a source of randomness, with about so many nights."""
    feeds = rng.choice(THEMES)
    snapshots = tuple(feed for feed in feeds if feed in SNAPSHOTS and rng.random() < 0.35)
    business: Values = {"timezone": rng.choice(ZONES)}
    if rng.random() < 0.4:
        business |= {
            "churn_inactive_days": rng.choice((2, 30)), "contract_grace_days": rng.choice((0, 7)),
            "min_history_days": rng.choice((0, 30)), "late_allowance_days": rng.choice((0, 3)),
            "margin_share": rng.choice((1.0, 0.4)), "cart_gap_minutes": rng.choice((1, 30)),
        }  # fmt: skip
    if "persons" in feeds and rng.random() < 0.5:
        business |= histories_persons.business(rng)
    world = _World(rng, feeds, [f"P{n + 1}" for n in range(rng.randint(2, 6))])
    days = _days(rng)
    puts = _deliveries(rng, world, snapshots, days)
    return History(
        feeds,
        snapshots,
        tuple(feed for feed in feeds if rng.random() < 0.1),
        tuple(business.items()),
        tuple(_order_of_steps(rng, puts, days, nights)),
    )


def _days(rng: Random) -> list[date]:
    """Days on which something happens: clumps, with weeks or half a year between them."""
    day, days = rng.choice(STARTS), []
    gap = rng.choice((0, 0, 20, 45, 179, 180, 181, 366))
    count = rng.randint(6, 18)
    at = rng.randrange(2, count)
    for n in range(count):
        days.append(day)
        day += timedelta(days=(gap or 1) if n == at else rng.choice((1, 1, 1, 2)))
    return days


def _deliveries(rng: Random, world: _World, snapshots: tuple[str, ...], days: list[date]) -> list[tuple[date, Put]]:
    """Files with the day they come."""
    files: dict[tuple[str, date, str], list[Line]] = defaultdict(list)
    for day in days:
        for feed, values in world.day(day):
            if feed not in snapshots:
                # the day of the file: that of the row, some days or months later, or (clocks differ) the day before
                late = rng.choice((0, 0, 0, 0, 0, 0, 1, 1, 5, 40, 100, -1))
                files[feed, day + timedelta(days=late), rng.choice(("", "", "", "", "b"))].append(_line(rng, feed, values))
        for feed in snapshots:
            if rng.random() < 0.4:
                if world.now[feed] and rng.random() < 0.3:
                    del world.now[feed][rng.choice(sorted(world.now[feed]))]
                files[feed, day, ""] = [_line(rng, feed, values) for values in world.now[feed].values()]
    for feed in world.feeds:
        if rng.random() < 0.3:
            files.setdefault((feed, rng.choice(days), "c"), [])
    puts: list[tuple[date, Put]] = []
    for (feed, day, part), lines in sorted(files.items()):
        content = Content(feed, tuple(lines))
        comes = day + timedelta(days=rng.choice((0, 0, 0, 0, 0, 1, 3, 30)))
        put = Put(f"{feed}/{day}{part}.csv", day, content, "" if lines else "empty")
        puts.append((comes, put))
        puts += _again(rng, put, comes, puts)
    return puts


def _line(rng: Random, feed: str, values: Values) -> Line:
    spoiled = rng.choice((*SPOILED[feed], ("*", ""))) if rng.random() < 0.05 else None
    return Line(tuple(sorted(values.items())), spoiled)


def _again(rng: Random, put: Put, comes: date, before: list[tuple[date, Put]]) -> list[tuple[date, Put]]:
    """What else the source does to a file it delivered: nothing, mostly."""
    later = comes + timedelta(days=rng.choice((0, 1, 2, 10, 60)))
    content, stem = put.content, put.name.removesuffix(".csv")
    roll = rng.random()
    if roll < 0.06:
        return [(later, dataclasses.replace(put, why="the same file again"))]
    if roll < 0.14:
        # sorts before or behind the original, for the same day
        return [
            (later, dataclasses.replace(put, name=f"{stem}{rng.choice(('+copy', '~copy'))}.csv", why="a copy under another name"))
        ]
    if roll < 0.18:
        other = put.day + timedelta(days=rng.choice((-2, -1, 1, 2)))
        return [(later, Put(f"{content.feed}/{other}copy.csv", other, content, "a copy for another day"))]
    if roll < 0.26 and content.lines:
        fewer = tuple(line for line in content.lines if rng.random() < 0.6)
        return [(later, dataclasses.replace(put, content=Content(content.feed, fewer), why="new content: rows vanished"))]
    if roll < 0.31:
        others = [p.content for _, p in before if p.content.feed == content.feed and p.content != content]
        if others:
            return [(later, dataclasses.replace(put, content=rng.choice(others), why="new content: that of another file"))]
    if roll < 0.34:
        return [(later, dataclasses.replace(put, content=Content(content.feed), why="withdrawn: header only"))]
    if roll < 0.42:
        if rng.random() < 0.5 or not content.lines:
            wrong = dataclasses.replace(content, broken=rng.choice(("empty", "header", "bytes")))
        else:
            spoiled = rng.choice(SPOILED[content.feed])
            wrong = Content(content.feed, tuple(Line(content.lines[0].values, spoiled) for _ in range(2)) + content.lines)
        corrected = later + timedelta(days=rng.choice((1, 3, 30)))
        steps = [(later, dataclasses.replace(put, content=wrong, why="refused"))]
        return [*steps, (corrected, dataclasses.replace(put, why="put right"))] if rng.random() < 0.6 else steps
    if roll < 0.45:
        wrong = Content(content.feed, (), broken="empty")
        return [(later, Put(f"{stem}x.csv", put.day, wrong, "refused, and taken away again")), (later + timedelta(days=2), put)]
    return []


def _order_of_steps(rng: Random, puts: list[tuple[date, Put]], days: list[date], count: tuple[int, int]) -> list[Step]:
    """Files come by day, in any order within it; nights run now and then, and see what has come."""
    by_day: dict[date, list[Step]] = defaultdict(list)
    for comes, put in puts:
        by_day[comes].append(put)
    last = max(*days, *by_day)
    nights = sorted(rng.sample(sorted({*days, *by_day}), min(len({*days, *by_day}), rng.randint(*count))))
    if nights[-1] != last:
        nights.append(last)
    zone_changes = rng.choice(nights) if rng.random() < 0.15 else None
    steps: list[Step] = []
    for day in sorted({*by_day, *nights}):
        here = by_day[day]
        rng.shuffle(here)
        steps += here
        if day == zone_changes:
            changed = rng.choice((("timezone", rng.choice(ZONES)), ("churn_inactive_days", 40), ("contract_grace_days", 3)))
            steps.append(Configure((changed,)))
        if day in nights:
            steps += _night(rng, day, [put.name for comes, put in puts if put.why.startswith("refused")])
    return steps


def _night(rng: Random, day: date, refused: list[str]) -> list[Step]:
    roll = rng.random()
    steps: list[Step] = []
    if refused and rng.random() < 0.2:
        steps.append(TakeAway(rng.choice(refused)))
    if roll < 0.2:
        stop = rng.choice(
            (("taken", rng.randint(0, 2)), ("loaded", rng.randint(0, 4)), ("built", rng.randint(0, 20)), ("judged", 0))
        )
        steps.append(Night(day, stop=stop))
        return [*steps, Night(day)] if rng.random() < 0.7 else steps
    if roll < 0.35:
        return [*steps, Night(day, first=day)]
    if roll < 0.45:
        return [*steps, Night(day, first=day - timedelta(days=rng.choice((3, 10, 400))))]
    return [*steps, Night(day)]
