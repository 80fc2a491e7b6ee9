"""`cx explain`: source rows that add up to every cell of every mart, and the right file and line by hand.

Belongs here: the property on a simulated and on an untidy random company, and one small shop written by hand. Does not:
real exports (`test_examples`).
"""

from __future__ import annotations

import csv
import random
import shutil
import subprocess
import sys
from datetime import date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import pytest

from data_quality import acceptance
from data_quality.acceptance import Acceptance
from orchestration import cli
from orchestration.lib import explain, release, warehouse
from orchestration.lib.dbt_manifest import explained_marts, marts, metrics
from orchestration.lib.explain import ExplainError
from orchestration.lib.run_lock import run_lock
from orchestration.settings import Settings
from tests.company import Whole, release_of, run

EVERY_ROW_IS_TOLD = {
    "sales_daily": ("orders", "order_lines", "refunds"),
    "contact_volume_daily": ("contacts",),
    "fcr_daily": ("contacts",),
    "queue_daily": ("contacts",),
    "handling_daily": ("contacts",),
    "transfers_daily": ("contacts", "transfers"),
    "quality_daily": ("contacts", "qa_evaluations"),
    "survey_response_daily": ("survey_invitations",),
    "cart_abandonment_daily": ("cart_events",),
}
"""Marts of which every staged row of these feeds either counts or is left out with a reason."""


NEED_A_LONGER_HISTORY = {"false_churn_daily", "experience_value_monthly", "repurchase_survival"}
"""Marts that stay empty in the simulated company; the untidy one has false churn."""


@cache
def _lineages() -> dict[str, tuple[str, list[str]]]:
    """The same for every home: the catalog's name is."""
    return explain.lineages(Settings(Path("/nowhere")), "*")


def _assert_adds_up(home: Path) -> None:
    """For every cell and part of every mart, the explanation's rows add up to the mart, and each is a staged row."""
    with warehouse.connect(Settings(home), read_only=True) as con:
        there = {name for (name,) in con.execute("select table_name from duckdb_tables() where schema_name = 'marts'").fetchall()}
        for mart in sorted(there & explained_marts()):
            sql, feeds = _lineages()[mart]
            con.execute(f"create or replace temp table explained as {sql}")
            grain, about = list(marts()[mart].grain), [metric for metric in metrics().values() if metric.mart == mart]
            columns = [row[0] for row in con.execute(f"describe marts.{mart}").fetchall()]
            parts = sorted({part for metric in about for part in metric.parts})
            assert {*parts} <= {*columns}
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
                if metric.value is None or metric.additivity in ("snapshot", "quantile", "model"):
                    continue  # more than a division
                query = f"select {', '.join(metric.parts)}, {metric.value} from marts.{mart} where {metric.where}"
                for *values, value in con.execute(query).fetchall():
                    made_of_parts = explain.value_of(metric, dict(zip(metric.parts, values, strict=True)))
                    assert made_of_parts == (None if value is None else pytest.approx(value, rel=1e-12)), metric


def test_rows_add_up_to_every_cell_of_a_simulated_company(whole: Whole) -> None:
    """The company with every feed, merged persons, test persons, other currencies, late rows and corrections."""
    with duckdb.connect(str(release_of(whole.home)), read_only=True) as con:
        without = {mart for mart in explained_marts() if not con.execute(f"select count(*) from marts.{mart}").fetchone()[0]}
    assert without <= NEED_A_LONGER_HISTORY, "nothing holds their explanation"
    _assert_adds_up(whole.home)
    # Two cohorts meet in October, one of them a month old: that is no one number.
    with pytest.raises(
        ExplainError, match=r"2 cells of 2025-10-01 do not add up(.|\n)*--by cohort_month=2025-09-01 --by months_since=1"
    ):
        _ask(whole.home, "cohort_retention", date(2025, 10, 31))


