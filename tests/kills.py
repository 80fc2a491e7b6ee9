"""`make kills`: runs killed at random moments while a reader reads; then everything must be as if nobody had killed anything.

    python -m tests.kills [--kills 200] [--nights 40] [--cold 20] [--seed 1]

A small simulated company is backfilled, then taken night by night, with a rebuild now and then. Each of these runs is killed 0
to 10 times (SIGKILL to its whole process group) at a random moment, and then completed. Most are forked from a process that has
imported Dagster, dbt and Great Expectations and done nothing else, so that kills fall into the work and not into imports; some
are `cx` from cold. Meanwhile another process opens the current release in a loop and compares what it finds with the manifest.

Afterwards: no failed read, no mixed release, no lost delivery, no run shown as running, and marts, restatements and ledger
equal to those of the same runs undisturbed. Belongs here: killing, reading, that comparison. Does not: expected numbers.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

import duckdb

from orchestration.lib.run_lock import holder
from orchestration.lib.simulator import Company, simulate
from orchestration.partitions import Window
from orchestration.settings import Settings
from tests.company import release_of, rows_that_differ, write_company

CX = Path(sys.executable).parent / "cx"
STEPS = ("starting", "deliveries", "raw", "dbt_build", "gates", "release", "after the link moved")
MOST_KILLS_A_RUN = 10
READ_EVERY = 0.1
STOP = "stop.reading"


@dataclass(frozen=True)
class Work:
    """One run to be done: `cx nightly`, `cx backfill` or `cx rebuild`."""

    kind: str
    window: Window | None

    def arguments(self) -> list[str]:
        """What follows `cx`."""
        if self.window is None:
            return [self.kind]
        days = [str(self.window.start), str(self.window.last)]
        return [self.kind, *days] if self.kind == "backfill" else [self.kind, "--day", days[0]]


@dataclass
class Tally:
    """What happened to the runs, and what the reader saw."""

    completed: int = 0
    killed: Counter[str] = field(default_factory=Counter)
    cold: int = 0
    early: int = 0
    """Runs that were done before they could be killed."""
    problems: list[str] = field(default_factory=list)
    reads: int = 0
    releases: int = 0
    failed: list[str] = field(default_factory=list)
    mixed: list[str] = field(default_factory=list)


def make_work(company: Company, first_night: date, nights: int) -> list[Work]:
    """A backfill, then nights, with a rebuild after every fifteenth."""
    work = [Work("backfill", Window(company.start, first_night))]
    for n in range(nights):
        day = first_night + timedelta(days=n)
        work.append(Work("nightly", Window.of_days(day, day)))
        if n % 15 == 14:
            work.append(Work("rebuild", None))
    return work


def _start(home: Path, work: Work, cold: bool) -> int:
    """Start the run in a session and process group of its own; the id of the process."""
    log = os.open(home / "run.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    try:
        if cold:
            environment = {**os.environ, "CX_HOME": str(home)}
            command = [str(CX), *work.arguments()]
            return subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True).pid
        pid = os.fork()
        if pid:
            return pid
        code = 1
        try:
            os.setsid()
            os.dup2(log, 1)
            os.dup2(log, 2)
            os.environ["CX_HOME"] = str(home)
            from orchestration import cli

            code = cli._run(Settings(home), work.kind, work.window, as_json=False)
        finally:
            os._exit(code)
    finally:
        os.close(log)


def _wait(pid: int, seconds: float | None) -> int | None:
    """Exit code of the process; None where it is still working after so many seconds."""
    until = None if seconds is None else time.monotonic() + seconds
    while until is None or time.monotonic() < until:
        done, status = os.waitpid(pid, 0 if until is None else os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.005)
    return None


def _step(home: Path, before: str | None) -> str:
    """What the killed run was doing, by what it had printed and by the release that readers see."""
    if _current(home) != before:
        return STEPS[-1]
    told = re.findall(r"^.*: \w+(?: \w+)? \((\w+?)(?:_\w+)?\), \d+ s$", (home / "run.log").read_text(), re.MULTILINE)
    steps = [next((step for step in STEPS if step.startswith(name)), name) for name in told]
    return steps[-1] if steps else STEPS[0]


def _current(home: Path) -> str | None:
    link = home / "releases" / "current"
    return os.readlink(link) if link.is_symlink() else None


def disturb(home: Path, work: list[Work], kills: int, cold: int, rng: random.Random, tally: Tally, tell: bool) -> None:
    """Do the work, killing `kills` runs on the way, `cold` of them started from cold."""
    shares = [0] * len(work)
    for _ in range(kills):
        open_ones = [i for i in range(len(work)) if shares[i] < max(MOST_KILLS_A_RUN, -(-kills // len(work)))]
        shares[rng.choice(open_ones)] += 1
    from_cold = set(rng.sample(range(kills), cold))
    usual = {False: 8.0, True: 20.0}
    number = 0
    for n, (task, share) in enumerate(zip(work, shares, strict=True)):
        done = False
        for _ in range(share):
            is_cold = number in from_cold
            number += 1
            before, began = _current(home), time.monotonic()
            # Three of ten late in the run, where publishing is.
            part = rng.random() if rng.random() < 0.7 else rng.uniform(0.6, 1.05)
            pid = _start(home, task, is_cold)
            code = _wait(pid, part * usual[is_cold])
            if code is None:
                os.killpg(pid, signal.SIGKILL)
                _wait(pid, None)
                tally.killed[_step(home, before)] += 1
                tally.cold += is_cold
                if holder(Settings(home)):
                    tally.problems.append(f"run {number}: the lock of the killed process counts")
            else:
                usual[is_cold] = time.monotonic() - began
                tally.early += 1
                done |= _has_ended(home, task, code, tally)
        if not done or share == 0 or code is None:
            began = time.monotonic()
            _has_ended(home, task, _wait(_start(home, task, False), None), tally)
            usual[False] = time.monotonic() - began
        tally.completed += 1
        if tell:
            print(f"{n + 1} of {len(work)} runs done, {tally.killed.total()} killed", file=sys.stderr, flush=True)


def _has_ended(home: Path, work: Work, code: int | None, tally: Tally) -> bool:
    if code not in (0, 3):
        tally.problems.append(f"{' '.join(work.arguments())}: exit code {code}: {(home / 'run.log').read_text()[-2000:]}")
    return code in (0, 3)


# --- the reader -----------------------------------------------------------------------------------------------------


def read_forever(home: Path) -> None:
    """Open the release by its stable path, in a loop; everything in it must be of one release, as its manifest says.

    Begins when the first release is there, ends when the file `STOP` is, and prints what it saw as JSON.
    """
    reads, failed, mixed, seen = 0, [], [], set()
    while not (home / STOP).exists():
        time.sleep(READ_EVERY)
        if not (home / "releases" / "current").is_symlink():
            continue
        try:
            name, problem = read_release(home, thoroughly=reads % 20 == 0)
            if problem:
                mixed.append(problem)
            seen.add(name)
        except Exception as error:  # whatever a reader is told instead of an answer is a failed read
            failed.append(f"{type(error).__name__}: {error}")
        reads += 1
    print(json.dumps((reads, len(seen), failed, mixed)))


def read_release(home: Path, thoroughly: bool) -> tuple[str, str]:
    """The release that was read, and what does not fit together in it."""
    with duckdb.connect(str(home / "releases" / "current" / "cx.duckdb"), read_only=True) as con:
        (name,) = con.execute("select max(release) from marts.releases").fetchone()
        folder = home / "releases" / name
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        if manifest["release"] != name:
            return name, f"{name}: its manifest is of {manifest['release']}"
        for mart, about in manifest["marts"].items():
            (rows,) = con.execute(f"select count(*) from marts.{mart}").fetchone()
            (copied,) = con.execute(f"select count(*) from read_parquet('{folder}/parquet/{mart}/*.parquet')").fetchone()
            if not rows == copied == about["rows"]:
                return name, f"{name}: {mart} has {rows} rows, {copied} in Parquet, {about['rows']} by its manifest"
        for mart in ("clv_daily", "retention_daily"):  # they have a row for every day
            (through,) = con.execute(f"select max(metric_date) from marts.{mart}").fetchone()
            if str(through) != manifest["data_through"]:
                return name, f"{name}: {mart} ends {through}, the release {manifest['data_through']}"
        if thoroughly:
            for relative, about in manifest["files"].items():
                if hashlib.sha256((folder / relative).read_bytes()).hexdigest() != about["sha256"]:
                    return name, f"{name}: {relative} is not what the manifest says"
    return name, ""


# --- afterwards -----------------------------------------------------------------------------------------------------


def lost_deliveries(home: Path, through: date) -> list[str]:
    """Files of days up to `through` that the ledger does not hold as they are, or that still wait."""
    with duckdb.connect(str(home / "warehouse" / "cx.duckdb"), read_only=True) as con:
        ledger = {
            file: (digest, status)
            for file, digest, status in con.execute(
                "select file, content_hash, status from ops.deliveries where status <> 'replaced'"
            ).fetchall()
        }
    lost = []
    for path in (home / "landing").rglob("*_????-??-??.*"):
        if date.fromisoformat(re.search(r"\d{4}-\d\d-\d\d", path.name)[0]) <= through:
            digest, status = ledger.get(path.relative_to(home / "landing").as_posix(), ("", "absent"))
            if digest != hashlib.sha256(path.read_bytes()).hexdigest() or status not in ("accepted", "repeated"):
                lost.append(f"{path.name}: {status}")
    return lost


def differences(home: Path, undisturbed: Path) -> list[str]:
    """What of marts, restatements and ledger is not as in the home that nobody disturbed."""
    found = [f"{mart}: {rows} rows" for mart, rows in rows_that_differ(release_of(home), release_of(undisturbed)).items()]
    queries = {
        "ledger": "select * exclude (bytes, mtime_ns, run_id, taken_at) from {}.ops.deliveries",
        "quarantine": "select * exclude (run_id) from {}.ops.quarantine",
        "raw": "select _key, _delivery, _line from {}.raw.orders union all select _key, _delivery, _line from {}.raw.contacts",
        "restatements": "select * exclude (run_id, release, published_at) from {}.ops.restatements",
    }
    with duckdb.connect() as con:
        for name, side in (("a", home), ("b", undisturbed)):
            con.execute(f"attach '{side}/warehouse/cx.duckdb' as {name} (read_only)")
        for what, query in queries.items():
            sides = [query.replace("{}", name) for name in "ab"]
            for left, right in (sides, sides[::-1]):
                count = con.execute(f"select count(*) from (({left}) except all ({right}))").fetchone()[0]
                if count:
                    found.append(f"{what}: {count} rows")
    return found


def still_running(home: Path) -> list[str]:
    """Runs that Dagster's storage shows as running."""
    import dagster as dg

    os.environ["DAGSTER_HOME"] = str(home / "dagster")
    with dg.DagsterInstance.get() as instance:
        running = [dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.STARTING]
        return [run.run_id for run in instance.get_runs(dg.RunsFilter(statuses=running))]


