"""Commerce beside the core's shop: visits to it, exchange rates, and sales in other currencies.

Here belongs: the rows of these feeds, their exports and their marts. Not here: the orders, carts and refunds of the core
(`company`), and sales (`truth`).
"""

from collections import defaultdict
from datetime import date, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any, NamedTuple

from orchestration.lib.simulator import exports
from orchestration.lib.simulator.company import CURRENCY, Company, Maker, Order, OrderLine, Refund
from orchestration.lib.simulator.exports import Column, Layout
from orchestration.lib.simulator.subject import Subject, Truth
from orchestration.lib.simulator.truth import ONE_DAY, UNKNOWN, YEAR, Books, Rows, order_days, ratio, sales_daily


class WebSession(NamedTuple):
    """A visit as the tracker sums it up, one version; None where it does not say."""

    session_id: str
    person_id: str | None
    visitor_id: str | None
    started_at: datetime
    engaged_seconds: float | None
    page_views: int | None
    clicks: int | None
    has_key_event: bool | None
    device: str | None
    channel: str | None
    is_bot: bool | None
    updated_at: datetime


class PageEvent(NamedTuple):
    """Something that happened during a visit, one version."""

    event_id: str
    session_id: str
    person_id: str | None
    visitor_id: str | None
    event: str
    occurred_at: datetime
    page: str | None
    engaged_seconds: float | None
    device: str | None
    is_bot: bool | None
    updated_at: datetime


class FxRate(NamedTuple):
    """What one unit of a currency is worth in another one from a day on, one version."""

    currency: str
    to_currency: str
    rate_date: date
    rate: Decimal
    updated_at: datetime


class Initiative(NamedTuple):
    """Something the company did for its customers, one version."""

    initiative_id: str
    name: str
    start_date: date
    end_date: date | None
    updated_at: datetime


# ---- what happened --------------------------------------------------------------------------------------------------


def make(maker: Maker) -> None:
    """Initiatives, exchange rates and visits."""
    _make_initiatives(maker)
    _make_rates(maker)
    _make_visits(maker)


def _make_initiatives(maker: Maker) -> None:
    """One every three weeks, told a few days late or early; some end, and some began on another day than was said first."""
    rng = maker.stream("initiatives")
    names = ("New checkout", "Free returns", "Chat on every page", "Loyalty card", "Faster delivery", "Welcome mails")
    for n, day in enumerate(range(3, maker.days, 21)):
        start = maker.clock.start + timedelta(days=day)
        told = max(day + rng.choice((-2, 0, 0, 4)), 0)
        row = Initiative(f"I{n + 1:03d}", names[n % len(names)], start, None, maker.clock.local(told, 9 * 3600))
        maker.post("initiatives", row, told)
        change = told + rng.choice((6, 10, 30))
        if change < maker.days:
            other = rng.choice(({"end_date": start + timedelta(days=15)}, {"start_date": start + timedelta(days=2)}, {}))
            maker.post("initiatives", row._replace(**other, updated_at=maker.clock.local(change, 9 * 3600)), change)


def _make_rates(maker: Maker) -> None:
    """Rates of every weekday, to the reporting currency and between others; some come late, some are put right."""
    rng = maker.stream("rates")
    values = {("USD", CURRENCY): 0.92, ("GBP", CURRENCY): 1.17, ("JPY", CURRENCY): 0.0062, ("USD", "GBP"): 0.79}
    for day in range(maker.days):
        today = maker.clock.start + timedelta(days=day)
        if today.weekday() >= 5:
            continue
        for (currency, to_currency), value in values.items():
            values[currency, to_currency] = value * rng.uniform(0.99, 1.01)
            rate = Decimal(f"{value:.8f}")
            row = FxRate(currency, to_currency, today, rate, maker.clock.local(day, 16 * 3600))
            # a week's rates may be missing until then
            lag = rng.choice((0,) * 12 + (1, 4, 11))
            maker.post("fx_rates", row, day, lag)
            if rng.random() < 0.04 and day + lag + 1 < maker.days:
                later = row._replace(rate=rate + Decimal("0.0001"), updated_at=maker.clock.local(day + lag + 1, 9 * 3600))
                maker.post("fx_rates", later, day, lag + 1)


