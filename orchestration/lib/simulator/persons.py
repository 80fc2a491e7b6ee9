"""The persons of several systems: accounts, and the marts that say how well persons are known.

Here belongs: the feed of accounts, and counting `person_coverage_daily` and `person_links`. Not here: the persons themselves
(`company`, because everything else is about them), nor who is who (`crosswalk`).
"""

from collections import defaultdict
from collections.abc import Iterator
from datetime import date, datetime
from typing import NamedTuple

from data_quality.normalise import email_key, phone_key
from orchestration.lib.simulator import commerce
from orchestration.lib.simulator.company import Maker
from orchestration.lib.simulator.exports import Column, Layout, _flag, _plain, _zulu
from orchestration.lib.simulator.subject import Subject, Truth
from orchestration.lib.simulator.truth import Books, Rows, carts_of, ratio


class Account(NamedTuple):
    """A company that customers belong to, one version."""

    account_id: str
    name: str
    segment: str
    country: str
    created_at: datetime
    is_test: bool
    updated_at: datetime


LAYOUTS = {
    "accounts": Layout(
        "crm",
        "csv",
        "csv",
        (
            *_plain(("account_id", "name", "segment", "country")),
            Column("created_at", "created_at", _zulu),
            Column("is_test", "internal", _flag),
            Column("updated_at", "modified_at", _zulu),
        ),
        expected=None,
    )
}


def _make(maker: Maker) -> None:
    """The accounts that persons name; the second one is the company's own, which the CRM says a month late."""
    rng = maker.stream("accounts")
    named = {p.account_id for rows in maker.deliveries["persons"] for p in rows if getattr(p, "account_id", None)}
    for n, account_id in enumerate(sorted(named)):
        created = maker.clock.local(0, rng.randrange(8 * 3600, 17 * 3600))
        row = Account(account_id, f"Company {n + 1}", rng.choice(("small", "large")), "NL", created, False, created)
        maker.post("accounts", row, 0)
        if n == 1 and maker.days > 30:
            told = maker.clock.local(30, rng.randrange(8 * 3600, 17 * 3600))
            maker.post("accounts", row._replace(is_test=True, updated_at=told), 30)


def _records(books: Books) -> Iterator[tuple[str, date | None, bool, str | None]]:
    """Feed, day, whether a person is named, why it is left out: of every record that its feed counts."""
    for sale in books.sales:
        yield "orders", sale.day, sale.order.person_id is not None, None
    for reason, day in books.excluded_orders.values():
        yield "orders", day, True, reason
    for events, _ in carts_of(books):
        reasons = [reason for event in events if (reason := books.excluded(event.person_id))]
        day = max(books.day(event.occurred_at) for event in events)
        yield "carts", day, any(event.person_id for event in events), min(reasons, default=None)
    for contact in books.rows["contacts"]:
        is_leg = contact.root_contact_id is not None and contact.root_contact_id != contact.contact_id
        if contact.direction == "inbound" and not contact.is_spam and not is_leg:
            yield "contacts", books.day(contact.started_at), contact.person_id is not None, books.excluded(contact.person_id)
    for answer in books.rows["survey_responses"]:
        if answer.status not in ("preview", "test", "partial", "dismissed"):
            person = answer.person_id
            yield "survey_responses", books.day(answer.answered_at), person is not None, books.excluded(person)
    for term in books.rows["subscriptions"]:
        yield "subscriptions", books.day(term.started_at), term.person_id is not None, books.excluded(term.person_id)
    for row in books.rows["survey_invitations"]:
        yield "survey_invitations", books.day(row.sent_at), row.person_id is not None, books.excluded(row.person_id)
    for row in books.rows["self_service_sessions"]:
        if not row.is_test:
            yield "self_service_sessions", books.day(row.started_at), row.person_id is not None, books.excluded(row.person_id)
    for row in books.rows["referrals"]:
        reasons = [reason for person in (row.referrer_id, row.referred_id) if (reason := books.excluded(person))]
        yield "referrals", books.day(row.created_at), True, min(reasons, default=None)
    for visit in commerce.every_visit(books):
        yield "web_sessions", visit.day, visit.person is not None, visit.reason


def _person_coverage_daily(books: Books) -> Rows:
    """A row wherever a feed has a record that it counts."""
    parts: dict[tuple[date, str], dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for feed, day, is_known, reason in _records(books):
        if day is not None:
            row = parts[day, feed]
            row["records"] += 1
            row[reason or "counted"] += 1
            row["known"] += reason is None and is_known
    for (day, feed), row in parts.items():
        yield {
            "metric_date": day,
            "feed": feed,
            "records": row["records"],
            "of_test_persons": row["test_person"],
            "of_test_accounts": row["test_account"],
            "counted": row["counted"],
            "known": row["known"],
            "coverage": ratio(row["known"], row["counted"]),
            **books.finality(day, 0),
        }


def _person_links(books: Books) -> Rows:
    """What each person's record says, by what came of it; that somebody has an id of their own says nothing."""
    walk = books.crosswalk
    found: dict[tuple[str, str], tuple[set[str], set[str]]] = defaultdict(lambda: (set(), set()))
    for person in walk.persons:
        if walk.root(person) != person:
            found["source", "linked"][0].add(person)
    for (rule, said), held in walk.keys.items():
        several = len({walk.root(person) for person in held}) > 1
        if rule == "external_id" and not several:
            continue
        for person in held:
            status = "own"
            if (rule, said) in walk.roles:
                status = "role_mailbox"
            elif several and (rule, said) in walk.shared:
                status = "shared"
            elif several:
                status = "large_component" if walk.is_too_large(person) else "linked"
            found[rule, status][0].add(person)
            found[rule, status][1].add(said)
    for person in walk.persons.values():
        for rule, said, key in (
            ("email", person.email, email_key(person.email)),
            ("phone", person.phone, phone_key(person.phone, person.country)),
        ):
            if said is not None and key is None:
                found[rule, "unusable"][0].add(person.person_id)
                found[rule, "unusable"][1].add(said)
    for (rule, status), (people, keys) in found.items():
        yield {"as_of_date": books.through, "rule": rule, "status": status, "persons": len(people), "keys": len(keys)}


SUBJECT = Subject(
    {"accounts": Account},
    LAYOUTS,
    _make,
    {
        "person_coverage_daily": Truth(
            ("metric_date", "feed"),
            ("records", "of_test_persons", "of_test_accounts", "counted", "known", "coverage"),
            _person_coverage_daily,
        ),
        "person_links": Truth(("rule", "status"), ("as_of_date", "persons", "keys"), _person_links, has_finality=False),
    },
)
