"""Acceptances: somebody answers for a gate that failed, on one thing, with a reason and for a while.

Belongs here: what may be accepted, the table `ops.acceptances`, and which acceptances are in force. Does not: judging
(`suites/`), finding the delivery a person means, the copy outside the warehouse (`orchestration.lib.acceptances`).

The table is append-only. An acceptance is one row; that something was let through by it is one more, with `used_at`, and so
is that somebody took it back, with `revoked_at`.
It counts for what is judged until it expires or is taken back. What was let through before stays so: published numbers do
not change because time passes, and a rebuild lets through what the nights did.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import astuple, dataclass, fields, replace
from datetime import UTC, date, datetime

import duckdb

from data_quality.suites.delivery import ARRIVAL, READABLE, REPEAT, ROW_RULES, VOLUME
from data_quality.suites.marts import METRIC_MOVED, MOVED, PLAUSIBLE

ACCEPTABLE = {
    ROW_RULES: "a delivery with many bad rows is loaded; its bad rows are in quarantine",
    VOLUME: "a delivery of unusual size is what it should be",
    ARRIVAL: "nothing is delivered for a day, and nothing is missing",
    REPEAT: "a day's file may be that of another day again: the day has no rows of its own, and nothing is missing",
    MOVED: "a mart's figure of a day is as unusual as it looks",
    METRIC_MOVED: "a mart's metrics moved as oddly as it looks",
}
"""Gates that may be accepted, and what accepting means."""

NEVER = {
    READABLE: "a file that cannot be read, or that lacks a required column, has no rows to answer for. Correct [[feed]] in "
    "cx.toml, or put a corrected file under the same name into the landing folder; then run `cx nightly`",
    "row_accounting": "rows were lost or counted twice, so no number can be trusted. Run `cx rebuild`, and report it",
    "mart_contract": "a mart broke its own shape or a hard bound. Correct the model, or what feeds it; then run `cx nightly`: "
    "no day is lost",
    PLAUSIBLE: "a mart holds what cannot be: days that are not over, or values that are no numbers. Correct the model, or what "
    "feeds it; then run `cx nightly`: no day is lost",
}
"""Gates that can never be accepted: why, and what to do instead."""

_OF_A_TEST = (
    "it is a test of what was built, and a failed one means that the numbers are wrong. Correct the model, or what feeds "
    "it; then run `cx nightly`: no day is lost"
)


class NotAcceptable(Exception):
    """The gate cannot be accepted, or nothing is there to be accepted; the message says what to do instead."""


@dataclass(frozen=True)
class Acceptance:
    """One row of `ops.acceptances`."""

    gate: str
    subject: str
    """The feed, or the mart."""
    delivery: str
    """What was judged: a delivery; for arrival a day; for a mart its name."""
    day: date
    content_hash: str | None
    """Hash of the delivery's content; of a mart the figure; none for a day without a file."""
    figure: float | None
    """Share of bad rows that was accepted; more is judged afresh."""
    reason: str
    who: str
    accepted_at: datetime
    expires_on: date
    """The last day on which it lets anything through."""
    used_at: datetime | None = None
    """When something was first let through by it."""
    revoked_at: datetime | None = None
    """When it was taken back: since then it lets nothing through that it had not let through before."""
    revoked_by: str | None = None
    revoked_because: str | None = None

    @property
    def id(self) -> str:
        """What people call it by: 8 hexadecimal digits of what it is about, who made it, when and why."""
        made = [*self.bound_to, self.accepted_at, self.reason, self.who]
        return hashlib.sha256(json.dumps([value and str(value) for value in made]).encode()).hexdigest()[:8]

    def lets_through(self, today: date) -> bool:
        """Whether it does for what is judged for the first time."""
        return self.expires_on >= today and self.revoked_at is None

    def sentence(self) -> str:
        """Who answers for it until when, and why."""
        return f"accepted by {self.who} until {self.expires_on}: {self.reason}"

    @property
    def bound_to(self) -> tuple[str, str, str, date, str | None]:
        """What it is about; equal for two acceptances of the same thing."""
        return self.gate, self.subject, self.delivery, self.day, self.content_hash


COLUMNS = tuple(field.name for field in fields(Acceptance))


def require_acceptable(gate: str, known: Iterable[str] = ()) -> None:
    """Refuse a gate that nobody can answer for.

    Args:
        gate: as a person wrote it.
        known: other gates there are.

    Raises:
        NotAcceptable: it is none of `ACCEPTABLE`.
    """
    if gate in ACCEPTABLE:
        return
    if gate in NEVER:
        raise NotAcceptable(f"{gate} can never be accepted: {NEVER[gate]}")
    if gate in set(known):
        raise NotAcceptable(f"{gate} can never be accepted: {_OF_A_TEST}")
    raise NotAcceptable(f"there is no gate '{gate}' that could be accepted; write one of {', '.join(ACCEPTABLE)}")


def append(con: duckdb.DuckDBPyConnection, rows: Iterable[Acceptance]) -> None:
    """Append rows to the table, whose own order of columns does not matter."""
    for row in rows:
        con.execute(
            f"insert into ops.acceptances ({', '.join(COLUMNS)}) values ({', '.join('?' * len(COLUMNS))})", list(astuple(row))
        )


def all_rows(con: duckdb.DuckDBPyConnection) -> list[Acceptance]:
    """Every row there is, oldest first."""
    rows = con.execute(
        f"select {', '.join(COLUMNS)} from ops.acceptances order by coalesce(revoked_at, used_at, accepted_at), expires_on"
    ).fetchall()
    return [Acceptance(*row) for row in rows]


def latest(rows: Iterable[Acceptance]) -> list[Acceptance]:
    """One row an acceptance: as it was made, with the time it was first used, and that it was first taken back."""
    made: dict[tuple[object, ...], Acceptance] = {}
    for row in rows:
        key = (*row.bound_to, row.accepted_at, row.reason, row.who)
        both = [row, made[key]] if key in made else [row]
        used = [one.used_at for one in both if one.used_at is not None]
        ended = min((one for one in both if one.revoked_at is not None), key=lambda one: one.revoked_at, default=row)
        made[key] = replace(ended, used_at=min(used, default=None))
    return sorted(made.values(), key=lambda row: row.accepted_at)


def in_force(con: duckdb.DuckDBPyConnection, today: date, gates: Iterable[str] = tuple(ACCEPTABLE)) -> list[Acceptance]:
    """Acceptances of these gates that let things through today: neither expired nor taken back, or used before they were.

    Of several for the same thing the one that ends last. A row of a gate that can never be accepted lets nothing through,
    however it came into the table.
    """
    chosen: dict[tuple[object, ...], Acceptance] = {}
    for row in latest(all_rows(con)):
        if row.gate in gates and row.gate in ACCEPTABLE and (row.lets_through(today) or row.used_at is not None):
            other = chosen.get(row.bound_to)
            if other is None or (other.expires_on, other.accepted_at) <= (row.expires_on, row.accepted_at):
                chosen[row.bound_to] = row
    return list(chosen.values())


def mark_used(con: duckdb.DuckDBPyConnection, rows: Iterable[Acceptance]) -> None:
    """Note of those that are not yet noted that something was let through by them."""
    now = datetime.now(UTC).replace(tzinfo=None)
    append(con, [replace(row, used_at=now) for row in rows if row.used_at is None])