def sell_abroad(company: Company, seed: int = 7) -> None:
    """Orders in other currencies, with lines, refunds and corrections, for who exports `fx_rates`, too.

    They are not part of every company: without rates they are held. One currency never has a rate.
    """
    rng = Random(f"cxmarts:{seed}:abroad")
    persons = [row.person_id for rows in company.deliveries["persons"] for row in rows if hasattr(row, "person_id")]
    days = len(company.deliveries["orders"])

    def post(feed: str, row: Any, day: int) -> None:
        if day < days:
            company.deliveries[feed][day].append(row)

    for number in range(days * 3):
        day, order_id = number // 3, f"X{number:05d}"
        at = company.clock.plain(day, rng.randrange(86_400))
        currency = rng.choice(("USD", "USD", "GBP", "JPY", "CHF"))
        order = Order(
            order_id, rng.choice((None, *persons[:60])), f"V{number}", None, at, "paid", currency, "web",
            rng.choice(("US", "GB", None)), rng.choice((0, 0, 333)), rng.choice((0, 777)), 495, False, at,
        )  # fmt: skip
        late = rng.choice((0,) * 10 + (1, 9))
        post("orders", order, day + late)
        cost = rng.choice((400, 777, None))
        for line in range(rng.choice((1, 2, 3))):
            row = OrderLine(
                order_id, str(line + 1), f"SKU-{rng.randrange(9)}", "Abroad", rng.choice((1, 3)), rng.choice((999, 1234, 1)),
                rng.choice((0, 77)), cost, False, False, at,
            )  # fmt: skip
            post("order_lines", row, day + late)
        if rng.random() < 0.1:
            back = OrderLine(order_id, "9", "SKU-1", "Abroad", -1, 999, 0, cost, True, False, at)
            post("order_lines", back, day + late)
        if rng.random() < 0.2:
            refunded = company.clock.plain(day + late + rng.choice((0, 1, 8, 20)), rng.randrange(86_400))
            refund = Refund(f"RX{number:05d}", order_id, refunded, 555, "abroad", rng.choice((currency, currency, "EUR", "GBP")))
            post("refunds", refund, max(company.clock.index(refunded), day + late))
        if rng.random() < 0.1:
            later = day + late + rng.choice((1, 3))
            changed = rng.choice(({"status": "cancelled"}, {"currency": "GBP"}, {"currency": "CHF"}, {"discount_amount": 111}))
            post("orders", order._replace(**changed, updated_at=at + timedelta(days=30)), later)


