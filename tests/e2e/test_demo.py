"""The demo prints what the README says, `cx explain` what docs/why.md says, and every mart equals the company's own books."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from orchestration.lib.simulator import MART_KEYS, simulate
from tests.company import release_of
from tests.frames import differences, read_mart

README = Path(__file__).parents[2] / "README.md"
WHY = README.parent / "docs" / "why.md"


def test_demo_prints_the_readme_and_its_marts_are_true(cx_home: Path) -> None:
    cx = Path(sys.executable).parent / "cx"
    outcome = subprocess.run([cx, "demo"], env=os.environ, capture_output=True, text=True)
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    printed = [line.rstrip() for line in outcome.stdout.splitlines()]
    table = printed[printed.index("headline metrics through 2025-12-29") : -2]  # the last lines name folders
    assert len(table) == 18
    assert "\n".join(table) in README.read_text(encoding="utf-8")

    question = ["net_sales", "2025-12-25", "--by", "country=FR", "--by", "sales_channel=web"]
    answer = subprocess.run([cx, "explain", *question], env=os.environ, capture_output=True, text=True)
    assert answer.returncode == 0, answer.stderr
    explained = [line.rstrip() for line in answer.stdout.splitlines()]
    page = WHY.read_text(encoding="utf-8")
    assert "\n".join([f"$ cx explain {' '.join(question)}", *explained[:2]]) in page
    assert "\n".join(explained[explained.index("source rows") :]) in page

    for mart, truth in simulate().truth().items():
        keys = list(MART_KEYS[mart])
        columns = [column for column in truth.columns if column not in keys]
        assert differences(read_mart(release_of(cx_home), mart), truth, keys, columns) == [], mart
