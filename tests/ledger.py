"""What the landing folder means after each run, in plain Python: which contents are loaded, and which rows survive.

Belongs here: the rules of deliveries (taken, loaded, repeated, refused, replaced, withdrawn, snapshots) and of versions,
stated without SQL and without the pipeline. Does not: metrics (`orchestration.lib.simulator.truth`), making histories.

The rules:

* A run takes the files of its days that are new or have new content, and loads whatever was taken and is not loaded yet.
* A delivery is loaded whole or refused whole: unreadable, or with more than one bad row and more than 5 % of them. What
  was loaded under its name before stays.
* New content under a loaded name replaces the old: rows that are not in it any more are gone.
* The same content under several names counts once, as if only the name that sorts first (by day, then name) held it; a
  name whose file was refused since comes before all others, because nobody can read it again, and a repeat whose file is
  refused holds nothing. Of a delta feed that holds among the files of one day: another day's file may take a correction
  back. Snapshots are never repeats.
* Of each key the newest version counts: by version column (none is oldest), then delivery day, file name, line.
* Of a snapshot feed only the files of its newest day with rows count; a file without rows withdraws.
* Bad rows of a loaded delivery are in quarantine and count nowhere.
* Other values that decide how files are read (the business zone) make every loaded delivery be read again as it is now;
  one that is refused now keeps the rows it has.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any, NamedTuple

from data_quality.contract import load_contracts
from orchestration.lib.simulator.company import FEEDS
from tests.histories import Content, Line, Put

_READ_AGAIN = ("timezone", "reporting_currency")
_NEVER = datetime.min.replace(tzinfo=UTC)
_AMOUNTS = ("discount_amount", "tax_amount", "shipping_amount")


class Account(NamedTuple):
    """Rows of one delivery: read = quarantined + superseded + excluded + staged."""

    read: int
    quarantined: int
    superseded: int
    excluded: int
    staged: int


@dataclass
class Ledger:
    """The landing folder, and what of it is loaded. Files are known by name, as `<feed>/<day><anything>.csv`."""

    feeds: tuple[str, ...]
    snapshots: tuple[str, ...]
    landing: dict[str, Put] = field(default_factory=dict)
    pending: set[str] = field(default_factory=set)
    loaded: dict[str, Put] = field(default_factory=dict)
    refused: dict[str, Put] = field(default_factory=dict)

    def put(self, put: Put) -> None:
        """A file lies in the landing folder, instead of what it held before."""
        self.landing[put.name] = put

    def may_go(self, name: str) -> bool:
        """Whether a file may be taken away: it holds nothing that is loaded."""
        return name in self.landing and name not in self.loaded

    def take_away(self, name: str) -> None:
        """The file is gone, and with it whatever it was refused for."""
        del self.landing[name]
        self.pending.discard(name)
        self.refused.pop(name, None)

    def take(self, feeds: Iterable[str], first: date, last: date) -> None:
        """The files of these days that are new or say something else than what is loaded of them are taken."""
        for name, put in self.landing.items():
            if put.content.feed in feeds and first <= put.day <= last:
                known = self.loaded.get(name)
                if known is None or known.content != put.content:
                    self.pending.add(name)
                else:
                    self.refused.pop(name, None)

    def load(self, feed: str) -> None:
        """Everything taken of the feed is loaded, or refused."""
        for name in sorted(self.pending):
            put = self.landing[name]
            if put.content.feed == feed:
                self.pending.discard(name)
                if is_refused(put.content):
                    if name in self.loaded and self.loaded[name] not in self.counted(feed):
                        del self.loaded[name]
                    self.refused[name] = put
                else:
                    self.refused.pop(name, None)
                    self.loaded[name] = put

    def read_again(self, feeds: Iterable[str]) -> None:
        """The feeds are read under other rules: every delivery that was ever taken is as good as new."""
        for name in {*self.loaded, *self.refused}:
            if self.landing[name].content.feed in feeds:
                self.pending.add(name)

    def counted(self, feed: str) -> list[Put]:
        """The loaded deliveries of a feed without the repeats, by day and name."""
        held = sorted((put for put in self.loaded.values() if put.content.feed == feed), key=lambda put: (put.day, put.name))
        if feed in self.snapshots:
            return held
        by_day = load_contracts()[feed].delivery == "delta"
        first: dict[Any, str] = {}
        for put in sorted(held, key=lambda put: put.name not in self.refused):
            first.setdefault((put.content.text(), put.day if by_day else None), put.name)
        originals = set(first.values())
        return [put for put in held if not put.content.lines or put.name in originals]

    def rows(self) -> dict[str, list[Any]]:
        """The surviving rows of every feed, as the classes of the simulated company."""
        return {feed: [as_row(feed, line) for _, line in self._survivors(feed)] for feed in self.feeds}

    def accounts(self) -> dict[str, Account]:
        """Where the rows of each delivery that counts are, by the name of the delivery."""
        accounts: dict[str, Account] = {}
        for feed in self.feeds:
            survivors = defaultdict(list)
            for name, line in self._survivors(feed):
                survivors[name].append(is_excluded(feed, line))
            for put in self.counted(feed):
                read, bad = len(put.content.lines), sum(line.spoiled is not None for line in put.content.lines)
                staged, excluded = survivors[put.name].count(False), survivors[put.name].count(True)
                accounts[f"{feed}:{put.name}"] = Account(read, bad, read - bad - staged - excluded, excluded, staged)
        return accounts

    def _survivors(self, feed: str) -> list[tuple[str, Line]]:
        """The newest version of every key, with the file that holds it."""
        contract = load_contracts()[feed]
        delivered = [
            (put.day, put.name, number, line)
            for put in self.counted(feed)
            for number, line in enumerate(put.content.lines)
            if not line.spoiled
        ]
        if feed in self.snapshots:
            newest = max((day for day, *_ in delivered), default=None)
            delivered = [row for row in delivered if row[0] == newest]
        versions: dict[tuple[Any, ...], list[tuple[Any, ...]]] = defaultdict(list)
        for day, name, number, line in delivered:
            values = dict(line.values)
            version = (values.get(contract.versionColumn) if contract.versionColumn else None) or _NEVER
            versions[tuple(values[column] for column in contract.key)].append((version, day, name, number, line))
        winners = [max(found, key=lambda row: row[:4]) for found in versions.values()]
        return [(name, line) for _, _, name, _, line in winners]


def is_excluded(feed: str, line: Line) -> bool:
    """Whether a row is right and yet counts in no metric: tests, cancelled orders, spam, legs, deleted persons."""
    values = dict(line.values)
    match feed:
        case "orders":
            return bool(values.get("is_test")) or values["status"] == "cancelled"
        case "contacts":
            return bool(values.get("is_spam")) or values.get("root_contact_id") not in (None, values["contact_id"])
        case "cases":
            return bool(values.get("is_spam"))
        case "agents":
            return bool(values.get("is_test"))
        case "persons" | "accounts":
            return bool(values.get("is_test") or values.get("is_deleted"))
        case "web_sessions" | "page_events":
            return bool(values.get("is_bot"))
        case "self_service_sessions":
            return bool(values.get("is_test"))
        case "social_mentions":
            return bool(values.get("is_spam"))
        case "survey_responses" | "employee_surveys":
            return values["status"] != "completed"
    return False


def is_refused(content: Content) -> bool:
    """Whether a file with this content is refused as a whole."""
    bad = sum(line.spoiled is not None for line in content.lines)
    return content.broken is not None or (bad > 1 and bad > 0.05 * len(content.lines))


def reads_again(before: dict[str, Any], after: dict[str, Any]) -> bool:
    """Whether a change of configured values makes every file be read again."""
    return any(before.get(name) != after.get(name) for name in _READ_AGAIN)


def as_row(feed: str, line: Line) -> Any:
    """The row as the simulated company's class; no amount is an amount of nothing."""
    values = {name: None for name in FEEDS[feed]._fields} | {
        name: value for name, value in line.values if name in FEEDS[feed]._fields
    }
    return FEEDS[feed](**{name: 0 if value is None and name in _AMOUNTS else value for name, value in values.items()})