def test_rows_of_a_metric_are_the_lines_of_the_files(whole: Whole) -> None:
    """NPS of a day from the text of the exports alone, at the places that the explanation names."""
    found = _ask(whole.home, "nps", date(2025, 11, 12), limit=1000)

    def answer_at(file: str, line: int) -> dict[str, str]:
        lines = (whole.home / "landing" / file).read_text(encoding="utf-8").splitlines()
        return next(csv.DictReader([lines[0], lines[line - 1]]))

    scores = []
    for row in found["rows"]:
        answer = answer_at(row["file"], row["line"])
        assert (answer["response_id"], answer["metric_kind"], answer["status"]) == (row["entity"], "nps", "completed")
        scores.append(float(answer["score"]))
    promoters, detractors = sum(score >= 9 for score in scores), sum(score <= 6 for score in scores)
    assert len(scores) == found["rows_total"] == found["parts"]["answered"] > 3
    assert found["value"] == pytest.approx(100 * (promoters - detractors) / len(scores)) and found["rows_add_up"]
    # answers to other questions were left out on that day, too: not of this metric
    places = [place.rsplit(":", 1) for row in found["left_out"] for place in row["first_places"]]
    left_out = [answer_at(file, int(line)) for file, line in places]
    assert [(answer["metric_kind"], answer["status"]) for answer in left_out] == [("nps", "dismissed")]