def _make_visits(maker: Maker) -> None:
    """Visits of known persons and of others. A few are only known by their events, and a few were made by bots."""
    rng = maker.stream("visits")
    moments: list[tuple[datetime, str | None]] = []
    for person, joined in maker.joined.items():
        day = joined + rng.expovariate(0.02)
        while day < maker.days:
            moments.append((maker.clock.plain(int(day), rng.randrange(86_400)), person))
            # often again within days, else not for weeks
            day += rng.expovariate(0.4 if rng.random() < 0.3 else 0.02)
    for day in range(maker.days):
        for _ in range(1 + maker.customers // 150):
            moments.append((maker.clock.plain(day, rng.randrange(86_400)), None))
    moments.sort(key=lambda moment: (moment[0], moment[1] or ""))
    for number, (started, person) in enumerate(moments, start=1):
        _make_session(maker, rng, f"W{number:06d}", started, person)


def _make_session(maker: Maker, rng: Any, session_id: str, started: datetime, person: str | None) -> None:
    visitor = f"V{rng.randrange(10**6):06d}"
    device = rng.choices(("mobile", "desktop", "tablet", None), (5, 4, 1, 1))[0]
    is_bot = rng.random() < 0.03
    pages = rng.choice((1, 1, 2, 3, 6))
    seconds = rng.choice((0.5, 9.9, 10.0, 41.3, 240.25))
    day = maker.clock.index(started)
    has_events = rng.random() < 0.25
    if not has_events or rng.random() < 0.7:
        says = not has_events or rng.random() < 0.6
        first = WebSession(
            session_id, None if has_events and rng.random() < 0.3 else person, visitor, started,
            seconds if says else None, pages if says else None, rng.randrange(4) if says else None,
            rng.choice((True, False, False, False)) if says else None,
            None if has_events else device, rng.choice(("search", "mail", "direct", None)), is_bot or None, started,
        )  # fmt: skip
        delivered = maker.post("web_sessions", first, day, 1 if rng.random() < 0.02 else 0)
        if rng.random() < 0.2:
            # The tracker's rows change for up to 72 hours.
            later = first._replace(
                engaged_seconds=None if first.engaged_seconds is None else first.engaged_seconds + rng.choice((0.1, 30)),
                page_views=None if first.page_views is None else first.page_views + 1,
                updated_at=started + timedelta(hours=rng.randint(20, 72)),
            )
            lag = max(delivered, maker.clock.index(later.updated_at)) - day
            if day + lag < maker.days:
                maker.post("web_sessions", later, day, lag)
    if has_events:
        at = started
        for n in range(pages + 1):
            event = PageEvent(
                f"{session_id}-{n}", session_id, person if n > 0 else None, visitor,
                "page_view" if n < pages else rng.choice(("click", "key_event")), at, f"/p/{rng.randrange(40)}",
                rng.choice((None, 0.5, 4.75, 12)), device if n != 1 else None, is_bot or None, at,
            )  # fmt: skip
            maker.post("page_events", event, maker.clock.index(at), rng.choice((0,) * 30 + (1, 2, 3)))
            at += timedelta(seconds=rng.randint(1, 300))
            if maker.clock.index(at) >= maker.days:
                return


# ---- how it is exported ---------------------------------------------------------------------------------------------


def _dutch_day(value: date | None, _: Any) -> exports.Cell:
    """A day as the planning sheet writes it: the source has one format for days and times."""
    return None if value is None else value.strftime("%d/%m/%Y 00:00:00")


LAYOUTS = {
    "web_sessions": Layout(
        "ecommerce",
        "ndjson",
        "ndjson",
        (
            Column("session_id", "ga_session_id"),
            Column("person_id", "user_id"),
            Column("visitor_id", "user_pseudo_id"),
            Column("started_at", "session_start", exports._zulu_ms),
            Column("engaged_seconds", "engagement_time", exports._number),
            Column("page_views", "screen_page_views", exports._number),
            Column("clicks", "clicks", exports._number),
            Column("has_key_event", "key_event", exports._number),
            Column("device", "device_category"),
            Column("channel", "default_channel_group"),
            Column("is_bot", "is_bot", exports._number),
            Column("updated_at", "exported_at", exports._zulu_ms),
        ),
    ),
    "page_events": Layout(
        "ecommerce",
        "tsv",
        "csv",
        (
            Column("event_id", "event_id"),
            Column("session_id", "session"),
            Column("person_id", "customer", exports._null),
            Column("visitor_id", "visitor"),
            Column("event", "event"),
            Column("occurred_at", "event_time", exports._offset),
            Column("page", "page"),
            Column("engaged_seconds", "seconds", exports._null),
            Column("device", "device", exports._null),
            Column("is_bot", "bot"),
            Column("updated_at", "updated_at", exports._zulu),
        ),
        delimiter="\t",
        missing=("", "NULL"),
    ),
    "initiatives": Layout(
        "crm",
        "csv",
        "csv",
        (
            Column("initiative_id", "id"),
            Column("name", "title"),
            Column("start_date", "starts", _dutch_day),
            Column("end_date", "ends", _dutch_day),
            Column("updated_at", "changed", exports._vendor_time),
        ),
        delimiter=";",
        newline="\r\n",
        datetime_format=exports.VENDOR_TIME,
        expected=None,
    ),
    "fx_rates": Layout(
        "context",
        "csv",
        "csv",
        (
            Column("currency", "from"),
            Column("to_currency", "to"),
            Column("rate_date", "date"),
            Column("rate", "rate"),
            Column("updated_at", "published_at", exports._offset),
        ),
        expected=None,
    ),
}


# ---- what is true about it ------------------------------------------------------------------------------------------


class _Visit(NamedTuple):
    """A session that no bot made; `reason` says why it counts nowhere, should it be a test person's."""

    day: date
    person: str | None
    device: str
    channel: str
    seconds: float
    pages: int
    clicks: int
    is_engaged: bool
    reason: str | None


def _visits(books: Books) -> list[_Visit]:
    """Sessions up to the last complete day of anybody but test persons."""
    return [visit for visit in every_visit(books) if visit.reason is None]


def every_visit(books: Books) -> list[_Visit]:
    """Sessions up to the last complete day. The session's own word comes first, then that of its events.

    A session that is a bot's, or has one event of a bot, is none. One event of a test person makes it a test person's.
    """
    events: dict[str, list[PageEvent]] = defaultdict(list)
    for event in sorted(books.rows["page_events"], key=lambda event: (event.occurred_at, event.event_id)):
        events[event.session_id].append(event)
    headers = {session.session_id: session for session in books.rows["web_sessions"]}
    found = []
    for session_id in headers.keys() | events.keys():
        header, history = headers.get(session_id), events[session_id]
        if (header and header.is_bot) or any(event.is_bot for event in history):
            continue
        reasons = [reason for row in (header, *history) if row and (reason := books.excluded(row.person_id))]
        seen: dict[str, Any] = {
            "person_id": next((event.person_id for event in history if event.person_id), None),
            "device": next((event.device for event in history if event.device), None),
            "engaged_seconds": sum(float(event.engaged_seconds) for event in history if event.engaged_seconds is not None),
            "page_views": sum(event.event == "page_view" for event in history),
            "clicks": sum(event.event == "click" for event in history),
            "has_key_event": any(event.event == "key_event" for event in history),
        }
        said = {name: getattr(header, name, None) for name in seen}
        told = {name: value if said[name] is None else said[name] for name, value in seen.items()}
        day = books.day(header.started_at if header else history[0].occurred_at)
        seconds = float(told["engaged_seconds"])
        is_engaged = (
            seconds >= books.definitions.engaged_session_seconds
            or told["page_views"] >= books.definitions.engaged_session_pages
            or told["has_key_event"]
        )
        channel = (header.channel if header else None) or UNKNOWN
        if day <= books.through:
            found.append(
                _Visit(day, books.survivor(told["person_id"]), told["device"] or UNKNOWN, channel, seconds,
                       told["page_views"], told["clicks"], is_engaged, min(reasons, default=None))
            )  # fmt: skip
    return found


def _engagement_daily(books: Books) -> Rows:
    """A row wherever a visit started."""
    groups: dict[tuple[date, str, str], list[_Visit]] = defaultdict(list)
    for visit in _visits(books):
        groups[visit.day, visit.device, visit.channel].append(visit)
    for (day, device, channel), visits in groups.items():
        seconds, pages, clicks = (sum(getattr(visit, name) for visit in visits) for name in ("seconds", "pages", "clicks"))
        engaged = sum(visit.is_engaged for visit in visits)
        yield {
            "metric_date": day,
            "device": device,
            "channel": channel,
            "sessions": len(visits),
            "engaged_sessions": engaged,
            "known_sessions": sum(visit.person is not None for visit in visits),
            "engaged_seconds": seconds,
            "page_views": pages,
            "clicks": clicks,
            "touches": pages + clicks,
            "engaged_session_rate": ratio(engaged, len(visits)),
            "average_engaged_seconds": ratio(seconds, len(visits)),
            **books.finality(day, books.definitions.engagement_settling_days),
        }


def _engaged_customers_daily(books: Books) -> Rows:
    """A row wherever a known person visited in the period or was a customer on the day."""
    by_day: dict[date, list[_Visit]] = defaultdict(list)
    for visit in _visits(books):
        if visit.person:
            by_day[visit.day].append(visit)
    orders = order_days(books)
    firsts = [*by_day, *(days[0] for days in orders.values())]
    for day in books.days_from(min(firsts, default=None)):
        active = {person for person, days in orders.items() if any(day - timedelta(days=YEAR) < at <= day for at in days)}
        starts = {
            "day": day,
            "week": day - timedelta(days=day.weekday()),
            "month": day.replace(day=1),
            "trailing_30d": day - timedelta(days=29),
        }
        for period, start in starts.items():
            visits = [visit for n in range((day - start).days + 1) for visit in by_day.get(start + n * ONE_DAY, [])]
            visiting, engaged = {v.person for v in visits}, {v.person for v in visits if v.is_engaged}
            person_days = len({(visit.person, visit.day) for visit in visits})
            touches = sum(visit.pages + visit.clicks for visit in visits)
            if visiting or active:
                yield {
                    "metric_date": day,
                    "period": period,
                    "visiting_customers": len(visiting),
                    "engaged_customers": len(engaged),
                    "active_customers": len(active),
                    "engaged_active_customers": len(engaged & active),
                    "person_days": person_days,
                    "touches": touches,
                    "engaged_customer_rate": ratio(len(engaged & active), len(active)),
                    "touches_per_person_day": ratio(touches, person_days),
                    **books.finality(day, books.definitions.engagement_settling_days),
                }


def _sales_since_initiative(books: Books) -> Rows:
    """A row for every day from the start to the end, the last complete day, or the last of `initiative_days`."""
    net: dict[date, float] = defaultdict(float)
    orders: dict[date, int] = defaultdict(int)
    for row in sales_daily(books):
        if row["metric_date"] <= books.through:
            net[row["metric_date"]] += row["net_amount_reporting"]
            orders[row["metric_date"]] += row["orders"]
    first = min(net, default=None)

    def total(values: dict[date, Any], start: date, count: int) -> Any:
        if first is None or start < first:
            return None
        return sum(values.get(start + n * ONE_DAY, 0) for n in range(count))

    for initiative in books.rows["initiatives"]:
        start = initiative.start_date
        for n in range(books.definitions.initiative_days):
            day = start + n * ONE_DAY
            if day > books.through or (initiative.end_date and day > initiative.end_date):
                break
            sides = {"before": start - (n + 1) * ONE_DAY, "last_year": start - 364 * ONE_DAY}
            found = {
                "net_amount_since": sum(net.get(start + k * ONE_DAY, 0) for k in range(n + 1)),
                "orders_since": sum(orders.get(start + k * ONE_DAY, 0) for k in range(n + 1)),
                **{f"net_amount_{side}": total(net, since, n + 1) for side, since in sides.items()},
                **{f"orders_{side}": total(orders, since, n + 1) for side, since in sides.items()},
            }

            def index(name: str, side: str, found: dict[str, Any] = found) -> float | None:
                base = found[f"{name}_{side}"]
                # cents that cancel out are nothing, whatever floats make of them
                return ratio(found[f"{name}_since"], round(base, 6)) if base is not None else None

            yield {
                "metric_date": day,
                "initiative_id": initiative.initiative_id,
                "initiative": initiative.name,
                "start_date": start,
                "days_since": n,
                **found,
                "sales_index": index("net_amount", "before"),
                "sales_index_last_year": index("net_amount", "last_year"),
                "orders_index": index("orders", "before"),
                **books.finality(day, 0),
            }


SUBJECT = Subject(
    feeds={"web_sessions": WebSession, "page_events": PageEvent, "fx_rates": FxRate, "initiatives": Initiative},
    key_width={"fx_rates": 3},
    layouts=LAYOUTS,
    make=make,
    marts={
        "sales_since_initiative": Truth(
            ("metric_date", "initiative_id"),
            ("initiative", "start_date", "days_since", "net_amount_since", "net_amount_before", "net_amount_last_year",
             "orders_since", "orders_before", "orders_last_year", "sales_index", "sales_index_last_year", "orders_index"),
            _sales_since_initiative,
        ),
        "engagement_daily": Truth(
            ("metric_date", "device", "channel"),
            ("sessions", "engaged_sessions", "known_sessions", "engaged_seconds", "page_views", "clicks", "touches",
             "engaged_session_rate", "average_engaged_seconds"),
            _engagement_daily,
        ),
        "engaged_customers_daily": Truth(
            ("metric_date", "period"),
            ("visiting_customers", "engaged_customers", "active_customers", "engaged_active_customers", "person_days",
             "touches", "engaged_customer_rate", "touches_per_person_day"),
            _engaged_customers_daily,
        ),
    },
    spoils={
        "initiatives": [("start_date", "in spring", "start_date is not a date")],
        "web_sessions": [("engaged_seconds", "long", "engaged_seconds is not a number")],
        "fx_rates": [("rate", "0,92.1", "rate is not a number")],
        "page_events": [("event", "hover", "event is unknown"), ("session_id", None, "session_id is missing")],
    },
)  # fmt: skip
