"""One run works on a CX_HOME at a time: whoever opens the warehouse to write holds this lock first.

Belongs here: taking the lock and saying who has it. Does not: what is done under it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

if TYPE_CHECKING:
    from orchestration.settings import Settings


BRIEF = "explain", "looking for new deliveries"
"""Purposes of those who hold the lock for seconds: whoever comes meanwhile waits."""
_PATIENCE = 60.0


class RunLocked(Exception):
    """Another run works on this CX_HOME; two would wait for the same file."""


@contextmanager
def run_lock(settings: Settings, purpose: str) -> Iterator[None]:
    """Hold the lock; `purpose` is what others are told.

    Raises:
        RunLocked: another live process holds it. A lock left by a dead process is no lock: the kernel let go of it.
    """
    lock = FileLock(settings.run_lock)
    try:
        try:
            lock.acquire(timeout=0)
        except Timeout:
            if (holder(settings) or {}).get("purpose") not in BRIEF:
                raise
            lock.acquire(timeout=_PATIENCE)
    except Timeout:
        who = holder(settings) or "a run that is just starting"
        raise RunLocked(f"another run holds {settings.run_lock}: {who}. Wait for it, then run this again.") from None
    note = settings.run_lock.with_suffix(".json")
    try:
        since = datetime.now(UTC).isoformat(timespec="seconds")
        note.write_text(json.dumps({"pid": os.getpid(), "purpose": purpose, "since": since}), encoding="utf-8")
        yield
    finally:
        note.unlink(missing_ok=True)
        lock.release()


def holder(settings: Settings) -> dict[str, Any] | None:
    """Who holds the lock, as far as its note says and the process is alive; does not touch the lock."""
    note = settings.run_lock.with_suffix(".json")
    try:
        who = json.loads(note.read_text(encoding="utf-8"))
        os.kill(who["pid"], 0)
    except PermissionError:
        return who  # alive, and somebody else's
    except (OSError, ValueError, KeyError):
        return None
    return who
