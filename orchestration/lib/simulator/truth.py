"""The marts, counted by plain bookkeeping over rows: those of the demo company, or any other company's (`Books`).

Here belongs: one function per mart that states the definition in Python. Nothing here reads an export or runs SQL, so
that the pipeline and this module can only agree by both being right. Not here: anything random, any file format.

What is known on a day is what had been delivered by then, each row in the newest version delivered by then; rows about
later days are known and count nowhere yet. Where the specification leaves a choice, the function's docstring says which
one was made.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import ROUND_HALF_UP, Context, Decimal
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd

from orchestration.lib.simulator.company import (
    APPEND_FEEDS,
    FEEDS,
    KEY_WIDTH,
    Case,
    CaseEvent,
    Company,
    Contact,
    Order,
    OrderLine,
    Spoiled,
)
from orchestration.lib.simulator.crosswalk import Crosswalk

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
    "fcr_daily": ("metric_date", "channel", "topic"),
    "cart_abandonment_daily": ("metric_date", "device"),
}

Rows = Iterable[dict[str, Any]]
SUBJECT_MARTS: dict[str, Callable[["Books"], Rows]] = {}
"""What counts the marts that are told in the modules of their subjects (see `subject`)."""


@dataclass(frozen=True)
class Definitions:
    """The configurable values of the definitions, under the names they have in cx.toml, with their defaults."""

    reporting_currency: str = "EUR"
    churn_inactive_days: int = 180
    contract_grace_days: int = 7
    reopen_window_days: int = 7
    fcr_window_days: int = 7
    cart_timeout_hours: int = 24
    cart_gap_minutes: int = 30
    cart_recovery_days: int = 7
    containment_window_days: int = 7
    service_to_sales_hours: int = 24
    service_to_sales_days: int = 7
    order_contact_days: int = 30
    journey_rest_days: int = 30
    short_abandon_seconds: int = 5
    messaging_channels: str = "chat,messaging,sms,whatsapp"
    quality_window_days: int = 14
    quality_good_percent: int = 80
    agent_min_n: int = 10
    late_allowance_days: int = 3
    margin_share: float = 1.0
    max_lifespan_years: float = 5.0
    min_history_days: int = 365
    max_persons_per_key: int = 3
    max_persons_per_component: int = 10
    action_open_case_days: int = 3
    action_detractor_days: int = 90
    action_ahead_days: int = 30
    engaged_session_seconds: int = 10
    engaged_session_pages: int = 2
    engagement_settling_days: int = 3
    fx_max_age_days: int = 7
    initiative_days: int = 90
    nps_trailing_days: int = 90
    response_window_days: int = 30
    survey_pressure_days: int = 30
    survey_pressure_limit: int = 3
    min_group_answers: int = 5
    association_min_persons: int = 30


@dataclass
class _Sale:
    """A counted order with its lines; amounts in cents. `day` is None where nothing says when it was placed."""

    order: Order
    person: str | None
    day: date | None
    lines: list[OrderLine]
    rate: Decimal

    def reporting(self, cents: int | None) -> Any:
        """An amount of one row in the reporting currency."""
        return None if cents is None else _converted(cents, self.rate)

    @property
    def gross_reporting(self) -> Any:
        """`gross`, each line converted."""
        return sum(self.reporting(line.quantity * line.unit_price) for line in self.goods)

    @property
    def discount_reporting(self) -> Any:
        """`discount`, each line and the header converted."""
        of_order = self.reporting(self.order.discount_amount) if self.is_purchase else 0
        return sum(self.reporting(line.discount_amount or 0) for line in self.goods) + of_order

    @property
    def cost_reporting(self) -> Any:
        """`cost`, each line converted; None where that of one line is not known, or no line is."""
        return _total(self.reporting(None if line.unit_cost is None else line.quantity * line.unit_cost) for line in self.goods)

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
        """Discounts on what is revenue, and on the whole order; a header without lines discounts nothing yet."""
        of_order = self.order.discount_amount if self.is_purchase else 0
        return sum(line.discount_amount for line in self.goods) + of_order


@dataclass
class _MoneyBack:
    """A refund, or the goods that one order's return lines took back on a day; amounts in cents."""

    person: str | None
    day: date
    dimensions: tuple[str, str, str]
    amount: int
    reporting: Any
    cost_reporting: Any
    order_id: str
    is_return: bool


