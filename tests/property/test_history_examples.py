"""What random histories found, reduced by hand: each once gave numbers that a rebuild or the books did not.

Belongs here: one small history a bug, named after what is true now. Does not: what a single function does (`tests/unit`).
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.histories import SNAPSHOTS, Content, History, Line, Night, Put, Step
from tests.soak import run

DAY = date(2026, 1, 5)


def _at(days: float) -> datetime:
    return datetime(2026, 1, 5, 12, tzinfo=UTC) + timedelta(days=days)


def _file(feed: str, day: int, *rows: dict[str, Any], part: str = "", broken: str | None = None) -> Put:
    """The file of the day `DAY + day`."""
    name = f"{feed}/{DAY + timedelta(days=day)}{part}.csv"
    lines = tuple(Line(tuple(row.items())) for row in rows)
    return Put(name, DAY + timedelta(days=day), Content(feed, lines, broken), "")


def _night(day: int, **more: Any) -> Night:
    return Night(DAY + timedelta(days=day), **more)


def _holds(folder: Path, feeds: tuple[str, ...], *steps: Step, snapshot: bool = False, **business: Any) -> None:
    snapshots = tuple(feed for feed in feeds if snapshot and feed in SNAPSHOTS)
    history = History(feeds, snapshots, (), tuple(({"timezone": "UTC"} | business).items()), steps)
    tally, found = run(history, folder)
    assert not found, found
    assert tally.publications == sum(isinstance(step, Night) and not step.stop for step in steps)


def _line(order: str, line: str, price: int, **more: Any) -> dict[str, Any]:
    return {"order_id": order, "line_id": line, "quantity": 1, "unit_price": price, **more}


@pytest.mark.minutes
def test_which_name_of_a_content_counts_does_not_depend_on_when_it_came(tmp_path: Path) -> None:
    """The same content under three names, the first of them delivered last, with a correction between them by name."""
    said = _line("O1", "1", 1000, ordered_at=_at(0), person_id="P1")
    corrected = {**said, "unit_price": 2000}
    _holds(
        tmp_path,
        ("order_lines",),
        _file("order_lines", 0, said, part="c"),
        _night(0),
        _file("order_lines", 0, corrected, part="b"),
        _night(0),
        _file("order_lines", 0, said, part="a"),
        _night(0),
    )


def test_the_same_events_of_an_earlier_day_count_for_the_earlier_day(tmp_path: Path) -> None:
    event = {"event_id": "E1", "cart_id": "C1", "event": "add", "occurred_at": _at(0)}
    _holds(
        tmp_path,
        ("cart_events",),
        _file("cart_events", 2, event),
        _night(2),
        _file("cart_events", 1, {**event, "device": "mobile"}),
        _file("cart_events", 0, event),
        _night(2),
    )


@pytest.mark.minutes
def test_goods_brought_back_without_a_time_land_on_the_day_that_other_lines_know(tmp_path: Path) -> None:
    """No header: the first line says when the order was, the line that takes goods back does not."""
    _holds(
        tmp_path,
        ("order_lines",),
        _file(
            "order_lines",
            0,
            _line("O1", "1", 1000, ordered_at=_at(0), person_id="P1", unit_cost=700),
            _line("O1", "2", 1000, quantity=-1, is_return=True, unit_cost=400),
        ),
        _night(0),
        # the day of the order moves, and with it that of the return
        _file("order_lines", 1, _line("O1", "1", 1000, ordered_at=_at(-3), person_id="P1", unit_cost=700)),
        _night(1),
    )


def test_gift_cards_take_nothing_off_revenue(tmp_path: Path) -> None:
    """Neither by a discount on their price, nor when they come back."""
    header = {"order_id": "O1", "person_id": "P1", "ordered_at": _at(0), "status": "paid", "currency": "EUR"}
    _holds(
        tmp_path,
        ("orders", "order_lines"),
        _file("orders", 0, header),
        _file(
            "order_lines",
            0,
            _line("O1", "1", 1000),
            _line("O1", "2", 5000, is_gift_card=True, discount_amount=500),
            _line("O1", "3", 5000, quantity=-1, is_return=True, is_gift_card=True),
        ),
        _night(0),
    )


def test_of_two_contracts_that_overlap_the_one_that_runs_says_the_plan(tmp_path: Path) -> None:
    """A short contract inside a long one: after its end the person holds the long one's plan again."""
    _holds(
        tmp_path,
        ("subscriptions",),
        _file(
            "subscriptions",
            0,
            {"subscription_id": "S1", "person_id": "P1", "plan": "basic", "started_at": _at(-40), "ended_at": None},
            {"subscription_id": "S2", "person_id": "P1", "plan": "plus", "started_at": _at(-30), "ended_at": _at(-20)},
        ),
        _night(0),
    )


def test_a_pending_file_that_was_put_right_is_loaded_as_it_is_now(tmp_path: Path) -> None:
    """The run that took the refused content died before it loaded it; the next one looks at other days."""
    refund = {"refund_id": "R1", "order_id": "O1", "refunded_at": _at(0), "amount": 500, "currency": "EUR"}
    _holds(
        tmp_path,
        ("refunds",),
        _file("refunds", 0, refund, broken="bytes"),
        _night(0, stop=("taken", 1)),
        _file("refunds", 0, refund),
        _night(5, first=DAY + timedelta(days=4)),
    )
