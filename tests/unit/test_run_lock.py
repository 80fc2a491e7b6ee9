"""One run works on a CX_HOME: who waits, who is refused, and what a dead process leaves."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from orchestration.lib.run_lock import BRIEF, RunLocked, holder, run_lock
from orchestration.settings import Settings


@pytest.mark.parametrize("purpose", BRIEF)
def test_a_run_waits_for_whoever_holds_the_lock_for_seconds(cx_home: Path, purpose: str) -> None:
    settings, held, let_go = Settings(cx_home), threading.Event(), threading.Event()
    order: list[str] = []

    def hold() -> None:
        with run_lock(settings, purpose):
            held.set()
            let_go.wait(30)
            order.append("let go")

    holding = threading.Thread(target=hold)
    holding.start()
    assert held.wait(30)
    threading.Timer(0.3, let_go.set).start()
    with run_lock(settings, "run 1"):
        order.append("taken")
    holding.join()
    assert order == ["let go", "taken"]


def test_a_run_is_refused_at_once_while_another_one_works(cx_home: Path) -> None:
    settings = Settings(cx_home)
    with (
        run_lock(settings, "run 1"),
        pytest.raises(RunLocked, match=r"another run holds .*run\.lock: .*run 1"),
        run_lock(settings, "run 2"),
    ):
        pytest.fail("two runs at work")
    assert holder(settings) is None


def test_the_lock_of_a_killed_process_is_no_lock(cx_home: Path) -> None:
    settings = Settings(cx_home)
    program = """
import os, signal
from orchestration.lib.run_lock import run_lock
from orchestration.settings import Settings
with run_lock(Settings(), "run 1"):
    os.kill(os.getpid(), signal.SIGKILL)
"""
    assert subprocess.run([sys.executable, "-c", program]).returncode == -9
    assert settings.run_lock.with_suffix(".json").exists(), "its note is still there"
    assert holder(settings) is None
    with run_lock(settings, "run 2"):
        assert holder(settings)["purpose"] == "run 2"
