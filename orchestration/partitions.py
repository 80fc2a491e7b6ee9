"""The daily delivery partition and the half-open window of days that a run takes.

Belongs here: arithmetic on delivery days. Does not: anything about event days, which are SQL's business.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

FIRST_DELIVERY_DAY = date(1990, 1, 1)
"""Dagster wants to know where partitions begin; nobody's exports are older."""


@dataclass(frozen=True)
class Window:
    """Delivery days from `start` up to but not including `end`."""

    start: date
    end: date

    def __post_init__(self) -> None:
        if self.end <= self.start:
            raise ValueError(f"a window needs at least one day: {self.start} .. {self.end}")

    @classmethod
    def of_days(cls, first: date, last: date) -> Window:
        """The window from `first` to `last`, both inclusive, as people say it."""
        return cls(first, last + timedelta(days=1))

    @property
    def last(self) -> date:
        """The last day inside the window."""
        return self.end - timedelta(days=1)

    def __contains__(self, day: date) -> bool:
        return self.start <= day < self.end

    def __len__(self) -> int:
        return (self.end - self.start).days

    def days(self) -> Iterator[date]:
        """Every day of the window, in order."""
        return (self.start + timedelta(days=n) for n in range(len(self)))

    def __str__(self) -> str:
        return f"{self.start}" if len(self) == 1 else f"{self.start} .. {self.last}"
