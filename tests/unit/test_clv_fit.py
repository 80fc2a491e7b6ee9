"""Fits out of a warehouse: the customers they see, what is held out, which model scores, and what is kept."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import jinja2
import numpy as np
import pandas as pd
import pytest

from orchestration.lib import clv_fit, clv_models, release, report
from orchestration.lib.warehouse import OPS_DDL
from orchestration.settings import DBT_PROJECT_DIR, Business

START = date(2024, 1, 1)


@pytest.fixture
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    """A warehouse with what a fit reads, empty; the history as of a day as the models define it."""
    macros = (DBT_PROJECT_DIR / "macros" / "clv.sql").read_text(encoding="utf-8")
    called = "{{ customer_rfm('intermediate.int_customer_purchases', 'intermediate.int_customer_segments', 'as_of') }}"
    rfm = jinja2.Template(macros + called).render(setting=lambda name: f"(select {name} from ops.settings)").strip()
    with duckdb.connect() as con:
        con.execute(OPS_DDL)
        con.execute("insert into ops.clock values (null, null, null); create schema intermediate")
        con.execute(
            "create table intermediate.int_customer_purchases (person_id varchar, purchase_day date, known_day date, "
            "first_purchase_day date, amount decimal(18, 4)); "
            "create table intermediate.int_customer_segments (person_id varchar, entry_channel varchar, "
            "first_product_category varchar); "
            "create or replace table ops.settings as select 'none' as clv_segment"
        )
        con.execute(f"create macro intermediate.customer_rfm(as_of) as table {rfm}")
        yield con


def fill(con: duckdb.DuckDBPyConnection, purchases: pd.DataFrame, through: date) -> None:
    """Purchases (person_id, day, amount) of which all is known on their day."""
    con.execute(
        "insert into intermediate.int_customer_purchases "
        "select person_id, day, day, min(day) over (partition by person_id), sum(amount) from purchases group by person_id, day"
    )
    con.execute("update ops.clock set data_through = ?", [through])


def cdnow(folder: Path) -> pd.DataFrame:
    names = ["all_id", "person_id", "day", "discs", "amount"]
    frame = pd.read_csv(folder / "cdnow" / "CDNOW_sample.txt", sep=r"\s+", names=names, dtype={"person_id": str, "day": str})
    return (
        frame.assign(day=pd.to_datetime(frame.day, format="%Y%m%d").dt.date)
        .groupby(["person_id", "day"], as_index=False)
        .amount.sum()
    )


def shop(
    customers: int, days: int, seed: int, r: float = 0.8, alpha: float = 35.0, a: float = 0.8, b: float = 5.9
) -> pd.DataFrame:
    """Purchases of customers who buy as MBG/NBD says and spend as Gamma-Gamma does (p 6, q 4, v 15)."""
    draw = np.random.default_rng(seed)
    rows = []
    for number in range(customers):
        rate, leave, scale = draw.gamma(r, 1 / alpha), draw.beta(a, b), draw.gamma(4, 1 / 15)
        moment = float(draw.uniform(0, days * 0.7))
        while moment < days:
            rows.append((f"c{number}", START + timedelta(days=int(moment)), round(float(draw.gamma(6, 1 / scale)), 2)))
            if draw.uniform() < leave:
                break
            moment += float(draw.exponential(1 / rate))
    return pd.DataFrame(rows, columns=["person_id", "day", "amount"])


def test_history_as_of_a_day(con: duckdb.DuckDBPyConnection) -> None:
    """By hand: purchases of days 0, 10 and 30; 20 of the second one go back on day 40; the first one is no repeat value."""
    day = [START + timedelta(days=n) for n in range(100)]
    con.executemany(
        "insert into intermediate.int_customer_purchases values (?, ?, ?, ?, ?)",
        [("a", day[0], day[0], day[0], 100), ("a", day[10], day[10], day[0], 50), ("a", day[30], day[30], day[0], 40),
         ("a", day[10], day[40], day[0], -20), ("b", day[5], day[5], day[5], 9)],
    )  # fmt: skip

    def on(n: int) -> list[Any]:
        return con.execute(
            "select * exclude (as_of_date, segment) from intermediate.customer_rfm(?) order by 1", [day[n]]
        ).fetchall()

    assert on(4) == [("a", day[0], 0, 0, 4, None)]
    assert on(39) == [("a", day[0], 2, 30, 39, 45.0), ("b", day[5], 0, 0, 34, None)]
    assert on(40) == [("a", day[0], 2, 30, 40, 35.0), ("b", day[5], 0, 0, 35, None)]


def test_published_parameters_and_the_39_weeks_after(con: duckdb.DuckDBPyConnection, real_data: Path) -> None:
    """CDNOW through the tables: parameters as published; the back-test counted by hand from the file."""
    purchases = cdnow(real_data)
    business = Business(clv_models="mbg_nbd,bg_nbd,pareto_nbd", clv_holdout_days=273)
    fill(con, purchases, date(1998, 6, 30))
    (fitted,) = clv_fit.fit(con, business, "run")
    assert (fitted.segment, fitted.customers, fitted.is_used, fitted.message) == ("all", 2357, True, "")
    first, before = purchases.groupby("person_id").day.min(), purchases[purchases.day <= date(1997, 9, 30)]
    after = purchases[purchases.day > date(1997, 9, 30)].groupby("person_id").day.nunique().reindex(first.index, fill_value=0)
    days = before.groupby("person_id").day
    x, t_x = days.nunique() - 1, (days.max() - days.min()).map(lambda gap: gap.days) / 7
    age = first.map(lambda day: (date(1997, 9, 30) - day).days) / 7
    told = con.execute("from ops.clv_backtests order by model").df().set_index("model")
    assert list(told.is_preferred) == [False, True, False]
    for model, parameters in (
        ("bg_nbd", (0.2426, 4.4135, 0.7929, 2.4258)), ("mbg_nbd", (0.5248, 6.183, 0.8914, 1.614)),
    ):  # fmt: skip
        theta = dict(zip(("r", "alpha", "a", "b"), parameters, strict=True))
        expected = clv_models.expected_purchases(model, theta, x.to_numpy(), t_x.to_numpy(), age.to_numpy(), 39)
        chance = pd.Series(
            clv_models.probability_of_purchase(model, theta, x.to_numpy(), t_x.to_numpy(), age.to_numpy(), 39), x.index
        )
        row = told.loc[model]
        assert (row.customers, row.purchases, row.holdout_days) == (2357, after.sum(), 273)
        assert row.expected_purchases == pytest.approx(expected.sum(), rel=2e-4)
        assert row.bias == pytest.approx(expected.sum() / after.sum() - 1, abs=2e-4)
        assert row.mae == pytest.approx(abs(expected - after).mean(), rel=2e-4)
        assert row.rmse == pytest.approx(((expected - after) ** 2).mean() ** 0.5, rel=2e-4)
        ranks = chance.rank()
        buyers, others = ranks[after > 0], (after == 0).sum()
        assert row.auc == pytest.approx((buyers.sum() - len(buyers) * (len(buyers) + 1) / 2) / (len(buyers) * others), abs=2e-4)
        bands = con.execute(
            "select band, customers, buyers from ops.clv_calibration where model = ? order by band", [model]
        ).fetchall()
        by_hand = pd.DataFrame({"band": np.minimum((chance * 10).astype(int), 9) + 1, "bought": after > 0}).groupby("band").bought
        assert [band for band, *_ in bands] == list(by_hand.size().index)
        # parameters are rounded here, so customers at an edge may change sides
        assert sum(abs(n - by_hand.size()[band]) for band, n, _ in bands) <= 20
        assert sum(buyers for *_, buyers in bands) == (after > 0).sum()


def test_true_parameters_come_back_and_the_forecast_holds(con: duckdb.DuckDBPyConnection) -> None:
    """A shop whose customers do as MBG/NBD says: parameters within three standard errors, 180 days within the interval."""
    purchases = shop(3000, 580, seed=11)
    through = START + timedelta(days=399)
    fill(con, purchases[purchases.day <= through], through)
    clv_fit.fit(con, Business(clv_unit_days=1), "run")
    used = con.execute("from ops.clv_fits where is_used order by model").df().set_index("model")
    for model, truth in (("mbg_nbd", {"r": 0.8, "alpha": 35, "a": 0.8, "b": 5.9}), ("gamma_gamma", {"p": 6, "q": 4, "v": 15})):
        for name, value in truth.items():
            assert abs(used.loc[model][name] - value) < 3 * used.loc[model][f"{name}_se"], (model, name)
    known = set(purchases[purchases.day <= through].person_id)
    ahead = purchases[
        (purchases.day > through) & (purchases.day <= through + timedelta(days=180)) & purchases.person_id.isin(known)
    ]
    came = len(ahead.drop_duplicates(["person_id", "day"]))
    expected, low, high = con.execute(
        "select expected_purchases, expected_low, expected_high from ops.clv_forecasts where horizon_days = 180"
    ).fetchone()
    assert low <= came <= high and low < expected < high < 1.3 * low


def test_a_segment_with_enough_has_its_own_fit(con: duckdb.DuckDBPyConnection) -> None:
    fill(con, shop(1500, 400, seed=3), START + timedelta(days=399))
    con.execute(
        "insert into intermediate.int_customer_segments select distinct person_id, case when hash(person_id) % 3 = 0 then 'app' "
        "else 'web' end, 'books' from intermediate.int_customer_purchases where person_id <> 'c0'"
    )
    by_segment = "select segment, count(*) filter (where frequency > 0) from intermediate.customer_rfm(?) group by segment"
    as_of = [START + timedelta(days=399)]
    for setting, segments in (
        ("none", {"all"}), ("first_product_category", {"books", "unknown"}), ("entry_channel", {"app", "web", "unknown"}),
    ):  # fmt: skip
        con.execute("update ops.settings set clv_segment = ?", [setting])
        counts = dict(con.execute(by_segment, as_of).fetchall())
        assert set(counts) == segments
    assert counts["app"] < counts["web"]
    business = Business(clv_min_repeat_customers=counts["app"] + 1)
    fitted = {one.segment: one for one in clv_fit.fit(con, business, "run")}
    assert set(fitted) == {"all", "web"} and fitted["web"].customers < fitted["all"].customers == 1500
    assert con.execute("select count(*) from ops.changes where (model, entity) = ('clv_fits', 'fit')").fetchone() == (2,)
    told = report._fits(con, "run")
    assert [(row["segment"], row["model"]) for row in told] == [
        (segment, model) for segment in ("all", "web") for model in ("bg_nbd", "gamma_gamma", "mbg_nbd")
    ]
    kept = con.execute("select purchases, bias from ops.clv_backtests where (segment, model) = ('web', 'mbg_nbd')").fetchone()
    assert (told[5]["purchases"], told[5]["bias_percent"]) == (kept[0], round(100 * kept[1], 1))
    assert told[5]["held_out"] == f"the 180 days after {START + timedelta(days=219)}"


def test_when_a_fit_is_due(con: duckdb.DuckDBPyConnection) -> None:
    business = Business(clv_fit_days=7)
    assert not clv_fit.is_due(con, business), "no day is complete"
    con.execute("update ops.clock set data_through = ?", [START])
    assert not clv_fit.is_due(con, business), "nobody bought twice"
    fill(con, shop(1000, 400, seed=5), START + timedelta(days=350))
    assert clv_fit.is_due(con, business)
    clv_fit.fit(con, business, "run")
    for day, due in ((350, False), (356, False), (357, True)):
        con.execute("update ops.clock set data_through = ?", [START + timedelta(days=day)])
        assert clv_fit.is_due(con, business) is due, day


def test_a_new_warehouse_is_due(con: duckdb.DuckDBPyConnection) -> None:
    """Before anything is built nobody knows whether there are enough customers; then too few do not ask every night."""
    con.execute("update ops.clock set data_through = ?", [START])
    con.execute("alter table intermediate.int_customer_purchases rename to not_yet")
    assert clv_fit.is_due(con, Business())
    con.execute("alter table intermediate.not_yet rename to int_customer_purchases")
    fill(con, shop(400, 300, seed=5), START + timedelta(days=299))
    counted = "select count(*) filter (where frequency > 0) from intermediate.customer_rfm(?)"
    (repeat,) = con.execute(counted, [START + timedelta(days=299)]).fetchone()
    assert clv_fit.is_due(con, Business(clv_min_repeat_customers=repeat))
    assert not clv_fit.is_due(con, Business(clv_min_repeat_customers=repeat + 1))


def test_too_few_customers_make_no_fit(con: duckdb.DuckDBPyConnection) -> None:
    fill(con, shop(60, 300, seed=5), START + timedelta(days=299))
    assert clv_fit.fit(con, Business(), "run") == []
    (verdict,) = clv_fit.judge(con, Business(), {"orders"})
    assert verdict.passed and verdict.message == "too few customers bought twice for a fit"
    assert clv_fit.judge(con, Business(), {"contacts"}) == []


def test_a_fit_that_does_not_converge_scores_nobody_and_is_told(con: duckdb.DuckDBPyConnection) -> None:
    """Everybody pays the same: no spend model. The fit before it goes on."""
    good = shop(1000, 400, seed=7)
    fill(con, good[good.day <= START + timedelta(days=379)], START + timedelta(days=379))
    business = Business()
    clv_fit.fit(con, business, "first")
    assert clv_fit.judge(con, business, {"orders"})[0].passed
    con.execute(
        "update intermediate.int_customer_purchases set amount = 10; update ops.clock set data_through = data_through + 7"
    )
    (fitted,) = clv_fit.fit(con, business, "second")
    assert not fitted.is_used and fitted.message.startswith("gamma_gamma: ")
    assert con.execute(
        "select count(*), count(*) filter (where is_used) from ops.clv_fits where run_id = 'second'"
    ).fetchone() == (3, 0)
    assert con.execute("select count(*) from ops.clv_fits where is_used").fetchone() == (2,), "kept, as they were"
    (verdict,) = clv_fit.judge(con, business, {"orders"})
    assert (verdict.gate, verdict.subject, verdict.severity, verdict.passed) == ("clv_fit", "clv_params", "warn", False)
    assert verdict.message.startswith("all, fitted on 2025-01-21: scores go on with older parameters: gamma_gamma: ")


def test_a_segment_without_a_fit_of_its_own_is_scored_by_that_of_all(con: duckdb.DuckDBPyConnection) -> None:
    """No failure: nothing it had is lost. Once it had one, a later fit of it that does not converge is told."""
    fill(con, shop(1000, 400, seed=7), START + timedelta(days=350))
    clv_fit.fit(con, Business(), "run")
    con.execute(
        "insert into ops.clv_fits by name "
        "select * replace ('web' as segment, 'w' as fit_id, false as is_used, 'flat' as message) from ops.clv_fits "
        "where model = 'mbg_nbd'"
    )
    assert clv_fit.judge(con, Business(), {"orders"})[0].passed
    con.execute(
        "insert into ops.clv_fits by name "
        "select * replace ('v' as fit_id, as_of_date - 7 as as_of_date, true as is_used) from ops.clv_fits where fit_id = 'w'"
    )
    (verdict,) = clv_fit.judge(con, Business(), {"orders"})
    assert not verdict.passed and verdict.message == (
        "web, fitted on 2024-12-16: scores go on with older parameters: mbg_nbd: flat"
    )


def test_spend_that_goes_with_frequency_is_told(con: duckdb.DuckDBPyConnection) -> None:
    """Who buys more often pays more: pandas counts the correlation from the purchases."""
    purchases = shop(1000, 400, seed=7)
    often = purchases.groupby("person_id").day.transform("nunique")
    purchases["amount"] *= 1 + often / 2
    fill(con, purchases, START + timedelta(days=399))
    (fitted,) = clv_fit.fit(con, Business(), "run")
    assert fitted.is_used
    daily = purchases.groupby(["person_id", "day"], as_index=False).amount.sum().sort_values("day")
    later = daily[daily.duplicated("person_id")].groupby("person_id").amount.agg(["count", "mean"])
    expected = later["count"].corr(later["mean"])
    told = con.execute("select frequency_value_correlation from ops.clv_fits where model = 'gamma_gamma'").fetchone()
    assert expected > 0.31 and told[0] == pytest.approx(expected, abs=1e-6)
    (verdict,) = clv_fit.judge(con, Business(), {"orders"})
    assert not verdict.passed and f"spend goes with frequency (correlation {expected:.2f})" in verdict.message


def test_an_old_fit_is_told(con: duckdb.DuckDBPyConnection) -> None:
    fill(con, shop(1000, 400, seed=7), START + timedelta(days=350))
    business = Business(clv_fit_days=7)
    clv_fit.fit(con, business, "run")
    for later, passed in ((14, True), (15, False)):
        con.execute("update ops.clock set data_through = ?", [START + timedelta(days=350 + later)])
        assert clv_fit.judge(con, business, {"orders"})[0].passed is passed


def test_shares_of_the_best_tenth_and_ranks_by_hand() -> None:
    """Ten groups of one customer each, then one whose edge cuts a group."""
    expected, weight = np.arange(10.0), np.ones(10)
    came = np.array([0, 0, 0, 0, 0, 0, 0, 1, 1, 2.0])
    assert clv_fit._top_decile_share(expected, weight, came) == 0.5
    assert clv_fit._top_decile_share(np.array([2.0, 1.0]), np.array([4.0, 16.0]), np.array([1.0, 0.5])) == pytest.approx(2 / 12)
    # pairs: the buyer at .9 beats both others, the one at .5 ties with one and beats the other
    chance, bought = np.array([0.9, 0.5, 0.5, 0.1]), np.array([True, True, False, False])
    assert clv_fit._auc(chance, np.ones(4), bought) == pytest.approx(3.5 / 4)
    assert clv_fit._auc(chance, np.ones(4), np.zeros(4, dtype=bool)) is None


def test_many_customers_are_rounded_and_hardly_change(con: duckdb.DuckDBPyConnection, monkeypatch: Any, tmp_path: Path) -> None:
    fill(con, shop(2500, 400, seed=9), START + timedelta(days=399))
    business = Business()
    clv_fit.fit(con, business, "exact")
    monkeypatch.setattr(clv_fit, "EXACT_CUSTOMERS", 100)
    clv_fit.fit(con, business, "rounded")
    rows = con.execute("from ops.clv_fits where is_used order by fitted_at").df()
    for model in ("mbg_nbd", "gamma_gamma"):
        exact, rounded = (row for _, row in rows[rows.model == model].iterrows())
        for name in clv_models.PARAMETERS[model]:
            assert abs(exact[name] - rounded[name]) < exact[f"{name}_se"], (model, name)


def test_a_new_warehouse_takes_the_fits_of_the_newest_release(con: duckdb.DuckDBPyConnection) -> None:
    fill(con, shop(1000, 400, seed=7), START + timedelta(days=350))
    clv_fit.fit(con, Business(), "run")
    con.execute("attach ':memory:' as published; create schema published.marts")
    kept = {}
    for mart, table in clv_fit.TABLES.items():
        con.execute(f"create table published.marts.{mart} as select columns(c -> c <> 'run_id') from ops.{table}")
        kept[table] = con.execute(f"select columns(c -> c <> 'run_id') from ops.{table} order by all").fetchall()
        con.execute(f"delete from ops.{table}")
    release._take_over_fits(con)
    for table, rows in kept.items():
        assert rows and con.execute(f"select columns(c -> c <> 'run_id') from ops.{table} order by all").fetchall() == rows
    release._take_over_fits(con)
    assert con.execute("select count(*) from ops.clv_fits").fetchone() == (len(kept["clv_fits"]),), "taken once"
