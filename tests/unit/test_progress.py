"""Progress: how often it is said and to whom, and that an estimate is one of the speed measured so far."""

from __future__ import annotations

import pytest

from orchestration.lib import progress
from orchestration.lib.progress import Progress, left, watched_by


class Clock:
    """Time that passes when told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(progress, "time", clock)
    return clock


def test_the_log_hears_at_most_a_line_every_ten_seconds_and_watchers_hear_all(clock: Clock) -> None:
    said = Progress()
    logged: list[str] = []
    seen: list[str] = []
    with watched_by(seen.append):
        for second in range(35):
            clock.now = 1000 + second
            said.say(str(second), logged.append)
    said.say("nobody watches", logged.append)
    assert logged == ["10", "20", "30"]
    assert seen == [str(second) for second in range(35)]


def test_what_is_left_follows_from_the_speed_so_far(clock: Clock) -> None:
    said = Progress()
    assert said.estimate(0, 1000) == "0 %"
    clock.now += 1
    assert said.estimate(10, 1000) == "1 %", "a second of work says little"
    clock.now += 29
    assert said.estimate(200, 1000) == "20 %, about 2 min left"  # 30 s for a fifth
    clock.now += 30
    assert said.estimate(600, 1000) == "60 %, about 40 s left"  # 60 s for three fifths
    assert said.estimate(1000, 1000) == "100 %, a few seconds left"
    assert said.estimate(0, 0) == "100 %"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(9, "a few seconds"), (44, "about 40 s"), (95, "about 2 min"), (5000, "about 83 min"), (9000, "about 2.5 h")],
)
def test_a_duration_is_as_round_as_it_is_known(seconds: float, text: str) -> None:
    assert left(seconds) == text
