"""Predicted customer lifetime value: what SQL scores is what plain Python makes of the same books and parameters."""

from __future__ import annotations

import csv
from collections import defaultdict
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pytest

from orchestration.lib import clv_as_of, clv_models
from orchestration.lib.simulator.truth import FEEDS, Books, counted_sales, latest
from orchestration.settings import Settings
from tests.company import MONTH_TOLD, Whole, release_of
from tests.frames import read_mart

UNIT = 7
RATE = 1.1 ** (1 / 12) - 1


@pytest.fixture(scope="module")
def books(whole: Whole) -> Books:
    company = whole.company
    return Books({feed: latest(feed, company.deliveries[feed]) for feed in FEEDS}, company.clock.zone, company.data_through)


def mart(whole: Whole, name: str) -> pd.DataFrame:
    """A mart with its days as `date`."""
    frame = read_mart(release_of(whole.home), name)
    days = frame.select_dtypes("datetime").columns
    return frame.assign(**{column: frame[column].dt.date for column in days})


@pytest.fixture(scope="module")
def params(whole: Whole) -> pd.DataFrame:
    return mart(whole, "clv_params")


def history(books: Books, as_of: date) -> dict[str, dict[str, Any]]:
    """Recency, frequency, age and mean value of everybody with a purchase up to a day, from the books row by row."""
    value: dict[str, dict[date, Any]] = defaultdict(lambda: defaultdict(int))
    orders = {sale.order.order_id: sale for sale in counted_sales(books) if sale.person and sale.day <= as_of}
    for sale in orders.values():
        value[sale.person][sale.day] += sale.gross_reporting - sale.discount_reporting
    for back in books.money_back:
        if back.order_id in orders and back.day <= as_of:
            value[orders[back.order_id].person][orders[back.order_id].day] -= back.reporting
    found = {}
    for person, days in value.items():
        first, *later = sorted(days)
        found[person] = {
            "first": first,
            "frequency": len(later),
            "recency_days": (max(days) - first).days,
            "age_days": (as_of - first).days,
            "mean_value": float(sum(days[day] for day in later)) / 100 / len(later) if later else None,
        }
    return found


def newest(params: pd.DataFrame, segment: str, day: date) -> tuple[Any, Any]:
    """The purchase and the spend parameters that score a segment on a day."""
    used = params[params.is_used]
    known = used[used.as_of_date <= day]
    own = known[known.segment == segment]
    pool = own if len(own) else known[known.segment == "all"]
    if not len(pool):  # hindsight: the fit that is nearest
        later = used[used.segment.isin([segment, "all"])]
        chosen = later[later.as_of_date == later.as_of_date.min()]
    else:
        chosen = pool[pool.as_of_date == pool.as_of_date.max()]
    is_spend = chosen.model == "gamma_gamma"
    return chosen[~is_spend].iloc[0], chosen[is_spend].iloc[0]


def scores(person: dict[str, Any], purchase: Any, spend: Any) -> dict[str, float]:
    """One person's scores by the functions of the models' module."""
    theta = {name: purchase[name] for name in ("r", "alpha", "a", "b")}
    x, t_x, age = person["frequency"], person["recency_days"] / UNIT, person["age_days"] / UNIT
    found = {"p_alive": float(clv_models.probability_alive(purchase.model, theta, x, t_x, age))}
    for days in (90, 180, 365):
        ahead = (purchase.model, theta, x, t_x, age, days / UNIT)
        found[f"expected_purchases_{days}d"] = float(clv_models.expected_purchases(*ahead))
        found[f"p_purchase_{days}d"] = float(clv_models.probability_of_purchase(*ahead))
    of_spend = {name: spend[name] for name in ("p", "q", "v")}
    found["expected_spend"] = float(clv_models.expected_spend(of_spend, x, max(person["mean_value"] or 0, 0)))
    for months in (12, 24):
        # by the months' own purchases, not by parts
        total, before = 0.0, 0.0
        for month in range(1, months + 1):
            until = float(clv_models.expected_purchases(purchase.model, theta, x, t_x, age, month * 365 / 12 / UNIT))
            total += (until - before) / (1 + RATE) ** month
            before = until
        found[f"clv_{months}m"] = total * found["expected_spend"]
    return found