def import_everything() -> None:
    """What a run imports, so that forked runs need not; nothing is opened, connected or started."""
    import dagster  # noqa: F401
    import great_expectations  # noqa: F401
    from dbt.adapters.duckdb import Plugin  # noqa: F401
    from dbt.cli.main import dbtRunner  # noqa: F401

    from orchestration.definitions import defs

    defs()
    duckdb.close()  # the default connection, which nobody uses, has a thread
    # A forked process has the locks of the threads that it does not have. jemalloc's own thread knows that.
    others = [task.joinpath("comm").read_text().strip() for task in Path("/proc/self/task").iterdir()][1:]
    if set(others) - {"jemalloc_bg_thd"}:
        raise SystemExit(f"threads are running ({others}): forking from here is not safe")


def main() -> None:
    """Kill, read, compare; print a table; exit 1 where anything is not as it must be."""
    arguments = argparse.ArgumentParser(description=main.__doc__)
    arguments.add_argument("--kills", type=int, default=200)
    arguments.add_argument("--nights", type=int, default=40)
    arguments.add_argument("--cold", type=int, default=20, help="how many of the killed runs are `cx` from cold")
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--quiet", action="store_true", help="no progress")
    arguments.add_argument("--read", type=Path, default=None, help=argparse.SUPPRESS)
    given = arguments.parse_args()
    if given.read:
        read_forever(given.read)
        return
    if "OPENBLAS_NUM_THREADS" not in os.environ:  # its threads start with the import of numpy, before this line
        os.environ["OPENBLAS_NUM_THREADS"] = "1"
        os.execv(sys.executable, [sys.executable, "-m", "tests.kills", *sys.argv[1:]])
    began = time.monotonic()
    import_everything()
    company = simulate(customers=60, days=8 + given.nights, seed=given.seed)
    work = make_work(company, company.start + timedelta(days=8), given.nights)
    tally = Tally()
    with tempfile.TemporaryDirectory() as folder:
        home, undisturbed = Path(folder) / "killed", Path(folder) / "undisturbed"
        write_company(company, home)
        shutil.copytree(home, undisturbed)
        reader = subprocess.Popen([sys.executable, "-m", "tests.kills", "--read", str(home)], stdout=subprocess.PIPE, text=True)
        try:
            disturb(home, work, given.kills, given.cold, random.Random(given.seed), tally, not given.quiet)
        finally:
            (home / STOP).touch()
            told, _ = reader.communicate(timeout=120)
        tally.reads, tally.releases, tally.failed, tally.mixed = json.loads(told)
        disturb(undisturbed, work, 0, 0, random.Random(0), Tally(), not given.quiet)
        through = company.start + timedelta(days=7 + given.nights)
        lost, unequal, running = lost_deliveries(home, through), differences(home, undisturbed), still_running(home)
    print(f"runs completed                 {tally.completed:6}   (backfill, nights, rebuilds)")
    print(f"runs killed                    {tally.killed.total():6}   ({tally.cold} of them cx from cold)")
    for step in STEPS:
        print(f"  in {step:<27} {tally.killed[step]:6}")
    print(f"done before they were killed   {tally.early:6}")
    print(f"reads                          {tally.reads:6}   (of {tally.releases} releases)")
    print(f"failed reads                   {len(tally.failed):6}")
    print(f"mixed releases                 {len(tally.mixed):6}")
    print(f"lost deliveries                {len(lost):6}")
    print(f"runs still shown as running    {len(running):6}")
    print(f"final state equals undisturbed {'yes' if not unequal else 'NO':>6}")
    print(f"seed {given.seed}, {time.monotonic() - began:.0f} s")
    problems = [*tally.problems, *tally.failed, *tally.mixed, *lost, *unequal]
    for problem in problems[:20]:
        print(f"  {problem}")
    if problems or running or tally.killed.total() + tally.early != given.kills:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
