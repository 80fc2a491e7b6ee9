"""The customer base: who is active, who buys again, what a new customer costs, who refers, how long contracts live.

Here belongs: advertising spend, campaigns, referral links and the catalogue of the demo company, and the marts of the
subject, counted in Python. Not here: orders and contracts themselves (`company`), churn and cohorts of all (`truth`).
"""

import random
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from itertools import pairwise
from math import sqrt
from typing import Any, NamedTuple

from orchestration.lib.simulator.company import CURRENCY, Maker, Spoiled, _lag
from orchestration.lib.simulator.exports import Cell, Column, Layout, _flag, _money, _plain, _zulu, _zulu_ms
from orchestration.lib.simulator.subject import Subject, Truth
from orchestration.lib.simulator.truth import (
    ONE_DAY,
    UNKNOWN,
    YEAR,
    Books,
    Rows,
    contractual,
    counted_sales,
    next_month,
    order_days,
    ratio,
)

WINDOWS = (30, 60, 90, 180, 365)
FALSE_CHURN_WINDOWS = (180, 365)
TRAILING = (30, 90, 365)
MEDIA = {"search": (9_000, 21_000), "social": (4_000, 12_000), "display": (0, 5_000)}
OVERHEAD = {
    "agency": ("search", 180_000),
    "tools": ("email", 45_000),
    "salaries": ("email", 350_000),
    "other": ("social", 30_000),
}
CATEGORIES = {"Lamp": "lighting", "Candle set": "lighting", "Mug": "kitchen", "Chair": "furniture", "Shelf": "furniture"}


class Spend(NamedTuple):
    """What a day, channel, campaign and category cost, in cents, one version."""

    spend_id: str
    spend_date: date
    channel: str
    campaign_id: str | None
    cost_category: str
    amount: int
    currency: str
    updated_at: datetime


class Campaign(NamedTuple):
    """A campaign, one version."""

    campaign_id: str
    name: str
    channel: str
    started_on: date
    ended_on: date | None
    updated_at: datetime


class Referral(NamedTuple):
    """A link that a customer shared, and who came by it, one version."""

    referral_id: str
    referrer_id: str
    referred_id: str | None
    link_code: str
    created_at: datetime
    converted_at: datetime | None
    updated_at: datetime


class Product(NamedTuple):
    """An article of the catalogue, one version; cost in cents."""

    product_id: str
    name: str
    category: str | None
    unit_cost: int | None
    currency: str
    is_gift_card: bool
    updated_at: datetime


# ---- what happened --------------------------------------------------------------------------------------------------


def make(maker: Maker) -> None:
    """Everything of the subject; each feed has a random stream of its own."""
    _make_spend(maker, maker.stream("marketing spend"))
    _make_referrals(maker, maker.stream("referrals"))
    _make_products(maker, maker.stream("products"))