class Books:
    """What is known at the end of day `through`.

    Args:
        rows: by feed the surviving rows (one version a key), as the classes of `company` name their fields.
        zone: the business time zone.
        through: the last complete day.
        definitions: configurable values.
    """

    def __init__(
        self, rows: Mapping[str, list[Any]], zone: ZoneInfo, through: date, definitions: Definitions | None = None
    ) -> None:
        self.rows: Mapping[str, list[Any]] = {feed: [] for feed in FEEDS} | dict(rows)
        self.zone, self.through, self.definitions = zone, through, definitions or Definitions()
        self.end = datetime.combine(through + ONE_DAY, time(), self.zone).astimezone(UTC)
        self.crosswalk = Crosswalk(
            self.rows["persons"], self.rows.get("accounts", []), self.definitions.max_persons_per_key,
            self.definitions.max_persons_per_component,
        )  # fmt: skip
        self.excluded_orders: dict[str, tuple[str, date | None]] = {}
        self.sales = self._sales()
        self.money_back = self._money_back()

    def day(self, instant: datetime) -> date:
        """The business day of an instant."""
        return instant.astimezone(self.zone).date()

    def survivor(self, person: str | None) -> str | None:
        """Who a person is after all merges, those of their source and those by evidence."""
        return self.crosswalk.survivor(person)

    def excluded(self, person: str | None) -> str | None:
        """Why what the person did counts nowhere: test_person, test_account, or None."""
        return self.crosswalk.excluded(person)

    def rate(self, currency: str | None, day: date | None) -> Decimal | None:
        """What one unit is worth in the reporting currency on a day: by the last rate of that day or the days before it.

        None where there is none, or it is too old. An amount without a currency is in the reporting one.
        """
        if currency in (None, UNKNOWN, self.definitions.reporting_currency):
            return Decimal(1)
        known = [
            (row.rate_date, Decimal(row.rate))
            for row in self.rows["fx_rates"]
            if (row.currency, row.to_currency) == (currency, self.definitions.reporting_currency)
            and day is not None
            and row.rate_date <= day <= row.rate_date + timedelta(days=self.definitions.fx_max_age_days)
        ]
        return max(known)[1] if known else None

    def _sales(self) -> list[_Sale]:
        """Orders that count: those with a header that is no test and not cancelled, and those of lines only; no test's.

        Without a header the lines say when (the earliest), and the first line that knows who, where and in what currency;
        a header that does not know where leaves that to them, too. An order whose exchange rate is not known is held.
        """
        lines: dict[str, list[OrderLine]] = defaultdict(list)
        for line in sorted(self.rows["order_lines"], key=lambda line: line.line_id):
            lines[line.order_id].append(line)
        headers = {order.order_id: order for order in self.rows["orders"]}
        sales, self.held = [], set()
        for order_id in sorted(headers.keys() | lines.keys()):
            order = headers.get(order_id) or _header_of(order_id, lines[order_id])
            if order.country is None:
                order = order._replace(country=next((line.country for line in lines[order_id] if line.country), None))
            if not order.is_test and order.status != "cancelled":
                day = self.day(order.ordered_at) if order.ordered_at else None
                if reason := self.excluded(order.person_id):
                    self.excluded_orders[order_id] = (reason, day)
                    continue
                rate = self.rate(order.currency, day)
                if rate is None:
                    self.held.add(order_id)
                else:
                    sales.append(_Sale(order, self.survivor(order.person_id), day, lines[order_id], rate))
        return sales

    def _money_back(self) -> list[_MoneyBack]:
        """Refunds and return lines of orders that count, and refunds of orders that nobody delivered.

        A refund lands on its own day, a return line on its own day where it has one, else on that of its order. Money goes
        back at the rate of the order's day; of an order nobody delivered, at that of its own.
        """
        counted = {sale.order.order_id: sale for sale in self.sales}
        excluded = ({order.order_id for order in self.rows["orders"]} | self.excluded_orders.keys()) - counted.keys() | self.held
        found = []
        for refund in self.rows["refunds"]:
            sale, day = counted.get(refund.order_id), self.day(refund.refunded_at)
            rate = self.rate(refund.currency, (sale.day if sale else None) or day)
            if refund.order_id not in excluded and rate is not None:
                dimensions = (*(_dimensions(sale.order)[:2] if sale else (UNKNOWN, UNKNOWN)), refund.currency)
                reporting = _converted(refund.amount, rate)
                found.append(
                    _MoneyBack(
                        sale.person if sale else None, day, dimensions, refund.amount, reporting, 0, refund.order_id, False
                    )
                )
        for sale in self.sales:
            for line in sale.lines:
                if line.is_return and not line.is_gift_card:
                    day = self.day(line.ordered_at) if line.ordered_at else sale.day
                    cost = sale.reporting(None if line.unit_cost is None else line.quantity * line.unit_cost)
                    back = -line.quantity * line.unit_price
                    if day is not None:
                        found.append(
                            _MoneyBack(sale.person, day, _dimensions(sale.order), back, sale.reporting(back), cost,
                                       sale.order.order_id, True)
                        )  # fmt: skip
        return found

    def days_from(self, first: date | None) -> Iterator[date]:
        """Every day from `first` to `through`."""
        while first is not None and first <= self.through:
            yield first
            first += ONE_DAY

    def finality(self, day: date, maturity: int) -> dict[str, Any]:
        """When a value of that day no longer changes."""
        final_on = day + timedelta(days=maturity + self.definitions.late_allowance_days)
        return {"is_final": final_on <= self.through, "final_on": final_on}

    def marts(self, wanted: Iterable[str] = MART_KEYS) -> dict[str, pd.DataFrame]:
        """The marts named, as of the end of day `through`."""
        bases: list[_Basis] = []
        if {"retention_daily", "churn_daily"} & set(wanted):
            bases = [inactivity(self), contractual(self)]
        count: dict[str, Callable[[], Rows]] = {
            "sales_daily": lambda: sales_daily(self),
            "retention_daily": lambda: _retention_daily(self, bases),
            "churn_daily": lambda: _churn_daily(self, bases),
            "retention_cohorts": lambda: _retention_cohorts(self),
            "clv_customer": lambda: clv_customer(self),
            "clv_daily": lambda: _clv_daily(self),
            "contact_volume_daily": lambda: _contact_volume_daily(self),
            "fcr_daily": lambda: _fcr_daily(self),
            "cart_abandonment_daily": lambda: _cart_abandonment_daily(self),
        }
        count |= {mart: partial(rows, self) for mart, rows in SUBJECT_MARTS.items()}
        return {mart: _frame(mart, count[mart](), self.through) for mart in wanted}


