"""`make soak`: many random histories against the pipeline, in one process; see `tests.replay` for what is compared.

    python -m tests.soak --histories 200 [--seed 1] [--only N] [--reduce]

History N of a seed is always the same one, so a failure is run again with `--seed S --only N`; `--reduce` then looks for a
smaller history that fails alike. Belongs here: the loop, progress, the table at the end, reducing. Does not: what a
history is or what must hold.
"""

from __future__ import annotations

import argparse
import dataclasses
import logging
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

from tests.histories import Content, History, Night, Put, make_history
from tests.replay import Differs, Replay, Tally

PROGRESS_SECONDS = 60
REDUCE_SECONDS = 900


def history_of(seed: int, number: int) -> History:
    """History `number` of a seed."""
    return make_history(Random(f"{seed}-{number}"))


def run(history: History, scratch: Path | None, only_last: bool = False) -> tuple[Tally, str]:
    """What was compared, and the difference that was found; empty where there was none."""
    folder = Path(tempfile.mkdtemp(prefix="soak-", dir=scratch))
    replay = Replay(history, folder, only_last)
    try:
        replay.run()
        return replay.tally, ""
    except Exception as error:
        # whatever it is that the pipeline raises, it is a finding about this history
        return replay.tally, str(error) if isinstance(error, Differs) else f"raised {type(error).__name__}: {error}"
    finally:
        shutil.rmtree(folder)


def reduce(history: History, found: str, scratch: Path | None) -> History:
    """A smaller history whose last publication differs alike; stops looking after a quarter of an hour."""
    until, kind = time.monotonic() + REDUCE_SECONDS, _kind(found)
    step = re.match(r"step (\d+)", found)
    if step:
        history = dataclasses.replace(history, steps=history.steps[: int(step[1]) + 1])
    again = True
    while again:
        again = False
        for smaller in _smaller(history):
            if time.monotonic() > until:
                return history
            if _kind(run(smaller, scratch, only_last=True)[1]) == kind:
                history, again = smaller, True
                break
    return history


def _kind(found: str) -> str:
    """What differs, without numbers and days."""
    return "".join(c for c in found.split(": ", 1)[-1][:60] if not c.isdigit())


def _smaller(history: History) -> Iterator[History]:
    """Histories with less in them, the boldest cuts first."""
    steps = history.steps
    size = len(steps) // 2
    puts = tuple(step for step in steps if not isinstance(step, Night))
    yield dataclasses.replace(history, steps=(*puts, steps[-1]))
    while size:
        # the last step is the run that shows it
        for at in range(len(steps) - 1 - size, -1, -size):
            yield dataclasses.replace(history, steps=steps[:at] + steps[at + size :])
        size //= 2
    for n, step in enumerate(steps):
        if isinstance(step, Put) and len(step.content.lines) > 1:
            for at in range(len(step.content.lines)):
                lines = step.content.lines[:at] + step.content.lines[at + 1 :]
                shorter = dataclasses.replace(step, content=Content(step.content.feed, lines, step.content.broken))
                yield dataclasses.replace(history, steps=(*steps[:n], shorter, *steps[n + 1 :]))


def main() -> int:
    """Run; 0 where nothing differs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--histories", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", type=int, help="one history of the seed; its text is printed")
    parser.add_argument("--from", dest="first", type=int, default=0, help="go on from this history")
    parser.add_argument("--reduce", action="store_true", help="look for a smaller history that fails alike")
    parser.add_argument("--scratch", type=Path, help="folder for the homes; a memory file system is fastest")
    options = parser.parse_args()
    logging.disable(logging.INFO)  # Great Expectations tells of every temporary folder
    numbers = [options.only] if options.only is not None else list(range(options.first, options.histories))
    started, cpu, told = time.monotonic(), time.process_time(), time.monotonic()
    total, failed = Tally(), 0
    for done, number in enumerate(numbers):
        history = history_of(options.seed, number)
        tally, found = run(history, options.scratch)
        total.add(tally)
        if found:
            failed += 1
            print(f"history {number} of seed {options.seed} ({', '.join(history.feeds)}): {found}", flush=True)
            if options.reduce:
                history = reduce(history, found, options.scratch)
                print(f"reduced: {run(history, options.scratch, only_last=True)[1]}")
            print(history.script(), flush=True)
        if time.monotonic() - told > PROGRESS_SECONDS:
            told = time.monotonic()
            print(
                f"{told - started:6.0f} s: {done + 1} of {len(numbers)} histories, {total.publications} publications, "
                f"{failed} with differences",
                flush=True,
            )
    rows = [
        ("histories", len(numbers)), ("publications", total.publications), ("runs killed", total.killed),
        ("files delivered", total.files), ("rows delivered", total.rows), *sorted(total.events.items()),
        ("comparisons", total.comparisons), ("histories with differences", failed),
        ("wall seconds", round(time.monotonic() - started)), ("CPU seconds", round(time.process_time() - cpu)),
    ]  # fmt: skip
    print("\n".join(f"| {name:40s} | {value:>8} |" for name, value in rows))
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
