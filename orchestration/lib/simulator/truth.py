"""The marts of the demo company, counted by plain bookkeeping over its own rows.

Here belongs: one function per mart that states the definition in Python. Nothing here reads an export or runs SQL, so
that the pipeline and this module can only agree by both being right. Not here: anything random, any file format.

What is known on a day is what had been delivered by then, each row in the newest version delivered by then.
Where the specification leaves a choice, the function's docstring says which one was made.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import pandas as pd

from orchestration.lib.simulator.company import (
    APPEND_FEEDS,
    FEEDS,
    Case,
    CaseEvent,
    Company,
    Contact,
    Order,
    OrderLine,
    Spoiled,
    Subscription,
)

INACTIVE_DAYS = 180
GRACE_DAYS = 7
FCR_WINDOW = timedelta(hours=7 * 24)
CART_TIMEOUT = timedelta(hours=24)
CART_RECOVERY = timedelta(days=7)
LATE_DAYS = 3
MARGIN_SHARE = 1.0
MAX_LIFESPAN = 5.0
MIN_HISTORY_DAYS = 365
YEAR = 365
PERIODS = ("day", "trailing_30d", "month")
UNKNOWN = "unknown"
ONE_DAY = timedelta(days=1)

MART_KEYS: dict[str, tuple[str, ...]] = {
    "sales_daily": ("metric_date", "country", "sales_channel", "currency"),
    "retention_daily": ("metric_date", "basis", "period", "plan"),
    "churn_daily": ("metric_date", "basis", "period", "plan"),
    "retention_cohorts": ("cohort_month", "months_since"),
    "clv_customer": ("person_id",),
    "clv_daily": ("metric_date",),
    "contact_volume_daily": ("metric_date", "hour", "channel", "topic", "queue"),
    "resolution_daily": ("metric_date", "channel", "topic", "queue"),
    "fcr_daily": ("metric_date", "channel", "topic"),
    "cart_abandonment_daily": ("metric_date", "device"),
}

Rows = Iterable[dict[str, Any]]


@dataclass
class _Sale:
    """A counted order with its lines and refunds; amounts in cents."""

    order: Order
    day: date
    lines: list[OrderLine]
    refunds: list[tuple[date, int]]

    @property
    def goods(self) -> list[OrderLine]:
        """Lines that are revenue."""
        return [line for line in self.lines if not line.is_return and not line.is_gift_card]

    @property
    def is_purchase(self) -> bool:
        """Whether it counts as an order: it has a line that is not a return."""
        return any(not line.is_return for line in self.lines)

    @property
    def gross(self) -> int:
        """Revenue before discounts and refunds."""
        return sum(line.quantity * line.unit_price for line in self.goods)

    @property
    def discount(self) -> int:
        """Discounts on the lines and on the whole order."""
        return sum(line.discount_amount for line in self.lines) + self.order.discount_amount

    @property
    def cost(self) -> int:
        """Cost of the goods sold, less the cost of goods that came back as return lines."""
        return sum(line.quantity * (line.unit_cost or 0) for line in self.lines if not line.is_gift_card)

    @property
    def money_back(self) -> list[tuple[date, int]]:
        """Refunds on their days, and return lines on the day of the order that holds them."""
        returned = sum(-line.quantity * line.unit_price for line in self.lines if line.is_return)
        return [*self.refunds, *([(self.day, returned)] if returned else [])]


class _Books:
    """What is known at the end of day `through`."""

    def __init__(self, company: Company, through: date) -> None:
        self.through, self.zone = through, company.clock.zone
        last = (through - company.start).days
        self.rows = {feed: _latest(feed, company.deliveries[feed][: last + 1]) for feed in FEEDS}
        self.end = datetime.combine(through + ONE_DAY, time(), self.zone).astimezone(UTC)
        self.sales = self._sales()
        self.data_from = min((sale.day for sale in self.sales if sale.is_purchase), default=None)

    def day(self, instant: datetime) -> date:
        """The business day of an instant."""
        return instant.astimezone(self.zone).date()

    def _sales(self) -> list[_Sale]:
        lines: dict[str, list[OrderLine]] = defaultdict(list)
        for line in self.rows["order_lines"]:
            lines[line.order_id].append(line)
        refunds: dict[str, list[tuple[date, int]]] = defaultdict(list)
        for refund in self.rows["refunds"]:
            refunds[refund.order_id].append((self.day(refund.refunded_at), refund.amount))
        return [
            _Sale(order, self.day(order.ordered_at), lines[order.order_id], refunds[order.order_id])
            for order in self.rows["orders"]
            if not order.is_test and order.status != "cancelled"
        ]

    def days_from(self, first: date | None) -> Iterator[date]:
        """Every day from `first` to `through`."""
        while first is not None and first <= self.through:
            yield first
            first += ONE_DAY

    def finality(self, day: date, maturity: int) -> dict[str, Any]:
        """When a value of that day no longer changes."""
        final_on = day + timedelta(days=maturity + LATE_DAYS)
        return {"is_final": final_on <= self.through, "final_on": final_on}


def truth(company: Company, through: date) -> dict[str, pd.DataFrame]:
    """All marts as of the end of day `through`."""
    books = _Books(company, through)
    bases = _bases(books)
    marts: dict[str, Rows] = {
        "sales_daily": _sales_daily(books),
        "retention_daily": _retention_daily(books, bases),
        "churn_daily": _churn_daily(books, bases),
        "retention_cohorts": _retention_cohorts(books),
        "clv_customer": _clv_customer(books),
        "clv_daily": _clv_daily(books),
        "contact_volume_daily": _contact_volume_daily(books),
        "resolution_daily": _resolution_daily(books),
        "fcr_daily": _fcr_daily(books),
        "cart_abandonment_daily": _cart_abandonment_daily(books),
    }
    return {mart: _frame(mart, rows) for mart, rows in marts.items()}


# ---- sales ----------------------------------------------------------------------------------------------------------


def _sales_daily(books: _Books) -> Rows:
    """A row wherever a counted order was placed or money went back. `units` are those of the lines in `gross`."""
    parts: dict[tuple[Any, ...], dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for sale in books.sales:
        order = sale.order
        dimensions = (order.country or UNKNOWN, order.sales_channel or UNKNOWN, order.currency)
        row = parts[(sale.day, *dimensions)]
        row["orders"] += sale.is_purchase
        row["units"] += sum(line.quantity for line in sale.goods)
        row["gross"] += sale.gross
        row["discount"] += sale.discount
        row["tax"] += order.tax_amount
        row["shipping"] += order.shipping_amount
        for day, amount in sale.money_back:
            parts[(day, *dimensions)]["refund"] += amount
    for (day, country, channel, currency), row in parts.items():
        net = row["gross"] - row["discount"] - row["refund"]
        yield {
            "metric_date": day,
            "country": country,
            "sales_channel": channel,
            "currency": currency,
            "orders": row["orders"],
            "units": row["units"],
            "gross_amount": row["gross"] / 100,
            "discount_amount": row["discount"] / 100,
            "refund_amount": row["refund"] / 100,
            "net_amount": net / 100,
            "tax_amount": row["tax"] / 100,
            "shipping_amount": row["shipping"] / 100,
            "average_order_value": _ratio(net / 100, row["orders"]),
            **books.finality(day, 0),
        }


# ---- retention and churn --------------------------------------------------------------------------------------------


@dataclass
class _Basis:
    """Who is active when, under one notion of being a customer."""

    name: str
    maturity: int
    first: date | None
    active: dict[date, set[str]]
    first_active: dict[str, date]
    plans: list[str]
    terms: dict[str, list[tuple[date, date, str]]]  # person: (start day, end day, plan), by start

    def plan(self, person: str, day: date) -> str:
        """Plan of the term running at the end of that day, the latest started one; in a merged gap, the one before."""
        started = [term for term in self.terms[person] if term[0] <= day]
        running = [term for term in started if day < term[1]]
        return (running or started)[-1][2]


def _bases(books: _Books) -> list[_Basis]:
    return [_inactivity(books), _contractual(books)]


def _inactivity(books: _Books) -> _Basis:
    """An order day makes a person active for 180 days."""
    active: dict[date, set[str]] = defaultdict(set)
    first_active: dict[str, date] = {}
    for person, days in _order_days(books).items():
        first_active[person] = days[0]
        for day, following in zip(days, [*days[1:], date.max], strict=True):
            stop = min(day + timedelta(days=INACTIVE_DAYS), following, books.through + ONE_DAY)
            while day < stop:
                active[day].add(person)
                day += ONE_DAY
    return _Basis("inactivity", 0, min(first_active.values(), default=None), active, first_active, [], {})


def _contractual(books: _Books) -> _Basis:
    """Terms, merged over gaps of up to 7 days; a person in a merged gap keeps the plan of the last term started."""
    by_person: dict[str, list[Subscription]] = defaultdict(list)
    for term in books.rows["subscriptions"]:
        by_person[term.person_id].append(term)
    active: dict[date, set[str]] = defaultdict(set)
    first_active: dict[str, date] = {}
    terms: dict[str, list[tuple[date, date, str]]] = {}
    for person, held in by_person.items():
        held.sort(key=lambda term: term.started_at)
        terms[person] = [
            (books.day(term.started_at), books.day(term.ended_at) if term.ended_at else date.max, term.plan) for term in held
        ]
        spans: list[tuple[date, date]] = []
        for start, end, _ in terms[person]:
            if end <= start:
                continue
            if spans and (start - spans[-1][1]).days <= GRACE_DAYS:
                spans[-1] = (spans[-1][0], max(spans[-1][1], end))
            else:
                spans.append((start, end))
        for start, end in spans:
            first_active.setdefault(person, start)
            day, stop = start, min(end, books.through + ONE_DAY)
            while day < stop:
                active[day].add(person)
                day += ONE_DAY
    plans = sorted({term.plan for term in books.rows["subscriptions"]})
    first = min(first_active.values(), default=None)
    return _Basis("contractual", GRACE_DAYS, first, active, first_active, plans, terms)


def _moves(books: _Books, bases: list[_Basis]) -> Iterator[tuple[dict[str, Any], _Basis, date, dict[str, list[str]]]]:
    """Per day, basis, period and plan: who was active at the start, who stayed, left and came back.

    A row for every day since the basis's first active day, and for every plan seen so far, zeros included. Who came
    back counts under the plan held at the end of the day: at the start there was none.
    """
    for basis in bases:
        for day in books.days_from(basis.first):
            starts = {
                "day": day - ONE_DAY,
                "trailing_30d": day - timedelta(days=30),
                "month": day.replace(day=1) - ONE_DAY,
            }
            now = basis.active.get(day, set())
            for period in PERIODS:
                start = starts[period]
                before = basis.active.get(start, set())
                groups = {
                    "start": sorted(before),
                    "retained": sorted(before & now),
                    "lost": sorted(before - now),
                    "reactivated": sorted(person for person in now - before if basis.first_active[person] <= start),
                }
                for plan in ("all", *basis.plans):
                    key = {"metric_date": day, "basis": basis.name, "period": period, "plan": plan}
                    if plan == "all":
                        yield key, basis, day, groups
                        continue
                    of_plan = {
                        name: [p for p in people if basis.plan(p, day if name == "reactivated" else start) == plan]
                        for name, people in groups.items()
                    }
                    yield key, basis, day, of_plan


def _retention_daily(books: _Books, bases: list[_Basis]) -> Rows:
    for key, basis, day, groups in _moves(books, bases):
        base, retained = len(groups["start"]), len(groups["retained"])
        yield {
            **key,
            "active_at_start": base,
            "retained": retained,
            "retention_rate": _ratio(retained, base),
            **books.finality(day, basis.maturity),
        }


def _churn_daily(books: _Books, bases: list[_Basis]) -> Rows:
    for key, basis, day, groups in _moves(books, bases):
        base, lost = len(groups["start"]), len(groups["lost"])
        yield {
            **key,
            "active_at_start": base,
            "lost": lost,
            "reactivated": len(groups["reactivated"]),
            "churn_rate": _ratio(lost, base),
            **books.finality(day, basis.maturity),
        }


def _retention_cohorts(books: _Books) -> Rows:
    """A cell is final once the last day of its calendar month is."""
    months = {person: {day.replace(day=1) for day in days} for person, days in _order_days(books).items()}
    cohorts: dict[date, list[str]] = defaultdict(list)
    for person, active in months.items():
        cohorts[min(active)].append(person)
    for cohort, people in cohorts.items():
        month, since = cohort, 0
        while month <= books.through:
            active_people = sum(month in months[person] for person in people)
            yield {
                "cohort_month": cohort,
                "months_since": since,
                "customers": len(people),
                "active": active_people,
                "retention_rate": _ratio(active_people, len(people)),
                **books.finality(_next_month(month) - ONE_DAY, 0),
            }
            month, since = _next_month(month), since + 1


# ---- customer value -------------------------------------------------------------------------------------------------


def _clv_customer(books: _Books) -> Rows:
    """One row per known person with an order.

    `margin_amount` is net revenue less the cost of goods (return lines give theirs back), whatever the margin share;
    `clv_historic` is net revenue. `clv_simple` is the company's formula on the person's own trailing year, so
    net revenue of the year times the company's lifespan in years.
    """
    by_person: dict[str, list[_Sale]] = defaultdict(list)
    for sale in books.sales:
        if sale.order.person_id:
            by_person[sale.order.person_id].append(sale)
    lifespan = next((row["_lifespan"] for row in _clv_days(books, [books.through])), None)
    year_ago = books.through - timedelta(days=YEAR)
    for person, sales in by_person.items():
        purchases = [sale for sale in sales if sale.is_purchase]
        if not purchases:
            continue
        gross, discount = sum(sale.gross for sale in sales), sum(sale.discount for sale in sales)
        back = [entry for sale in sales for entry in sale.money_back]
        refund = sum(amount for _, amount in back)
        net = gross - discount - refund
        recent = [sale for sale in purchases if sale.day > year_ago]
        recent_net = sum(sale.gross - sale.discount for sale in sales if sale.day > year_ago)
        recent_net -= sum(amount for day, amount in back if day > year_ago)
        yield {
            "person_id": person,
            "as_of_date": books.through,
            "first_order_date": min(sale.day for sale in purchases),
            "last_order_date": max(sale.day for sale in purchases),
            "orders": len(purchases),
            "gross_amount": gross / 100,
            "discount_amount": discount / 100,
            "refund_amount": refund / 100,
            "net_amount": net / 100,
            "margin_amount": (net - sum(sale.cost for sale in sales)) / 100,
            "clv_historic": net / 100,
            "clv_simple": None if lifespan is None or not recent else recent_net / 100 * lifespan * MARGIN_SHARE,
        }


def _clv_daily(books: _Books) -> Rows:
    """A row for every day since the first order of a known person."""
    for row in _clv_days(books, list(books.days_from(_first_known_order(books)))):
        yield {name: value for name, value in row.items() if not name.startswith("_")}


def _clv_days(books: _Books, wanted: list[date]) -> Rows:
    """History counts from the first order of anybody; net revenue of a year holds the refunds paid in that year."""
    orders: list[date] = []
    money: dict[date, int] = defaultdict(int)
    for sale in books.sales:
        if sale.order.person_id:
            orders += [sale.day] if sale.is_purchase else []
            money[sale.day] += sale.gross - sale.discount
            for day, amount in sale.money_back:
                money[day] -= amount
    orders.sort()
    money_days = sorted(money)
    running = [0]
    for day in money_days:
        running.append(running[-1] + money[day])
    person_days = _order_days(books)
    firsts = sorted(days[0] for days in person_days.values())
    # A purchase day counts in the year that follows it, until the person's next one takes over.
    joins: dict[date, int] = defaultdict(int)
    for days in person_days.values():
        for day, following in zip(days, [*days[1:], date.max], strict=True):
            joins[day] += 1
            joins[min(day + timedelta(days=YEAR), following)] -= 1
    active = _inactivity(books).active
    purchasers, changes = 0, sorted(joins)
    position = 0
    for day in wanted:
        while position < len(changes) and changes[position] <= day:
            purchasers += joins[changes[position]]
            position += 1
        year_ago = day - timedelta(days=YEAR)
        to_date = bisect_right(firsts, day)
        orders_to_date = bisect_right(orders, day)
        orders_year = orders_to_date - bisect_right(orders, year_ago)
        net_to_date = running[bisect_right(money_days, day)]
        net_year = net_to_date - running[bisect_right(money_days, year_ago)]
        then, now = active.get(year_ago, set()), active.get(day, set())
        lost = len(then - now)
        has_history = books.data_from is not None and books.data_from + timedelta(days=MIN_HISTORY_DAYS) <= day
        lifespan = min(len(then) / lost, MAX_LIFESPAN) if lost else MAX_LIFESPAN
        simple = None
        if has_history and orders_year and purchasers and net_year and then:
            simple = net_year / 100 / orders_year * (orders_year / purchasers) * lifespan * MARGIN_SHARE
        yield {
            "metric_date": day,
            "customers_to_date": to_date,
            "orders_to_date": orders_to_date,
            "net_amount_to_date": net_to_date / 100,
            "clv_historic_mean": _ratio(net_to_date / 100, to_date),
            "orders_trailing_365d": orders_year,
            "net_amount_trailing_365d": net_year / 100,
            "purchasers_trailing_365d": purchasers,
            "active_365d_ago": len(then),
            "lost_since_365d": lost,
            "clv_simple": simple,
            **books.finality(day, 0),
            "_lifespan": lifespan if simple is not None else None,
        }


# ---- contact centre -------------------------------------------------------------------------------------------------


def _contacts(books: _Books) -> Iterator[Contact]:
    """Inbound contacts: no transfer legs, no spam."""
    for contact in books.rows["contacts"]:
        is_leg = contact.root_contact_id is not None and contact.root_contact_id != contact.contact_id
        if contact.direction == "inbound" and not contact.is_spam and not is_leg:
            yield contact


def _contact_volume_daily(books: _Books) -> Rows:
    """A row wherever there was a contact."""
    parts: dict[tuple[Any, ...], dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for contact in _contacts(books):
        wall = contact.started_at.astimezone(books.zone)
        key = (wall.date(), wall.hour, contact.channel, contact.topic or UNKNOWN, contact.queue or UNKNOWN)
        parts[key]["inbound"] += 1
        parts[key][contact.outcome] += 1
    for (day, hour, channel, topic, queue), row in parts.items():
        yield {
            "metric_date": day,
            "hour": hour,
            "channel": channel,
            "topic": topic,
            "queue": queue,
            "inbound": row["inbound"],
            "handled": row["handled"],
            "abandoned": row["abandoned"],
            "contained": row["contained"],
            **books.finality(day, 0),
        }


def _resolution_daily(books: _Books) -> Rows:
    events: dict[str, list[CaseEvent]] = defaultdict(list)
    for event in books.rows["case_events"]:
        events[event.case_id].append(event)
    parts: dict[tuple[Any, ...], list[float]] = defaultdict(lambda: [0, 0.0, 0])
    for case in books.rows["cases"]:
        history = sorted(events[case.case_id], key=lambda event: event.occurred_at)
        resolved_at = _resolved_at(case, history)
        if case.is_spam or resolved_at is None:
            continue
        row = parts[(books.day(resolved_at), case.channel, case.topic or UNKNOWN, case.queue or UNKNOWN)]
        row[0] += 1
        row[1] += (resolved_at - case.opened_at).total_seconds()
        row[2] += _is_one_touch(case, history)
    for (day, channel, topic, queue), (cases, seconds, one_touch) in parts.items():
        yield {
            "metric_date": day,
            "channel": channel,
            "topic": topic,
            "queue": queue,
            "cases_resolved": int(cases),
            "resolution_minutes": seconds / 60,
            "one_touch_cases": int(one_touch),
            "average_resolution_minutes": _ratio(seconds / 60, cases),
            "one_touch_rate": _ratio(one_touch, cases),
            **books.finality(day, 7),
        }


def _resolved_at(case: Case, history: list[CaseEvent]) -> datetime | None:
    if case.resolved_at:
        return case.resolved_at
    resolved = None
    for event in history:
        if event.event == "resolved":
            resolved = event.occurred_at
        elif event.event == "reopened":
            resolved = None
    closed = [event.occurred_at for event in history if event.event == "closed"]
    return resolved or case.closed_at or (closed[-1] if closed else None)


def _is_one_touch(case: Case, history: list[CaseEvent]) -> bool:
    counts: dict[str, int] = defaultdict(int)
    for event in history:
        counts[event.event] += 1
    reassigned = case.reassignment_count if case.reassignment_count is not None else max(counts["assigned"] - 1, 0)
    reopened = case.reopen_count if case.reopen_count is not None else counts["reopened"]
    return reassigned == 0 and reopened == 0


def _fcr_daily(books: _Books) -> Rows:
    """A row wherever there was an eligible contact; contacts count on their own day, issues on their first."""
    reopened: dict[str, list[datetime]] = defaultdict(list)
    for event in books.rows["case_events"]:
        if event.event == "reopened":
            reopened[event.case_id].append(event.occurred_at)
    parts: dict[tuple[Any, ...], dict[str, int]] = defaultdict(lambda: defaultdict(int))
    chains: dict[tuple[str, str], list[Contact]] = defaultdict(list)
    for contact in _contacts(books):
        if contact.outcome == "handled":
            topic = contact.topic or UNKNOWN
            row = parts[(books.day(contact.started_at), contact.channel, topic)]
            row["eligible"] += 1
            if contact.person_id:
                row["known"] += 1
                chains[(contact.person_id, topic)].append(contact)
    for (_, topic), chain in chains.items():
        chain.sort(key=lambda contact: contact.started_at)
        for n, contact in enumerate(chain):
            start, window_end = contact.started_at, contact.started_at + FCR_WINDOW
            if n > 0 and start - chain[n - 1].started_at <= FCR_WINDOW:
                continue
            followed = n + 1 < len(chain) and chain[n + 1].started_at <= window_end
            undone = any(start <= at <= window_end for at in reopened.get(contact.case_id or "", []))
            row = parts[(books.day(start), contact.channel, topic)]
            row["issues"] += 1
            row["resolved"] += not followed and not undone
    for (day, channel, topic), row in parts.items():
        yield {
            "metric_date": day,
            "channel": channel,
            "topic": topic,
            "eligible_contacts": row["eligible"],
            "known_person_contacts": row["known"],
            "issues": row["issues"],
            "resolved_first_contact": row["resolved"],
            "fcr_rate": _ratio(row["resolved"], row["issues"]),
            **books.finality(day, 7),
        }


# ---- carts ----------------------------------------------------------------------------------------------------------


def _cart_abandonment_daily(books: _Books) -> Rows:
    """A row wherever a cart had its last event, also where all of these were emptied."""
    ordered: dict[str, list[datetime]] = defaultdict(list)
    for sale in books.sales:
        if sale.order.cart_id:
            ordered[sale.order.cart_id].append(sale.order.ordered_at)
    carts: dict[str, list[Any]] = defaultdict(list)
    for event in books.rows["cart_events"]:
        carts[event.cart_id].append(event)
    parts: dict[tuple[date, str], dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for cart_id, history in carts.items():
        history.sort(key=lambda event: event.occurred_at)
        last = history[-1].occurred_at
        named = [event.device for event in history if event.device]
        row = parts[(books.day(last), named[-1] if named else UNKNOWN)]
        if _items(history) <= 0:
            row["emptied"] += 1
            continue
        row["carts"] += 1
        has_checkout = any(event.event == "checkout" for event in history)
        row["checkout_carts"] += has_checkout
        waits = [at - last for at in ordered.get(cart_id, [])]
        if any(wait <= CART_TIMEOUT for wait in waits):
            row["converted"] += 1
        elif last + CART_TIMEOUT > books.end:
            row["open"] += 1
        else:
            row["abandoned"] += 1
            row["recovered"] += any(CART_TIMEOUT < wait <= CART_RECOVERY for wait in waits)
            row["checkout_abandoned"] += has_checkout
    for (day, device), row in parts.items():
        yield {
            "metric_date": day,
            "device": device,
            **{name: row[name] for name in COLUMNS["cart_abandonment_daily"].split()[:-1]},
            "abandonment_rate": _ratio(row["abandoned"], row["abandoned"] + row["converted"]),
            **books.finality(day, 1),
        }


def _items(history: list[Any]) -> int:
    """Units in the cart after its last event."""
    units = 0
    for event in history:
        quantity = 1 if event.quantity is None else event.quantity
        if event.event == "add":
            units += quantity
        elif event.event == "remove":
            units -= quantity
        elif event.event == "empty":
            units = 0
    return units


# ---- helpers --------------------------------------------------------------------------------------------------------


def _latest(feed: str, files: list[list[Any]]) -> list[Any]:
    """The newest delivered version of each row: by its version, then by delivery, then by place in the file."""
    known: dict[Any, Any] = {}
    for row in (row for rows in files for row in rows if not isinstance(row, Spoiled)):
        key = row[:2] if feed == "order_lines" else row[0]
        if key not in known or (feed not in APPEND_FEEDS and row.updated_at >= known[key].updated_at):
            known[key] = row
    return list(known.values())


def _order_days(books: _Books) -> dict[str, list[date]]:
    """The days on which each known person ordered, in order."""
    days: dict[str, set[date]] = defaultdict(set)
    for sale in books.sales:
        if sale.order.person_id and sale.is_purchase:
            days[sale.order.person_id].add(sale.day)
    return {person: sorted(days[person]) for person in sorted(days)}


def _first_known_order(books: _Books) -> date | None:
    return min((days[0] for days in _order_days(books).values()), default=None)


def _next_month(month: date) -> date:
    return (month.replace(day=1) + timedelta(days=32)).replace(day=1)


def _ratio(numerator: float, denominator: float) -> float | None:
    return numerator / denominator if denominator else None


COLUMNS: dict[str, str] = {
    "sales_daily": "orders units gross_amount discount_amount refund_amount net_amount tax_amount shipping_amount "
    "average_order_value",
    "retention_daily": "active_at_start retained retention_rate",
    "churn_daily": "active_at_start lost reactivated churn_rate",
    "retention_cohorts": "customers active retention_rate",
    "clv_customer": "as_of_date first_order_date last_order_date orders gross_amount discount_amount refund_amount "
    "net_amount margin_amount clv_historic clv_simple",
    "clv_daily": "customers_to_date orders_to_date net_amount_to_date clv_historic_mean orders_trailing_365d "
    "net_amount_trailing_365d purchasers_trailing_365d active_365d_ago lost_since_365d clv_simple",
    "contact_volume_daily": "inbound handled abandoned contained",
    "resolution_daily": "cases_resolved resolution_minutes one_touch_cases average_resolution_minutes one_touch_rate",
    "fcr_daily": "eligible_contacts known_person_contacts issues resolved_first_contact fcr_rate",
    "cart_abandonment_daily": "carts abandoned converted open recovered emptied checkout_carts checkout_abandoned "
    "abandonment_rate",
}
RATIOS = ("_rate", "_mean", "average_order_value", "average_resolution_minutes", "clv_simple")


def _frame(mart: str, rows: Rows) -> pd.DataFrame:
    """The rows as a frame, by key; days are `datetime.date`, a missing ratio is NaN."""
    finality = [] if mart == "clv_customer" else ["is_final", "final_on"]
    frame = pd.DataFrame(list(rows), columns=[*MART_KEYS[mart], *COLUMNS[mart].split(), *finality])
    for name in frame.columns:
        if name.endswith(RATIOS):
            frame[name] = frame[name].astype("float64")
    return frame.sort_values(list(MART_KEYS[mart])).reset_index(drop=True)
