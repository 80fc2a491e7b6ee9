"""`cx explain`: source rows that add up to every cell of every mart, and the right file and line by hand.

Belongs here: the property on a simulated and on an untidy random company, and one small shop written by hand. Does not:
real exports (`test_examples`).
"""

from __future__ import annotations

import csv
import random
import subprocess
import sys
from datetime import date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import pytest

from orchestration import cli
from orchestration.lib import explain, release, warehouse
from orchestration.lib.dbt_manifest import marts, metrics
from orchestration.lib.explain import ExplainError
from orchestration.lib.run_lock import RunLocked, run_lock
from orchestration.lib.simulator import simulate
from orchestration.settings import Settings
from tests.company import run

EVERY_ROW_IS_TOLD = {
    "sales_daily": ("orders", "order_lines", "refunds"),
    "contact_volume_daily": ("contacts",),
    "fcr_daily": ("contacts",),
    "cart_abandonment_daily": ("cart_events",),
}
"""Marts of which every staged row of these feeds either counts or is left out with a reason."""


@cache
def _lineage(mart: str) -> tuple[str, list[str]]:
    """The same for every home: the catalog's name is."""
    return explain._lineage(Settings(Path("/nowhere")), mart)


def _assert_adds_up(home: Path) -> None:
    """For every cell and part of every mart, the explanation's rows add up to the mart, and each is a staged row."""
    with warehouse.connect(Settings(home), read_only=True) as con:
        for mart in sorted({metric.mart for metric in metrics().values()}):
            sql, feeds = _lineage(mart)
            con.execute(f"create or replace temp table explained as {sql}")
            grain, about = list(marts()[mart].grain), [metric for metric in metrics().values() if metric.mart == mart]
            columns = [row[0] for row in con.execute(f"describe marts.{mart}").fetchall()]
            made = {metric.value for metric in about} | {c for c in columns if c.endswith(("is_final", "final_on"))}
            parts = [column for column in columns if column not in {*grain, *made}]
            assert {part for metric in about for part in metric.parts} <= {*parts}
            day = about[0].date
            dimensions = [column for column in grain if column != "metric_date"]
            cell, dated = (", ".join([first, *dimensions]) for first in ("metric_date", f"{day} as metric_date"))
            for part in parts:
                differ = con.execute(
                    f"""
                    select * from (select {cell}, sum(contribution) as rows_say from explained where part = $part group by all) x
                    full join (select {dated}, {part} as mart_says from marts.{mart}) m using ({cell})
                    where abs(coalesce(rows_say, 0) - coalesce(mart_says, 0)) > 1e-9 * greatest(1, abs(coalesce(mart_says, 0)))
                    """,
                    {"part": part},
                ).fetchall()
                assert not differ, f"{mart}.{part}: {len(differ)} cells, first {differ[0]}"
            for feed in feeds:
                strays = f"from explained where feed = '{feed}' and _key not in (select _key from staging.stg_{feed})"
                assert con.execute(f"select count(*) {strays}").fetchone() == (0,), (mart, feed)
            for feed in EVERY_ROW_IS_TOLD.get(mart, ()):
                untold = f"from staging.stg_{feed} where _key not in (select _key from explained where feed = '{feed}')"
                assert con.execute(f"select count(*) {untold}").fetchone() == (0,), (mart, feed)
            assert con.execute("select count(*) from explained where (part is null) <> (contribution is null)").fetchone() == (0,)
            assert con.execute("select count(*) from explained where part is null and note is null").fetchone() == (0,)
            for metric in about:
                if metric.value is None or metric.additivity == "snapshot":
                    continue  # clv_simple is more than a division
                query = f"select {', '.join(metric.parts)}, {metric.value} from marts.{mart}"
                for *values, value in con.execute(query).fetchall():
                    made_of_parts = explain.value_of(metric, dict(zip(metric.parts, values, strict=True)))
                    assert made_of_parts == (None if value is None else pytest.approx(value, rel=1e-12))


