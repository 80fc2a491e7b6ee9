"""`make disk-full`: the disk fills up at every phase of a run; readers keep their release, and the next run mends all.

    python -m tests.disk_full [--phases NAME ...] [--limit]

Each phase is a run of the same night whose disk has no room left from that moment on: a small file system in memory that a
filler file fills, where mounting one is allowed; else, or with `--limit`, a limit on the size of any file the process writes.
After each one the reader of `tests.kills` reads the release; then there is room again, and one run must end as an undisturbed
one does. Belongs here: filling disks. Does not: what is read and compared (`tests.kills`).
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path

from orchestration.lib.simulator import simulate
from tests.company import run, write_company
from tests.kills import differences, lost_deliveries, read_release, still_running

PHASES = {
    "deliveries": ("orchestration.lib.ingest", "take_deliveries", 1),
    "raw": ("orchestration.lib.ingest", "load_feed", 1),
    "raw, half-way": ("orchestration.lib.ingest", "load_feed", 6),
    "raw, before a commit": ("orchestration.lib.ingest", "_append_quarantine_file", 4),
    "dbt_build": ("orchestration.lib.dbt_build", "build", 1),
    "dbt_build, half-way": ("orchestration.lib.progress", "Progress.say", 25),
    "gates": ("orchestration.lib.gates", "row_accounting", 1),
    "release": ("orchestration.lib.release", "publish", 1),
    "release, database written": ("orchestration.lib.release", "_write_parquet", 1),
    "release, before the link moves": ("orchestration.lib.release", "_point_current_to", 1),
    "release, link moved": ("orchestration.lib.release", "_settle", 1),
}
"""What is called, for which time, at the moment from which on nothing can be written any more."""
ONCE_MOVED = ("release, before the link moves", "release, link moved")
"""Phases after which readers may have the new release, which is whole by then: a link needs no space on some file systems."""
SIZE_MB = 256
FILLER = "filler"


def fill(home: Path, by_limit: bool) -> None:
    """No room for anything from now on."""
    if by_limit:
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
        return
    with (home / FILLER).open("wb", buffering=0) as filler:
        for size in (1 << 20, 1 << 12, 1):
            try:
                while filler.write(b"x" * size):
                    pass
            except OSError:
                continue


def run_until_full(home: Path, phase: str, by_limit: bool, arguments: list[str]) -> None:
    """`cx` in this process, whose disk is full from the phase on."""
    import importlib

    from orchestration import cli

    module, name, count = PHASES[phase]
    owner = importlib.import_module(module)
    *path, name = name.split(".")
    for part in path:
        owner = getattr(owner, part)
    function, left = getattr(owner, name), count

    def filling(*arguments: object, **named: object) -> object:
        nonlocal left
        left -= 1
        if left == 0:
            fill(home, by_limit)
        return function(*arguments, **named)

    setattr(owner, name, filling)
    sys.argv = ["cx", *arguments]
    cli.main()


@contextmanager
def small_disk(by_limit: bool) -> Iterator[tuple[Path, bool]]:
    """A folder on a small file system of its own, and whether there is none and a limit must do."""
    folder = Path(tempfile.mkdtemp())
    mounted = False
    try:
        if not by_limit and shutil.which("mount"):
            command = ["mount", "-t", "tmpfs", "-o", f"size={SIZE_MB}m", "tmpfs", str(folder)]
            mounted = subprocess.run(command, capture_output=True).returncode == 0
        yield folder, not mounted
    finally:
        if mounted:
            subprocess.run(["umount", str(folder)], check=True)
        shutil.rmtree(folder, ignore_errors=True)


def fills_up(home: Path, phases: list[str], by_limit: bool, night: date, said: list[str]) -> list[str]:
    """Let the night fail in each of the phases; what was not as it must be. What `cx` said goes to `said`."""
    problems = []
    for phase in phases:
        before, _ = read_release(home, thoroughly=True)
        command = [sys.executable, "-m", "tests.disk_full", "--run", str(home), "--phases", phase]
        command += ["--limit"] if by_limit else []
        done = subprocess.run(
            [*command, "--", "nightly", "--day", str(night)],
            env={**os.environ, "CX_HOME": str(home), "COLUMNS": "400"}, capture_output=True, text=True,
        )  # fmt: skip
        (home / FILLER).unlink(missing_ok=True)
        told = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
        said.append(f"{phase}: exit code {done.returncode}, {'; '.join(told)}")
        is_told = done.returncode == 1 and len(told) == 1 and "no space" in told[0].lower() and "Traceback" not in done.stderr
        # Removing an old release can make just the room that is needed to end well.
        if not is_told and not (done.returncode == 0 and phase in ONCE_MOVED):
            problems.append(f"{phase}: exit code {done.returncode}, said: {done.stdout} {done.stderr[-3000:]}")
        after, mixed = read_release(home, thoroughly=True)
        if mixed or (after != before and phase not in ONCE_MOVED):
            problems.append(f"{phase}: readers have {after}, before {before}; {mixed}")
    return problems


def main() -> None:
    """Fill the disk at every phase, mend, compare; exit 1 where anything is not as it must be."""
    arguments = argparse.ArgumentParser(description=main.__doc__)
    arguments.add_argument("--phases", nargs="+", choices=list(PHASES), default=list(PHASES))
    arguments.add_argument("--limit", action="store_true", help="limit the size of files instead of mounting a small disk")
    arguments.add_argument("--run", type=Path, default=None, help=argparse.SUPPRESS)
    arguments.add_argument("rest", nargs="*", help=argparse.SUPPRESS)
    given = arguments.parse_args()
    if given.run:
        run_until_full(given.run, given.phases[0], given.limit, given.rest)
        return
    company = simulate(customers=60, days=12, seed=1)
    night = company.start + timedelta(days=11)
    with small_disk(given.limit) as (disk, by_limit), tempfile.TemporaryDirectory() as other:
        home, undisturbed = disk / "home", Path(other) / "undisturbed"
        write_company(company, home)
        shutil.copytree(home, undisturbed)
        for folder in (home, undisturbed):
            if run(folder, "backfill", company.start, night - timedelta(days=1)) != 0:
                raise SystemExit("the history did not load")
        said: list[str] = []
        problems = fills_up(home, given.phases, by_limit, night, said)
        for folder in (home, undisturbed):
            if run(folder, "nightly", night) != 0:
                problems.append(f"the night after: not published in {folder.name}")
        problems += [*lost_deliveries(home, night), *differences(home, undisturbed)]
        running = still_running(home)
    print(f"the disk: {'a limit on the size of files' if by_limit else f'{SIZE_MB} MB of memory, full'}")
    for sentence in said:
        print(f"  {sentence}")
    print(f"phases {len(given.phases)}, problems {len(problems)}, runs still shown as running {len(running)}")
    for problem in problems:
        print(f"  {problem}")
    if problems or running:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
