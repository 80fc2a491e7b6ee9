"""A real PostgreSQL for tests: from Debian's binaries, on a Unix socket only, gone with the test.

Belongs here: starting and stopping it. Does not: what is asked of it. PostgreSQL refuses to run as root: then it is `nobody`'s.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest


def binaries() -> Path | None:
    """Folder of initdb and pg_ctl: the newest that Debian installed, or that of the path."""
    there = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    found = there[-1] if there else shutil.which("initdb")
    return Path(found).parent if found else None


@contextmanager
def postgres() -> Iterator[str]:
    """The URL of an empty database whose superuser is `cx`; the test is skipped where there is no PostgreSQL."""
    bin_folder = binaries()
    if bin_folder is None:
        pytest.skip("no PostgreSQL here (Debian: apt-get install postgresql)")
    # A short path: that of a Unix socket has at most 107 characters.
    folder = Path(tempfile.mkdtemp(prefix="cx-pg-", dir="/tmp"))
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "HOME": str(folder)}
    run: dict[str, Any] = {"cwd": folder, "env": environment, "check": True, "capture_output": True}
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        os.chown(folder, nobody.pw_uid, nobody.pw_gid)
        run |= {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
    data = folder / "data"
    try:
        subprocess.run(
            [bin_folder / "initdb", "-D", data, "-U", "cx", "-A", "trust", "-N", "-E", "UTF8", "--locale", "C.UTF-8"], **run
        )
        options = f"-c listen_addresses='' -c fsync=off -k {folder}"
        control = [bin_folder / "pg_ctl", "-D", data, "-w"]
        subprocess.run(
            [*control, "-o", options, "-l", folder / "log", "start"],
            **run | {"capture_output": False, "stdout": subprocess.DEVNULL},
        )
        try:
            yield f"postgresql://cx@/postgres?host={folder}"
        finally:
            subprocess.run([*control, "-m", "immediate", "stop"], **run)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
