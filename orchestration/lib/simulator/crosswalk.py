"""Who is who among the persons of several systems, by union-find: the truth that the crosswalk of the models must find.

Belongs here: the rules of links and their guards, in plain Python over the surviving rows. Does not: how texts become keys
(`data_quality.normalise`, tested against its libraries' examples), any row, any SQL.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from data_quality.normalise import email_key, phone_key

# A part of the models' list: whatever a simulated company or a random history writes.
ROLES = ("info", "sales", "support")


class Crosswalk:
    """The persons of all systems at one moment.

    Args:
        persons: the surviving rows of the feed; fields they lack are missing.
        accounts: those of the feed of accounts.
        per_key: how many persons may have a key in common, and it still links them.
        per_component: of how many persons a chain of links may be, and they still are one.
    """

    def __init__(self, persons: Iterable[Any], accounts: Iterable[Any], per_key: int, per_component: int) -> None:
        self.persons = {person.person_id: person for person in persons}
        self._merged = {key: person.merged_into_id for key, person in self.persons.items() if person.merged_into_id}
        tests = {account.account_id for account in accounts if account.is_test}
        self._reason: dict[str, str] = {}
        for key, person in self.persons.items():
            if person.is_test:
                self._reason[key] = "test_person"
            elif getattr(person, "account_id", None) in tests:
                self._reason[key] = "test_account"
        self.keys: dict[tuple[str, str], set[str]] = defaultdict(set)
        for key, person in self.persons.items():
            if self.excluded(key) is None:
                for found in _keys(person):
                    self.keys[found].add(key)
        self.shared = {k for k, held in self.keys.items() if len({self.root(p) for p in held}) > per_key}
        self.roles = {(rule, said) for rule, said in self.keys if rule == "email" and said.split("@")[0] in ROLES}
        self._parent: dict[str, str] = {}
        for found, held in self.keys.items():
            if found not in self.shared and found not in self.roles:
                first, *others = [self.root(person) for person in held]
                for other in others:
                    self._unite(first, other)
        members: dict[str, set[str]] = defaultdict(set)
        for key in self.persons:
            members[self._find(self.root(key))].add(self.root(key))
        self.too_large = {root for root, held in members.items() if len(held) > per_component}
        self._survivor = {root: min(held) for root, held in members.items()}

    def root(self, person: str) -> str:
        """Who a person is for their own source, after all its merges. In a circle the smallest id survives."""
        path: list[str] = []
        while person in self._merged and person not in path:
            path.append(person)
            person = self._merged[person]
        return min(path[path.index(person) :]) if person in path else person

    def survivor(self, person: str | None) -> str | None:
        """Who a person is after all."""
        if person is None or person not in self.persons:
            return person
        root = self.root(person)
        found = self._find(root)
        return root if found in self.too_large else self._survivor[found]

    def is_too_large(self, person: str) -> bool:
        """Whether the chain of links that the person is in is too long to believe."""
        return self._find(self.root(person)) in self.too_large

    def excluded(self, person: str | None) -> str | None:
        """Why no metric is interested in the person: tests, and whoever the source merged into one."""
        if person is None:
            return None
        return self._reason.get(person) or (self._reason.get(self.root(person)) if person in self.persons else None)

    def _find(self, root: str) -> str:
        while self._parent.get(root, root) != root:
            root = self._parent[root]
        return root

    def _unite(self, one: str, other: str) -> None:
        self._parent[self._find(one)] = self._find(other)


def _keys(person: Any) -> set[tuple[str, str]]:
    """What shows who the person is elsewhere; their own id is one that other systems may write."""
    external, email = getattr(person, "external_id", None), email_key(person.email)
    phone = phone_key(person.phone, person.country)
    found = {("external_id", person.person_id), ("external_id", external), ("email", email), ("phone", phone)}
    return {(rule, said) for rule, said in found if said is not None}