def truth(company: Company, through: date) -> dict[str, pd.DataFrame]:
    """All marts of the demo company as of the end of day `through`."""
    last = (through - company.start).days
    rows = {feed: latest(feed, company.deliveries[feed][: last + 1]) for feed in FEEDS}
    return Books(rows, company.clock.zone, through).marts()


def _header_of(order_id: str, lines: list[OrderLine]) -> Order:
    """What the lines of an order say where the shop exports no header."""

    def first(name: str) -> Any:
        return next((value for line in lines if (value := getattr(line, name)) is not None), None)

    times = [line.ordered_at for line in lines if line.ordered_at]
    return Order(
        order_id, first("person_id"), "", None, min(times, default=None), "paid", first("currency") or UNKNOWN,
        None, first("country"), 0, 0, 0, False, lines[0].updated_at,
    )  # fmt: skip


def _dimensions(order: Order) -> tuple[str, str, str]:
    return order.country or UNKNOWN, order.sales_channel or UNKNOWN, order.currency


# ---- sales ----------------------------------------------------------------------------------------------------------


def sales_daily(books: Books) -> Rows:
    """A row wherever a counted order was placed or money went back. `units` are those of the lines in `gross`.

    The margin is of orders that have lines and know the cost of each that is revenue, and of what went back of these: money
    without goods costs nothing, goods that one order takes back on a day count where the cost of all of them is known.
    """
    parts: dict[tuple[Any, ...], dict[str, Any]] = defaultdict(lambda: defaultdict(int))
    with_cost = {
        sale.order.order_id for sale in books.sales if sale.lines and all(line.unit_cost is not None for line in sale.goods)
    }
    no_cost_back = {(b.order_id, b.day) for b in books.money_back if b.is_return and b.cost_reporting is None}
    for sale in books.sales:
        if sale.day is not None:
            row = parts[(sale.day, *_dimensions(sale.order))]
            row["orders"] += sale.is_purchase
            row["units"] += sum(line.quantity for line in sale.goods)
            row["gross"] += sale.gross
            row["discount"] += sale.discount
            row["tax"] += sale.order.tax_amount if sale.is_purchase else 0
            row["shipping"] += sale.order.shipping_amount if sale.is_purchase else 0
            row["gross_reporting"] += sale.gross_reporting
            row["discount_reporting"] += sale.discount_reporting
            row["tax_reporting"] += sale.reporting(sale.order.tax_amount) if sale.is_purchase else 0
            row["shipping_reporting"] += sale.reporting(sale.order.shipping_amount) if sale.is_purchase else 0
            if sale.order.order_id in with_cost:
                row["revenue_with_cost"] += sale.gross_reporting - sale.discount_reporting
                row["cost"] += sale.cost_reporting
    for back in books.money_back:
        row = parts[(back.day, *back.dimensions)]
        row["refund"] += back.amount
        row["refund_reporting"] += back.reporting
        if back.order_id in with_cost and not (back.is_return and (back.order_id, back.day) in no_cost_back):
            row["revenue_with_cost"] -= back.reporting
            row["cost"] += back.cost_reporting
    for (day, country, channel, currency), row in parts.items():
        net = row["gross"] - row["discount"] - row["refund"]
        net_reporting = row["gross_reporting"] - row["discount_reporting"] - row["refund_reporting"]
        margin = row["revenue_with_cost"] - row["cost"]
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
            **{
                f"{name}_amount_reporting": float(row[f"{name}_reporting"]) / 100
                for name in ("gross", "discount", "refund", "tax", "shipping")
            },
            "net_amount_reporting": float(net_reporting) / 100,
            "revenue_with_cost_reporting": float(row["revenue_with_cost"]) / 100,
            "cost_reporting": float(row["cost"]) / 100,
            "margin_reporting": float(margin) / 100,
            "average_order_value": ratio(float(net_reporting) / 100, row["orders"]),
            "margin_rate": ratio(float(margin), float(row["revenue_with_cost"])),
            **books.finality(day, 0),
        }


