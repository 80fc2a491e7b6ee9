"""`python -m tests.clv_night`: what predicted value costs a night in which no fit is due, by default at a million customers.

Belongs here: one night of order lines through the functions of a run, with the models of predicted value and without them.
Does not: the models on plain arrays (`tests.clv_bench`), asserting a time.

The customers are those of `tests.clv_bench`: three years of purchases, a fit of everybody, then one day more. Each night is a
process of its own over a copy of one home, and is done twice. Without means neither built, nor judged, nor published: what the
company's night would cost if it did not predict. A night that closes a month keeps everybody's prediction besides, and scores
the month.
"""

from __future__ import annotations

import json
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from datetime import date, timedelta
from pathlib import Path
from typing import Annotated

import duckdb
import numpy as np
import typer

from data_quality.verdict import Verdict
from orchestration.lib import clv_as_of, clv_fit, clv_snapshot, dbt_build, ingest, release, warehouse
from orchestration.lib.dbt_functions import register
from orchestration.lib.dbt_manifest import in_order, marts_on, models_on
from orchestration.partitions import Window
from orchestration.settings import Settings
from tests import clv_bench
from tests.gate_cost import CONFIG, Clock, cpu

FEEDS = {"order_lines"}
PREDICTING = {
    "int_customer_purchases", "int_clv_parameters", "clv_params", "clv_backtest", "clv_calibration", "clv_forecast",
    "clv_predicted", "clv_predicted_monthly", "clv_predicted_snapshot",
}  # fmt: skip
"""Models that are there for the prediction only."""


def write_lines(customers: int, last: date, landing: Path) -> int:
    """Write what the customers bought before `last` to one file and what they bought on it to another; return lines of that day.

    Purchases between the first and the last of a customer are anywhere in between, as the model has them.
    """
    with tempfile.TemporaryDirectory() as scratch:
        clv_bench.simulate(customers, 1, Path(scratch))
        columns = {name: np.load(Path(scratch) / f"{name}.npy") for name in ("x", "t_x", "T", "m")}  # noqa: F841 read by DuckDB
    day_before = last - timedelta(days=1)
    with duckdb.connect(config={"threads": 2, "memory_limit": "4GB"}) as con:
        con.execute("create table bought as select row_number() over () as person, x, t_x, T as age, m from columns")
        con.execute(
            "create table lines as select person, n, cast($1 - (age - case n when 0 then 0 when x then t_x "
            "else 1 + hash(person, n) % greatest(t_x - 1, 1) end)::integer as date) as day, "
            "cast(case when x = 0 then 20 else greatest(m, 1) end as decimal(12, 2)) as unit_price "
            "from bought, unnest(range(x + 1)) as g(n)",
            [last],
        )
        for day, rows in ((day_before, "day < $1"), (last, "day = $1")):
            con.execute(
                "copy (select person || '-' || n as order_id, '1' as line_id, 'p' || person % 500 as product_id, 1 as quantity, "
                "unit_price, cast(day as timestamp) + to_seconds(hash(n, person) % 86400) as ordered_at, "
                f"'P' || person as person_id, 'EUR' as currency, 'NL' as country from lines where {rows} order by day) "
                f"to '{landing}/lines_{day}.parquet' (format parquet)",
                [last],
            )
        return con.execute("select count(*) from lines where day = ?", [last]).fetchone()[0]


def all_right(verdicts: Iterable[Verdict]) -> None:
    """What is measured must be a night that publishes."""
    wrong = [verdict.sentence() for verdict in verdicts if not verdict.passed]
    if wrong:
        raise SystemExit("; ".join(wrong))


def take(settings: Settings, window: Window, day: date, run_id: str) -> None:
    """Take and load the deliveries of a window, whose last complete day is `day`."""
    with warehouse.connect(settings) as con:
        warehouse.prepare(con, settings.config)
        taken = ingest.take_deliveries(con, settings, "ecommerce", window, run_id)
        warehouse.advance_clock(con, day)
        loaded = ingest.load_feed(con, settings, "order_lines", run_id)
    all_right(v for v in [*taken.verdicts, *loaded.verdicts] if v.severity == "block")


def build(settings: Settings, models: set[str], full_refresh: bool, needed: Iterable[str] = (), then=lambda: None) -> None:
    """Build and test models as a run does."""
    built = dbt_build.build(settings, models, full_refresh, first=frozenset(needed), then=then)
    all_right(built.verdicts)


