"""A backfill that is killed between two chunks goes on with the next one, and says how far it is."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import duckdb
import pytest

from orchestration.lib import ingest, progress
from orchestration.lib.simulator import simulate
from tests.company import release_of, rows_that_differ, run, write_company

DAYS, CHUNK_FILES, CHUNKS_BEFORE_DEATH = 14, 5, 13
DIES = """
import os, signal, sys
from orchestration.lib import ingest
from orchestration import cli
ingest.CHUNK_FILES = int(sys.argv[1])
load, left = ingest._load_chunk, int(sys.argv[2])
def dies(*arguments):
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return load(*arguments)
ingest._load_chunk = dies
sys.argv = ["cx", "backfill", *sys.argv[3:]]
cli.main()
"""


def _ledger(home: Path, sql: str) -> list[tuple[object, ...]]:
    with duckdb.connect(str(home / "warehouse" / "cx.duckdb"), read_only=True) as con:
        return con.execute(sql).fetchall()


@pytest.mark.minutes
def test_a_backfill_killed_between_chunks_goes_on_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    company = simulate(customers=120, days=DAYS, seed=5)
    days = company.start, company.start + timedelta(days=DAYS - 1)
    killed, undisturbed = tmp_path / "killed", tmp_path / "undisturbed"
    write_company(company, killed)
    shutil.copytree(killed / "landing", undisturbed / "landing")

    arguments = [str(CHUNK_FILES), str(CHUNKS_BEFORE_DEATH), *map(str, days)]
    monkeypatch.setenv("CX_HOME", str(killed))
    died = subprocess.run([sys.executable, "-c", DIES, *arguments], capture_output=True, text=True)
    assert died.returncode == -signal.SIGKILL, died.stderr
    state = dict(_ledger(killed, "select status = 'pending', count(*) from ops.deliveries group by 1"))
    assert state[False] >= CHUNK_FILES * (CHUNKS_BEFORE_DEATH - 1) - 10 and state[True] > 0, state
    assert not (killed / "releases" / "current").exists()

    read: list[str] = []
    read_group = ingest._read_group
    monkeypatch.setattr(ingest, "_read_group", lambda *a: (read.extend(file.delivery for file, _ in a[3]), read_group(*a)))
    pending = {row[0] for row in _ledger(killed, "select delivery from ops.deliveries where status = 'pending'")}
    monkeypatch.setattr(progress, "LOG_EVERY", 0.0)
    assert run(killed, "backfill", *days) == 0
    assert len(read) == len(set(read)) and set(read) <= pending, "only what was still pending is read"
    said = capfd.readouterr().err
    assert "deliveries, 100 %" in said and "building 1 of " in said

    monkeypatch.undo()
    assert run(undisturbed, "backfill", *days) == 0
    assert rows_that_differ(release_of(killed), release_of(undisturbed)) == {}
    columns = "delivery, content_hash, status, rows_read, rows_accepted, rows_quarantined, reason"
    ledger = f"select {columns} from ops.deliveries order by all"
    assert _ledger(killed, ledger) == _ledger(undisturbed, ledger)
