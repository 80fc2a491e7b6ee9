"""What a person is told when a disk is full: one sentence, whichever of a run's libraries stumbled over it first.

Belongs here: recognising a full disk. Does not: how much room a piece of work needs (`verify`).
"""

from __future__ import annotations

import re
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from orchestration.settings import Settings

_SAID = re.compile(r"no space left|file too large|disk is full|quota exceeded", re.IGNORECASE)
_PROBE_BYTES = 1 << 20
_FULL_BELOW_BYTES = 32 << 20
"""A run that fails with less than this left failed for want of it: what fails first frees some of what it had written."""


def full(settings: Settings, said: list[str]) -> str | None:
    """The sentence for people, where a run failed because no space was left; else None.

    Args:
        settings: whose CX_HOME the run worked on.
        said: the messages it failed with. Some libraries (SQLite) do not say what was wrong, so the disk is asked, too.
    """
    places = {path: _is_full(path) for path in (settings.home, Path(tempfile.gettempdir()))}
    if not any(places.values()) and not any(_SAID.search(text) for text in said):
        return None
    place = next((path for path, is_full in places.items() if is_full), settings.home)
    free = shutil.disk_usage(place).free >> 20
    return (
        f"no space is left on the disk of {place} ({free:,} MB free): make room there and run this again. "
        "Readers keep their release, and the next run goes on where this one was."
    )


def _is_full(folder: Path) -> bool:
    if shutil.disk_usage(folder).free < _FULL_BELOW_BYTES:
        return True
    try:  # a quota does not show in what is free
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(b"\0" * _PROBE_BYTES)
            probe.flush()
    except OSError:
        return True
    return False
