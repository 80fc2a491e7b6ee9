"""Kaplan-Meier of contracts and of gaps between purchases against lifelines, false churn, and the window they suggest.

One home with random contracts and orders, and a store whose customers are so plain that everything is computed by hand.
"""

from __future__ import annotations

from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import NamedTuple

import pytest
from lifelines import KaplanMeierFitter

from orchestration.lib.churn_window import suggest
from orchestration.settings import Settings
from tests.company import release_of, run
from tests.frames import assert_equals_lifelines, read_mart

FIRST, END = date(2024, 6, 1), date(2024, 12, 31)
STORE = [("quick", 40, [0, 10]), ("slow", 30, [0, 50]), ("never", 30, [0])]
"""Customers of the store by the days after FIRST they bought on: gaps of 10 and 50 days, and silence of 213, 203 and 163."""
CONFIG = '[business]\nchurn_inactive_days = 30\ncontract_grace_days = 0\n' + "".join(
    f'[[feed]]\nfeed = "{feed}"\npattern = "{feed}_{{day}}.csv"\nformat = "csv"\n'
    for feed in ("orders", "order_lines", "subscriptions")
)  # fmt: skip


class Shop(NamedTuple):
    """The home after its runs, each person's days of purchase by channel, and contracts as (plan, start, end)."""

    home: Path
    bought: dict[str, dict[str, list[date]]]
    contracts: list[tuple[str, date, date]]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """All orders in one delivery, and a night later one of November: its curve and December's go on from that of October."""
    rng = Random(11)
    bought: dict[str, dict[str, list[date]]] = {"store": {}, "web": {}, "app": {}}
    for name, persons, days in STORE:
        for n in range(persons):
            bought["store"][f"{name}{n}"] = [FIRST + timedelta(days=day) for day in days]
    for n in range(90):
        day, days = 45 + rng.randrange(120), []
        while day <= (END - FIRST).days:
            days.append(FIRST + timedelta(days=day))
            day += rng.choice((1, 3, 7, 30, 31, 90, 120)) + rng.randrange(3)
        bought["web" if n % 3 else "app"][f"P{n}"] = days
    contracts = []
    for _ in range(150):
        start = FIRST + timedelta(days=rng.randrange(200))
        contracts.append((rng.choice(("basic", "plus")), start, start + timedelta(days=rng.choice((1, 30, 31, 90, 200)))))
    late = date(2024, 11, 20)
    who = next(person for person, days in bought["web"].items() if days[0] < date(2024, 10, 31) and late not in days)

    home = tmp_path_factory.mktemp("shop")
    (home / "landing").mkdir()
    (home / "landing" / "cx.toml").write_text(CONFIG, encoding="utf-8")
    # several orders of a day are one purchase day
    placed = [(channel, person, day) for channel, days_of in bought.items() for person, days in days_of.items() for day in days]
    _deliver(home, END, [*placed, *(row for n, row in enumerate(placed) if n % 5 == 0)], contracts)
    assert run(home, "backfill", END) == 0
    bought["web"][who] = sorted([*bought["web"][who], late])
    _deliver(home, END + timedelta(days=1), [("web", who, late)], [])
    assert run(home, "nightly", END + timedelta(days=1)) == 0
    return Shop(home, bought, contracts)


def _deliver(home: Path, day: date, orders: list[tuple[str, str, date]], contracts: list[tuple[str, date, date]]) -> None:
    headers, lines = ["order_id,person_id,ordered_at,status,currency,sales_channel"], ["order_id,line_id,quantity,unit_price"]
    for n, (channel, person, on) in enumerate(orders):
        headers.append(f"{day}-{n},{person},{on}T12:00:00Z,paid,EUR,{channel}")
        lines.append(f"{day}-{n},1,1,10")
    terms = ["subscription_id,person_id,plan,started_at,ended_at"]
    terms += [f"S{n},C{n},{plan},{start}T00:00:00Z,{end}T00:00:00Z" for n, (plan, start, end) in enumerate(contracts)]
    for feed, rows in (("orders", headers), ("order_lines", lines), ("subscriptions", terms)):
        if len(rows) > 1:
            (home / "landing" / f"{feed}_{day}.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")


def _gaps(shop: Shop, channel: str, end: date) -> tuple[list[int], list[bool]]:
    """Lengths of gaps known at the end of a day, and whether a purchase ended them."""
    lengths, ended = [], []
    for name, days_of in shop.bought.items():
        for days in days_of.values() if channel in ("all", name) else ():
            known = [day for day in days if day <= end]
            lengths += [(b - a).days for a, b in pairwise(known)] + [(end - day).days for day in known[-1:]]
            ended += [True] * (len(known) - 1) + [False] * len(known[-1:])
    return lengths, ended