# ---- retention and churn --------------------------------------------------------------------------------------------


@dataclass
class _Basis:
    """Who is active when, under one notion of being a customer."""

    name: str
    maturity: int
    active: dict[date, set[str]]
    terms: dict[str, list[tuple[date, date, str]]]  # person: (start day, end day, plan), by start

    def plan(self, person: str, day: date) -> str:
        """Plan of the term running at the end of that day, the latest started one; in a merged gap, the one before.

        Of two that started on the same day, the one that ends later.
        """
        started = [term for term in self.terms[person] if term[0] <= day]
        running = [term for term in started if day < term[1]]
        return (running or started)[-1][2]


def inactivity(books: Books) -> _Basis:
    """An order day makes a person active for N days."""
    active: dict[date, set[str]] = defaultdict(set)
    for person, days in order_days(books).items():
        for day, following in zip(days, [*days[1:], date.max], strict=True):
            stop = min(day + timedelta(days=books.definitions.churn_inactive_days), following, books.through + ONE_DAY)
            while day < stop:
                active[day].add(person)
                day += ONE_DAY
    return _Basis("inactivity", 0, active, {})


def contractual(books: Books) -> _Basis:
    """Terms, merged over gaps of up to the grace; a person in a merged gap keeps the plan of the last term started."""
    grace = books.definitions.contract_grace_days
    terms: dict[str, list[tuple[date, date, str]]] = defaultdict(list)
    for term in sorted(books.rows["subscriptions"], key=lambda term: term.subscription_id):
        start, end = books.day(term.started_at), books.day(term.ended_at) if term.ended_at else date.max
        person = books.survivor(term.person_id)
        if start < end and person is not None and not books.excluded(term.person_id):
            terms[person].append((start, end, term.plan or UNKNOWN))
    active: dict[date, set[str]] = defaultdict(set)
    for person, held in terms.items():
        held.sort(key=lambda term: term[:2])
        spans: list[tuple[date, date]] = []
        for start, end, _ in held:
            if spans and (start - spans[-1][1]).days <= grace:
                spans[-1] = (spans[-1][0], max(spans[-1][1], end))
            else:
                spans.append((start, end))
        for start, end in spans:
            day, stop = start, min(end, books.through + ONE_DAY)
            while day < stop:
                active[day].add(person)
                day += ONE_DAY
    return _Basis("contractual", grace, active, terms)


def _moves(books: Books, bases: list[_Basis]) -> Iterator[tuple[dict[str, Any], _Basis, date, dict[str, list[str]]]]:
    """Per day, basis, period and plan: who was active at the start, who stayed, left and came back.

    A row for every day since somebody was first active, and for every plan since somebody first held it, zeros included.
    Who came back counts under the plan held at the end of the day: at the start there was none.
    """
    for basis in bases:
        first_active: dict[str, date] = {}
        plans: set[str] = set()
        for day in books.days_from(min(basis.active, default=None)):
            starts = {
                "day": day - ONE_DAY,
                "trailing_30d": day - timedelta(days=30),
                "month": day.replace(day=1) - ONE_DAY,
            }
            now = basis.active.get(day, set())
            for person in now:
                first_active.setdefault(person, day)
            if basis.terms:
                plans |= {basis.plan(person, day) for person in now}
            for period in PERIODS:
                start = starts[period]
                before = basis.active.get(start, set())
                groups = {
                    "start": sorted(before),
                    "retained": sorted(before & now),
                    "lost": sorted(before - now),
                    "reactivated": sorted(person for person in now - before if first_active[person] <= start),
                }
                for plan in ("all", *sorted(plans)):
                    key = {"metric_date": day, "basis": basis.name, "period": period, "plan": plan}
                    if plan == "all":
                        yield key, basis, day, groups
                        continue
                    of_plan = {
                        name: [p for p in people if basis.plan(p, day if name == "reactivated" else start) == plan]
                        for name, people in groups.items()
                    }
                    yield key, basis, day, of_plan


