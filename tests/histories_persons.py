"""Persons and accounts of random histories: who shares what with whom, and for how long.

Belongs here: their rows. Does not: what makes two of them one (`orchestration.lib.simulator.crosswalk`).

Few addresses, numbers and ids among few persons, each typed in several ways, so that they link in chains, share too much,
and part again. Half of all rows say nothing but who was merged into whom, as in a company with one system.
"""

from __future__ import annotations

from random import Random
from typing import Any

Values = dict[str, Any]
THEMES: tuple[tuple[str, ...], ...] = (
    ("persons", "orders", "order_lines", "refunds"),
    ("persons", "accounts", "orders", "order_lines", "cart_events"),
    ("persons", "accounts", "contacts", "subscriptions"),
    ("persons", "accounts"),
)
SPOILED = {"accounts": (("account_id", ""), ("is_test", "perhaps"))}
EMAILS = ("anna@mail.nl", "Anna@Mail.NL", "anna+shop@mail.nl", "bob@mail.nl", "bob+2@mail.nl", "info@mail.nl", "nobody", None)
PHONES = ("0612345678", "+31612345678", "0031 6 1234 5678", "06-87654321", "+49 30 1234567", "030 1234567", "12", None)
EXTERNAL = ("E1", "E2", "P1", "P2", None, None)


def person(rng: Random, persons: list[str], known: Values | None) -> Values:
    """A person, or a correction of one that is known."""
    into = rng.choice((None, rng.choice(persons)))
    if known and rng.random() < 0.6:
        changed: Values = rng.choice((
            {"merged_into_id": into}, {"merged_into_id": None, "is_deleted": None}, {"email": rng.choice(EMAILS)},
            {"phone": rng.choice(PHONES)}, {"external_id": rng.choice(EXTERNAL)}, {"is_test": not known.get("is_test")},
            {"country": rng.choice(("NL", "DE", None))}, {"account_id": rng.choice((None, "A1", "A2"))}, {"is_deleted": True},
        ))  # fmt: skip
        return {**known, **changed}
    row: Values = {"person_id": rng.choice(persons), "merged_into_id": into, "is_deleted": bool(into) or None}
    if rng.random() < 0.5:
        return row
    return row | {
        "merged_into_id": rng.choice((None, None, into)), "source": rng.choice((None, "shop", "contact_center")),
        "external_id": rng.choice(EXTERNAL), "email": rng.choice(EMAILS), "phone": rng.choice(PHONES),
        "country": rng.choice(("NL", "NL", "DE", None)), "account_id": rng.choice((None, None, "A1", "A2")),
        "is_test": rng.choice((None, False, False, False, True)),
    }  # fmt: skip


def account(world: Any, _: Any) -> list[tuple[str, Values]]:
    """An account, test or not."""
    rng = world.rng
    return world.tell("accounts", {"account_id": rng.choice(("A1", "A2")), "is_test": rng.choice((None, False, True))})


MAKERS = {"accounts": account}


def business(rng: Random) -> Values:
    """Limits that few persons reach."""
    return {"max_persons_per_key": rng.choice((1, 2, 3)), "max_persons_per_component": rng.choice((1, 2, 3, 10))}