@pytest.mark.parametrize("end", [date(2024, 7, 31), date(2024, 11, 30), date(2024, 12, 31)])
@pytest.mark.parametrize("channel", ["all", "store", "web", "app"])
def test_gaps_between_purchases_equal_lifelines(shop: Shop, channel: str, end: date) -> None:
    curves = read_mart(release_of(shop.home), "repurchase_survival")
    curve = curves[(curves["segment"] == channel) & (curves["metric_date"].dt.date == end)]
    assert set(curve["dimension"]) == {"all" if channel == "all" else "entry_channel"}
    assert_equals_lifelines(curve, "gap_days", "came_back", *_gaps(shop, channel, end))


@pytest.mark.parametrize("plan", ["all", "basic", "plus"])
def test_contracts_equal_lifelines(shop: Shop, plan: str) -> None:
    curves = read_mart(release_of(shop.home), "survival")
    curve = curves[(curves["plan"] == plan) & (curves["metric_date"].dt.date == END)]
    of_plan = [(start, stop) for name, start, stop in shop.contracts if plan in ("all", name)]
    lengths = [(min(stop, END + timedelta(days=1)) - start).days for start, stop in of_plan]
    assert_equals_lifelines(curve, "tenure_days", "ended", lengths, [stop <= END for _, stop in of_plan])


def test_the_window_a_store_suggests_is_the_one_computed_by_hand(shop: Shop) -> None:
    """170 purchases: 40 gaps of 10 days, 30 of 50, 100 silences. Of those silent for 10 days, 30 of 130 come back within 100."""
    found = suggest(Settings(shop.home), 0.25, 100)
    assert (found.as_of, found.configured_days) == (END, 30)
    store = next(one for one in found.segments if one.segment == "store")
    assert store.suggested is not None and store.configured is not None
    assert (store.purchases, store.watched_days, store.note) == (170, 213, "")
    assert (store.suggested.days, store.suggested.silent) == (10, 130)
    assert (store.configured.days, store.configured.silent) == (30, 130)
    assert store.suggested.share == store.configured.share == pytest.approx(30 / 130, abs=1e-12)
    lifetimes = KaplanMeierFitter().fit(*_gaps(shop, "all", END))
    share = lambda days: 1 - lifetimes.predict(days + 100) / lifetimes.predict(days)  # noqa: E731
    whole = found.segments[0].suggested
    assert whole is not None and found.line == f"churn_inactive_days = {whole.days}"
    assert share(whole.days) <= 0.25 and min(share(days) for days in range(1, whole.days)) > 0.25
    assert whole.share == pytest.approx(share(whole.days), abs=1e-9)


def test_who_lapsed_and_came_back(shop: Shop) -> None:
    """After 30 days: on 1 July the 60 who had bought once, 30 of them back on 21 July; on 11 July the quick 40, for good."""
    mart = read_mart(release_of(shop.home), "false_churn_daily")
    cells = {(row.metric_date.date(), row.window_days): row for row in mart.itertuples()}
    one = cells[date(2024, 7, 1), 180]
    assert (one.lapsed, one.came_back_so_far, one.judged, one.came_back, one.false_churn_rate) == (60, 30, 60, 30, 0.5)
    assert one.final_on.date() == date(2024, 12, 31) and one.is_final
    # 180 days after it are 7 January, 365 days after 1 July are a year: not over yet
    for cell, lapsed, back in (((date(2024, 7, 11), 180), 40, 0), ((date(2024, 7, 1), 365), 60, 30)):
        one = cells[cell]
        assert (one.lapsed, one.came_back_so_far, one.judged, one.came_back, one.is_final) == (lapsed, back, 0, 0, False)
    lapses: dict[date, list[int]] = {}
    for days in (days for days_of in shop.bought.values() for days in days_of.values()):
        for day, following in zip(days, [*days[1:], date.max], strict=True):
            if (following - day).days > 30 and (lapse := day + timedelta(days=30)) <= END + timedelta(days=1):
                lapses.setdefault(lapse, []).append((following - lapse).days if following < date.max else 9999)
    said = {(row.metric_date.date(), row.window_days): (row.lapsed, row.came_back_so_far) for row in mart.itertuples()}
    assert said == {(d, w): (len(away), sum(n <= w for n in away)) for d, away in lapses.items() for w in (180, 365)}
