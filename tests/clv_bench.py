"""`python -m tests.clv_bench`: what it costs to fit and score the purchase models for a million simulated customers or more.

Belongs here: measuring `orchestration.lib.clv_models` on plain arrays, each part in a process of its own. Does not: asserting a
time, and what the pipeline adds (grouping in SQL, tables).

The customers are MBG/NBD and Gamma-Gamma at day grain over three years: they arrive evenly, purchases of one day are one. The
fit sees them in groups, recency and age rounded to weeks, mean value to 1 %. The score is per customer at day grain: P(alive),
expected purchases over 90 and 365 days, P(purchase in 90 days), expected spend and twelve discounted months, the part that does
not depend on recency from a lookup of the distinct (frequency, age).
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from orchestration.lib import clv_models as clv

DAYS = 1095
PURCHASES = {"r": 0.8, "alpha": 35.0, "a": 0.8, "b": 5.9}  # days
SPEND = {"p": 6.25, "q": 3.74, "v": 15.44}
BLOCK = 1_000_000
STEP = 0.01  # of a bin of mean value, in its logarithm

# lifetimes reads the same groups; its fits are of the same likelihoods.
LIFETIMES = """
import json, resource, sys, time
began = time.process_time()
import numpy as np
from lifetimes import ModifiedBetaGeoFitter, GammaGammaFitter
imported = time.process_time()
rows = np.load(sys.argv[1] + "/groups.npy")
spend = np.load(sys.argv[1] + "/spend.npy")
purchases = ModifiedBetaGeoFitter().fit(*rows[:3], weights=rows[3])
fitted = time.process_time()
money = GammaGammaFitter().fit(spend[0], spend[1], weights=spend[2])
print(json.dumps({
    "import": imported - began, "MBG/NBD": fitted - imported, "Gamma-Gamma": time.process_time() - fitted,
    "parameters": {**purchases.params_.to_dict(), **money.params_.to_dict()},
    "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
}))
"""


def simulate(customers: int, seed: int, folder: Path) -> None:
    """Write frequency, recency, age (days) and mean value of the customers to `folder`."""
    rng = np.random.default_rng(seed)
    kinds = {"x": np.int32, "t_x": np.int16, "T": np.int16, "m": np.float32}
    files = {name: np.lib.format.open_memmap(folder / f"{name}.npy", "w+", kind, (customers,)) for name, kind in kinds.items()}
    for start in range(0, customers, BLOCK):
        n = min(BLOCK, customers - start)
        age = rng.integers(0, DAYS, n)
        rate = rng.gamma(PURCHASES["r"], 1 / PURCHASES["alpha"], n)
        dropout = rng.beta(PURCHASES["a"], PURCHASES["b"], n)
        frequency, last, clock = np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.int64), np.zeros(n)
        here = np.flatnonzero(rng.random(n) >= dropout)
        while len(here):
            clock[here] += rng.exponential(1 / rate[here])
            here = here[clock[here] < age[here] + 1]
            day = clock[here].astype(np.int64)
            frequency[here] += day > last[here]
            last[here] = day
            here = here[rng.random(len(here)) >= dropout[here]]
        repeats = np.maximum(frequency, 1)
        mean = rng.gamma(SPEND["p"] * repeats) / rng.gamma(SPEND["q"], 1 / SPEND["v"], n) / repeats
        for name, values in (("x", frequency), ("t_x", last), ("T", age), ("m", np.where(frequency > 0, mean, 0))):
            files[name][start : start + n] = values


def counted(*columns: np.ndarray) -> np.ndarray:
    """Distinct rows of whole numbers and how often each occurs, one column a row."""
    key, sizes = np.zeros(len(columns[0]), dtype=np.int64), [int(column.max()) + 1 for column in columns]
    for column, size in zip(columns, sizes, strict=True):
        key *= size
        key += column
    values, count = np.unique(key, return_counts=True)
    rows = []
    for size in reversed(sizes):
        values, rest = np.divmod(values, size)
        rows.append(rest)
    return np.array([*reversed(rows), count], dtype=np.float64)


class Clock:
    """CPU seconds since the last look, and the peak memory of the process so far."""

    def __init__(self) -> None:
        self.last, self.parts = time.process_time(), {}

    def part(self, name: str) -> None:
        now = time.process_time()
        self.parts[name] = {
            "cpu": now - self.last,
            "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        }
        self.last = time.process_time()


def group(folder: Path) -> dict:
    """Groups for the fits, as the pipeline's SQL would hand them over."""
    clock = Clock()
    x, t_x, T, m = (np.load(folder / f"{name}.npy", mmap_mode="r") for name in ("x", "t_x", "T", "m"))
    groups = counted(x, (t_x + 3) // 7, (T + 3) // 7)
    repeat = x > 0
    bins = np.rint(np.log(m[repeat]) / STEP).astype(np.int64)
    low = int(bins.min())
    spend = counted(x[repeat], bins - low)
    spend[1] = np.exp((spend[1] + low) * STEP)
    np.save(folder / "groups.npy", groups)
    np.save(folder / "spend.npy", spend)
    clock.part("group (numpy)")
    return {"parts": clock.parts, "rows": {"purchases": groups.shape[1], "spend": spend.shape[1]}}


def fit(folder: Path) -> dict:
    clock = Clock()
    groups, spend = np.load(folder / "groups.npy"), np.load(folder / "spend.npy")
    purchases = clv.fit_purchases("mbg_nbd", *groups[:3], weights=groups[3])
    clock.part("fit MBG/NBD")
    money = clv.fit_spend(*spend[:2], weights=spend[2])
    clock.part("fit Gamma-Gamma")
    interval = clv.forecast_interval(purchases, *groups[:3], 26, weights=groups[3])
    clock.part("forecast and interval, 26 weeks")
    fits = {one.model: vars(one) for one in (purchases, money)}
    return {"parts": clock.parts, "fits": fits, "forecast": vars(interval)}


def score(folder: Path) -> dict:
    """Score every customer in blocks; the figures are summed, as a table of them would be written."""
    clock = Clock()
    fits = json.loads((folder / "fit.json").read_text())["fits"]
    purchases, money = fits["mbg_nbd"]["parameters"], fits["gamma_gamma"]["parameters"]
    x, t_x, T, m = (np.load(folder / f"{name}.npy", mmap_mode="r") for name in ("x", "t_x", "T", "m"))
    seen = np.zeros((int(x.max()) + 1, DAYS + 1), dtype=bool)
    for start in range(0, len(x), BLOCK):
        part = slice(start, start + BLOCK)
        seen[x[part], T[part]] = True
    frequency, age = (column.astype(float) for column in np.nonzero(seen))
    index = np.zeros(seen.shape, dtype=np.int32)
    index[seen] = np.arange(len(age))
    lookup = [clv.expected_purchases_if_alive("mbg_nbd", purchases, frequency, age / 7, t / 7) for t in (90, 365)]
    lookup.append(clv.discounted_purchases_if_alive("mbg_nbd", purchases, frequency, age / 7, 12, 365 / 12 / 7, 0.01))
    clock.part("lookup")
    totals = np.zeros(3)
    for start in range(0, len(x), BLOCK):
        part = slice(start, start + BLOCK)
        row = index[x[part], T[part]]
        x_, t_x_, T_ = x[part].astype(float), t_x[part] / 7.0, T[part] / 7.0
        alive = clv.probability_alive("mbg_nbd", purchases, x_, t_x_, T_)
        buys = clv.probability_of_purchase("mbg_nbd", purchases, x_, t_x_, T_, 90 / 7)
        in_90, in_365, discounted = (alive * column[row] for column in lookup)
        value = discounted * clv.expected_spend(money, x_, m[part])
        if not all(np.isfinite(column).all() for column in (buys, in_90, in_365, value)):
            raise SystemExit("a score is not a number")
        totals += in_90.sum(), in_365.sum(), value.sum()
    clock.part("score every customer")
    return {"parts": clock.parts, "pairs": len(age), "totals": totals.tolist()}


def child(name: str, folder: Path) -> dict:
    """One part in a fresh process: its own peak memory, nothing warm."""
    result = folder / f"{name}.json"
    subprocess.run([sys.executable, "-m", "tests.clv_bench", "--part", name, "--folder", str(folder)], check=True)
    answer = json.loads(result.read_text())
    for part, cost in answer["parts"].items():
        print(f"{part:<40}{cost['cpu']:>10.2f}{cost['peak_mb']:>12.0f}", flush=True)
    return answer


def main(
    customers: Annotated[int, typer.Option(min=1000, help="Simulated customers.")] = 1_000_000,
    seed: Annotated[int, typer.Option(help="Of the simulation.")] = 1,
    lifetimes: Annotated[Path | None, typer.Option(help="A Python that has lifetimes 0.11.3: it fits the same groups.")] = None,
    part: Annotated[str | None, typer.Option(hidden=True)] = None,
    folder: Annotated[Path | None, typer.Option(hidden=True)] = None,
) -> None:
    """Simulate, fit and score, and print CPU seconds and peak memory of each part."""
    if part is not None and folder is not None:
        answer = {"group": group, "fit": fit, "score": score}[part](folder)
        (folder / f"{part}.json").write_text(json.dumps(answer))
        return
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        began = time.process_time()
        simulate(customers, seed, work)
        print(f"{customers:,} customers, {os.cpu_count()} cores; simulated in {time.process_time() - began:.1f} CPU s")
        print(f"{'':<40}{'CPU s':>10}{'peak MB':>12}")
        grouped = child("group", work)
        fitted = child("fit", work)
        scored = child("score", work)
        print(f"rows fitted: {grouped['rows']}; distinct (frequency, age) in the lookup: {scored['pairs']:,}")
        for model, one in fitted["fits"].items():
            values = ", ".join(f"{k} {v:.4f} ({one['standard_errors'][k]:.4f})" for k, v in one["parameters"].items())
            print(f"{model}: {values}; converged: {one['converged']} {one['message']}")
        print("purchases in 26 weeks: {expected:,.0f}, 95 % interval {lower:,.0f} to {upper:,.0f}".format(**fitted["forecast"]))
        print("purchases in 90 and 365 days, discounted value of a year: {:,.0f}  {:,.0f}  {:,.0f}".format(*scored["totals"]))
        if lifetimes is not None:
            said = subprocess.run([str(lifetimes), "-c", LIFETIMES, str(work)], check=True, capture_output=True, text=True)
            print("lifetimes, the same groups:", said.stdout.strip())


if __name__ == "__main__":
    typer.run(main)