def test_recency_frequency_and_value_are_those_of_the_books(whole: Whole, books: Books) -> None:
    actual = mart(whole, "clv_predicted").set_index("person_id")
    expected = history(books, books.through)
    assert set(actual.index) == set(expected) and len(expected) > 100
    for person, row in actual.iterrows():
        known = expected[person]
        assert (row.frequency, row.recency_days, row.age_days, row.cohort_month) == (
            known["frequency"], known["recency_days"], known["age_days"], known["first"].replace(day=1),
        )  # fmt: skip
        assert row.mean_value == pytest.approx(known["mean_value"], abs=1e-9) or known["mean_value"] is None


def test_scores_in_sql_equal_those_of_the_models(whole: Whole, books: Books, params: pd.DataFrame) -> None:
    actual = mart(whole, "clv_predicted").set_index("person_id")
    expected = history(books, books.through)
    assert set(params[params.is_used].segment) == {"all", "web"} and actual.segment.nunique() > 2
    for person, row in actual.iterrows():
        purchase, spend = newest(params, row.segment, books.through)
        assert (row.fitted_on, row.model) == (purchase.as_of_date, purchase.model)
        for name, value in scores(expected[person], purchase, spend).items():
            assert row[name] == pytest.approx(value, rel=1e-12), (person, name)