def test_rows_add_up_to_every_cell_of_a_simulated_company(tmp_path: Path) -> None:
    company = simulate(customers=150, days=45, seed=23)
    landing = tmp_path / "landing"
    landing.mkdir(parents=True)
    company.write_exports(landing)
    (landing / "cx.toml").write_text(company.config(), encoding="utf-8")
    assert run(tmp_path, "backfill", company.start, company.start + timedelta(days=44)) == 0
    _assert_adds_up(tmp_path)


# ---- an untidy company -----------------------------------------------------------------------------------------------

UNTIDY = """
[business]
timezone = "Europe/Amsterdam"
churn_inactive_days = 60
returns_are_activity = true
"""
FEEDS = ("persons", "subscriptions", "orders", "order_lines", "refunds", "cart_events", "cases", "case_events", "contacts")


def _config(head: str, pattern: str = "{feed}_{{day}}.csv") -> str:
    return head + "".join(
        f'[[feed]]\nfeed = "{feed}"\npattern = "{pattern.format(feed=feed)}"\nformat = "csv"\n' for feed in FEEDS
    )


class _Untidy:
    """Random rows in which most things are missing, doubled, out of order or contradictory, within 800 days."""

    def __init__(self, seed: int, through: date) -> None:
        self.rng, self.noon = random.Random(seed), datetime(through.year, through.month, through.day, 12)
        self.persons = [f"P{n}" for n in range(14)]

    def make(self, version: int, share: float) -> dict[str, list[dict[str, Any]]]:
        """Rows of about `share` of all ids, in this version of theirs."""
        some, rows = self.rng.choice, {feed: [] for feed in FEEDS}
        version_of = {"updated_at": f"2025-01-0{version}T00:00:00"}

        def ids(prefix: str, n: int) -> list[str]:
            return [f"{prefix}{i}" for i in range(n) if self.rng.random() < share]

        def at(days: int = 800) -> str:
            return (self.noon - timedelta(minutes=self.rng.randrange(days * 24 * 60))).isoformat()

        def after(moment: str) -> str:
            later = datetime.fromisoformat(moment) + timedelta(hours=some((0, 1, 30, 300, 3000)))
            return min(later, self.noon).isoformat()

        def one_of(prefix: str, n: int) -> str:
            return f"{prefix}{self.rng.randrange(n)}"

        for i in ids("P", 14):
            merged = some([None, *self.persons])
            rows["persons"].append({"person_id": i, "merged_into_id": merged, "is_test": some(("", "", "true"))})
        for i in ids("S", 30):
            start, person, plan = at(), some(self.persons), some(("a", "b", ""))
            row = {"subscription_id": i, "person_id": person, "plan": plan, "status": "active"}
            rows["subscriptions"].append(row | {"started_at": start, "ended_at": some(("", start, after(start), after(start)))})
        for i in ids("O", 120):
            row = {"order_id": i, "person_id": some([None, *self.persons]), "ordered_at": at(), "currency": "EUR"}
            row |= {"status": some(("paid", "paid", "pending", "cancelled")), "is_test": some(("", "", "", "true"))}
            row |= {"country": some(("NL", "BE", "")), "sales_channel": some(("web", "")), "cart_id": some(("", one_of("C", 60)))}
            rows["orders"].append(row | {"discount_amount": some(("", "1.50")), "tax_amount": some(("", "2.10"))})
        for i in ids("L", 300):
            is_return = some((False, False, False, True))
            row = {"order_id": one_of("O", 160), "line_id": i, "unit_price": "12.34", "currency": "EUR"}
            row |= {
                "quantity": some((0, 1, 2)) * (-1 if is_return else 1),
                "is_return": "true" if is_return else some(("", "no")),
            }
            row |= {
                "is_gift_card": some(("", "", "true")),
                "discount_amount": some(("", "0.25")),
                "unit_cost": some(("", "1.00")),
            }
            row |= {"ordered_at": some(("", at())), "person_id": some([None, *self.persons]), "country": some(("", "DE"))}
            rows["order_lines"].append(row)
        for i in ids("R", 40):
            row = {"refund_id": i, "order_id": one_of("O", 170), "refunded_at": at(), "amount": "3.33", "currency": "EUR"}
            rows["refunds"].append(row)
        for i in ids("E", 250):
            row = {"event_id": i, "cart_id": one_of("C", 60), "occurred_at": at(), "quantity": some(("", 2))}
            row |= {"event": some(("add", "add", "remove", "empty", "checkout")), "device": some(("", "app", "web"))}
            rows["cart_events"].append(row)
        # a few carts are ordered within their days
        for row in rows["orders"]:
            if row["cart_id"] and some((True, False)):
                event = {"event_id": f"of {row['order_id']}", "cart_id": row["cart_id"], "event": "add"}
                rows["cart_events"].append(event | {"occurred_at": row["ordered_at"]})
                row["ordered_at"] = after(row["ordered_at"])
        for i in ids("K", 50):
            opened = at()
            row = {"case_id": i, "channel": some(("phone", "")), "topic": some(("bill", "")), "is_spam": some(("", "", "true"))}
            row |= {"opened_at": opened, "resolved_at": some(("", after(opened))), "closed_at": some(("", after(opened)))}
            rows["cases"].append(row | {"reopen_count": some(("", 1))})
        for i in ids("V", 200):
            event = some(("opened", "replied", "assigned", "resolved", "resolved", "reopened", "closed"))
            rows["case_events"].append({"event_id": i, "case_id": one_of("K", 70), "occurred_at": at(), "event": event})
        for i in ids("T", 300):
            row = {
                "contact_id": i,
                "person_id": some([None, *self.persons[:5]]),
                "case_id": one_of("K", 70),
                "started_at": at(60),
            }
            row |= {"channel": some(("phone", "chat")), "topic": some(("bill", "web", "")), "is_spam": some(("", "", "", "true"))}
            row |= {"direction": some(("inbound", "inbound", "outbound")), "root_contact_id": some(("", "", "", "T1"))}
            rows["contacts"].append(row | {"outcome": some(("handled", "handled", "abandoned", "contained"))})
        return {feed: [row | version_of for row in found] for feed, found in rows.items()}


