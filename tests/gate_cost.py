"""`python -m tests.gate_cost`: what all gates of a night cost beside its ingest, for 20,000 and 1,000,000 rows in one feed.

Belongs here: one night of order lines through the functions of a run, each part measured. Does not: asserting a time.

The home has forty days of 2,000 lines before it, so that volumes are judged and a release is there. Each night is a process of
its own, once with every gate and once without those that follow the models, so that peak memory can be compared.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from data_quality.verdict import record
from orchestration.lib import clv_fit, dbt_build, gates, ingest, release, warehouse
from orchestration.lib.dbt_manifest import models_on
from orchestration.partitions import Window
from orchestration.settings import Settings

FIRST, HISTORY, USUAL = date(2025, 1, 1), 40, 2000
CONFIG = """
[[feed]]
feed = "order_lines"
pattern = "lines_{day}.csv"
format = "csv"
delivery = "append"
"""
HEADER = "order_id,line_id,product_id,quantity,unit_price,ordered_at,person_id,currency,country\n"


def write_day(landing: Path, day: date, rows: int) -> None:
    """One export of order lines, one to an order; customers come back."""
    begin = datetime.combine(day, datetime.min.time())
    with (landing / f"lines_{day}.csv").open("w", encoding="utf-8") as handle:
        handle.write(HEADER)
        for n in range(rows):
            at = begin + timedelta(seconds=n * 86_399 // rows)
            handle.write(f"{day:%y%m%d}-{n},1,p{n % 500},{1 + n % 3},{10 + n % 90}.50,{at},P{n * 7919 % (5 * rows)},EUR,NL\n")


def cpu() -> float:
    """CPU seconds of this process so far."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


class Clock:
    """CPU seconds by part; a part inside another is taken off it."""

    def __init__(self) -> None:
        self.parts: dict[str, float] = {}
        self._inside = 0.0

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Measure what is done inside."""
        outside, self._inside, began = self._inside, 0.0, cpu()
        try:
            yield
        finally:
            whole = cpu() - began
            self.parts[name] = self.parts.get(name, 0.0) + whole - self._inside
            self._inside = outside + whole


def night(home: Path, day: date, with_gates: bool) -> dict[str, float]:
    """Take, load, build, judge and publish one day; CPU seconds by part, and the peak memory of the process."""
    settings, clock, run_id, feeds = Settings(home), Clock(), str(day), {"order_lines"}
    judge, facts, mart_facts = ingest.judge, ingest.delivery_facts.with_facts, ingest._with_volume

    def measured(function, name):
        def call(*arguments, **named):
            with clock.part(name):
                return function(*arguments, **named)

        return call

    ingest.judge = measured(judge, "delivery gate: Great Expectations")
    ingest.delivery_facts.with_facts = measured(facts, "delivery gate: facts")
    ingest.delivery_facts.remember = measured(ingest.delivery_facts.remember, "delivery gate: facts")
    ingest._with_volume = measured(mart_facts, "delivery gate: facts")
    models = models_on(feeds)
    with warehouse.connect(settings) as con:
        warehouse.prepare(con, settings.config)
        window = Window.of_days(day, day)
        with clock.part("ingest"):
            taken = ingest.take_deliveries(con, settings, "ecommerce", window, run_id)
            warehouse.advance_clock(con, day)
            loaded = ingest.load_feed(con, settings, "order_lines", run_id)
        record(con, run_id, [*taken.verdicts, *loaded.verdicts])
    built = dbt_build.Built()
    with clock.part("models"):
        dbt_build._run(settings, built, set(), models, False, lambda _: None)
    if with_gates:
        with clock.part("mart gate: dbt tests"):
            dbt_build._run(settings, built, models, set(), False, lambda _: None)
        with warehouse.connect(settings) as con:
            with clock.part("row accounting, references, rates"):
                judged = [*gates.row_accounting(con, feeds), *gates.orphans(con, feeds), *gates.missing_rates(con, feeds)]
            with clock.part("mart gate: Great Expectations, moves"):
                judged += [*gates.judge_marts(con, feeds), *clv_fit.judge(con, settings.config.business, feeds)]
            record(con, run_id, [*judged, *built.verdicts])
            assert all(v.passed or v.severity != "block" for v in [*judged, *built.verdicts])
    with clock.part("publish"), warehouse.connect(settings) as con:
        release.publish(con, settings, run_id, feeds, [])
    return clock.parts | {"peak MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def main(
    rows: Annotated[list[int] | None, typer.Option(help="Rows of the night; several times for several nights.")] = None,
    one: Annotated[str | None, typer.Option(hidden=True)] = None,
    home: Annotated[Path | None, typer.Option(hidden=True)] = None,
) -> None:
    """Print a table of CPU seconds by part for each size."""
    if one is not None and home is not None:
        day, with_gates = one.split(",")
        print(json.dumps(night(home, date.fromisoformat(day), with_gates == "gates")))
        return
    for size in rows or [20_000, 1_000_000]:
        found = {}
        for kind in ("gates", "none"):
            with tempfile.TemporaryDirectory() as scratch:
                landing = Path(scratch) / "landing"
                landing.mkdir()
                (landing / "cx.toml").write_text(CONFIG, encoding="utf-8")
                last = FIRST + timedelta(days=HISTORY)
                for n in range(HISTORY):
                    write_day(landing, FIRST + timedelta(days=n), USUAL)
                settings = Settings(Path(scratch))
                settings.make_folders()
                with warehouse.connect(settings) as con:
                    warehouse.prepare(con, settings.config)
                    ingest.take_deliveries(con, settings, "ecommerce", Window(FIRST, last), "before")
                    warehouse.advance_clock(con, last - timedelta(days=1))
                    ingest.load_feed(con, settings, "order_lines", "before")
                dbt_build.build(settings, models_on({"order_lines"}), True)
                with warehouse.connect(settings) as con:
                    release.publish(con, settings, "before", {"order_lines"}, [])
                write_day(landing, last, size)
                process = subprocess.run(
                    [sys.executable, "-m", "tests.gate_cost", "--one", f"{last},{kind}", "--home", scratch],
                    stdout=subprocess.PIPE, check=True, text=True,
                )  # fmt: skip
                found[kind] = json.loads(process.stdout.splitlines()[-1])
        parts = found["gates"]
        peak, peak_without = parts.pop("peak MB"), found["none"]["peak MB"]
        judging = sum(seconds for name, seconds in parts.items() if name not in ("ingest", "models", "publish"))
        print(f"\n{size:,} order lines in a night, CPU seconds")
        for name, seconds in parts.items():
            print(f"  {name:<40}{seconds:8.2f}")
        print(f"  {'all gates':<40}{judging:8.2f}   {judging / parts['ingest']:.2f} x the ingest")
        print(f"  peak memory {peak:,.0f} MB; without the gates that follow the models {peak_without:,.0f} MB")


if __name__ == "__main__":
    typer.run(main)
