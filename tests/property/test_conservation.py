"""Conservation: of every delivery, rows delivered = staged + superseded + excluded + quarantined.

Thousands of tiny deliveries, generated, loaded in several runs in random order; where each row must be is counted by
`tests.ledger` in Python, where it is by counting in each table of the warehouse.
"""

from __future__ import annotations

import os
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest

from orchestration.lib import dbt_build, gates, ingest, warehouse
from orchestration.partitions import Window
from orchestration.settings import Settings
from tests.histories import SPOILED, Content, History, Line, Put
from tests.ledger import Ledger
from tests.replay import accounts_of, domains_of

DELIVERIES = int(os.environ.get("CX_TEST_DELIVERIES", "10000"))
FEEDS = ("cases", "contacts", "order_lines", "orders", "persons", "refunds")
SNAPSHOTS = ("persons",)
RUNS = 5
FIRST = date(2025, 1, 1)


def _values(rng: Random, feed: str, day: date) -> dict[str, Any]:
    """A right row of the feed; keys repeat every few weeks."""
    at = datetime(day.year, day.month, day.day, rng.randrange(24), tzinfo=UTC)
    key = f"{day:%y%W}{rng.randrange(12)}"
    stamp = at + timedelta(minutes=rng.randrange(3)) if rng.random() < 0.9 else None
    match feed:
        case "cases":
            return {"case_id": key, "opened_at": at, "is_spam": rng.random() < 0.2, "updated_at": stamp}
        case "contacts":
            return {"contact_id": key, "channel": "phone", "direction": "inbound", "started_at": at, "outcome": "handled",
                    "root_contact_id": rng.choice((None, key, "T")), "is_spam": rng.random() < 0.1,
                    "updated_at": stamp}  # fmt: skip
        case "order_lines":
            return {"order_id": key, "line_id": str(rng.randrange(2)), "quantity": 1, "unit_price": 100, "updated_at": stamp}
        case "orders":
            return {"order_id": key, "ordered_at": at, "status": rng.choice(("paid", "cancelled")), "currency": "EUR",
                    "is_test": rng.random() < 0.2, "updated_at": stamp}  # fmt: skip
        case "persons":
            return {"person_id": key[-1], "is_test": rng.random() < 0.2, "is_deleted": rng.random() < 0.1, "updated_at": stamp}
    return {"refund_id": key, "order_id": key, "refunded_at": at, "amount": 100, "currency": "EUR"}


def _deliveries(rng: Random) -> list[list[Put]]:
    """Files by the run that takes them: new ones, copies, files that hold something else than before, unreadable ones."""
    puts: list[Put] = []
    for n in range(DELIVERIES):
        feed = rng.choice(FEEDS)
        # a hundred files a week of delivery days and feed
        day = FIRST + timedelta(days=n * 7 * len(FEEDS) // 600 + rng.randrange(7))
        before = [put for put in puts[-40:] if put.content.feed == feed]
        if before and rng.random() < 0.05:
            other = rng.choice(before)
            puts.append(Put(f"{feed}/{other.day}_{n}.csv", other.day, other.content, "copy"))
            continue
        name = rng.choice(before).name if before and rng.random() < 0.1 else f"{feed}/{day}_{n}.csv"
        lines = []
        for _ in range(rng.choice((0, 1, 2, 3, 5))):
            spoiled = rng.choice((*SPOILED[feed], ("*", ""))) if rng.random() < 0.08 else None
            lines.append(Line(tuple(sorted(_values(rng, feed, day).items())), spoiled))
        broken = rng.choice(("empty", "header", "bytes")) if rng.random() < 0.01 else None
        puts.append(Put(name, date.fromisoformat(name.split("/")[1][:10]), Content(feed, tuple(lines), broken), ""))
    runs: list[list[Put]] = [[] for _ in range(RUNS)]
    for put in puts:
        rng.choice(runs).append(put)
    return runs


@pytest.mark.slow
def test_rows_delivered_are_staged_superseded_excluded_or_quarantined(tmp_path: Path) -> None:
    settings = Settings(tmp_path)
    settings.make_folders()
    history = History(FEEDS, SNAPSHOTS, (), (("timezone", "UTC"),), ())
    settings.config_path.write_text(history.config(dict(history.business)), encoding="utf-8")
    ledger = Ledger(FEEDS, SNAPSHOTS)
    window = Window.of_days(FIRST - timedelta(days=1), FIRST + timedelta(days=1000))
    files: set[str] = set()
    with warehouse.connect(settings) as con:
        warehouse.prepare(con, settings.config)
        for n, puts in enumerate(_deliveries(Random(7))):
            for put in puts:
                path = settings.landing / put.name
                path.parent.mkdir(exist_ok=True)
                path.write_bytes(put.content.text())
                ledger.put(put)
                files.add(put.name)
            for domain in domains_of(list(FEEDS)):
                ingest.take_deliveries(con, settings, domain, window, f"run{n}")
            ledger.take(FEEDS, window.start, window.last)
            for feed in FEEDS:
                ingest.load_feed(con, settings, feed, f"run{n}")
                ledger.load(feed)
        warehouse.advance_clock(con, window.last)
    dbt_build.build(settings, {f"stg_{feed}" for feed in FEEDS}, full_refresh=True)
    with warehouse.connect(settings) as con:
        actual = accounts_of(con, FEEDS)
        verdicts = gates.row_accounting(con, set(FEEDS))
    expected = ledger.accounts()
    wrong = {d: (actual.get(d), expected.get(d)) for d in actual.keys() | expected.keys() if actual.get(d) != expected.get(d)}
    assert not wrong, f"{len(wrong)} of {len(expected)} deliveries: {dict(list(wrong.items())[:5])}"
    for account in actual.values():
        assert account.read == account.quarantined + account.superseded + account.excluded + account.staged
    assert all(verdict.passed for verdict in verdicts), [verdict.sentence() for verdict in verdicts]
    totals = [sum(numbers) for numbers in zip(*expected.values(), strict=True)]
    # every way a row can go is gone by many
    assert min(totals) > DELIVERIES / 50, totals
    assert len(ledger.refused) > DELIVERIES / 500
    assert len(files) > DELIVERIES * 0.8
