"""`make bench`: what a night and a backfill cost, as ratios to a bare DuckDB script measured in the same run.

Belongs here: measuring whole processes. Does not: asserting a time; nothing in the test suite is timed.
The shop is the real one where its exports are present, else a made one of the same shape and size.
With `--scale N` (`make bench SCALE=N`) it is the company of `tests.scale`, N times smaller, after 1, 2 and 3 years.
"""

from __future__ import annotations

import csv
import json
import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Annotated

import duckdb
import typer

from orchestration.lib.dbt_manifest import marts
from tests import scale as scaled
from tests.scale import Scale

ROOT = Path(__file__).resolve().parents[1]
REAL = ROOT.parent / "shared" / "data" / "online_retail" / "by_day.zip"
CX = Path(sys.executable).parent / "cx"


@dataclass
class Cost:
    """What one process cost."""

    wall: float
    cpu: float
    memory_mb: float

    def row(self, name: str, floor: Cost | None) -> str:
        """A line of the table, with the ratio of CPU seconds to the floor."""
        ratio = f"{self.cpu / floor.cpu:8.1f}" if floor else f"{'1.0':>8}"
        return f"{name:<44}{self.wall:8.1f}{self.cpu:8.1f}{self.memory_mb:8.0f}{ratio}"


def measure(command: list[str], **environment: str) -> Cost:
    """Run a process to its end; peak memory is the process's own, as the kernel counted it."""
    began = time.perf_counter()
    process = subprocess.Popen(command, env={**os.environ, **environment}, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert process.stderr is not None
    said = process.stderr.read()
    _, code, usage = os.wait4(process.pid, 0)
    if os.waitstatus_to_exitcode(code) not in (0, 3):
        raise SystemExit(f"{' '.join(command)} failed:\n{said.decode()}")
    return Cost(time.perf_counter() - began, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def make_shop(folder: Path) -> None:
    """305 daily exports of about 540,000 lines: where the real ones are absent."""
    rng, start = random.Random(1), datetime(2010, 12, 1, 8)
    days = [start + timedelta(days=n) for n in range(374) if (start + timedelta(days=n)).weekday() != 5][:305]
    invoice = 536365
    for day in days:
        with (folder / f"{day:%Y-%m-%d}.csv").open("w", newline="", encoding="utf-8") as handle:
            writer = csv.writer(handle, lineterminator="\n")
            writer.writerow(
                ["InvoiceNo", "StockCode", "Description", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID", "Country"]
            )
            for _ in range(85):
                invoice += 1
                is_return = rng.random() < 0.15
                person = f"{12346 + int(rng.paretovariate(0.6)) % 4400}.0" if rng.random() > 0.15 else ""
                at = day + timedelta(minutes=rng.randrange(600))
                for _ in range(rng.randrange(1, 41)):
                    code, price = rng.randrange(10000, 14000), rng.randrange(10, 2000) / 100
                    quantity = -rng.randrange(1, 5) if is_return else rng.randrange(1, 25)
                    number = f"{'C' if is_return else ''}{invoice}"
                    writer.writerow([number, code, f"ITEM {code}", quantity, at, price, person, "United Kingdom"])


def floor(name: str, database: Path, **values: object) -> Cost:
    """Cost of the bare script of that name, its values filled in, in a process of its own."""
    script = database.with_suffix(".sql")
    script.write_text((ROOT / "tests" / name).read_text().format(**values))
    code = f"import duckdb; duckdb.connect({str(database)!r}).execute(\"set TimeZone = 'UTC';\" + open({str(script)!r}).read())"
    return measure([sys.executable, "-c", code])


def night_after(exports: list[Path], work: Path, count: int) -> Cost:
    """A night whose history is the `count` exports before it."""
    home = work / f"home{count}"
    (home / "landing" / "by-day").mkdir(parents=True)
    for path in exports[: count + 1]:
        shutil.copy(path, home / "landing" / "by-day")
    environment = {"CX_HOME": str(home), "CX_CONFIG": str(ROOT / "examples" / "online_retail" / "cx.toml")}
    measure([str(CX), "backfill", exports[0].stem, exports[count - 1].stem], **environment)
    return measure([str(CX), "nightly", "--day", exports[count].stem], **environment)


def main(
    json_path: Annotated[Path | None, typer.Option(help="Also write the figures here.")] = None,
    short: Annotated[bool, typer.Option(help="40 exports instead of all.")] = False,
    scale: Annotated[int | None, typer.Option(min=1, help="The scaled company instead, this many times smaller.")] = None,
    years: Annotated[int, typer.Option(min=1, help="With --scale: years of its history.")] = 3,
) -> None:
    """Measure, and print a table."""
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        if scale is not None:
            costs = measure_scaled(Scale().divided(scale), years, work)
            if json_path:
                json_path.write_text(json.dumps({name: vars(cost) for name, cost in costs.items()}, indent=1))
            return
        exports_folder = work / "by-day"
        if REAL.exists():
            with zipfile.ZipFile(REAL) as archive:
                archive.extractall(work, [n for n in archive.namelist() if n.endswith(".csv")])
        else:
            exports_folder.mkdir()
            make_shop(exports_folder)
        exports = sorted(exports_folder.glob("*.csv"))[: 40 if short else None]
        days = [date.fromisoformat(path.stem) for path in exports]
        print(f"{len(exports)} daily exports, {'real' if REAL.exists() else 'made'} shop, {os.cpu_count()} cores")
        print(f"{'':<44}{'wall s':>8}{'CPU s':>8}{'MB':>8}{'ratio':>8}")
        listed = "[" + ", ".join("'" + str(path).replace("'", "''") + "'" for path in exports) + "]"
        bare = floor("bench_floor.sql", work / "floor.duckdb", files=listed, through=days[-1])
        print(bare.row("floor: one bare DuckDB script", None), flush=True)
        home = work / "home"
        (home / "landing" / "by-day").mkdir(parents=True)
        for path in exports:
            shutil.copy(path, home / "landing" / "by-day")
        config = str(ROOT / "examples" / "online_retail" / "cx.toml")
        backfill = measure([str(CX), "backfill", exports[0].stem, exports[-1].stem], CX_HOME=str(home), CX_CONFIG=config)
        print(backfill.row("backfill of all exports", bare), flush=True)
        costs = {"floor": bare, "backfill": backfill}
        for count in sorted({25 if len(exports) > 30 else len(exports) // 2, len(exports) - 1}):
            costs[f"night_after_{count}"] = night_after(exports, work, count)
            print(costs[f"night_after_{count}"].row(f"night after {count} exports of history", bare), flush=True)
        same = check_same(home, work / "floor.duckdb", RETAIL_QUERIES)
        print(f"marts equal to the floor's: {same}")
        print(f"backfill over 2 x floor: {backfill.cpu - 2 * bare.cpu:+.1f} CPU s")
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(f"peak memory of any process: {peak:.0f} MB")
    if json_path:
        json_path.write_text(json.dumps({name: vars(cost) for name, cost in costs.items()}, indent=1))


NIGHTS = 3
"""Each night is the best of so many: one after the other, each with a day's files of its own."""


def measure_scaled(company: Scale, years: int, work: Path) -> dict[str, Cost]:
    """Measure nights and backfills of the scaled company, and print a table.

    Start-up is a night of a company of ten orders a day after a hundred days: the same command, feeds, models, tests, gates and
    release, with next to nothing in them. A night's own work is what it costs beyond that.
    """
    exports = work / "exports"
    scaled.write(company, 365 * years + NIGHTS, exports)
    rows = f"{company.orders} orders, {company.contacts} contacts, {company.cart_events} cart events a day"
    print(f"{rows}; {os.cpu_count()} cores")
    print(f"{'':<44}{'wall s':>8}{'CPU s':>8}{'MB':>8}{'own CPU s':>11}{'ratio':>8}")
    tiny = Scale().divided(500)
    # Contracts from before the first export become known when they end: after their 95 days nothing old arrives any more.
    before = 100
    scaled.write(tiny, before + NIGHTS, work / "tiny")
    home = _home(work / "start-up", work / "tiny", tiny, before)
    measure([str(CX), "backfill", str(tiny.day(0)), str(tiny.day(before - 1))], CX_HOME=str(home))
    costs = {"start_up": _night(home, work / "tiny", tiny, before)}
    print(_line("start-up: a night of next to nothing", costs["start_up"]), flush=True)
    own: list[float] = []
    for year in range(1, years + 1):
        past, database = 365 * year, work / "floor.duckdb"
        home, through = _home(work / f"home{year}", exports, company, past), company.day(past - 1)
        database.unlink(missing_ok=True)
        bare = floor("bench_scale_floor.sql", database, landing=home / "landing", through=through)
        costs[f"floor_{year}"] = bare
        print(_line(f"floor: a bare script over {year} x 365 days", bare), flush=True)
        backfill = measure([str(CX), "backfill", str(company.day(0)), str(through)], CX_HOME=str(home))
        costs[f"backfill_{year}"] = backfill
        print(_line("backfill of them, to the floor", backfill, ratio=backfill.cpu / bare.cpu), flush=True)
        print(f"marts equal to the floor's: {check_same(home, database, _shared_columns(home, database))}")
        night = costs[f"night_{year}"] = _night(home, exports, company, past)
        own.append(night.cpu - costs["start_up"].cpu)
        print(_line(f"night after {year} x 365 days, to one year", night, own[-1], own[-1] / own[0]), flush=True)
        shutil.rmtree(home)
    return costs


def _line(name: str, cost: Cost, own: float | None = None, ratio: float | None = None) -> str:
    extra = f"{'' if own is None else format(own, '.1f'):>11}{'' if ratio is None else format(ratio, '.2f'):>8}"
    return f"{name:<44}{cost.wall:8.1f}{cost.cpu:8.1f}{cost.memory_mb:8.0f}{extra}"


def _home(home: Path, exports: Path, company: Scale, days: int) -> Path:
    """A home whose landing folder holds the exports of the first days."""
    (home / "landing").mkdir(parents=True)
    shutil.copy(exports / "cx.toml", home / "landing")
    for number in range(days):
        _deliver(home, exports, company.day(number))
    return home


def _deliver(home: Path, exports: Path, day: date) -> None:
    for feed in scaled.FEEDS:
        (home / "landing" / feed).mkdir(exist_ok=True)
        if (exports / feed / f"{day}.csv").exists():
            os.link(exports / feed / f"{day}.csv", home / "landing" / feed / f"{day}.csv")


def _night(home: Path, exports: Path, company: Scale, past: int) -> Cost:
    """The cheapest of the nights that follow."""
    nights = []
    for number in range(past, past + NIGHTS):
        _deliver(home, exports, company.day(number))
        nights.append(measure([str(CX), "nightly", "--day", str(company.day(number))], CX_HOME=str(home)))
    return min(nights, key=lambda cost: cost.cpu)


RETAIL_QUERIES = [
    "select metric_date, country, orders, units, gross_amount, refund_amount, net_amount from {}sales_daily",
    "select metric_date, period, active_at_start, retained from {}retention_daily",
    "select metric_date, period, active_at_start, lost from {}churn_daily",
    "select cohort_month, months_since, customers, active from {}retention_cohorts where active > 0",
    "select person_id, first_order_date, orders, net_amount from {}clv_customer",
    "select metric_date, customers_to_date, orders_to_date, net_amount_to_date from {}clv_daily",
]


def _shared_columns(home: Path, database: Path) -> list[str]:
    """A query per mart of the release: the columns that the bare script has too."""
    with duckdb.connect() as con:
        con.execute(f"attach '{home}/releases/current/cx.duckdb' as ours (read_only); attach '{database}' as bare (read_only)")
        query = """
            select m.table_name,
                list(case when m.data_type = 'DOUBLE' then 'round(' || m.column_name || ', 6)' else m.column_name end)
            from duckdb_columns() m
            join duckdb_columns() b on b.database_name = 'bare' and b.table_name = m.table_name and b.column_name = m.column_name
            where m.database_name = 'ours' and m.schema_name = 'marts'
            group by m.table_name
        """
        # Cells of months in which nobody of a cohort came back are the mart's own.
        found = {
            mart: f"select {', '.join(columns)} from {{}}{mart}" + (" where active > 0" if mart == "retention_cohorts" else "")
            for mart, columns in con.execute(query).fetchall()
        }
    missing = {*marts()} - {*found} - {"metric_daily", "metrics"}  # summaries of the marts, which the floor does not make
    assert not missing, f"the floor has no {missing}"
    return list(found.values())


def check_same(home: Path, database: Path, queries: list[str]) -> bool:
    """Whether the release holds the numbers the bare script computed: the floor is one for the same work."""
    with duckdb.connect() as con:
        con.execute(f"attach '{home}/releases/current/cx.duckdb' as ours (read_only); attach '{database}' as bare (read_only)")
        for query in queries:
            sides = query.format("ours.marts."), query.format("bare.main.")
            for a, b in (sides, sides[::-1]):
                if con.execute(f"select count(*) from (({a}) except all ({b}))").fetchone() != (0,):
                    print(f"differs: {query}")
                    return False
    return True


if __name__ == "__main__":
    typer.run(main)