def _retention_daily(books: Books, bases: list[_Basis]) -> Rows:
    for key, basis, day, groups in _moves(books, bases):
        base, retained = len(groups["start"]), len(groups["retained"])
        yield {
            **key,
            "active_at_start": base,
            "retained": retained,
            "retention_rate": ratio(retained, base),
            **books.finality(day, basis.maturity),
        }


def _churn_daily(books: Books, bases: list[_Basis]) -> Rows:
    for key, basis, day, groups in _moves(books, bases):
        base, lost = len(groups["start"]), len(groups["lost"])
        yield {
            **key,
            "active_at_start": base,
            "lost": lost,
            "reactivated": len(groups["reactivated"]),
            "churn_rate": ratio(lost, base),
            **books.finality(day, basis.maturity),
        }


def _retention_cohorts(books: Books) -> Rows:
    """A cell is final once the last day of its calendar month is."""
    months = {person: {day.replace(day=1) for day in days} for person, days in order_days(books).items()}
    cohorts: dict[date, list[str]] = defaultdict(list)
    for person, active in months.items():
        cohorts[min(active)].append(person)
    for cohort, people in cohorts.items():
        month, since = cohort, 0
        while month <= books.through:
            active_people = sum(month in months[person] for person in people)
            or_later = sum(max(months[person]) >= month for person in people)
            yield {
                "cohort_month": cohort,
                "months_since": since,
                "customers": len(people),
                "active": active_people,
                "active_or_later": or_later,
                "retention_rate": ratio(active_people, len(people)),
                "rolling_retention_rate": ratio(or_later, len(people)),
                **books.finality(next_month(month) - ONE_DAY, 0),
                "rolling_is_final": False,
                "rolling_final_on": date.max,
            }
            month, since = next_month(month), since + 1


# ---- customer value -------------------------------------------------------------------------------------------------


def clv_customer(books: Books) -> Rows:
    """One row per known person with an order.

    `margin_amount` is net revenue less the cost of goods (return lines give theirs back), whatever the margin share, and
    missing where one cost is not known; `clv_historic` is net revenue. `clv_simple` is the company's formula on the
    person's own trailing year, so net revenue of the year times the company's lifespan in years.
    """
    lifespan = next((row["_lifespan"] for row in _clv_days(books, [books.through])), None)
    year_ago = books.through - timedelta(days=YEAR)
    sales_of: dict[str | None, list[_Sale]] = defaultdict(list)
    for sale in counted_sales(books):
        sales_of[sale.person].append(sale)
    back_of: dict[str | None, list[_MoneyBack]] = defaultdict(list)
    for entry in books.money_back:
        if entry.day <= books.through:
            back_of[entry.person].append(entry)
    for person, days in order_days(books).items():
        sales, back = sales_of[person], back_of[person]
        gross, discount = sum(sale.gross_reporting for sale in sales), sum(sale.discount_reporting for sale in sales)
        refund = sum(entry.reporting for entry in back)
        net = gross - discount - refund
        cost = _total([*(sale.cost_reporting for sale in sales), *(entry.cost_reporting for entry in back)])
        recent = [sale for sale in sales if sale.day and sale.day > year_ago]
        recent_net = float(sum(sale.gross_reporting - sale.discount_reporting for sale in recent))
        recent_net -= float(sum(entry.reporting for entry in back if max(entry.day, days[0]) > year_ago))
        yield {
            "person_id": person,
            "as_of_date": books.through,
            "first_order_date": days[0],
            "last_order_date": days[-1],
            "orders": len(sales),
            "gross_amount": float(gross) / 100,
            "discount_amount": float(discount) / 100,
            "refund_amount": float(refund) / 100,
            "net_amount": float(net) / 100,
            "margin_amount": None if cost is None else float(net - cost) / 100,
            "clv_historic": float(net) / 100,
            "orders_trailing_365d": len(recent),
            "net_amount_trailing_365d": recent_net / 100,
            "clv_simple": None
            if lifespan is None or not recent
            else recent_net / 100 * lifespan * books.definitions.margin_share,
        }


def _clv_daily(books: Books) -> Rows:
    """A row for every day since the first order of a known person."""
    for row in _clv_days(books, list(books.days_from(_first_known_order(books)))):
        yield {name: value for name, value in row.items() if not name.startswith("_")}