def _write(home: Path, day: date, rows: dict[str, list[dict[str, Any]]]) -> None:
    from data_quality.contract import load_contracts

    for feed, records in rows.items():
        names = [column.name for column in load_contracts()[feed].properties]
        with (home / "landing" / f"{feed}_{day}.csv").open("w", encoding="utf-8", newline="") as handle:
            writer = csv.DictWriter(handle, names, extrasaction="ignore", lineterminator="\n")
            writer.writeheader()
            writer.writerows(records)


@pytest.mark.parametrize("seed", [1, 2])
def test_rows_add_up_to_every_cell_of_an_untidy_company(seed: int, tmp_path: Path) -> None:
    """Merged persons, orders without headers, lines without a time, gift cards, returns, cases without rows; then
    corrections of half of it."""
    days = date(2026, 1, 10), date(2026, 1, 11)
    (tmp_path / "landing").mkdir()
    (tmp_path / "landing" / "cx.toml").write_text(_config(UNTIDY), encoding="utf-8")
    company = _Untidy(seed, days[0])
    for version, (day, share) in enumerate(zip(days, (1.0, 0.4), strict=True), start=1):
        _write(tmp_path, day, company.make(version, share))
        assert run(tmp_path, "nightly", day) == 0
        _assert_adds_up(tmp_path)
    with duckdb.connect(str(tmp_path / "warehouse" / "cx.duckdb"), read_only=True) as con:
        # the company is untidy enough
        lost = con.execute("select max(lost_since_365d), max(active_365d_ago) from marts.clv_daily").fetchone()
        assert min(lost) > 0
        assert con.execute("select count(*) from intermediate.int_person_merges").fetchone()[0] > 2
        assert con.execute("select max(reactivated) from marts.churn_daily where basis = 'contractual'").fetchone()[0] > 0
        assert con.execute("select max(recovered) from marts.cart_abandonment_daily").fetchone()[0] > 0
