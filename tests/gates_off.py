"""`python -m tests.gates_off`: every gate switched off in turn; some test must go red.

Belongs here: finding which tests see which gate fail, and running some of them with that gate passing everything. Does not:
mistakes in SQL (`tests.mutants`), or what a gate asks.

First all quick tests run once, and note by gate which of them made it fail. Then of each gate at most `--tries` of these run
with it switched off, until one is red. Gates are the names of the table in docs/gates.md; exit code 1 where one is never missed.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
RECORD, OFF = "CX_GATES_RECORD", "CX_GATE_OFF"
TESTS = ("tests/unit", "tests/property", "tests/e2e")


def gates() -> list[str]:
    """Names in the first column of the table of gates; of tests of the marts the one every mart has."""
    table = (ROOT / "docs" / "gates.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`[a-z_`, .]+`) \|", table, re.MULTILINE)
    return [name for row in rows for name in re.findall(r"`([a-z_]+)`", row)]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """A plugin's hook: note which gates fail in a test and its fixtures, or let one of them pass everything."""
    from data_quality.suites import judge
    from data_quality.verdict import Verdict

    off, record = os.environ.get(OFF), os.environ.get(RECORD)
    failed: set[str] = set()
    init, judged = Verdict.__init__, judge.judge

    def made(self: Verdict, *args: object, **kwargs: object) -> None:
        init(self, *args, **kwargs)
        if not self.passed:
            failed.add(self.gate)
            if self.gate == off:
                for name, value in {"passed": True, "figure": "", "bound": "", "message": "", "sample": []}.items():
                    object.__setattr__(self, name, value)

    def by_all_but_one(*args: object, **kwargs: object) -> object:
        verdicts, rows = judged(*args, **kwargs)
        return verdicts, {gate: set() if gate == off else found for gate, found in rows.items()}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Verdict, "__init__", made)
        for module in [module for module in sys.modules.values() if getattr(module, "judge", None) is judged]:
            patch.setattr(module, "judge", by_all_but_one)
        outcome = yield
    if record and failed:
        with Path(record).open("a", encoding="utf-8") as handle:
            handle.write(json.dumps({"test": item.nodeid, "gates": sorted(failed)}) + "\n")
    return outcome


def _pytest(tests: list[str], **environment: str) -> int:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.gates_off", "-p", "no:randomly", *tests]
    done = subprocess.run(command, cwd=ROOT, env=os.environ | environment, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 1):
        raise SystemExit(f"pytest did not run:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.returncode


def main() -> None:
    """Record, switch off, print a line a gate."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--recorded", type=Path, help="file of an earlier recording (CX_GATES_RECORD), instead of a new one")
    parser.add_argument("--tries", type=int, default=6, help="tests to run of each gate before it counts as never missed")
    parser.add_argument("--gate", action="append", help="only this gate")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        record = arguments.recorded or Path(folder) / "record.jsonl"
        if arguments.recorded is None and _pytest([*TESTS, "-n", "2", "--dist", "loadscope"], **{RECORD: str(record)}):
            raise SystemExit("tests fail with every gate on: mend these first (make test)")
        lines = [json.loads(line) for line in record.read_text(encoding="utf-8").splitlines()]
    seen: dict[str, list[str]] = defaultdict(list)
    for line in sorted(lines, key=lambda line: ("e2e" in line["test"], len(line["gates"]))):  # quick ones about one gate first
        for gate in line["gates"]:
            seen[gate].append(line["test"])
    missed = {}
    wanted = arguments.gate or gates()
    for gate in wanted:
        missed[gate] = next((test for test in seen[gate][: arguments.tries] if _pytest([test], **{OFF: gate})), None)
        print(f"{gate:22} {missed[gate] or f'NEVER MISSED, by {len(seen[gate])} tests that see it fail'}", flush=True)
    print(f"{sum(test is not None for test in missed.values())} of {len(wanted)} gates are missed when they are switched off")
    sys.exit(None in missed.values())


if __name__ == "__main__":
    main()