def begin(settings: Settings, first: date, last: date) -> None:
    """Load the history, build every model, and fit in between."""
    take(settings, Window(first, last), last - timedelta(days=1), "before")

    def fit() -> None:
        with warehouse.connect(settings) as con:
            fitted = clv_fit.fit(con, settings.config.business, "before")
            assert fitted and all(one.is_used for one in fitted)

    build(settings, models_on(FEEDS), True, in_order(set(clv_fit.NEEDED)), fit)


def publish(settings: Settings, run_id: str, without: set[str]) -> None:
    """Publish every mart that is on but those."""
    release.marts_on = lambda feeds: [mart for mart in marts_on(feeds) if mart not in without]
    with warehouse.connect(settings) as con:
        release.publish(con, settings, run_id, FEEDS, [])


def night(home: Path, day: date, without: set[str]) -> dict[str, float]:
    """One night; CPU seconds by part, the whole, and the peak memory of the process in MB."""
    settings, clock, run_id = Settings(home), Clock(), str(day)
    publish(settings, "before", without)
    predicts, business, began = not without, settings.config.business, cpu()
    with clock.part("ingest"):
        take(settings, Window.of_days(day, day), day, run_id)
    month_end = None
    with clock.part("is a fit due, does a month end"), warehouse.connect(settings) as con:
        if predicts:
            assert not clv_fit.is_due(con, business)
            month_end = clv_snapshot.due(con)

    def keep_month() -> None:
        scores = dbt_build.compiled_analysis(settings, clv_as_of.ANALYSIS).compiled_code
        with clock.part("snapshot of the month"), warehouse.connect(settings) as con:
            register(con)
            clv_snapshot.take(con, month_end, scores, run_id)

    with clock.part("models and their tests"):
        build(settings, models_on(FEEDS) - without, False, in_order(set(clv_fit.NEEDED)) if month_end else (), keep_month)
    with clock.part("gate clv_fit"), warehouse.connect(settings) as con:
        if predicts:
            clv_fit.judge(con, business, FEEDS)
    with clock.part("publish"):
        publish(settings, run_id, without)
    return clock.parts | {"the night": cpu() - began, "peak MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def main(
    customers: Annotated[int, typer.Option(min=1000, help="Simulated customers.")] = 1_000_000,
    last: Annotated[list[str] | None, typer.Option(help="Day of the night; several times for several nights.")] = None,
    one: Annotated[str | None, typer.Option(hidden=True)] = None,
    home: Annotated[Path | None, typer.Option(hidden=True)] = None,
) -> None:
    """Print CPU seconds of the night by part, with predicted value and without it."""
    if one is not None and home is not None:
        day, kind = one.split(",")
        print(json.dumps(night(home, date.fromisoformat(day), PREDICTING if kind == "without" else set())))
        return
    for day in map(date.fromisoformat, last or ["2025-06-12", "2025-06-30"]):
        with tempfile.TemporaryDirectory() as scratch:
            begun, landing = Path(scratch) / "begun", Path(scratch) / "begun" / "landing"
            landing.mkdir(parents=True)
            (landing / "cx.toml").write_text(CONFIG.replace("csv", "parquet"), encoding="utf-8")
            lines = write_lines(customers, day, landing)
            settings = Settings(begun)
            settings.make_folders()
            begin(settings, day - timedelta(days=clv_bench.DAYS), day)
            found = {}
            for kind in ("with", "without", "without", "with"):  # of two the cheaper one: the machine does other things, too
                copy = shutil.copytree(begun, Path(scratch) / kind, symlinks=True)
                said = subprocess.run(
                    [sys.executable, "-m", "tests.clv_night", "--one", f"{day},{kind}", "--home", str(copy)],
                    stdout=subprocess.PIPE, check=True, text=True,
                ).stdout  # fmt: skip
                told = json.loads(said.splitlines()[-1])
                found[kind] = min(told, found.get(kind, told), key=lambda parts: parts["the night"])
                shutil.rmtree(copy)
        print(f"\n{customers:,} customers, the night of {day} with {lines:,} order lines, CPU seconds")
        print(f"  {'':<40}{'with':>10}{'without':>10}{'more':>10}")
        for name, seconds in found["with"].items():
            other = found["without"].get(name, 0.0)
            print(f"  {name:<40}{seconds:10.2f}{other:10.2f}{seconds - other:10.2f}")


if __name__ == "__main__":
    typer.run(main)