def test_marts_whose_rows_are_not_listed_are_explained_all_the_same(whole: Whole) -> None:
    """The newest cell of each, to its parts, its run and its deliveries."""
    settings, asked = Settings(whole.home), {metric.mart: metric for metric in metrics().values()}
    for mart in sorted(asked.keys() - explained_marts()):
        metric, dimensions = asked[mart], [column for column in marts()[mart].grain if column != "metric_date"]
        with warehouse.connect(settings, read_only=True) as con:
            cell = ", ".join([f"{metric.date} as day", *dimensions, *metric.parts])
            row = con.execute(f"select {cell} from marts.{mart} where {metric.where} order by all desc limit 1").fetchone()
        if row is None:
            assert mart in NEED_A_LONGER_HISTORY
            continue
        by = dict(zip(dimensions, map(str, row[1:]), strict=False))
        found = explain.explain(settings, metric.name, row[0], by, 20)
        assert (found["cells"], [*found["parts"].values()]) == (1, [*explain._plain([*row[1 + len(dimensions) :]])]), mart
        assert mart in found["rows_not_listed"] and found["definition"]["sql"] in found["rows_not_listed"]
        assert found["warehouse"]["is_published"] and found["published"]["run_id"]


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
            merged = some([*self.persons[:4], *[None] * 8])
            rows["persons"].append({"person_id": i, "merged_into_id": merged, "is_test": some(("", "", "true"))})
        for i in ids("S", 60):
            start, person, plan = at(), some(self.persons), some(("a", "b", ""))
            row = {"subscription_id": i, "person_id": person, "plan": plan, "status": "active"}
            rows["subscriptions"].append(row | {"started_at": start, "ended_at": some(("", start, after(start), after(start)))})
        for i in ids("O", 120):
            row = {"order_id": i, "person_id": some([None, *self.persons]), "ordered_at": at(), "currency": "EUR"}
            row |= {"status": some(("paid", "paid", "pending", "cancelled")), "is_test": some(("", "", "", "true"))}
            row |= {
                "country": some(("NL", "BE", "")),
                "sales_channel": some(("web", "")),
                "cart_id": some(("", one_of("C", 60), f"W{i}")),
            }
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
        # and what was ordered without a cart id is in a cart of its visitor
        for n, row in enumerate(row for row in rows["orders"] if not row["cart_id"]):
            row["visitor_id"] = f"V{n % 9}"
            event = {"event_id": f"by {row['order_id']}", "visitor_id": row["visitor_id"], "event": "add"}
            rows["cart_events"].append(event | {"occurred_at": row["ordered_at"], "person_id": row["person_id"]})
        for i in ids("K", 50):
            opened = at()
            row = {"case_id": i, "channel": some(("phone", "")), "topic": some(("bill", "")), "is_spam": some(("", "", "true"))}
            row |= {"opened_at": opened, "resolved_at": some(("", after(opened))), "closed_at": some(("", after(opened)))}
            rows["cases"].append(row | {"reopen_count": some(("", 1))})
        for i in ids("V", 200):
            event = some(("opened", "replied", "assigned", "resolved", "resolved", "reopened", "closed"))
            row = {"event_id": i, "case_id": one_of("K", 70), "occurred_at": at(), "event": event}
            rows["case_events"].append(row | {"actor_type": ("", "agent", "bot")[int(i[1:]) % 3]})
        for i in ids("T", 300):
            row = {
                "contact_id": i,
                "person_id": some([None, *self.persons[:5]]),
                "case_id": one_of("K", 70),
                "started_at": at(60),
            }
            row |= {"channel": some(("phone", "chat")), "topic": some(("bill", "web", "")), "is_spam": some(("", "", "", "true"))}
            row |= {"direction": some(("inbound", "inbound", "outbound")), "root_contact_id": some(("", "", "", "T1"))}
            row |= {"outcome": some(("handled", "handled", "abandoned", "contained"))}
            # by the number, so that any two of them meet
            told = {
                "queue": ("", "a"),
                "wait_seconds": ("", "2", "40"),
                "talk_seconds": ("", "60", "90", "", "5"),
                "wrap_seconds": ("", "7"),
            }
            rows["contacts"].append(row | {name: values[int(i[1:]) // 2 % len(values)] for name, values in told.items()})
        return {feed: [row | version_of for row in found] for feed, found in rows.items()}


def _write(home: Path, day: date, rows: dict[str, list[dict[str, Any]]]) -> None:
    from data_quality.contract import load_contracts

    for feed, records in rows.items():
        names = [column.name for column in load_contracts()[feed].properties]
        with (home / "landing" / f"{feed}_{day}.csv").open("w", encoding="utf-8", newline="") as handle:
            writer = csv.DictWriter(handle, names, extrasaction="ignore", lineterminator="\n")
            writer.writeheader()
            writer.writerows(records)


@pytest.mark.minutes
def test_rows_add_up_to_every_cell_of_an_untidy_company(tmp_path: Path) -> None:
    """Merged persons, orders without headers, lines without a time, gift cards, returns, cases without rows; then
    corrections of half of it."""
    days = date(2026, 1, 10), date(2026, 1, 11)
    (tmp_path / "landing").mkdir()
    (tmp_path / "landing" / "cx.toml").write_text(_config(UNTIDY), encoding="utf-8")
    company = _Untidy(1, days[0])
    for version, (day, share) in enumerate(zip(days, (1.0, 0.4), strict=True), start=1):
        _write(tmp_path, day, company.make(version, share))
        assert run(tmp_path, "nightly", day) == 0
        _assert_adds_up(tmp_path)
    with duckdb.connect(str(tmp_path / "warehouse" / "cx.duckdb"), read_only=True) as con:
        # the company is untidy enough
        lost = con.execute("select max(lost_since_365d), max(active_365d_ago) from marts.clv_daily").fetchone()
        assert lost and min(lost) > 0
        assert con.execute("select count(*) from intermediate.int_person_merges").fetchone()[0] > 2
        assert con.execute("select max(reactivated) from marts.churn_daily where basis = 'contractual'").fetchone()[0] > 0
        assert con.execute("select max(recovered) from marts.cart_abandonment_daily").fetchone()[0] > 0
        assert min(con.execute("select sum(short_abandoned), sum(timed_answers) from marts.queue_daily").fetchone()) > 0
        assert min(con.execute("select sum(contacts), sum(messaging_contacts) from marts.handling_daily").fetchone()) > 0


# ---- a shop by hand --------------------------------------------------------------------------------------------------

SHOP = """
[business]
timezone = "Europe/Amsterdam"
[[feed]]
feed = "orders"
pattern = "orders_{day}.csv"
format = "csv"
expected = "daily"
[feed.constants]
currency = "EUR"
[[feed]]
feed = "order_lines"
pattern = "lines_{day}*.csv"
format = "csv"
[[feed]]
feed = "refunds"
pattern = "refunds_{day}.csv"
format = "csv"
[feed.constants]
currency = "EUR"
"""
ORDERS = "order_id,person_id,ordered_at,status,country,discount_amount,is_test,updated_at\n"
LINES = "order_id,line_id,quantity,unit_price,is_gift_card\n"
REFUNDS = "refund_id,order_id,refunded_at,amount\n"
FIRST, SECOND, THIRD = date(2026, 1, 5), date(2026, 1, 6), date(2026, 1, 7)
NIGHTS = {
    FIRST: {
        "orders_2026-01-05.csv": ORDERS
        + "O1,P1,2026-01-05T10:00:00,paid,NL,5.00,,2026-01-05T10:00:00\n"
        + "O2,P2,2026-01-05T11:00:00,paid,BE,,,2026-01-05T11:00:00\n"
        + "O3,P3,2026-01-05T12:00:00,paid,NL,,true,2026-01-05T12:00:00\n"
        + "O4,P4,2026-01-05T13:00:00,odd,NL,,,2026-01-05T13:00:00\n",
        "lines_2026-01-05.csv": LINES + "O1,1,2,10.00,\nO1,2,1,50.00,yes\nO2,1,1,30.00,\nO3,1,1,99.00,\nX9,1,1,5.00,\n",
    },
    SECOND: {
        "orders_2026-01-06.csv": ORDERS
        + "O5,P1,2026-01-06T09:00:00,paid,NL,,,2026-01-06T09:00:00\n"
        + "O1,P1,2026-01-05T10:00:00,paid,NL,2.00,,2026-01-06T08:00:00\n",
        "lines_2026-01-06.csv": LINES + "O5,1,1,7.00,\n",
        "lines_2026-01-05_again.csv": LINES + "O1,1,2,10.00,\nO1,2,1,50.00,yes\nO2,1,1,30.00,\nO3,1,1,99.00,\nX9,1,1,5.00,\n",
        "refunds_2026-01-06.csv": REFUNDS + "R1,O1,2026-01-05T20:00:00,4.00\n",
    },
    THIRD: {"lines_2026-01-07.csv": LINES + "O6,1,1,8.00,\n"},  # the headers are missing
}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("shop")
    (home / "landing").mkdir()
    (home / "landing" / "cx.toml").write_text(SHOP, encoding="utf-8")
    for day, files in NIGHTS.items():
        for name, text in files.items():
            (home / "landing" / name).write_text(text, encoding="utf-8")
        assert run(home, "backfill", FIRST, day) == (3 if day == THIRD else 0)
    return home


def _ask(home: Path, metric: str, day: date, limit: int = 20, **by: str) -> dict[str, Any]:
    return explain.explain(Settings(home), metric, day, by, limit)


def _placed(rows: list[dict[str, Any]], *names: str) -> list[tuple[Any, ...]]:
    return [(f"{row['file']}:{row['line']}", *(row[name] for name in names)) for row in rows]


def test_net_sales_down_to_file_and_line(shop: Path) -> None:
    """Gross 20 on a line, discount 2 on the corrected header, refund 4 of the next night's file."""
    found = _ask(shop, "net_sales", FIRST, country="NL")
    assert (found["value"], found["parts"], found["cells"], found["is_final"]) == (14, {"net_amount_reporting": 14}, 1, False)
    assert found["final_on"] == date(2026, 1, 8)
    assert found["rows_add_up"]
    assert _placed(found["rows"], "entity", "net_amount_reporting", "note") == [
        ("lines_2026-01-05.csv:2", "O1", 20, "order line"),
        ("refunds_2026-01-06.csv:2", "O1", -4, "refund"),
        ("orders_2026-01-06.csv:3", "O1", -2, "order header"),
    ]
    assert [(row["file"], row["rows"], row["net_amount_reporting"]) for row in found["deliveries"]] == [
        ("lines_2026-01-05.csv", 1, 20),
        ("orders_2026-01-06.csv", 1, -2),
        ("refunds_2026-01-06.csv", 1, -4),
    ]
    assert _placed(found["superseded"], "newer_file", "newer_line") == [("orders_2026-01-05.csv:2", "orders_2026-01-06.csv", 3)]


def test_what_was_left_out_is_told_with_its_reason(shop: Path) -> None:
    found = _ask(shop, "net_sales", FIRST, country="NL")
    assert {(row["reason"], *row["first_places"]) for row in found["left_out"]} == {
        ("test_order", "orders_2026-01-05.csv:4"),
        ("its order is left out: test_order", "lines_2026-01-05.csv:5"),
        ("a gift card is no revenue", "lines_2026-01-05.csv:3"),
        ("neither the line nor an order header tells its day", "lines_2026-01-05.csv:6"),
    }
    assert [(row["feed"], row["rows"], row["first_places"]) for row in found["quarantined"]] == [
        ("orders", 1, ["orders_2026-01-05.csv:5"])
    ]
    assert found["quarantined"][0]["reason"].startswith("known_status: ")
    assert [(row["status"], row["file"], row["reason"]) for row in found["not_taken"]] == [
        ("repeated", "lines_2026-01-05_again.csv", "same content as order_lines:lines_2026-01-05.csv")
    ]
    assert {row["reason"] for row in _ask(shop, "net_sales", FIRST, country="BE")["left_out"]} == {
        "neither the line nor an order header tells its day"
    }


def test_a_day_without_a_delivery_says_so(shop: Path) -> None:
    found = _ask(shop, "net_sales", THIRD)
    assert (found["cells"], found["rows"]) == (0, [])
    assert [(row["feed"], row["delivery_day"], row["status"]) for row in found["not_taken"]] == [("orders", THIRD, "missing")]
    assert [(row["reason"], row["first_places"]) for row in found["left_out"]] == [
        ("neither the line nor an order header tells its day", ["lines_2026-01-07.csv:2"])
    ]


@pytest.mark.parametrize(("clock", "status"), [("06:59", "not due"), ("07:00", "missing")])
def test_a_delivery_that_is_not_due_yet_is_not_missing(
    clock: str, status: str, shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asked in the morning after, before and from the time on that cx.toml says."""
    settings = Settings(shop)
    feeds = tuple(source.model_copy(update={"due": "07:00"}) for source in settings.config.feed)
    monkeypatch.setitem(settings.__dict__, "config", settings.config.model_copy(update={"feed": feeds}))
    now = datetime.fromisoformat(f"{THIRD + timedelta(days=1)}T{clock}")
    monkeypatch.setattr(warehouse, "now_in", lambda zone: now)
    found = explain.explain(settings, "net_sales", THIRD, {}, 20)["not_taken"]
    assert [(row["feed"], row["delivery_day"], row["status"]) for row in found] == [("orders", THIRD, status)]


def test_a_day_that_somebody_answers_for_is_not_missing(shop: Path, tmp_path: Path) -> None:
    home = Path(shutil.copytree(shop, tmp_path / "home", symlinks=True))
    now = datetime(2026, 1, 8)
    row = Acceptance("arrival", "orders", str(THIRD), THIRD, None, None, "closed", "kim", now, THIRD, used_at=now)
    with warehouse.connect(Settings(home)) as con:
        acceptance.append(con, [row])
    assert _ask(home, "net_sales", THIRD)["not_taken"] == []


def test_a_day_before_the_first_delivery_is_not_missing(shop: Path, tmp_path: Path) -> None:
    """A first file may hold history: nobody misses files of the days before it."""
    home = Path(shutil.copytree(shop, tmp_path / "home", symlinks=True))
    with warehouse.connect(Settings(home)) as con:
        con.execute("update ops.deliveries set delivery_day = $1 where feed = 'orders'", [THIRD + timedelta(days=1)])
    assert _ask(home, "net_sales", THIRD)["not_taken"] == []


def test_the_release_the_run_and_what_was_said_before(shop: Path) -> None:
    found = _ask(shop, "net_sales", FIRST, country="NL")
    name = release.current(Settings(shop))
    manifest = release.manifest_of(Settings(shop), name or "")
    published = found["published"]
    assert (published["release"], published["run_id"]) == (name, manifest["run_id"])
    assert (published["value"], found["warehouse"]["is_published"]) == (14, True)
    assert published["definition"] == found["definition"]["version"] == manifest["marts"]["sales_daily"]["definition"]
    assert found["definition"]["sql"] == "dbt_project/models/marts/commerce/sales_daily.sql"
    (said,) = published["restatements"]
    assert (said["old_value"], said["new_value"], said["kind"]) == (15, 14, "provisional")
    assert said["deliveries"] == ["orders:orders_2026-01-06.csv", "refunds:refunds_2026-01-06.csv"]
    assert _ask(shop, "net_sales", FIRST, country="BE")["published"]["restatements"] == []


def test_a_release_behind_the_warehouse_is_shown_beside_it(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = Settings(shop)
    oldest, *_, newest = release.releases(settings)
    release.roll_back(settings, oldest)
    try:
        found = _ask(shop, "net_sales", FIRST, country="NL")
        cli._print_explanation(found)
    finally:
        release.roll_back(settings, newest)
    assert (found["value"], found["warehouse"]["value"], found["warehouse"]["is_published"]) == (15, 14, False)
    assert found["rows_add_up"]
    assert "the warehouse says 14 (net_amount_reporting 14)" in capsys.readouterr().out


def test_a_mart_whose_rows_are_not_listed_tells_all_the_rest(
    shop: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As of net sales, had nobody written down its rows: the deliveries of the day, not the refund that came a day later."""
    listed = _ask(shop, "net_sales", FIRST, country="NL")
    monkeypatch.setattr(explain, "explained_marts", frozenset)
    found = _ask(shop, "net_sales", FIRST, country="NL")
    of_rows = {"rows", "rows_total", "rows_add_up", "rows_not_listed", "deliveries", "superseded", "superseded_total", "left_out"}
    assert found.keys() == listed.keys()
    assert {key: found[key] for key in found.keys() - of_rows} == {key: listed[key] for key in listed.keys() - of_rows}
    assert (found["value"], found["final_on"], found["rows"], found["rows_add_up"]) == (14, date(2026, 1, 8), [], None)
    assert [(row["file"], row["rows"]) for row in found["deliveries"]] == [
        ("lines_2026-01-05.csv", 5),
        ("orders_2026-01-05.csv", 3),
    ]
    cli._print_explanation(found)
    printed = " ".join(capsys.readouterr().out.split())
    assert "the source rows of sales_daily are not listed" in printed
    assert "its SQL is dbt_project/models/marts/commerce/sales_daily.sql" in printed
    assert "deliveries for the day" in printed and "warning" not in printed


def test_rows_beyond_the_limit_are_counted(shop: Path) -> None:
    found = _ask(shop, "net_sales", FIRST, limit=1, country="NL")
    assert (len(found["rows"]), found["rows_total"]) == (1, 3)
    assert sum(row["net_amount_reporting"] for row in found["deliveries"]) == 14


def test_persons_behind_a_distinct_count(shop: Path) -> None:
    """P1 and P2 ordered on the 5th, P1 again on the 6th: nobody is lost, and each is told by the last order there was."""
    with pytest.raises(ExplainError, match=r"do not add up. Add one of\n  --by basis=inactivity --by period=day --by plan=all"):
        _ask(shop, "retention_rate", SECOND)
    found = _ask(shop, "retention_rate", SECOND, basis="inactivity", period="day", plan="all")
    assert (found["value"], found["parts"]) == (1, {"retained": 2, "active_at_start": 2})
    assert sorted(_placed(found["rows"], "entity", "retained", "active_at_start")) == [
        ("orders_2026-01-05.csv:3", "P2", 1, 1),
        ("orders_2026-01-06.csv:2", "P1", 1, None),
        ("orders_2026-01-06.csv:3", "P1", None, 1),
    ]


def test_a_question_without_an_answer_is_told_what_there_is(shop: Path) -> None:
    with pytest.raises(ExplainError, match="sales_daily has no country 'FR'; there is BE, NL"):
        _ask(shop, "net_sales", FIRST, country="FR")
    with pytest.raises(ExplainError, match="nothing is known of 2026-01-04: sales_daily holds 2026-01-05 to 2026-01-07"):
        _ask(shop, "net_sales", date(2026, 1, 4))
    with pytest.raises(ExplainError, match=r"fcr_daily is off: none of its feeds is in cx.toml \(contacts\)"):
        _ask(shop, "fcr_rate", FIRST)
    empty = _ask(shop, "net_sales", SECOND, country="BE")
    assert (empty["cells"], empty["value"], empty["rows"], empty["rows_add_up"]) == (0, None, [], True)
    with pytest.raises(ExplainError, match="there is BE, NL"):
        _ask(shop, "net_sales", FIRST, country="NL' or '1' = '1")


def test_nothing_is_read_while_a_run_is_at_work(
    shop: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CX_HOME", str(shop))
    monkeypatch.setattr(sys, "argv", ["cx", "explain", "net_sales", "2026-01-05"])
    with run_lock(Settings(shop), "nightly"), pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 1
    assert "another run holds" in capsys.readouterr().err


def test_a_program_that_has_the_warehouse_open_is_no_riddle(shop: Path) -> None:
    opens = "import duckdb, sys; con = duckdb.connect(sys.argv[1]); print('open', flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", opens, str(Settings(shop).warehouse)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None and other.stdout.readline() == "open\n"
        with pytest.raises(ExplainError, match="the warehouse is in use; ask again when it is free"):
            _ask(shop, "net_sales", FIRST)
        other.communicate()


def test_cx_explain_prints_it(shop: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("CX_HOME", str(shop))
    cli.app(["explain", "net_sales", "2026-01-05", "--by", "country=NL"], standalone_mode=False)
    printed = capsys.readouterr().out
    for words in (
        "net_sales of 2026-01-05 country=NL: 14 (net_amount_reporting 14)",
        "provisional until 2026-01-08",
        "net_amount_reporting: gross_amount_reporting - discount_amount_reporting - refund_amount_reporting.",
        "refunds_2026-01-06.csv:2",
        "neither the line nor an order header tells its day",
        "orders_2026-01-05.csv:5",
        "lines_2026-01-05_again.csv",
    ):
        assert words in printed, words
    assert "warning" not in printed
