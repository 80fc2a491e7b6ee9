"""How far a run is, said while it works: at once to whoever watches in this process, now and then to the run's log.

Belongs here: how often, and how what is left is estimated. Does not: counting (`ingest`, `dbt_build`), drawing (`cli`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Say = Callable[[str], None]
LOG_EVERY = 10.0
"""Seconds between two lines of progress in the log of a run: each is an event that Dagster stores."""
_MEASURED = 2.0
_watchers: list[Say] = []


@contextmanager
def watched_by(watcher: Say) -> Iterator[None]:
    """Hand every word of progress of runs in this process to the watcher, as it is said."""
    _watchers.append(watcher)
    try:
        yield
    finally:
        _watchers.remove(watcher)


class Progress:
    """The progress of one run. Its clock of work, from which what is left is estimated, starts with `estimate`."""

    def __init__(self) -> None:
        self._logged = time.monotonic()
        self._began: float | None = None

    def say(self, text: str, log: Say) -> None:
        """Tell the watchers; and the log, if it has heard nothing for `LOG_EVERY` seconds."""
        for watcher in _watchers:
            watcher(text)
        if time.monotonic() - self._logged >= LOG_EVERY:
            self._logged = time.monotonic()
            log(text)

    def estimate(self, done: float, total: float) -> str:
        """Share of the work that is done and about how long the rest takes at the speed so far, as text.

        Nothing is estimated before a speed was measured over 2 seconds of work. Both amounts are of the whole run.
        """
        if self._began is None:
            self._began = time.monotonic()
        text = f"{done / total:.0%}".replace("%", " %") if total else "100 %"
        worked = time.monotonic() - self._began
        return f"{text}, {left(worked * (total - done) / done)} left" if done and worked >= _MEASURED else text


def left(seconds: float) -> str:
    """A duration as people say it of what nobody knows exactly."""
    if seconds < 10:
        return "a few seconds"
    if seconds < 90:
        return f"about {round(seconds, -1):.0f} s"
    return f"about {seconds / 60:.0f} min" if seconds < 5400 else f"about {seconds / 3600:.1f} h"
