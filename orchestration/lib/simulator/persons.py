"""The persons of several systems: accounts, and the marts that say how well persons are known.

Here belongs: the feed of accounts, and counting `person_coverage_daily` and `person_links`. Not here: the persons themselves
(`company`, because everything else is about them), nor who is who (`crosswalk`).
"""

from collections import defaultdict
from collections.abc import Iterator
from datetime import date, datetime
from typing import Any, NamedTuple

from orchestration.lib.simulator.company import Maker
from orchestration.lib.simulator.exports import Column, Layout, _flag, _plain, _zulu
from orchestration.lib.simulator.subject import Subject, Truth
from orchestration.lib.simulator.truth import Books, Rows, _ratio


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


SUBJECT = Subject({"accounts": Account}, LAYOUTS, _make, {})
