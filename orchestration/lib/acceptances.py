"""`cx accept`: finds what a person means, checks that a gate really failed on it, and writes down who answers for it, or
that nobody does any more.

Belongs here: that, and the copy of the acceptances beside the warehouse. Does not: what may be accepted and what is in force
(`data_quality.acceptance`), letting anything through (`ingest`, `gates`).
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import duckdb

from data_quality import acceptance
from data_quality.acceptance import Acceptance, NotAcceptable
from data_quality.contract import load_contracts
from data_quality.suites.delivery import ARRIVAL, REPEAT, ROW_RULES, VOLUME
from data_quality.suites.marts import METRIC_MOVED, MOVED
from orchestration.lib import readers, warehouse
from orchestration.lib.dbt_manifest import gate_of_test, marts, models_on, tests_on
from orchestration.lib.run_lock import run_lock
from orchestration.lib.warehouse import records, tx

if TYPE_CHECKING:
    from orchestration.settings import Settings

FILE = "acceptances.jsonl"
_LONGEST_REASON = 500


def accept(settings: Settings, gate: str, delivery: str, feed: str | None, reason: str, days: int) -> Acceptance:
    """Write down that somebody answers for a failed gate on one thing, from now on and for some days.

    Args:
        settings: whose warehouse and landing folder.
        gate: one of `data_quality.acceptance.ACCEPTABLE`.
        delivery: a delivery, or its file; for `arrival` a day; for `mart_moved` a mart.
        feed: the feed, where the file or the day alone does not say it.
        reason: why.
        days: for how many days it lets things through.

    Raises:
        NotAcceptable: it cannot be accepted; the message says what to do instead.
        RunLocked: a run is working on this CX_HOME.
    """
    acceptance.require_acceptable(gate, _tests())
    reason = _readable(reason)
    if not settings.warehouse.exists():
        raise NotAcceptable(f"there is no warehouse at {settings.warehouse} yet, so no gate has failed: run `cx nightly` first")
    settings.make_folders()
    with run_lock(settings, "cx accept"), warehouse.connect(settings) as con:
        warehouse.prepare(con, settings.config)
        subject, what, day, content_hash, figure = _find(con, settings, gate, delivery, feed)
        now = datetime.now(UTC).replace(tzinfo=None, microsecond=0)
        expires = settings.today() + timedelta(days=days)
        row = Acceptance(gate, subject, what, day, content_hash, figure, reason, _who(), now, expires)
        with tx(con):
            acceptance.append(con, [row])
        sync(con, settings)
    return row


def revoke(settings: Settings, name: str, reason: str) -> Acceptance:
    """Write down that somebody no longer answers: what was not let through yet is judged afresh, what was stays so.

    Args:
        settings: whose acceptances.
        name: the id of an acceptance, or its first digits.
        reason: why.

    Raises:
        NotAcceptable: there is no such acceptance, or nothing of it is left to take back; the message lists those there are.
        RunLocked: a run is working on this CX_HOME.
    """
    reason = _readable(reason)
    if not settings.warehouse.exists():
        raise NotAcceptable(f"there is no warehouse at {settings.warehouse} yet, so nothing was accepted")
    with run_lock(settings, "cx accept"), warehouse.connect(settings) as con:
        warehouse.prepare(con, settings.config)
        sync(con, settings)
        today = settings.today()
        made = acceptance.latest(acceptance.all_rows(con))
        found = [row for row in made if name and row.id.startswith(name.strip().lower())]
        if len(found) != 1:
            left = ", ".join(f"{row.id} ({row.gate} on {row.delivery})" for row in found or made if row.lets_through(today))
            raise NotAcceptable(
                f"'{name}' is {'more than one acceptance' if found else 'no acceptance'}: `cx accept --list` shows their ids; "
                f"in force: {left or 'none'}"
            )
        (row,) = found
        if row.revoked_at is not None:
            raise NotAcceptable(f"{row.id} was revoked by {row.revoked_by} at {row.revoked_at}: {row.revoked_because}")
        if not row.lets_through(today):
            raise NotAcceptable(f"{row.id} expired on {row.expires_on}: it lets nothing more through")
        now = datetime.now(UTC).replace(tzinfo=None, microsecond=0)
        row = replace(row, revoked_at=now, revoked_by=_who(), revoked_because=reason)
        with tx(con):
            acceptance.append(con, [row])
        sync(con, settings)
    return row


def _readable(reason: str) -> str:
    """The reason in one line.

    Raises:
        NotAcceptable: nobody can read it.
    """
    reason = " ".join(reason.split())
    if not reason or not reason.isprintable() or len(reason) > _LONGEST_REASON:
        raise NotAcceptable(f"--reason says why in at most {_LONGEST_REASON} printable characters: readers will see it")
    return reason


def sync(con: duckdb.DuckDBPyConnection, settings: Settings) -> None:
    """Make the table and the file beside the warehouse hold the same rows.

    Whatever of the two was lost, or was cut off by a kill between them, comes back from the other one.
    """
    path = settings.home / FILE
    in_table, in_file = acceptance.all_rows(con), _read(settings)
    with tx(con):
        acceptance.append(con, [row for row in in_file if row not in in_table])
    missing = [row for row in in_table if row not in in_file]
    if missing:
        is_torn = path.exists() and not path.read_bytes().endswith(b"\n") and path.stat().st_size > 0
        with path.open("a", encoding="utf-8") as handle:
            handle.write("\n" * is_torn + "".join(json.dumps(asdict(row), default=str) + "\n" for row in missing))
            handle.flush()
            os.fsync(handle.fileno())


def listed(settings: Settings) -> list[dict[str, Any]]:
    """Every acceptance, newest first, from the file: it can be read while a run is at work.

    `state` is `in force`, `used` (it let something through, which stays so), `expired` or `revoked` (it never did), or
    `used, revoked`.
    """
    return [_described(row, settings.today()) for row in reversed(acceptance.latest(_read(settings)))]


def that_count(con: duckdb.DuckDBPyConnection, settings: Settings) -> list[dict[str, Any]]:
    """Acceptances that a release stands on: in force, or used and what they let through is still what counts."""
    today = settings.today()
    loaded = set(
        con.execute("select delivery, content_hash from ops.deliveries where status in ('accepted', 'repeated')").fetchall()
    )
    rows = [
        row
        for row in acceptance.latest(acceptance.all_rows(con))
        if row.lets_through(today)
        or (row.used_at is not None and (row.gate == ARRIVAL or (row.delivery, row.content_hash) in loaded))
    ]
    return [_described(row, today) for row in rows]


def _described(row: Acceptance, today: date) -> dict[str, Any]:
    ended = "revoked" if row.revoked_at else "expired"
    state = "used" if row.used_at else "in force" if row.lets_through(today) else ended
    return {"id": row.id, **asdict(row), "state": "used, revoked" if row.used_at and row.revoked_at else state}


def _read(settings: Settings) -> list[Acceptance]:
    path = settings.home / FILE
    if not path.exists():
        return []
    rows = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            values = json.loads(line)
            for name in ("accepted_at", "used_at", "revoked_at"):
                values[name] = datetime.fromisoformat(values[name]) if values.get(name) else None
            for name in ("day", "expires_on"):
                values[name] = values[name] and date.fromisoformat(values[name])
            rows.append(Acceptance(**values))
        except (ValueError, TypeError, KeyError):
            continue  # cut off by a kill; the table has the row
    return rows


def _tests() -> set[str]:
    return {gate_of_test(test) for test in tests_on(models_on(set(load_contracts())))}


def _who() -> str:
    """The user of the operating system; not of the environment, which anybody can set."""
    try:
        import pwd

        return pwd.getpwuid(os.getuid()).pw_name
    except ImportError:  # not a POSIX system
        return os.getlogin()
    except KeyError:
        return f"uid {os.getuid()}"


_Found = tuple[str, str, date, str | None, float | None]
"""Subject, delivery, day, content hash, figure."""


def _find(con: duckdb.DuckDBPyConnection, settings: Settings, gate: str, delivery: str, feed: str | None) -> _Found:
    if gate in (MOVED, METRIC_MOVED):
        return _find_mart(con, gate, delivery)
    if feed is not None and feed not in load_contracts():
        raise NotAcceptable(f"there is no feed '{feed}'; write one of {', '.join(load_contracts())}")
    if gate == ARRIVAL:
        return _find_day(con, settings, delivery, feed)
    return _find_delivery(con, settings, gate, delivery, feed)


def _find_mart(con: duckdb.DuckDBPyConnection, gate: str, mart: str) -> _Found:
    if mart not in marts():
        raise NotAcceptable(f"{gate} is about a mart: write one as --delivery, like sales_daily. There is no mart '{mart}'")
    row = con.execute(
        "select figure, passed from ops.verdicts where gate = ? and subject = ? order by judged_at desc, passed limit 1",
        [gate, mart],
    ).fetchone()
    if row is None or row[1]:
        raise NotAcceptable(f"{gate} did not fail on {mart} in the last run: there is nothing to accept")
    day = con.execute("select data_through from ops.clock").fetchone()[0]
    return mart, mart, day, f"figure {row[0]}", None


def _find_day(con: duckdb.DuckDBPyConnection, settings: Settings, text: str, feed: str | None) -> _Found:
    named, _, day_text = text.rpartition(":")
    feed = feed or named
    try:
        day = date.fromisoformat(day_text)
    except ValueError:
        raise NotAcceptable(
            f"{ARRIVAL} is about a day on which nothing came: write --feed FEED --delivery 2026-01-31, not '{text}'"
        ) from None
    sources = [source for source in settings.config.sources_of({feed}) if source.has_due_days]
    if not sources:
        due = sorted({source.feed for source in settings.config.feed if source.has_due_days})
        raise NotAcceptable(f"cx.toml expects no deliveries of '{feed}'; it does of: {', '.join(due) or 'no feed'}")
    there = [file for source in sources for file in readers.discover(settings, source) if file.delivery_day == day]
    if len({file.source.pattern for file in there}) == len(sources):
        raise NotAcceptable(
            f"{there[0].relative} is there for {day}: nothing is missing. If it was refused, accept the gate that did"
        )
    if all(source.expected == "weekdays" and day.weekday() > 4 for source in sources):
        raise NotAcceptable(f"cx.toml expects nothing of {feed} on {day}: it is a {day:%A}")
    return feed, str(day), day, None, None


def _find_delivery(con: duckdb.DuckDBPyConnection, settings: Settings, gate: str, delivery: str, feed: str | None) -> _Found:
    row = _ledger_row(con, settings, delivery, feed)
    name, file = row["delivery"], row["file"]
    if row["status"] == "refused":
        if row["gate"] is None:
            raise NotAcceptable(f"{file} was refused by an older version: run `cx nightly --day {row['delivery_day']}` first")
        if row["gate"] != gate:
            why = acceptance.NEVER.get(row["gate"])
            instead = f" It can never be accepted: {why}" if why else ""
            raise NotAcceptable(f"{file} was refused by {row['gate']}, not by {gate}: {row['reason']}{instead}")
        if (row["reason"] or "").startswith("same content as "):
            raise NotAcceptable(f"{file}: {row['reason']}. Accept that one, and this one counts as its repeat")
    elif gate == ROW_RULES:
        raise NotAcceptable(f"{file} is {row['status']}, not refused: nothing of it waits to be accepted")
    elif gate == REPEAT and row["status"] != "repeated":
        raise NotAcceptable(f"{file} is {row['status']}, and repeats no other delivery: there is nothing to accept")
    elif (
        gate == VOLUME
        and not con.execute(
            "from ops.verdicts where (run_id, gate, subject) = (?, ?, ?) and not passed", [row["run_id"], gate, row["feed"]]
        ).fetchone()
    ):
        raise NotAcceptable(f"{gate} did not fail on {row['feed']} in the run that took {file}: there is nothing to accept")
    _require_unchanged(settings, row)
    share = row["rows_bad"] / row["rows_read"] if gate == ROW_RULES and row["rows_read"] else None
    return row["feed"], name, row["delivery_day"], row["content_hash"], share


def _ledger_row(con: duckdb.DuckDBPyConnection, settings: Settings, delivery: str, feed: str | None) -> dict[str, Any]:
    """The newest content of the delivery that is named by its name, its file under the landing folder, or a path of it."""
    try:
        under = os.path.relpath(os.path.abspath(delivery), settings.landing)
    except ValueError:
        under = delivery
    rows = con.execute(
        "select delivery, feed, delivery_day, file, bytes, mtime_ns, content_hash, status, gate, reason, run_id, rows_read, "
        "rows_bad from ops.deliveries where (delivery = $1 or file in ($1, $2) or parse_filename(file) = $1) "
        "and ($3 is null or feed = $3) and status in ('accepted', 'repeated', 'refused') "
        "qualify row_number() over (partition by delivery order by status = 'refused' desc, taken_at desc) = 1 order by delivery",
        [delivery, under, feed],
    )
    found = records(rows)
    if not found:
        where = f" of the feed '{feed}'" if feed else ""
        raise NotAcceptable(f"no run has judged a delivery '{delivery}'{where}: `cx quarantine list` names those held up")
    if len(found) > 1:
        raise NotAcceptable(f"'{delivery}' may be any of {', '.join(row['delivery'] for row in found)}: write one of these")
    return found[0]


def _require_unchanged(settings: Settings, row: dict[str, Any]) -> None:
    """What is in the landing folder now is what was judged; or the acceptance would be of something nobody has seen."""
    files = [f for s in settings.config.sources_of({row["feed"]}) for f in readers.discover(settings, s)]
    file = next((f for f in files if f.delivery == row["delivery"]), None)
    if file is None:
        raise NotAcceptable(f"{row['file']} is no longer in the landing folder: put it back, or run `cx nightly` without it")
    stat = file.path.stat()
    if (stat.st_size, stat.st_mtime_ns) == (row["bytes"], row["mtime_ns"]):
        return
    try:
        is_same = readers.facts(file).content_hash == row["content_hash"]
    except readers.FileRefused:
        is_same = False
    if not is_same:
        raise NotAcceptable(
            f"{row['file']} is not what was judged any more: run `cx nightly --day {row['delivery_day']}`, and see what it says"
        )