def _clv_days(books: Books, wanted: list[date]) -> Rows:
    """History counts from the first order of a known person; net revenue of a year holds the refunds paid in that year.

    Money that went back to people before their first order (goods brought back, bought before the exports begin) counts
    from that order on: before it they are not of the base.
    """
    values = books.definitions
    person_days = order_days(books)
    money: dict[date, Any] = defaultdict(int)
    for sale in counted_sales(books):
        if sale.person:
            money[sale.day] += sale.gross_reporting - sale.discount_reporting
    for back in books.money_back:
        if back.person in person_days and back.day <= books.through:
            money[max(back.day, person_days[back.person][0])] -= back.reporting
    orders = sorted(sale.day for sale in counted_sales(books) if sale.person)
    money_days = sorted(money)
    running: list[Any] = [0]
    for day in money_days:
        running.append(running[-1] + money[day])
    firsts = sorted(days[0] for days in person_days.values())
    active = inactivity(books).active
    for day in wanted:
        year_ago = day - timedelta(days=YEAR)
        to_date = bisect_right(firsts, day)
        orders_to_date = bisect_right(orders, day)
        orders_year = orders_to_date - bisect_right(orders, year_ago)
        net_to_date = float(running[bisect_right(money_days, day)])
        net_year = float(running[bisect_right(money_days, day)] - running[bisect_right(money_days, year_ago)])
        purchasers = sum(bisect_right(days, day) > bisect_right(days, year_ago) for days in person_days.values())
        then, now = active.get(year_ago, set()), active.get(day, set())
        lost = len(then - now)
        has_history = bool(firsts) and firsts[0] + timedelta(days=values.min_history_days) <= day
        lifespan = min(len(then) / lost, values.max_lifespan_years) if lost else values.max_lifespan_years
        simple = None
        if has_history and orders_year and then:
            simple = net_year / 100 / orders_year * (orders_year / purchasers) * lifespan * values.margin_share
        yield {
            "metric_date": day,
            "customers_to_date": to_date,
            "orders_to_date": orders_to_date,
            "net_amount_to_date": net_to_date / 100,
            "clv_historic_mean": ratio(net_to_date / 100, to_date),
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


def counted_contacts(books: Books) -> Iterator[Contact]:
    """Inbound contacts up to the last complete day: no transfer legs, no spam."""
    for contact in books.rows["contacts"]:
        is_leg = contact.root_contact_id is not None and contact.root_contact_id != contact.contact_id
        is_known = books.day(contact.started_at) <= books.through
        if contact.direction == "inbound" and not contact.is_spam and not is_leg and is_known:
            yield contact


def _contact_volume_daily(books: Books) -> Rows:
    """A row wherever there was a contact."""
    parts: dict[tuple[Any, ...], dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for contact in counted_contacts(books):
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


def resolved_at(case: Case | None, history: list[CaseEvent]) -> datetime | None:
    """When a case was resolved: the source's own word first, then the last resolution, then a closing without one.

    Each unless a reopening undid it.

    At the very instant of a reopening the source's word stands, an event does not.
    """
    times = {name: [event.occurred_at for event in history if event.event == name] for name in ("resolved", "reopened", "closed")}
    reopened = max(times["reopened"], default=None)
    if case and case.resolved_at and (reopened is None or case.resolved_at >= reopened):
        return case.resolved_at
    closed = case.closed_at if case and case.closed_at else max(times["closed"], default=None)
    for at in (max(times["resolved"], default=None), closed):
        if at is not None and (reopened is None or at > reopened):
            return at
    return None


def is_one_touch(case: Case | None, history: list[CaseEvent]) -> bool:
    """Whether it never changed hands nor was reopened; the source's counts first, then its events."""
    counts: dict[str, int] = defaultdict(int)
    for event in history:
        counts[event.event] += 1
    reassigned = case.reassignment_count if case else None
    reopened = case.reopen_count if case else None
    reassigned = max(counts["assigned"] - 1, 0) if reassigned is None else reassigned
    return reassigned == 0 and (counts["reopened"] if reopened is None else reopened) == 0


def issue_contacts(books: Books) -> list[Contact]:
    """Contacts that an issue can open with, or that can follow one: somebody handled them, and they are of no test person."""
    return [c for c in counted_contacts(books) if c.outcome == "handled" and not books.excluded(c.person_id)]


def issues(books: Books) -> dict[str, bool]:
    """By the contact that opened an issue of a known person: whether it was resolved with that."""
    window = timedelta(days=books.definitions.fcr_window_days)
    reopened: dict[str, list[datetime]] = defaultdict(list)
    for event in books.rows["case_events"]:
        if event.event == "reopened" and books.day(event.occurred_at) <= books.through:
            reopened[event.case_id].append(event.occurred_at)
    chains: dict[tuple[str, str], list[Contact]] = defaultdict(list)
    for contact in issue_contacts(books):
        person = books.survivor(contact.person_id)
        if person:
            chains[(person, contact.topic or UNKNOWN)].append(contact)
    found = {}
    for chain in chains.values():
        chain.sort(key=lambda contact: (contact.started_at, contact.contact_id))
        for n, contact in enumerate(chain):
            start, window_end = contact.started_at, contact.started_at + window
            if n > 0 and start - chain[n - 1].started_at <= window:
                continue
            followed = n + 1 < len(chain) and chain[n + 1].started_at <= window_end
            undone = any(start <= at <= window_end for at in reopened.get(contact.case_id or "", []))
            found[contact.contact_id] = not followed and not undone
    return found


def _fcr_daily(books: Books) -> Rows:
    """A row wherever there was an eligible contact; contacts count on their own day, issues on their first."""
    is_resolved = issues(books)
    parts: dict[tuple[Any, ...], dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for contact in issue_contacts(books):
        row = parts[(books.day(contact.started_at), contact.channel, contact.topic or UNKNOWN)]
        row["eligible"] += 1
        row["known"] += bool(books.survivor(contact.person_id))
        row["issues"] += contact.contact_id in is_resolved
        row["resolved"] += is_resolved.get(contact.contact_id, False)
    for (day, channel, topic), row in parts.items():
        yield {
            "metric_date": day,
            "channel": channel,
            "topic": topic,
            "eligible_contacts": row["eligible"],
            "known_person_contacts": row["known"],
            "issues": row["issues"],
            "resolved_first_contact": row["resolved"],
            "fcr_rate": ratio(row["resolved"], row["issues"]),
            **books.finality(day, books.definitions.fcr_window_days),
        }


# ---- carts ----------------------------------------------------------------------------------------------------------


def _cart_abandonment_daily(books: Books) -> Rows:
    """A row wherever a cart had its last event, also where all of these were emptied.

    An order within the timeout comes first: shops empty a cart once it is ordered.
    """
    timeout = timedelta(hours=books.definitions.cart_timeout_hours)
    recovery = timedelta(days=books.definitions.cart_recovery_days)
    parts: dict[tuple[date, str], dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for history, ordered in carts_of(books):
        if any(books.excluded(event.person_id) for event in history):
            continue
        last = history[-1].occurred_at
        named = [event.device for event in history if event.device]
        row = parts[(books.day(last), named[-1] if named else UNKNOWN)]
        waits = [at - last for at in ordered]
        is_converted = any(wait <= timeout for wait in waits)
        if not is_converted and _items(history) <= 0:
            row["emptied"] += 1
            continue
        row["carts"] += 1
        has_checkout = any(event.event == "checkout" for event in history)
        row["checkout_carts"] += has_checkout
        if is_converted:
            row["converted"] += 1
        elif last + timeout > books.end:
            row["open"] += 1
        else:
            row["abandoned"] += 1
            row["recovered"] += any(timeout < wait <= recovery for wait in waits)
            row["checkout_abandoned"] += has_checkout
    timeout_days = -(-books.definitions.cart_timeout_hours // 24)
    for (day, device), row in parts.items():
        yield {
            "metric_date": day,
            "device": device,
            **{name: row[name] for name in COLUMNS["cart_abandonment_daily"].split()[:-3]},
            "abandonment_rate": ratio(row["abandoned"], row["abandoned"] + row["converted"]),
            **books.finality(day, timeout_days),
            **{f"recovered_{name}": value for name, value in books.finality(day, recovery.days).items()},
        }


def carts_of(books: Books) -> Iterator[tuple[list[Any], list[datetime]]]:
    """The events of every cart, in order, and when it was ordered; carts of tests, too.

    Events without a cart id are carts of their visitor, else of their person: a new one begins after a gap. Who orders
    without a cart id orders what is in the last cart begun by then.
    """
    gap = timedelta(minutes=books.definitions.cart_gap_minutes)
    ordered: dict[tuple[str, str], list[datetime]] = defaultdict(list)
    for sale in books.sales:
        owner = _cart_owner(sale.order)
        if owner and sale.order.ordered_at:
            ordered[owner].append(sale.order.ordered_at)
    events: dict[tuple[str, str], list[Any]] = defaultdict(list)
    for event in books.rows["cart_events"]:
        owner = _cart_owner(event)
        if owner:
            events[owner].append(event)
    for owner, history in events.items():
        history.sort(key=lambda event: (event.occurred_at, event.event_id))
        carts: list[list[Any]] = []
        for event in history:
            if not carts or (owner[0] != "cart" and event.occurred_at - carts[-1][-1].occurred_at >= gap):
                carts.append([])
            carts[-1].append(event)
        for n, cart in enumerate(carts):
            first = cart[0].occurred_at
            following = carts[n + 1][0].occurred_at if n + 1 < len(carts) else None
            theirs = ordered.get(owner, [])
            if owner[0] != "cart":
                theirs = [at for at in theirs if first <= at and (following is None or at < following)]
            yield cart, theirs


def _cart_owner(row: Any) -> tuple[str, str] | None:
    """The cart a row names, else its visitor, else its person."""
    for kind, name in (("cart", row.cart_id), ("visitor", row.visitor_id), ("person", row.person_id)):
        if name:
            return kind, name
    return None


def _items(history: list[Any]) -> int:
    """Units in the cart after its last event; emptying takes out what came at the same instant, too."""
    emptied = [event.occurred_at for event in history if event.event == "empty"]
    units = 0
    for event in history:
        if not emptied or event.occurred_at > emptied[-1]:
            quantity = 1 if event.quantity is None else event.quantity
            units += {"add": quantity, "remove": -quantity}.get(event.event, 0)
    return units


# ---- helpers --------------------------------------------------------------------------------------------------------


def latest(feed: str, files: list[list[Any]]) -> list[Any]:
    """The newest delivered version of each row: by its version, then by delivery, then by place in the file."""
    known: dict[Any, Any] = {}
    for row in (row for rows in files for row in rows if not isinstance(row, Spoiled)):
        key = row[: KEY_WIDTH.get(feed, 1)]
        if key not in known or (feed not in APPEND_FEEDS and row.updated_at >= known[key].updated_at):
            known[key] = row
    return list(known.values())


def counted_sales(books: Books) -> list[_Sale]:
    """Purchases up to the last complete day."""
    return [sale for sale in books.sales if sale.is_purchase and sale.day and sale.day <= books.through]


def order_days(books: Books) -> dict[str, list[date]]:
    """The days on which each known person ordered, in order."""
    days: dict[str, set[date]] = defaultdict(set)
    for sale in counted_sales(books):
        if sale.person:
            days[sale.person].add(sale.day)
    return {person: sorted(days[person]) for person in sorted(days)}


def _first_known_order(books: Books) -> date | None:
    return min((days[0] for days in order_days(books).values()), default=None)


def _converted(cents: int, rate: Decimal) -> Any:
    """Cents in the reporting currency, to a hundredth of a cent, as every row of money is kept."""
    exact = Context(prec=60, rounding=ROUND_HALF_UP)
    return cents if rate == 1 else exact.quantize(exact.multiply(Decimal(cents), rate), Decimal("0.01"))


def _total(parts: Iterable[Any]) -> Any:
    """The sum; None where one part is not known."""
    known = list(parts)
    return None if None in known else sum(known)


def next_month(month: date) -> date:
    return (month.replace(day=1) + timedelta(days=32)).replace(day=1)


def ratio(numerator: float, denominator: float) -> float | None:
    return numerator / denominator if denominator else None


COLUMNS: dict[str, str] = {
    "sales_daily": "orders units gross_amount discount_amount refund_amount net_amount tax_amount shipping_amount "
    "gross_amount_reporting discount_amount_reporting refund_amount_reporting net_amount_reporting tax_amount_reporting "
    "shipping_amount_reporting revenue_with_cost_reporting cost_reporting margin_reporting average_order_value margin_rate",
    "retention_daily": "active_at_start retained retention_rate",
    "churn_daily": "active_at_start lost reactivated churn_rate",
    "retention_cohorts": "customers active active_or_later retention_rate rolling_retention_rate rolling_is_final "
    "rolling_final_on",
    "clv_customer": "as_of_date first_order_date last_order_date orders gross_amount discount_amount refund_amount "
    "net_amount margin_amount clv_historic orders_trailing_365d net_amount_trailing_365d clv_simple",
    "clv_daily": "customers_to_date orders_to_date net_amount_to_date clv_historic_mean orders_trailing_365d "
    "net_amount_trailing_365d purchasers_trailing_365d active_365d_ago lost_since_365d clv_simple",
    "contact_volume_daily": "inbound handled abandoned contained",
    "fcr_daily": "eligible_contacts known_person_contacts issues resolved_first_contact fcr_rate",
    "cart_abandonment_daily": "carts abandoned converted open recovered emptied checkout_carts checkout_abandoned "
    "abandonment_rate recovered_is_final recovered_final_on",
}
RATIOS = ("_rate", "_mean", "average_order_value", "average_resolution_minutes", "clv_simple")
NO_FINALITY = {"clv_customer"}


def _frame(mart: str, rows: Rows, through: date) -> pd.DataFrame:
    """The rows up to the last complete day as a frame, by key; days are `datetime.date`, a missing ratio is NaN."""
    finality = [] if mart in NO_FINALITY else ["is_final", "final_on"]
    kept = [row for row in rows if row.get("metric_date", through) <= through]
    frame = pd.DataFrame(kept, columns=[*MART_KEYS[mart], *COLUMNS[mart].split(), *finality])
    for name in frame.columns:
        if name.endswith(RATIOS):
            frame[name] = frame[name].astype("float64")
    return frame.sort_values(list(MART_KEYS[mart])).reset_index(drop=True)