def test_a_month_is_the_sum_of_its_customers(whole: Whole, books: Books, params: pd.DataFrame) -> None:
    """Each with the fit of its time, the ones before the first fit with that one."""
    actual = mart(whole, "clv_predicted_monthly")
    today = mart(whole, "clv_predicted").set_index("person_id")
    assert [day.month for day in sorted(set(actual.metric_date))] == [9, 10]
    assert set(actual.fitted_on > actual.metric_date) == {True, False}, "one month is scored in hindsight"

    def rounded(value: float, places: str) -> Decimal:
        return Decimal(value).quantize(Decimal(places), ROUND_HALF_UP)

    for month_end in sorted(set(actual.metric_date)):
        cells: dict[tuple[str, date], list[dict[str, float]]] = defaultdict(list)
        for person, known in history(books, month_end).items():
            segment = today.loc[person].segment
            purchase, spend = newest(params, segment, month_end)
            cells[segment, known["first"].replace(day=1)].append(scores(known, purchase, spend))
        rows = actual[actual.metric_date == month_end].set_index(["segment", "cohort_month"])
        assert set(rows.index) == set(cells)
        for cell, people in cells.items():
            row = rows.loc[cell]
            assert row.customers == len(people)
            for column, name, places in (
                ("expected_active", "p_alive", "0.000001"), ("expected_purchases_365d", "expected_purchases_365d", "0.000001"),
                ("clv_12m", "clv_12m", "0.0001"), ("clv_24m", "clv_24m", "0.0001"),
            ):  # fmt: skip
                expected = sum(rounded(one[name], places) for one in people)
                assert float(row[column]) == pytest.approx(float(expected), abs=2 * float(places)), (month_end, cell, column)
            values = sorted(rounded(one["clv_12m"], "0.0001") for one in people)
            assert row.clv_12m_p50 == pytest.approx(float(values[-(-len(values) // 2) - 1]), abs=1e-3)


def test_the_end_of_a_month_is_kept_as_it_was_told(whole: Whole, books: Books, params: pd.DataFrame) -> None:
    """By the deliveries up to the night that told it; what came later has changed the history of some."""
    company, month_end = whole.company, date(2025, 10, 31)
    days = (MONTH_TOLD - company.start).days + 1
    known_then = {feed: latest(feed, company.deliveries[feed][:days]) for feed in FEEDS}
    then, now = history(Books(known_then, company.clock.zone, MONTH_TOLD), month_end), history(books, month_end)
    assert any(then.get(person) != now.get(person) for person in now), "late rows make no difference here"
    rows = mart(whole, "clv_predicted_snapshot").set_index("person_id")
    assert set(rows.metric_date) == {month_end} and set(rows.index) == set(then)
    for person, row in rows.iterrows():
        purchase, spend = newest(params, row.segment, month_end)
        assert (row.fitted_on, row.model) == (purchase.as_of_date, purchase.model)
        known = then[person]
        assert [row.frequency, row.recency_days, row.age_days] == [known[f] for f in ("frequency", "recency_days", "age_days")]
        assert row.cohort_month == known["first"].replace(day=1)
        for name, value in scores(known, purchase, spend).items():
            assert row[name] == pytest.approx(value, rel=1e-12), (person, name)


def test_scores_of_a_past_day(whole: Whole, books: Books, params: pd.DataFrame, tmp_path: Path) -> None:
    day = books.through - timedelta(days=20)
    settings = Settings(whole.home)
    persons, fitted_on = clv_as_of.write(settings, day, tmp_path / "then.csv")
    with (tmp_path / "then.csv").open(encoding="utf-8", newline="") as handle:
        rows = list(csv.DictReader(handle))
    expected = history(books, day)
    assert persons == len(rows) == len(expected)
    assert fitted_on == date(2025, 10, 20), "that of the web is newer than that of all"
    for row in rows[::7]:
        purchase, spend = newest(params, row["segment"], day)
        for name, value in scores(expected[row["person_id"]], purchase, spend).items():
            assert float(row[name]) == pytest.approx(value, rel=1e-9)
    with pytest.raises(clv_as_of.ClvError, match=f"is not complete: data go through {books.through}"):
        clv_as_of.write(settings, books.through + timedelta(days=1), tmp_path / "x.csv")
    with pytest.raises(clv_as_of.ClvError, match="there is no folder"):
        clv_as_of.write(settings, day, tmp_path / "nowhere" / "x.csv")
    with pytest.raises(clv_as_of.ClvError, match=r"ends in \.parquet or \.csv"):
        clv_as_of.write(settings, day, tmp_path / "x.xlsx")


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (
            "all,2025-09-30,lstm,1,1,1,1,,,",
            "line 2, column model: 'lstm' cannot score; write one of mbg_nbd, bg_nbd, gamma_gamma",
        ),
        ("all,yesterday,bg_nbd,1,1,1,1,,,", "line 2, column as_of_date: 'yesterday' is no date"),
        ("all,2025-09-30,bg_nbd,1,-1,1,1,,,", "line 2, column alpha: '-1' is no number between 1e-06 and 1e.06, as bg_nbd needs"),
        ("all,2025-09-30,gamma_gamma,,,,,6,0.5,15", "line 2, column q: 0.5 is 1 or less"),
        ("all,2025-09-30,bg_nbd,1e308,1,1,1,,,", "line 2, column r: '1e308' is no number between"),
        ("", "line 2: there is no row below the header"),
        (",2025-09-30,bg_nbd,1,1,1,1,,,", "line 2, column segment: is empty"),
        ("all,2099-09-30,bg_nbd,1,1,1,1,,,", "line 2, column as_of_date: 2099-09-30 is not complete"),
        ("all,2025-09-30,bg_nbd,1,1,1,1,,,", "all of 2025-09-30 has bg_nbd; write gamma_gamma and one of mbg_nbd, bg_nbd"),
    ],
)
def test_wrong_parameters_are_told_by_line(whole: Whole, tmp_path: Path, line: str, problem: str) -> None:
    file = tmp_path / "params.csv"
    file.write_text("segment,as_of_date,model,r,alpha,a,b,p,q,v\n" + line + "\n", encoding="utf-8")
    with pytest.raises(clv_as_of.ClvError, match=problem):
        clv_as_of.take(Settings(whole.home), file, "pymc-marketing")
    with duckdb.connect(str(whole.home / "warehouse" / "cx.duckdb"), read_only=True) as con:
        assert con.execute("select count(*) from ops.clv_fits where source = 'pymc-marketing'").fetchone() == (0,)
