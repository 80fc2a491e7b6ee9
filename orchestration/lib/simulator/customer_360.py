"""The truth of `customer_360`: everything known of a person as of the last complete day, and what to do next.

Here belongs: counting that one mart from the books, and the requests of people to be forgotten, which empty it. Not here:
any other feed; it lives off the core's.
"""

from collections import defaultdict
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple

from orchestration.lib.simulator import surveys, truth
from orchestration.lib.simulator.company import CaseEvent, Maker
from orchestration.lib.simulator.exports import Column, Layout
from orchestration.lib.simulator.exports import _zulu as zulu
from orchestration.lib.simulator.subject import Subject, Truth
from orchestration.lib.simulator.truth import UNKNOWN, Books, Rows

PRODUCTS_LOOKED_AT, PARTNERS, MIN_OWNERS = 200, 10, 3
ACTIONS = {
    "old_open_case": "solve the open case",
    "recent_detractor": "call back",
    "contract_ends_soon": "offer a renewal",
    "lapses_soon": "win back",
    "likely_next_product": "offer the next product",
    "no_rule": "none",
}


class ErasureRequest(NamedTuple):
    """Somebody who wants to be forgotten."""

    request_id: str
    person_id: str
    requested_at: datetime


def make(maker: Maker) -> None:
    """About one request in ten days; some ask twice, some by an id that was merged away or that nobody knows."""
    rng = maker.stream("erasure requests")
    for day in range(maker.days):
        if rng.random() < 0.1:
            known = sorted(person for person, joined in maker.joined.items() if joined <= day)
            person = rng.choice([*known, "nobody"]) if rng.random() < 0.95 else "nobody"
            for _ in range(rng.choice((1, 1, 1, 2))):
                at = maker.clock.plain(day, rng.randrange(86_400))
                maker.post("erasure_requests", ErasureRequest(maker.number("E"), person, at), day, rng.choice((0, 0, 0, 1)))


def _forgotten(books: Books) -> set[str]:
    """People who asked by the end of the last complete day, by whichever of their ids."""
    asked = {row.person_id for row in books.rows.get("erasure_requests", ()) if row.requested_at < books.end}
    return {books.survivor(person) or person for person in asked}


def _owned(books: Books) -> dict[str, dict[str, tuple[float, date]]]:
    """By person the products of which they hold more than they brought back: units, and the day of the last movement."""
    moves: dict[tuple[str, str], list[tuple[date, float]]] = defaultdict(list)
    for sale in books.sales:
        for line in sale.lines:
            day = books.day(line.ordered_at) if line.is_return and line.ordered_at else sale.day
            if sale.person and line.product_id and not line.is_gift_card and day and day <= books.through:
                moves[sale.person, line.product_id].append((day, line.quantity))
    found: dict[str, dict[str, tuple[float, date]]] = defaultdict(dict)
    for (person, product), rows in moves.items():
        units = sum(quantity for _, quantity in rows)
        if units > 0:
            found[person][product] = (units, max(day for day, _ in rows))
    return found


def _next_products(owned: dict[str, dict[str, tuple[float, date]]]) -> dict[str, tuple[str, float]]:
    """By person the product with the highest lift to one they own, and the lift."""
    owners: dict[str, set[str]] = defaultdict(set)
    for person, products in owned.items():
        for product in products:
            owners[product].add(person)
    looked_at = sorted(owners, key=lambda product: (-len(owners[product]), product))[:PRODUCTS_LOOKED_AT]
    partners: dict[str, list[tuple[float, int, str]]] = {}
    for product in looked_at:
        ranked = []
        for other in looked_at:
            both = len(owners[product] & owners[other])
            if other != product and both >= MIN_OWNERS:
                lift = both * len(owned) / (len(owners[product]) * len(owners[other]))
                ranked.append((-lift, -both, other))
        partners[product] = sorted(ranked)[:PARTNERS]
    chosen = {}
    for person, products in owned.items():
        offers = [offer for product in products for offer in partners.get(product, []) if offer[2] not in products]
        if offers:
            lift, _, other = min(offers)
            chosen[person] = (other, -lift)
    return chosen


def _cases(books: Books) -> dict[str, dict[str, Any]]:
    events: dict[str, list[CaseEvent]] = defaultdict(list)
    for event in books.rows["case_events"]:
        events[event.case_id].append(event)
    found: dict[str, dict[str, Any]] = defaultdict(lambda: {"open": [], "all": []})
    for case in books.rows["cases"]:
        person = books.survivor(case.person_id)
        if person is None or books.excluded(case.person_id) or case.is_spam or case.opened_at >= books.end:
            continue
        resolved = truth.resolved_at(case, events[case.case_id])
        if resolved is None or resolved < case.opened_at or resolved >= books.end:
            found[person]["open"].append(books.day(case.opened_at))
        found[person]["all"].append((case.opened_at, case.case_id, case.topic or UNKNOWN))
    return found


def _scores(books: Books) -> dict[str, dict[str, Any]]:
    """By person the newest answer on the scale 0 to 10 (nps) and the newest satisfaction answer."""
    newest: dict[tuple[str, str], Any] = {}
    for answer in surveys.answers(books):
        row, person = answer.row, books.survivor(answer.row.person_id)
        counts = row.metric_kind == "csat" or (row.metric_kind == "nps" and (answer.low, answer.high) == (0, 10))
        if person and counts and answer.exclusion is None and books.day(row.answered_at) <= books.through:
            known = newest.get((person, row.metric_kind))
            if known is None or (known.row.answered_at, known.row.response_id) < (row.answered_at, row.response_id):
                newest[person, row.metric_kind] = answer
    found: dict[str, dict[str, Any]] = defaultdict(dict)
    for (person, kind), answer in newest.items():
        found[person][f"last_{kind}"] = answer.score
        found[person][f"last_{kind}_date"] = books.day(answer.row.answered_at)
        if kind == "csat":
            found[person]["last_csat_of"] = answer.high
    return found