def _make_spend(maker: Maker, rng: random.Random) -> None:
    """Media every day, the rest on the first of a month; platforms correct a day's bill a day or two later."""
    clock = maker.clock
    campaigns: dict[str, str] = {}
    for day in range(maker.days):
        today = clock.start + timedelta(days=day)
        made_at = clock.plain(day, 5 * 3600)
        if day == 0 or today.day == 1:
            for channel in MEDIA:
                if channel in campaigns and rng.random() < 0.5:
                    continue
                campaign = Campaign(maker.number("CA"), f"{channel} {today:%B}", channel, today, None, made_at)
                campaigns[channel] = campaign.campaign_id
                maker.post("campaigns", campaign, day)
                length = rng.randint(10, 60)
                if day + length < maker.days:
                    ended = campaign._replace(
                        ended_on=today + timedelta(days=length), updated_at=clock.plain(day + length, 5 * 3600)
                    )
                    maker.post("campaigns", ended, day + length)
            for category, (channel, amount) in OVERHEAD.items():
                row = Spend(maker.number("SP"), today, channel, None, category, amount, CURRENCY, made_at)
                maker.post("marketing_spend", row, day, rng.choice((0, 0, 2)))
        for channel, (least, most) in MEDIA.items():
            row = Spend(
                maker.number("SP"), today, channel, campaigns[channel] if rng.random() < 0.9 else None, "media",
                rng.randint(least, most), CURRENCY, made_at,
            )  # fmt: skip
            delivered = maker.post("marketing_spend", row, day, _lag(rng, 0.05))
            if rng.random() < 0.08 and delivered + 1 < maker.days:
                later = clock.plain(delivered + 1, 5 * 3600)
                corrected = row._replace(amount=row.amount * rng.randint(90, 104) // 100, updated_at=later)
                maker.post("marketing_spend", corrected, delivered + 1)


def _make_referrals(maker: Maker, rng: random.Random) -> None:
    """Some new customers came by a link; of some links nobody came, some people used their own, some were customers before."""
    first: dict[str, datetime] = {}
    for rows in maker.deliveries["orders"]:
        for order in rows:
            if order.person_id and not isinstance(order, Spoiled):
                first[order.person_id] = min(first.get(order.person_id, order.ordered_at), order.ordered_at)
    persons = sorted(maker.joined)
    for person in persons:
        if person in first and rng.random() < 0.14:
            # mostly days before the first order, now and then after it
            created = first[person] - timedelta(seconds=rng.randint(-3 * 86_400, 20 * 86_400))
            referrer = person if rng.random() < 0.08 else rng.choice(persons)
            _make_referral(maker, rng, referrer, person, created, first[person])
    for _ in range(len(persons) // 15):
        day = rng.randrange(maker.days)
        _make_referral(maker, rng, rng.choice(persons), None, maker.clock.plain(day, rng.randrange(8 * 3600, 20 * 3600)), None)


def _make_referral(
    maker: Maker, rng: random.Random, referrer: str, referred: str | None, created: datetime, first: datetime | None
) -> None:
    """One link: delivered when it is shared, again when somebody came by it."""
    day = maker.clock.index(created)
    if not 0 <= day < maker.days:
        return
    number = maker.number("RF")
    row = Referral(number, referrer, None, f"FRIEND-{number[-5:]}", created, None, created)
    delivered = maker.post("referrals", row, day, _lag(rng, 0.04))
    if referred is not None and first is not None:
        at = max(first, created)
        known = max(maker.clock.index(at), delivered)
        if known < maker.days:
            maker.post("referrals", row._replace(referred_id=referred, converted_at=at, updated_at=at), known, _lag(rng, 0.03))


def _make_products(maker: Maker, rng: random.Random) -> None:
    """The catalogue on the first day; some articles without a category, which some get later."""
    at = maker.clock.plain(0, 4 * 3600)
    for sku, name, _, cost in sorted(maker.products):
        thing = next((known for known in CATEGORIES if name.startswith(known)), None)
        category = CATEGORIES[thing] if thing else rng.choice(("textiles", "decoration", None))
        product = Product(sku, name.replace("\n", " "), category, cost, CURRENCY, False, at)
        maker.post("products", product, 0)
        if category is None and rng.random() < 0.5 and maker.days > 30:
            day = rng.randrange(20, maker.days)
            later = product._replace(category="decoration", updated_at=maker.clock.plain(day, 4 * 3600))
            maker.post("products", later, day)
    gift = Product("GIFT-50", "Gift card 50", "gift cards", None, CURRENCY, True, at)
    maker.post("products", gift, 0)


# ---- how it is exported ---------------------------------------------------------------------------------------------


def _comma(value: int | None, zone: Any) -> Cell:
    """A decimal comma and dots between thousands, as a spreadsheet in Europe writes it."""
    return None if value is None else f"{value // 100:,}".replace(",", ".") + f",{value % 100:02d}"


def _dotted(value: date, zone: Any) -> Cell:
    return f"{value:%d.%m.%Y}"


_CATEGORIES = {"media": "Mediakosten", "agency": "Agentur", "tools": "Werkzeuge", "salaries": "Personal", "other": "Sonstiges"}
_CATEGORY = 'case "Kostenart" ' + " ".join(f"when '{word}' then '{name}'" for name, word in _CATEGORIES.items())

LAYOUTS = {
    "marketing_spend": Layout(
        "crm",
        "csv",
        "csv",
        (
            Column("spend_id", "Nr"),
            Column("spend_date", "Datum", _dotted, "cast(strptime(\"Datum\", '%d.%m.%Y') as date)"),
            Column("channel", "Kanal"),
            Column("campaign_id", "Kampagne"),
            Column("cost_category", "Kostenart", lambda value, _: _CATEGORIES[value], _CATEGORY + ' else "Kostenart" end'),
            Column("amount", "Betrag", _comma, "replace(replace(\"Betrag\", '.', ''), ',', '.')"),
            Column("currency", "Währung"),
            Column("updated_at", "Stand", _zulu),
        ),
        delimiter=";",
        newline="\r\n",
    ),
    "campaigns": Layout(
        "crm",
        "csv",
        "csv",
        (*_plain(("campaign_id", "name", "channel", "started_on", "ended_on")), Column("updated_at", "updated_at", _zulu)),
        expected=None,
    ),
    "referrals": Layout(
        "crm",
        "ndjson",
        "ndjson",
        (
            Column("referral_id", "id"),
            Column("referrer_id", "from"),
            Column("referred_id", "to"),
            Column("link_code", "code"),
            Column("created_at", "shared", _zulu_ms),
            Column("converted_at", "joined", lambda value, zone: None if value is None else _zulu_ms(value, zone)),
            Column("updated_at", "ts", _zulu_ms),
        ),
        expected=None,
    ),
    "products": Layout(
        "ecommerce",
        "csv",
        "csv",
        (
            *_plain(("product_id", "name", "category")),
            Column("unit_cost", "unit_cost", _money),
            Column("currency", "currency"),
            Column("is_gift_card", "is_gift_card", _flag),
            Column("updated_at", "updated_at", _zulu),
        ),
        expected=None,
    ),
}


# ---- what is true about it ------------------------------------------------------------------------------------------


class _Term(NamedTuple):
    """A contract that covers at least a day."""

    person: str | None
    start: date
    end: date


def _terms(books: Books) -> list[_Term]:
    found = []
    for term in books.rows["subscriptions"]:
        if not books.excluded(term.person_id):
            end = books.day(term.ended_at) if term.ended_at else date.max
            found.append(_Term(books.survivor(term.person_id), books.day(term.started_at), end))
    return [term for term in found if term.start < term.end]


def _referrals(books: Books) -> list[Referral]:
    """Referrals between persons of whom neither is a test."""
    return [row for row in books.rows["referrals"] if not books.excluded(row.referrer_id) and not books.excluded(row.referred_id)]


def _starts(period: str, day: date) -> date:
    """The first day of a period that ends on a day."""
    match period:
        case "day":
            return day
        case "week":
            return day - timedelta(days=day.weekday())
        case "month":
            return day.replace(day=1)
        case "quarter":
            return day.replace(month=day.month - (day.month - 1) % 3, day=1)
    return day - timedelta(days=int(period.removeprefix("trailing_").removesuffix("d")) - 1)


class _Purchases:
    """Orders by day, and who placed them."""

    def __init__(self, books: Books) -> None:
        sales = counted_sales(books)
        self.first_day = min((sale.day for sale in sales if sale.day), default=None)
        self.persons: dict[date, set[str]] = defaultdict(set)
        self.orders: dict[date, int] = defaultdict(int)
        self.known: dict[date, int] = defaultdict(int)
        self.of_person: dict[str, list[date]] = defaultdict(list)
        for sale in sales:
            if sale.day is None:
                continue
            self.orders[sale.day] += 1
            if sale.person:
                self.persons[sale.day].add(sale.person)
                self.known[sale.day] += 1
                self.of_person[sale.person].append(sale.day)
        for days in self.of_person.values():
            days.sort()

    def within(self, first: date, last: date) -> Iterator[date]:
        """The days of a period since the first order."""
        day = max(first, self.first_day or first)
        while day <= last:
            yield day
            day += ONE_DAY

    def active(self, period: str, day: date) -> set[str]:
        """Who ordered in the period that ends on the day."""
        found: set[str] = set()
        for one in self.within(_starts(period, day), day):
            found |= self.persons.get(one, set())
        return found

    def counted(self, orders: dict[date, int], period: str, day: date) -> int:
        """Orders in the period that ends on the day."""
        return sum(orders.get(one, 0) for one in self.within(_starts(period, day), day))


def _active_customers_daily(books: Books) -> Rows:
    """A row for every day since the first order of anybody, and since the first contract."""
    purchases = _Purchases(books)
    for period in (f"trailing_{days}d" for days in TRAILING):
        before: set[str] = set()
        for day in books.days_from(purchases.first_day):
            now = purchases.active(period, day)
            new = {person for person in now if purchases.of_person[person][0] == day}
            known, orders = purchases.counted(purchases.known, period, day), purchases.counted(purchases.orders, period, day)
            yield _movement(books, "orders", period, day, before, now, new, known, orders)
            before = now
    terms = _terms(books)
    before = set()
    seen: set[str] = set()
    for day in books.days_from(min((term.start for term in terms), default=None)):
        running = [term for term in terms if term.start <= day < term.end]
        now = {term.person for term in running if term.person}
        known = sum(term.person is not None for term in running)
        yield _movement(books, "contracts", "running", day, before, now, now - seen, known, len(running))
        before, seen = now, seen | now


def _movement(
    books: Books, basis: str, period: str, day: date, before: set[str], now: set[str], new: set[str], known: int, records: int
) -> dict[str, Any]:
    return {
        "metric_date": day,
        "basis": basis,
        "period": period,
        "active_customers": len(now),
        "new_customers": len(new),
        "reactivated_customers": len(now - before - new),
        "lapsed_customers": len(before - now),
        "known_records": known,
        "records": records,
        "coverage": ratio(known, records),
        **books.finality(day, 0),
    }


def _purchasers_daily(books: Books) -> Rows:
    """A row for every day since the first order of anybody; calendar periods are to date."""
    purchases = _Purchases(books)
    for day in books.days_from(purchases.first_day):
        for period in ("day", "week", "month", "quarter", "trailing_30d", "trailing_365d"):
            persons = purchases.active(period, day)
            repeat = sum(sum(one <= day for one in purchases.of_person[person]) >= 2 for person in persons)
            known, orders = purchases.counted(purchases.known, period, day), purchases.counted(purchases.orders, period, day)
            yield {
                "metric_date": day,
                "period": period,
                "purchasers": len(persons),
                "repeat_purchasers": repeat,
                "known_orders": known,
                "orders": orders,
                "repeat_purchase_rate": ratio(repeat, len(persons)),
                "purchase_frequency": ratio(known, len(persons)),
                "coverage": ratio(known, orders),
                **books.finality(day, 0),
            }


def _second_purchase_daily(books: Books) -> Rows:
    """Two orders on one day are a first and a second one, no day apart. A window has passed with its last day."""
    by_day: dict[date, list[list[date]]] = defaultdict(list)
    for days in _Purchases(books).of_person.values():
        by_day[days[0]].append(days)
    for day, people in by_day.items():
        for window in WINDOWS:
            last = day + timedelta(days=window)
            again = sum(len(days) > 1 and days[1] <= last for days in people)
            has_passed = last <= books.through
            yield {
                "metric_date": day,
                "window_days": window,
                "first_time_buyers": len(people),
                "bought_again_so_far": again,
                "judged": len(people) if has_passed else 0,
                "bought_again": again if has_passed else 0,
                "second_purchase_rate": again / len(people) if has_passed else None,
                **books.finality(day, window),
            }


def _acquired(books: Books) -> dict[str, tuple[date, bool]]:
    """When somebody became a customer, by an order or a contract, and whether by the link of somebody else shared before."""
    first = {person: days[0] for person, days in order_days(books).items()}
    for term in _terms(books):
        if term.person:
            first[term.person] = min(first.get(term.person, date.max), term.start)
    shared: dict[str, date] = {}
    for referral in _referrals(books):
        referrer, referred = books.survivor(referral.referrer_id), books.survivor(referral.referred_id)
        if referred and referred != referrer:
            shared[referred] = min(shared.get(referred, date.max), books.day(referral.created_at))
    return {person: (day, shared.get(person, date.max) <= day) for person, day in first.items()}


def _new_customers_daily(books: Books) -> Rows:
    """A row wherever there was a new customer or money was spent."""
    parts: dict[tuple[date, str], dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for day, is_referred in _acquired(books).values():
        parts[(day, "referral" if is_referred else UNKNOWN)]["new"] += 1
    for spend in books.rows["marketing_spend"]:
        row = parts[(spend.spend_date, spend.channel)]
        row["all"] += spend.amount
        row["media"] += spend.amount if spend.cost_category == "media" else 0
    for (day, channel), row in parts.items():
        yield {
            "metric_date": day,
            "channel": channel,
            "new_customers": row["new"],
            "media_spend": row["media"] / 100,
            "acquisition_spend": row["all"] / 100,
            "cac_paid": ratio(row["media"] / 100, row["new"]),
            "cac_full": ratio(row["all"] / 100, row["new"]),
            **books.finality(day, 0),
        }


def _referrals_daily(books: Books) -> Rows:
    """A row for every day since the first order, and for days with a new customer before it.

    A referrer is a person who ordered in the trailing 365 days and shared a link in them that somebody else may have used.
    """
    purchases = _Purchases(books)
    new: dict[date, list[bool]] = defaultdict(list)
    for day, is_referred in _acquired(books).values():
        new[day].append(is_referred)
    shares: list[tuple[str | None, date]] = []
    for referral in _referrals(books):
        referrer, referred = books.survivor(referral.referrer_id), books.survivor(referral.referred_id)
        if referrer != referred:
            shares.append((referrer, books.day(referral.created_at)))
    for day in sorted({*books.days_from(purchases.first_day), *(day for day in new if day <= books.through)}):
        active = purchases.active("trailing_365d", day) if purchases.first_day else set()
        year_ago = day - timedelta(days=YEAR)
        referrers = len({person for person, shared in shares if year_ago < shared <= day} & active)
        yield {
            "metric_date": day,
            "new_customers": len(new[day]),
            "referred_customers": sum(new[day]),
            "active_customers": len(active),
            "referrers": referrers,
            "referral_rate": ratio(sum(new[day]), len(new[day])),
            "referrer_rate": ratio(referrers, len(active)),
            **books.finality(day, 0),
        }


def _survival(books: Books) -> Rows:
    """A curve for every complete month since the first contract, over the stretches of cover known at its end.

    A stretch that is over by then ended at its length; one that covers the month's last day is censored at its length so far.
    """
    basis = contractual(books)
    days_of: dict[str, list[date]] = defaultdict(list)
    for day in sorted(basis.active):
        for person in basis.active[day]:
            days_of[person].append(day)
    stretches: list[tuple[str, date, date]] = []  # plan, first day of cover, last day of cover
    for person, days in days_of.items():
        start = days[0]
        for day, following in zip(days, [*days[1:], None], strict=True):
            if following != day + ONE_DAY:
                stretches.append((basis.plan(person, start), start, day))
                start = following or start
    if not stretches:
        return
    month = min(start for _, start, _ in stretches).replace(day=1)
    while (end := next_month(month) - ONE_DAY) <= books.through:
        lengths: dict[str, list[tuple[int, bool]]] = defaultdict(list)
        for plan, start, last in stretches:
            if start <= end:
                for group in ("all", plan):
                    lengths[group].append(((min(last, end) - start).days + 1, last < end))
        for plan, found in lengths.items():
            for step in _curve(found):
                cell = dict(zip(("tenure_days", "at_risk", "ended", "survival", "standard_error"), step, strict=True))
                yield {"metric_date": end, "plan": plan, **cell, **books.finality(end, books.definitions.contract_grace_days)}
        month = next_month(month)


def _repurchase_survival(books: Books) -> Rows:
    """A curve for every complete month since the first order, over the gaps between order days known at its end.

    A gap that an order closes by then ended at its length; the silence since the last order is censored at its length so far.
    """
    days_of, first = order_days(books), _first_sales(books)
    if not days_of:
        return
    month = min(days[0] for days in days_of.values()).replace(day=1)
    while (end := next_month(month) - ONE_DAY) <= books.through:
        lengths: dict[tuple[str, str], list[tuple[int, bool]]] = defaultdict(list)
        for person, every_day in days_of.items():
            days = [day for day in every_day if day <= end]
            gaps = [((following - day).days, True) for day, following in pairwise(days)]
            gaps += [((end - day).days, False) for day in days[-1:]]
            for group in (("all", "all"), ("entry_channel", first[person].order.sales_channel or UNKNOWN)):
                lengths[group] += gaps
        for (dimension, segment), found in lengths.items():
            for step in _curve(found):
                cell = dict(zip(("gap_days", "at_risk", "came_back", "survival", "standard_error"), step, strict=True))
                yield {"metric_date": end, "dimension": dimension, "segment": segment, **cell, **books.finality(end, 0)}
        month = next_month(month)


def _curve(found: list[tuple[int, bool]]) -> Iterator[tuple[int, int, int, float, float]]:
    """By length: how many were at risk and ended, the product so far, and its error; `found` has lengths and what is over."""
    survival, variance = 1.0, 0.0
    here, over = Counter(length for length, _ in found), Counter(length for length, is_over in found if is_over)
    at_risk = len(found) - here[0]
    for length in range(1, max(here, default=0) + 1):
        ended = over[length]
        survival *= 1 - ended / at_risk
        variance += ended / (at_risk * (at_risk - ended)) if ended < at_risk else 0
        yield length, at_risk, ended, survival, survival * sqrt(variance)
        at_risk -= here[length]


def _false_churn_daily(books: Books) -> Rows:
    """Who had no order for N days lapsed on the day after them; an order on the N-th day after the last one is in time."""
    lapsed: dict[date, list[int | None]] = defaultdict(list)  # days until they came back
    inactive = timedelta(days=books.definitions.churn_inactive_days)
    for days in order_days(books).values():
        for day, following in zip(days, [*days[1:], None], strict=True):
            lapse = day + inactive
            if lapse <= books.through and (following is None or following > lapse):
                lapsed[lapse].append((following - lapse).days if following else None)
    for day, away in lapsed.items():
        for window in FALSE_CHURN_WINDOWS:
            back = sum(days is not None and days <= window for days in away)
            has_passed = day + timedelta(days=window) <= books.through
            yield {
                "metric_date": day,
                "window_days": window,
                "lapsed": len(away),
                "came_back_so_far": back,
                "judged": len(away) if has_passed else 0,
                "came_back": back if has_passed else 0,
                "false_churn_rate": back / len(away) if has_passed else None,
                **books.finality(day, window),
            }


def _first_sales(books: Books) -> dict[str, Any]:
    """The very first order of each known person, whenever it is."""
    first: dict[str, Any] = {}
    for sale in books.sales:
        if sale.is_purchase and sale.day and sale.person:
            other = first.get(sale.person)
            if other is None or (sale.order.ordered_at, sale.order.order_id) < (other.order.ordered_at, other.order.order_id):
                first[sale.person] = sale
    return first


def _retention_cohorts_by_segment(books: Books) -> Rows:
    """A row for every month since a segment's first order, by orders alone; the split is by the very first order, whenever it is.

    Its product is the one most was spent on, of equal ones that of the line that sorts first.
    """
    categories = {product.product_id: product.category for product in books.rows["products"]}
    first = _first_sales(books)
    months = {person: {day.replace(day=1) for day in days} for person, days in order_days(books).items()}
    cohorts: dict[tuple[date, str, str], list[str]] = defaultdict(list)
    for person, active in months.items():
        lines = [line for line in first[person].lines if not line.is_return and line.product_id is not None]
        dearest = min(lines, key=lambda line: (-line.quantity * line.unit_price, line.line_id), default=None)
        category = categories.get(dearest.product_id) if dearest else None
        cohorts[min(active), "first_product_category", category or UNKNOWN].append(person)
        cohorts[min(active), "entry_channel", first[person].order.sales_channel or UNKNOWN].append(person)
    for (cohort, dimension, segment), people in cohorts.items():
        month, since = cohort, 0
        while month <= books.through:
            active_people = sum(month in months[person] for person in people)
            or_later = sum(max(months[person]) >= month for person in people)
            yield {
                "cohort_month": cohort,
                "months_since": since,
                "dimension": dimension,
                "segment": segment,
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


SUBJECT = Subject(
    feeds={"marketing_spend": Spend, "campaigns": Campaign, "referrals": Referral, "products": Product},
    layouts=LAYOUTS,
    make=make,
    marts={
        "active_customers_daily": Truth(
            ("metric_date", "basis", "period"),
            (
                "active_customers",
                "new_customers",
                "reactivated_customers",
                "lapsed_customers",
                "known_records",
                "records",
                "coverage",
            ),
            _active_customers_daily,
        ),
        "purchasers_daily": Truth(
            ("metric_date", "period"),
            (
                "purchasers",
                "repeat_purchasers",
                "known_orders",
                "orders",
                "repeat_purchase_rate",
                "purchase_frequency",
                "coverage",
            ),
            _purchasers_daily,
        ),
        "second_purchase_daily": Truth(
            ("metric_date", "window_days"),
            ("first_time_buyers", "bought_again_so_far", "judged", "bought_again", "second_purchase_rate"),
            _second_purchase_daily,
        ),
        "new_customers_daily": Truth(
            ("metric_date", "channel"),
            ("new_customers", "media_spend", "acquisition_spend", "cac_paid", "cac_full"),
            _new_customers_daily,
        ),
        "referrals_daily": Truth(
            ("metric_date",),
            ("new_customers", "referred_customers", "active_customers", "referrers", "referral_rate", "referrer_rate"),
            _referrals_daily,
        ),
        "retention_cohorts_by_segment": Truth(
            ("cohort_month", "months_since", "dimension", "segment"),
            (
                "customers",
                "active",
                "active_or_later",
                "retention_rate",
                "rolling_retention_rate",
                "rolling_is_final",
                "rolling_final_on",
            ),
            _retention_cohorts_by_segment,
        ),
        "survival": Truth(("metric_date", "plan", "tenure_days"), ("at_risk", "ended", "survival", "standard_error"), _survival),
        "repurchase_survival": Truth(
            ("metric_date", "dimension", "segment", "gap_days"),
            ("at_risk", "came_back", "survival", "standard_error"),
            _repurchase_survival,
        ),
        "false_churn_daily": Truth(
            ("metric_date", "window_days"),
            ("lapsed", "came_back_so_far", "judged", "came_back", "false_churn_rate"),
            _false_churn_daily,
        ),
    },
    spoils={
        "marketing_spend": [
            ("amount", "about 20", "amount is not a number"),
            ("cost_category", "Feier", "cost_category is unknown"),
        ],
        "referrals": [("referrer_id", None, "referrer_id is missing")],
        "products": [("unit_cost", "cheap", "unit_cost is not a number")],
    },
)
