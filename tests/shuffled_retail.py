"""A year of a real shop's exports in an order in which nobody sends them; then `cx verify`, and an orderly backfill beside.

    python -m tests.shuffled_retail DATA_FOLDER [--days 305] [--runs 30] [--seed 1]

Files arrive in random order over so many runs, one in ten once more under another name, one in twenty 1 to 30 days after
its turn. Belongs here: making that history and what must hold after it. Does not: comparing (`orchestration.lib.verify`).
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
import zipfile
from collections import defaultdict
from datetime import date
from pathlib import Path
from random import Random

from orchestration.lib.verify import verify
from orchestration.settings import Settings
from tests.company import release_of, rows_that_differ, run

EXAMPLE = Path(__file__).parents[1] / "examples" / "online_retail" / "cx.toml"
REPEATED, LATE, LATEST_DAYS = 0.10, 0.05, 30


def exports(data: Path, days: int) -> dict[date, bytes]:
    """The first so many daily exports by day."""
    with zipfile.ZipFile(data / "online_retail" / "by_day.zip") as archive:
        names = sorted(name for name in archive.namelist() if name.endswith(".csv"))[:days]
        return {date.fromisoformat(Path(name).stem): archive.read(name) for name in names}


def arrivals(days: list[date], runs: int, rng: Random) -> tuple[list[list[tuple[str, date]]], int, int]:
    """Per run the files that arrive before it, as (name, day of the content); and how many repeats and late files."""
    order = rng.sample(days, len(days))
    turn = {day: n * runs // len(order) for n, day in enumerate(order)}
    late = set(rng.sample(days, round(LATE * len(days))))
    per_run = len(days) / runs
    batches: dict[int, list[tuple[str, date]]] = defaultdict(list)
    for day in order:
        delay = -(-rng.randint(1, LATEST_DAYS) // max(round(per_run), 1)) if day in late else 0
        batches[min(turn[day] + delay, runs - 1)].append((f"{day}.csv", day))
    repeated = rng.sample(days, round(REPEATED * len(days)))
    for day in repeated:
        batches[rng.randrange(turn[day], runs)].append((f"{day}-again.csv", day))
    return [batches[n] for n in range(runs)], len(repeated), len(late)


def history(data: Path, folder: Path, days: int, runs: int, seed: int) -> tuple[dict[str, int], dict[str, int]]:
    """Live through it below `folder`.

    Returns:
        Tables that differ from a rebuild, and marts that differ from one orderly backfill without repeats, with the rows.
    """
    content = exports(data, days)
    config = EXAMPLE.read_text(encoding="utf-8").replace("{day}.csv", "{day}*.csv")
    # The key of a line names its file: of a repeat the shop's own name must count, whichever came first.
    shuffled, orderly = folder / "shuffled", folder / "orderly"
    for home in (shuffled, orderly):
        (home / "landing" / "by-day").mkdir(parents=True)
        (home / "landing" / "cx.toml").write_text(config, encoding="utf-8")
    batches, repeats, late = arrivals(sorted(content), runs, Random(seed))
    last = max(content)
    print(f"{len(content)} exports in {runs} runs, {repeats} repeated, {late} late", flush=True)
    for number, batch in enumerate(batches):
        for name, day in batch:
            (shuffled / "landing" / "by-day" / name).write_bytes(content[day])
        began = time.monotonic()
        assert run(shuffled, "backfill", min(content), last) in (0, 3)
        print(f"run {number + 1} of {runs}: {len(batch)} files, {time.monotonic() - began:.1f} s", flush=True)
    for day, text in content.items():
        (orderly / "landing" / "by-day" / f"{day}.csv").write_bytes(text)
    assert run(orderly, "backfill", min(content), last) == 0
    found = verify(Settings(shuffled)).tables
    print(f"verify: {len(found)} tables, {sum(c.rows for c in found)} rows, {sum(not c.equal for c in found)} differ")
    differing = {c.table: c.only_in_warehouse + c.only_in_rebuild for c in found if not c.equal}
    return differing, rows_that_differ(release_of(shuffled), release_of(orderly))


def main() -> int:
    """Print what differs; exit code 0 where nothing does."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder that holds online_retail/by_day.zip")
    parser.add_argument("--days", type=int, default=305)
    parser.add_argument("--runs", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="shuffled-"))
    try:
        found = history(arguments.data, folder, arguments.days, arguments.runs, arguments.seed)
    finally:
        shutil.rmtree(folder)
    print(f"differs from a rebuild: {found[0] or 'nothing'}; from an orderly backfill: {found[1] or 'nothing'}")
    return int(any(found))


if __name__ == "__main__":
    sys.exit(main())