def _contracts(books: Books) -> dict[str, list[tuple[date, date | None, str]]]:
    """By person the terms that have begun and cover at least a day."""
    found: dict[str, list[tuple[date, date | None, str]]] = defaultdict(list)
    for term in books.rows["subscriptions"]:
        person = books.survivor(term.person_id)
        start, end = books.day(term.started_at), books.day(term.ended_at) if term.ended_at else None
        is_counted = person and not books.excluded(term.person_id)
        if is_counted and start <= books.through and (end is None or start < end):
            found[person].append((start, end, term.plan or UNKNOWN))
    return found


def _customer_360(books: Books) -> Rows:
    values = {row["person_id"]: row for row in truth.clv_customer(books)}
    owned, contracts, cases, scores = _owned(books), _contracts(books), _cases(books), _scores(books)
    next_products = _next_products(owned)
    contacts: dict[str, date] = {}
    for contact in truth.counted_contacts(books):
        person = books.survivor(contact.person_id)
        if contact.outcome == "handled" and person and not books.excluded(contact.person_id):
            contacts[person] = max(contacts.get(person, date.min), books.day(contact.started_at))
    last_order_day = {person: days[-1] for person, days in truth.order_days(books).items()}
    for person in (values.keys() | contracts.keys() | cases.keys() | contacts.keys()) - _forgotten(books):
        value, goods = values.get(person, {}), owned.get(person, {})
        running = [term for term in contracts.get(person, []) if term[1] is None or books.through < term[1]]
        lapses_on = None
        if person in last_order_day:
            lapses_on = last_order_day[person] + timedelta(days=books.definitions.churn_inactive_days)
        if running:
            state = "subscriber"
        elif lapses_on and books.through < lapses_on:
            state = "active"
        else:
            state = "lapsed" if lapses_on or person in contracts else "prospect"
        of_person = cases.get(person, {"open": [], "all": []})
        oldest = (books.through - min(of_person["open"])).days if of_person["open"] else None
        ends = max((term[1] or date.max for term in running), default=date.max)
        ends_on = ends if ends < date.max else None
        product, lift = next_products.get(person, (None, None))
        answers = scores.get(person, {})
        ahead = books.through + timedelta(days=books.definitions.action_ahead_days)
        recent = books.through - timedelta(days=books.definitions.action_detractor_days)
        if oldest is not None and oldest >= books.definitions.action_open_case_days:
            rule = "old_open_case"
        elif answers.get("last_nps", 10) <= 6 and answers["last_nps_date"] > recent:
            rule = "recent_detractor"
        elif ends_on and ends_on <= ahead:
            rule = "contract_ends_soon"
        elif state == "active" and lapses_on and lapses_on <= ahead:
            rule = "lapses_soon"
        elif product and not of_person["open"] and state in ("active", "subscriber"):
            rule = "likely_next_product"
        else:
            rule = "no_rule"
        ranked = sorted(goods, key=lambda sku: sku)
        ranked.sort(key=lambda sku: (goods[sku][1], goods[sku][0]), reverse=True)
        yield {
            "person_id": person,
            "as_of_date": books.through,
            "customer_state": state,
            "first_order_date": value.get("first_order_date"),
            "last_order_date": value.get("last_order_date"),
            "orders": value.get("orders", 0),
            "clv_historic": value.get("clv_historic", 0),
            "clv_simple": value.get("clv_simple"),
            "orders_trailing_365d": value.get("orders_trailing_365d", 0),
            "lapses_on": lapses_on,
            "plans": ", ".join(sorted({term[2] for term in running})) or None,
            "contract_ends_on": ends_on,
            "products_owned": len(goods),
            "owned_products": ", ".join(ranked[:20]) or None,
            "open_cases": len(of_person["open"]),
            "oldest_open_case_days": oldest,
            "last_case_topic": max(of_person["all"])[2] if of_person["all"] else None,
            "last_contact_date": contacts.get(person),
            **{name: answers.get(name) for name in ("last_nps", "last_nps_date", "last_csat", "last_csat_of", "last_csat_date")},
            "next_product": product,
            "next_product_lift": lift,
            "next_best_action": ACTIONS[rule],
            "next_best_action_rule": rule,
        }


COLUMNS = (
    "as_of_date", "customer_state", "first_order_date", "last_order_date", "orders", "clv_historic", "clv_simple",
    "orders_trailing_365d", "lapses_on", "plans", "contract_ends_on", "products_owned", "owned_products", "open_cases",
    "oldest_open_case_days", "last_case_topic", "last_contact_date", "last_nps", "last_nps_date", "last_csat", "last_csat_of",
    "last_csat_date", "next_product", "next_product_lift", "next_best_action", "next_best_action_rule",
)  # fmt: skip
SUBJECT = Subject(
    feeds={"erasure_requests": ErasureRequest},
    layouts={
        "erasure_requests": Layout(
            "context",
            "csv",
            "csv",
            (Column("request_id", "ticket"), Column("person_id", "customer"), Column("requested_at", "received", zulu)),
            expected=None,
        )
    },
    make=make,
    append=frozenset({"erasure_requests"}),
    marts={"customer_360": Truth(("person_id",), COLUMNS, _customer_360, has_finality=False)},
)
