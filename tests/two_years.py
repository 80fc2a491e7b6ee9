"""A simulated company of two years with every feed: every mart against the company's own books, after a backfill and a night.

Belongs here: the one long run of that comparison, as a command (`make two-years`). Does not: the comparison itself
(`tests.frames`), or the short runs of it (tests/e2e/test_every_mart.py).
"""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
import time
from datetime import date, timedelta
from pathlib import Path

from orchestration.lib.simulator import MART_KEYS, simulate
from orchestration.lib.simulator.commerce import sell_abroad
from orchestration.lib.simulator.company import FEEDS
from tests.company import release_of, run, write_company
from tests.frames import differences, read_mart


def main() -> int:
    """Print one line a mart; exit code 1 where a cell differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--customers", type=int, default=1000)
    parser.add_argument("--days", type=int, default=730)
    parser.add_argument("--seed", type=int, default=23)
    asked = parser.parse_args()
    logging.disable(logging.INFO)
    company = simulate(customers=asked.customers, days=asked.days, seed=asked.seed, start=date(2024, 9, 1))
    sell_abroad(company)
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        write_company(company, home, tuple(FEEDS))
        last = company.data_through
        for kind, first, end in (("backfill", company.start, last - timedelta(days=1)), ("nightly", last, last)):
            wall, cpu = time.monotonic(), time.process_time()
            code = run(home, kind, first, end)
            print(f"{kind}: exit {code}, {time.monotonic() - wall:.0f} s, {time.process_time() - cpu:.0f} CPU s")
        truth, wrong, cells = company.truth(), 0, 0
        for mart, expected in truth.items():
            actual, keys = read_mart(release_of(home), mart), list(MART_KEYS[mart])
            columns = [column for column in actual.columns if column not in keys]
            found = differences(actual, expected, keys, columns)
            wrong, cells = wrong + bool(found), cells + len(actual) * len(columns)
            print(f"{mart}: {len(actual):,} rows, {len(found)} cells differ {found[:2] if found else ''}".rstrip())
        print(f"{len(truth)} marts, {cells:,} cells, {wrong} marts that differ")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
