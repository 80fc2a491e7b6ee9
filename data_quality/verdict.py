"""Verdicts: what a gate said of a subject in a run, kept for ever in `ops.verdicts`; the only thing publishing believes.

Belongs here: the shape of a verdict, the severity policy, writing and reading the ledger. Does not: judging (`suites/`), who
may answer for a failed one (`acceptance`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

import duckdb

Severity = Literal["block", "hold", "warn"]
"""What a failed verdict does: `block` publishing, `hold` the feed at its last good state, or only `warn`."""

NOT_JUDGED = "something it needs failed"
"""How the message ends of what could not be built or tested, because what stands before it failed."""


@dataclass(frozen=True)
class Verdict:
    """One gate's word on one subject (a feed or a mart)."""

    gate: str
    subject: str
    severity: Severity
    passed: bool
    figure: str = ""
    bound: str = ""
    message: str = ""
    sample: list[dict[str, Any]] = field(default_factory=list)
    accepted: str = ""
    """Who answers for the failure, until when and why. It stays a failure, and holds up nothing."""

    @property
    def stands_in_the_way(self) -> bool:
        """Whether it failed and nobody answers for that."""
        return not self.passed and not self.accepted

    @property
    def is_consequence(self) -> bool:
        """Whether it failed only because something else did: that one says what is wrong."""
        return not self.passed and self.message.endswith(NOT_JUDGED)

    def sentence(self) -> str:
        """Gate, subject, figure, bound and message on one line, as shown to people."""
        state = "passed" if self.passed else {"block": "FAILED", "hold": "HELD", "warn": "warning"}[self.severity]
        state = "ACCEPTED" if self.accepted else state
        numbers = f" {self.figure} (bound: {self.bound})" if self.figure or self.bound else ""
        said = f"{state}: {self.gate} on {self.subject}:{numbers} {self.message}".rstrip(" :")
        return f"{said}; {self.accepted}" if self.accepted else said


def record(con: duckdb.DuckDBPyConnection, run_id: str, verdicts: Iterable[Verdict]) -> None:
    """Append verdicts to the ledger."""
    now = datetime.now(UTC).replace(tzinfo=None)
    rows = [
        (run_id, v.gate, v.subject, v.severity, v.passed, v.figure, v.bound, v.message,
         json.dumps(v.sample, default=str), now, v.accepted or None)
        for v in verdicts
    ]  # fmt: skip
    if rows:
        con.executemany(
            "insert into ops.verdicts (run_id, gate, subject, severity, passed, figure, bound, message, sample, judged_at, "
            "accepted) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            rows,
        )


def of_run(con: duckdb.DuckDBPyConnection, run_id: str) -> list[Verdict]:
    """All verdicts of a run, in the order they were given."""
    rows = con.execute(
        "select gate, subject, severity, passed, figure, bound, message, sample, coalesce(accepted, '') from ops.verdicts "
        "where run_id = ? order by judged_at, gate, subject",
        [run_id],
    ).fetchall()
    return [Verdict(*row[:7], sample=json.loads(row[7]), accepted=row[8]) for row in rows]


def refusals(verdicts: list[Verdict], expected: Iterable[tuple[str, str]]) -> list[Verdict]:
    """Why a run may not publish: failed blocking verdicts, and every expected (gate, subject) nobody judged.

    Fails closed: no verdict is a no. Nobody can answer for a blocking verdict.
    """
    judged = {(v.gate, v.subject) for v in verdicts}
    missing = [
        Verdict(gate, subject, "block", False, message="was not judged in this run: the check did not run")
        for gate, subject in expected
        if (gate, subject) not in judged
    ]
    return [v for v in verdicts if v.severity == "block" and not v.passed] + missing
