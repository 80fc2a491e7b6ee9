"""Deliveries into raw tables: take them, read them, judge them, load the good rows and keep the bad ones.

Belongs here: the ledger of deliveries, typing, row rules, acceptance, the log of changed keys. Does not: bytes and
lines (`readers`), SQL made from contracts (`data_quality.rules`), what days a mart rebuilds (dbt).

Two steps, so that the partitioned part stays small: `take_deliveries` notes which files of a window are new and leaves
them `pending`; `load_feed` loads whatever is pending. A run that dies between them loses nothing.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb

from data_quality import acceptance, normalise
from data_quality.acceptance import Acceptance
from data_quality.contract import Contract, load_contracts
from data_quality.rules import (
    LINEAGE_COLUMNS,
    Dialect,
    cast,
    exclusion_expression,
    ident,
    key_columns,
    key_expression,
    literal,
    raw_type,
    reasons_expression,
    version_expression,
)
from data_quality.suites.delivery import ARRIVAL, READABLE, REPEAT, ROW_RULES, arrival_checks, hold_checks, warn_checks
from data_quality.suites.judge import judge
from data_quality.verdict import Verdict
from orchestration.lib import delivery_facts, readers, rereading
from orchestration.lib.readers import FileFacts, FileRefused, LandingFile, Reject
from orchestration.lib.warehouse import table_exists, tx
from orchestration.partitions import Window
from orchestration.settings import ConfigError, Expression, FeedSource, Settings

Progress = Callable[[str, int, int], None]
"""Called with a feed, how many of its pending deliveries are done, and how many there are."""

CHUNK_BYTES, CHUNK_FILES = 64 << 20, 1000
"""A chunk of a load is cut before it passes either. Larger ones save nothing more, and cost memory (docs/performance.md)."""
SILENT_DAYS = 7
"""After so many days without a delivery a feed of which cx.toml expects none is said to be silent."""


class NothingTaken(Exception):
    """There is no day through which anything could be published."""


@dataclass
class Taken:
    """What `take_deliveries` found, by delivery day."""

    pending: dict[date, int] = field(default_factory=lambda: defaultdict(int))
    unchanged: int = 0
    verdicts: list[Verdict] = field(default_factory=list)


@dataclass
class Loaded:
    """What `load_feed` did with the pending deliveries of one feed."""

    feed: str
    accepted: int = 0
    refused: int = 0
    rows_read: int = 0
    rows_accepted: int = 0
    rows_quarantined: int = 0
    verdicts: list[Verdict] = field(default_factory=list)


def untaken_days(con: duckdb.DuckDBPyConnection, settings: Settings, last: date) -> Window | None:
    """The window from the oldest delivery that is new or changed, up to `last`; None when nothing is waiting.

    A refused file that nobody touched since does not wait: it would be refused again, and widen every night to its day.
    It does once somebody answers for it.
    """
    known = known_files(con, "accepted", "repeated", "refused")
    for delivery in _answered_for(con, settings):
        known.pop(delivery, None)
    days = [
        file.delivery_day
        for source in settings.config.feed
        for file in readers.discover(settings, source)
        if file.delivery_day <= last and not _is_known(known, file)
    ]
    days += [day for (day,) in con.execute("select delivery_day from ops.deliveries where status = 'pending'").fetchall()]
    return Window.of_days(min(days), last) if days else None


def _answered_for(con: duckdb.DuckDBPyConnection, settings: Settings) -> set[str]:
    """Refused deliveries that would be taken now, because the gate that refused their content has been accepted."""
    accepted = [a.bound_to for a in acceptance.in_force(con, settings.today())]
    refused = con.execute("select gate, feed, delivery, delivery_day, content_hash from ops.deliveries where status = 'refused'")
    by_content = {(gate, feed, digest) for gate, feed, _, _, digest in accepted}
    # By content and not by name: what is refused as the repeat of a refused delivery comes with it.
    return {d for gate, feed, d, _, digest in refused.fetchall() if (gate, feed, digest) in by_content}


def take_deliveries(con: duckdb.DuckDBPyConnection, settings: Settings, domain: str, window: Window, run_id: str) -> Taken:
    """Note every new or changed delivery of the domain in the window as `pending`, and judge what did not arrive."""
    taken = Taken()
    feeds = {feed for feed, contract in load_contracts().items() if contract.domain == domain}
    sources = settings.config.sources_of(feeds)
    known = known_files(con, "accepted", "repeated")
    for delivery in rereading.held_as_read_before(con):
        known.pop(delivery, None)
    now = datetime.now(UTC).replace(tzinfo=None)
    rows: list[tuple[Any, ...]] = []
    touched: list[tuple[int, str, str]] = []
    back: list[str] = []
    arrived: dict[tuple[str, str], set[date]] = defaultdict(set)
    newest = _newest_deliveries(con, feeds, window.last)
    matched: dict[str, str] = {}
    for source in sources:
        for file in readers.discover(settings, source):
            if matched.setdefault(file.delivery, source.pattern) != source.pattern:
                raise ConfigError(
                    f"{settings.config_path}: {file.relative} matches two patterns of the feed '{source.feed}', "
                    f"'{matched[file.delivery]}' and '{source.pattern}'; write patterns that share no file"
                )
            if file.delivery_day <= window.last:
                newest[source.feed] = max(file.delivery_day, newest.get(source.feed, file.delivery_day))
            if file.delivery_day not in window:
                continue
            arrived[source.feed, source.pattern].add(file.delivery_day)
            if _is_known(known, file):
                back.append(file.delivery)
                taken.unchanged += 1
                continue
            stat = file.path.stat()
            content_hash, reason = _content(file)
            if content_hash == known.get(file.delivery, (None, None, None))[2]:
                touched.append((stat.st_mtime_ns, file.delivery, content_hash))
                back.append(file.delivery)
                taken.unchanged += 1
                continue
            taken.pending[file.delivery_day] += 1
            rows.append(
                (file.delivery, source.feed, domain, file.delivery_day, file.relative, stat.st_size, stat.st_mtime_ns,
                 content_hash, "pending", None, None, None, reason, run_id, now)
            )  # fmt: skip
    with tx(con):
        # Somebody took a refused file away, or put the content back that is loaded: nothing is held up by it any more.
        con.execute(
            "update ops.deliveries set status = 'withdrawn' where domain = $1 and status = 'refused' and ("
            "delivery not in (select cast(unnest($2) as varchar)) or delivery in (select cast(unnest($3) as varchar)))",
            [domain, list(matched), back],
        )
        for row in touched:
            con.execute("update ops.deliveries set mtime_ns = ? where delivery = ? and content_hash = ?", row)
        if rows:
            columns = [list(column) for column in zip(*rows, strict=True)]
            # What was refused or gone before and comes again is the same row of the ledger, not one more.
            con.execute(
                "delete from ops.deliveries where delivery in (select unnest($1)) and (status = 'pending' or "
                "status in ('refused', 'vanished') and (delivery, content_hash) in (select (unnest($1), unnest($2))))",
                [columns[0], columns[7]],
            )
            con.execute(
                "insert into ops.deliveries (delivery, feed, domain, delivery_day, file, bytes, mtime_ns, content_hash, status, "
                "rows_read, rows_accepted, rows_quarantined, reason, run_id, taken_at) select "
                + ", ".join(f"unnest(${n})" for n in range(1, len(columns) + 1)),
                columns,
            )
        quiet = let_days_pass(con, settings, feeds, window.last)
    taken.verdicts = _judge_arrival(sources, arrived, window, quiet, settings.now(), newest)
    return taken


def let_past_days_pass(con: duckdb.DuckDBPyConnection, settings: Settings) -> None:
    """The same for every feed and all days up to the last complete one: no run takes deliveries of them any more."""
    (through,) = con.execute("select data_through from ops.clock").fetchone()
    if through is not None:
        with tx(con):
            let_days_pass(con, settings, {source.feed for source in settings.config.feed}, through)


def let_days_pass(
    con: duckdb.DuckDBPyConnection, settings: Settings, feeds: set[str], through: date
) -> dict[tuple[str, date], Acceptance]:
    """Days for which nothing need arrive, by feed: their acceptances, and those of repeats, count from now on for good."""
    answered = [
        a for a in acceptance.in_force(con, settings.today(), (ARRIVAL, REPEAT)) if a.subject in feeds and a.day <= through
    ]
    acceptance.mark_used(con, answered)
    return {(a.subject, a.day): a for a in answered if a.gate == ARRIVAL}


def known_files(con: duckdb.DuckDBPyConnection, *statuses: str) -> dict[str, tuple[int, int, str]]:
    """Size, time and hash of the newest content of each delivery that is in one of these states."""
    rows = con.execute(
        "select delivery, bytes, mtime_ns, content_hash from ops.deliveries "
        "where status in (select unnest($1)) order by taken_at",
        [list(statuses)],
    ).fetchall()
    return {delivery: (size, mtime, digest) for delivery, size, mtime, digest in rows}


def _content(file: LandingFile) -> tuple[str, str | None]:
    """Hash of what the file holds, and why it cannot be read, where it cannot."""
    try:
        return readers.facts(file).content_hash, None
    except FileRefused as refusal:
        return f"unreadable:{file.path.stat().st_mtime_ns}", str(refusal)


def _is_known(known: dict[str, tuple[int, int, str]], file: LandingFile) -> bool:
    stat = file.path.stat()
    size, mtime, _ = known.get(file.delivery, (-1, -1, ""))
    return stat.st_size == size and stat.st_mtime_ns == mtime


def _judge_arrival(
    sources: list[FeedSource],
    arrived: dict[tuple[str, str], set[date]],
    window: Window,
    quiet: dict[tuple[str, date], Acceptance],
    now: datetime,
    newest: dict[str, date],
) -> list[Verdict]:
    """Nothing is missed before it is due: a run that comes earlier says so, and holds nothing up.

    Where cx.toml does not say what to expect, a feed that has been silent for long warns: its data may have ended.
    """
    import pandas as pd

    def expectation(source: FeedSource, day: date) -> str:
        return f"{source.feed} {day} ({source.pattern})"

    due, early = [], {}
    for source in sources:
        through = source.due_through(now) or window.last
        for day in window.days():
            if source.expected == "daily" or (source.expected == "weekdays" and day.weekday() < 5):
                is_there = day in arrived[source.feed, source.pattern]
                if day <= through:
                    due.append({"feed": source.feed, "expectation": expectation(source, day), "missing": int(not is_there)})
                elif not is_there:
                    early[source.feed] = f"the delivery of {day} is not due before {source.due}"
    without = {source.feed for source in sources} - {str(row["feed"]) for row in due}
    said = {source.feed for source in sources if source.expected}
    verdicts = [
        Verdict(ARRIVAL, feed, "warn", True, message=early.get(feed, "no delivery is expected by cx.toml"))
        if feed in said
        else _silence(feed, newest.get(feed), window.last)
        for feed in sorted(without)
    ]
    if due:
        accepted = {
            (ARRIVAL, expectation(source, day)): a.sentence()
            for (feed, day), a in quiet.items()
            for source in sources
            if source.feed == feed
        }
        verdicts += judge(pd.DataFrame(due), "feed", arrival_checks(), "expectation", accepted)[0]
    return verdicts


def _newest_deliveries(con: duckdb.DuckDBPyConnection, feeds: set[str], last: date) -> dict[str, date]:
    """By feed the newest delivery day up to `last` in the ledger: files may have been moved away since."""
    rows = con.execute(
        "select feed, max(delivery_day) from ops.deliveries "
        "where feed in (select unnest($1)) and delivery_day <= $2 group by feed",
        [sorted(feeds), last],
    ).fetchall()
    return dict(rows)


def _silence(feed: str, newest: date | None, last: date) -> Verdict:
    """The word on a feed of which cx.toml does not say what to expect; one that never came is no news."""
    days = (last - newest).days if newest else 0
    if days <= SILENT_DAYS:
        return Verdict(ARRIVAL, feed, "warn", True, message="no delivery is expected by cx.toml")
    return Verdict(
        ARRIVAL, feed, "warn", False, figure=str(days), bound=str(SILENT_DAYS),
        message=f"days without a delivery: the newest is of {newest}, and cx.toml does not say when one is expected, so the "
        'feed counts as up to date. Write expected = "daily" or "weekdays" in its [[feed]], or "irregular" where files come now '
        "and then",
    )  # fmt: skip


# What a contract says of whole deliveries and of other feeds warns, and changes no row.
_DOES_NOT_READ: Any = {
    "limits": {"volumeRatio", "repeatedKeyShare", "orphanShare", "freshnessDays"},
    "properties": {"__all__": {"relationships"}},
}


def reading_fingerprint(settings: Settings, feed: str) -> str:
    """Hash of all that decides how the feed's files become rows: contract, mapping, zone and currency."""
    business = settings.config.business
    parts = [load_contracts()[feed].model_dump_json(exclude=_DOES_NOT_READ), business.timezone, business.reporting_currency]
    parts += [normalise.library_version(column.normalize) for column in load_contracts()[feed].normalized if column.normalize]
    # How a delivery is expected does not change how it is read.
    parts += [source.model_dump_json(exclude={"expected", "due"}) for source in settings.config.sources_of({feed})]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def configuration_fingerprint(settings: Settings) -> str:
    """Hash of the configured values and of how every configured feed is read: what can change a number without any file."""
    parts = [settings.config.business.model_dump_json()]
    parts += [reading_fingerprint(settings, feed) for feed in sorted({source.feed for source in settings.config.feed})]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def changed_reading(con: duckdb.DuckDBPyConnection, settings: Settings, feeds: list[str]) -> list[str]:
    """Feeds whose rows were read under another contract or mapping than today's."""
    loaded = dict(con.execute("select feed, fingerprint from ops.loaded").fetchall())
    return [feed for feed in feeds if feed in loaded and loaded[feed] != reading_fingerprint(settings, feed)]


def require_a_clock(con: duckdb.DuckDBPyConnection) -> None:
    """A rebuild loads what runs have taken, so there must have been one.

    Raises:
        NothingTaken: no run took any day.
    """
    if con.execute("select data_through from ops.clock").fetchone()[0] is None:
        raise NothingTaken("no delivery was ever taken here, so there is nothing to rebuild: run `cx backfill START END` first")


def withdraw_unconfigured(con: duckdb.DuckDBPyConnection, settings: Settings) -> None:
    """Forget the rows of feeds that cx.toml no longer has; the models are rebuilt without them."""
    configured = {source.feed for source in settings.config.feed}
    for (feed,) in con.execute("select distinct feed from ops.loaded").fetchall():
        if feed not in configured:
            with tx(con):
                con.execute(f"truncate raw.{ident(feed)}")
                con.execute("delete from ops.quarantine where feed = ?", [feed])
                con.execute("delete from ops.deliveries where feed = ?", [feed])
                con.execute("delete from ops.delivery_facts where feed = ?", [feed])
                con.execute("delete from ops.loaded where feed = ?", [feed])
                con.execute("update ops.clock set fingerprint = null")


def load_feed(
    con: duckdb.DuckDBPyConnection, settings: Settings, feed: str, run_id: str, progress: Progress = lambda *_: None
) -> Loaded:
    """Load every pending delivery of the feed, chunk by chunk in order of delivery day; call `progress` after each.

    A delivery is loaded whole or refused whole. Refusing leaves the feed at its last good state: an earlier version of
    the delivery stays loaded. Bad rows of an accepted delivery go to quarantine with all their reasons.

    A chunk is one transaction, and what it does depends on the ledger and its own files only. So a run that dies goes on
    with the chunk it was in, and the outcome is the same however the deliveries were cut.
    """
    import pandas as pd

    contract = load_contracts()[feed]
    _wake_repeats(con, feed)
    pending = _pending(con, settings, feed)
    if not pending:
        rereading.take_back(con, feed)
        passed = [Verdict(gate, feed, "hold", True, message="nothing was delivered") for gate in (READABLE, ROW_RULES)]
        return Loaded(feed, verdicts=passed)
    profiles, refused, verdicts, accepted, done = [], set(), [], {}, 0
    progress(feed, done, len(pending))
    for chunk in _chunks(pending):
        outcome = _load_chunk(con, settings, contract, chunk, run_id)
        profiles.append(outcome.profile)
        verdicts = outcome.verdicts
        accepted |= outcome.accepted
        refused |= outcome.refused
        done += len(chunk)
        progress(feed, done, len(pending))
    rereading.take_back(con, feed)
    profile = pd.concat(profiles, ignore_index=True)
    if len(profiles) > 1:  # the same figures as the chunks' own, in one verdict a gate
        verdicts = judge(profile, "feed", hold_checks(), "delivery", accepted)[0]
    profile = _with_volume(con, contract, profile, refused)
    profile = delivery_facts.with_facts(con, contract, settings.config.feed, profile, refused, run_id)
    verdicts += judge(profile, "feed", warn_checks(), "delivery", accepted)[0]
    return _loaded(con, feed, run_id, verdicts)


def _chunks(pending: list[tuple[LandingFile, str | None]]) -> Iterator[list[tuple[LandingFile, str | None]]]:
    """The pending deliveries in their order, cut so that the rows of a chunk fit well into memory."""
    chunk: list[tuple[LandingFile, str | None]] = []
    size = 0
    for file, reason in pending:
        weight = readers.text_bytes(file.relative, file.path.stat().st_size if file.path.exists() else 0)
        if chunk and (size + weight > CHUNK_BYTES or len(chunk) >= CHUNK_FILES):
            yield chunk
            chunk, size = [], 0
        chunk.append((file, reason))
        size += weight
    yield chunk


@dataclass
class _Chunk:
    """What became of one chunk: its profile (one row a delivery), the deliveries refused, the verdicts that refused them.

    `accepted`: by gate and delivery, who answers for it.
    """

    profile: Any
    refused: set[str]
    verdicts: list[Verdict]
    accepted: dict[tuple[str, str], str]


def _load_chunk(
    con: duckdb.DuckDBPyConnection,
    settings: Settings,
    contract: Contract,
    pending: list[tuple[LandingFile, str | None]],
    run_id: str,
) -> _Chunk:
    """Read, judge and load some pending deliveries of a feed, all of them or none."""
    _make_incoming(con, contract)
    rejects: dict[str, list[Reject]] = {}
    problems: dict[str, str] = {file.delivery: reason for file, reason in pending if reason}
    readable: dict[tuple[int, tuple[str, ...] | None], list[tuple[LandingFile, FileFacts]]] = defaultdict(list)
    sources = settings.config.feed
    content: dict[str, str] = {}
    hashes: dict[str, str] = {}
    shapes: dict[str, delivery_facts.Shape] = {}
    for file, reason in pending:
        if reason:
            continue
        try:
            known = readers.facts(file)
        except (FileRefused, OSError) as error:
            problems[file.delivery] = str(error)
            continue
        hashes[file.delivery] = known.content_hash
        if known.lines > (1 if file.source.format == "csv" else 0):
            content[file.delivery] = known.content_hash
        readable[sources.index(file.source), known.header].append((file, known))
        shapes[file.delivery] = (file.source.pattern, file.relative, known.header)
    days = {file.delivery: file.delivery_day for file, _ in pending}
    by_day = _repeats_by_day(con, settings, contract)
    repeats, refused_before = _repeats(con, contract.id, content, days, by_day, set())
    with tempfile.TemporaryDirectory() as scratch:
        for (index, header), group in readable.items():
            files = [(file, known) for file, known in group if file.delivery not in repeats]
            missing = _missing_columns(contract, sources[index], header)
            if missing:
                problems |= {file.delivery: f"{file.relative}: line 1: {missing}" for file, _ in files}
            elif files:
                _read_group(con, settings, contract, files, Path(scratch), rejects, problems)
    profile = _profile(con, contract, [file for file, _ in pending], rejects, problems, repeats)
    answers = _answers(con, settings, contract.id, profile, hashes)
    accepted = {key: a.sentence() for key, a in answers.items()}
    verdicts, failed = judge(profile, "feed", hold_checks(), "delivery", accepted)
    refused_by = {delivery: gate for gate in reversed(failed) for delivery in failed[gate]}
    # What repeats a refused delivery is refused with it, by the same gate.
    for delivery, original in repeats.items():
        if delivery in refused_before or (original in refused_by and delivery in days):
            refused_by[delivery] = refused_by.get(original) or _refused_by(con, original)
    refused = set(refused_by)
    reasons = {delivery: original for delivery, original in repeats.items() if delivery in refused}
    # Once more: what refused deliveries go on to hold stands before everything else of the same content.
    repeats, _ = _repeats(con, contract.id, {d: c for d, c in content.items() if d not in refused}, days, by_day, refused)
    let_through = {(v.gate, row["delivery"]) for v in verdicts if v.accepted for row in v.sample}
    used = [a for key, a in answers.items() if key in let_through and a.delivery not in refused]
    # What a refused delivery goes on to hold may repeat another one, too; that is not why it was refused.
    repeats = {d: original for d, original in repeats.items() if d not in refused} | reasons
    _write(con, settings, contract, profile, refused_by, rejects, repeats, used, shapes, run_id)
    con.execute("drop table incoming")
    return _Chunk(profile, refused, verdicts, accepted)


def _answers(
    con: duckdb.DuckDBPyConnection, settings: Settings, feed: str, profile: Any, hashes: dict[str, str]
) -> dict[tuple[str, str], Acceptance]:
    """By gate and delivery of a chunk: the acceptance of exactly this content, where it is no worse than what was accepted."""
    shares = dict(zip(profile["delivery"], profile["bad_share"], strict=True))
    return {
        (a.gate, a.delivery): a
        for a in acceptance.in_force(con, settings.today())
        if a.subject == feed
        and a.content_hash is not None
        and hashes.get(a.delivery) == a.content_hash
        and (a.gate != ROW_RULES or a.figure is None or shares[a.delivery] <= a.figure + 1e-9)
    }


def _refused_by(con: duckdb.DuckDBPyConnection, delivery: str) -> str:
    row = con.execute("select gate from ops.deliveries where delivery = ? and status = 'refused'", [delivery]).fetchone()
    return row[0] if row and row[0] else ROW_RULES


def bytes_of_run(con: duckdb.DuckDBPyConnection, run_id: str) -> tuple[int, int]:
    """About how many bytes of text the run has loaded, and how many it has to load altogether, all feeds."""
    rows = con.execute(
        "select file, bytes, status <> 'pending' from ops.deliveries "
        "where status = 'pending' or run_id = $1 and status in ('accepted', 'repeated', 'refused')",
        [run_id],
    ).fetchall()
    sizes = [(readers.text_bytes(file, size), done) for file, size, done in rows]
    return sum(size for size, done in sizes if done), sum(size for size, _ in sizes)


def _loaded(con: duckdb.DuckDBPyConnection, feed: str, run_id: str, verdicts: list[Verdict]) -> Loaded:
    """The report of a load, from the ledger."""
    row = con.execute(
        "select count(*) filter (where status = 'accepted'), count(*) filter (where status = 'refused'), "
        "coalesce(sum(rows_read), 0), coalesce(sum(rows_accepted), 0), coalesce(sum(rows_quarantined), 0) "
        "from ops.deliveries where feed = ? and run_id = ? and status in ('accepted', 'refused')",
        [feed, run_id],
    ).fetchone()
    assert row is not None
    return Loaded(feed, *map(int, row), verdicts=verdicts)


def _wake_repeats(con: duckdb.DuckDBPyConnection, feed: str) -> None:
    """A delivery that repeated another one holds its content alone once the other one comes with new content."""
    con.execute(
        "with coming as (select delivery from ops.deliveries where feed = $1 and status = 'pending') "
        "update ops.deliveries set status = 'pending', reason = null where feed = $1 and status = 'repeated' "
        "and content_hash in (select content_hash from ops.deliveries where feed = $1 and status = 'accepted' "
        "and delivery in (from coming)) and delivery not in (from coming)",
        [feed],
    )


def _pending(con: duckdb.DuckDBPyConnection, settings: Settings, feed: str) -> list[tuple[LandingFile, str | None]]:
    """Pending deliveries with what is already known to be wrong with them.

    A run that died may have taken one whose file was overwritten since: it is loaded as it is now, so it is noted so.
    """
    files = {file.delivery: file for source in settings.config.sources_of({feed}) for file in readers.discover(settings, source)}
    rows = con.execute(
        "select delivery, delivery_day, file, reason, bytes, mtime_ns from ops.deliveries where feed = ? and status = 'pending' "
        "order by delivery_day, file",
        [feed],
    ).fetchall()
    pending: list[tuple[LandingFile, str | None]] = []
    for delivery, day, relative, reason, size, mtime in rows:
        if delivery in files:
            stat = files[delivery].path.stat()
            if (stat.st_size, stat.st_mtime_ns) != (size, mtime):
                content_hash, reason = _content(files[delivery])
                con.execute(
                    "update ops.deliveries set bytes = ?, mtime_ns = ?, content_hash = ?, reason = ? "
                    "where delivery = ? and status = 'pending'",
                    [stat.st_size, stat.st_mtime_ns, content_hash, reason, delivery],
                )
            # Where its name does not say it, a file's day is that of its taking, however often it is touched later.
            pending.append((replace(files[delivery], delivery_day=day), reason))
        else:
            con.execute(
                "update ops.deliveries set status = 'vanished', reason = ? where delivery = ? and status = 'pending'",
                [f"{relative}: is no longer in the landing folder or no longer matches cx.toml", delivery],
            )
    return pending


def _raw_columns(contract: Contract) -> list[str]:
    return [*(column.name for column in contract.properties), *key_columns(contract), *LINEAGE_COLUMNS]


def _make_incoming(con: duckdb.DuckDBPyConnection, contract: Contract) -> None:
    columns = [f"{ident(column.name)} {raw_type(column)}" for column in contract.properties]
    columns += [f"{ident(name)} VARCHAR" for name in key_columns(contract)]
    columns += [f"{ident(name)} {kind}" for name, kind in LINEAGE_COLUMNS.items()]
    columns += ["_reasons varchar[]", "_raw_text varchar"]
    con.execute(f"create or replace temp table incoming ({', '.join(columns)})")


def _missing_columns(contract: Contract, source: FeedSource, header: tuple[str, ...] | None) -> str | None:
    """What a header lacks for the contract, as a sentence; None where it is complete. NDJSON has no header."""
    if header is None:
        return None
    for name, mapped in source.columns.items():
        if isinstance(mapped, str) and mapped not in header:
            return (
                f"column {mapped!r} (for {name}) is not in the header {list(header)}. "
                "If the export renamed it, change [feed.columns] in cx.toml."
            )
    for column in contract.properties:
        if column.required and not {column.name} & {*header, *source.columns, *source.constants}:
            return (
                f"nothing provides the required column {column.name!r}; the header is {list(header)}. "
                "Map it under [feed.columns] or set it under [feed.constants] in cx.toml."
            )
    return None


def text_expression(source: FeedSource, name: str, header: tuple[str, ...] | None) -> str | None:
    """SQL for the trimmed text of a canonical column, NULL where missing; None where the source does not have it."""
    mapped = source.columns.get(name, name if header is None or name in header else None)
    if name in source.constants and name not in source.columns:
        return literal(str(source.constants[name]))
    if mapped is None:
        return None
    if isinstance(mapped, Expression):
        text = f"cast(({mapped.expr}) as varchar)"
    elif header is None:
        text = readers.json_text(mapped)
    else:
        text = ident(mapped)
    missing = ", ".join(literal(word) for word in dict.fromkeys((*source.missing, "")))
    return f"case when trim({text}) not in ({missing}) then trim({text}) end"


def _read_group(
    con: duckdb.DuckDBPyConnection,
    settings: Settings,
    contract: Contract,
    files: list[tuple[LandingFile, FileFacts]],
    scratch: Path,
    rejects: dict[str, list[Reject]],
    problems: dict[str, str],
) -> None:
    """Read the files of one source and header, type their rows, and add them to `incoming`."""
    source, header = files[0][0].source, files[0][1].header
    rows = readers.read(con, files, scratch, "incoming_text")
    by_path = {file.path: file for file, _ in files}
    rejects |= {by_path[path].delivery: found for path, found in rows.rejects.items()}
    problems |= {by_path[path].delivery: reason for path, reason in rows.refused.items()}
    con.execute(
        "create or replace temp table incoming_files as select unnest($1) as _path, unnest($2) as _delivery, "
        "cast(unnest($3) as date) as _delivery_day, unnest($4) as _file, unnest($5) as _content_hash",
        [
            [str(file.path) for file, _ in files],
            [file.delivery for file, _ in files],
            [file.delivery_day for file, _ in files],
            [file.relative for file, _ in files],
            [known.content_hash for _, known in files],
        ],
    )
    business = settings.config.business
    dialect = Dialect(source.timezone or business.timezone, source.datetime_format, source.decimal)
    texts, casts = [], []
    for column in contract.properties:
        text = text_expression(source, column.name, header) or "cast(null as varchar)"
        texts.append(f"{text} as {ident('_text_' + column.name)}")
        typed = cast(column, ident("_text_" + column.name), dialect)
        casts.append(f"{typed} as {ident(column.name)}")
        if column.logicalType != "string":
            casts.append(ident("_text_" + column.name))
    reasons = reasons_expression(contract, dialect, {"reporting_currency": business.reporting_currency})
    names = ", ".join([ident(column.name) for column in contract.properties] + list(key_columns(contract).values()))
    if contract.normalized:
        normalise.register(con)
    raw = "_json" if header is None else "to_json({" + ", ".join(f"{literal(c)}: {ident(c)}" for c in header) + "})"
    extra = delivery_facts.extra_expression(delivery_facts.columns_known(con, settings.config.feed, source), header)
    statement = f"""
        insert into incoming
        with source as (
            select t.*, f._delivery, f._delivery_day, f._file, f._content_hash
            from incoming_text t join incoming_files f using (_path)
        ),
        texts as (
            select {", ".join(texts)}, _delivery, _delivery_day, _file, _line, _content_hash, {extra} as _extra from source
        ),
        typed as (
            select {", ".join(casts)}, _delivery, _delivery_day, _file, _line, _content_hash, _extra from texts
        )
        select
            {names}, {key_expression(contract)} as _key, {version_expression(contract)} as _version,
            {exclusion_expression(contract)} as _exclusion, _delivery, _delivery_day, _file, _line, _content_hash,
            cast(current_timestamp as timestamp) as _ingested_at, _extra,
            {reasons} as _reasons, cast(null as varchar) as _raw_text
        from typed
    """
    try:
        con.execute(statement)
    except (duckdb.BinderException, duckdb.ParserException, duckdb.ConversionException, duckdb.InvalidInputException) as error:
        raise _wrong_setting(con, settings, source) or error from None
    con.execute(f"""
        update incoming set _raw_text = b.raw_text
        from (
            select f._delivery, t._line, cast({raw} as varchar) as raw_text
            from incoming_text t join incoming_files f using (_path)
            where (f._delivery, t._line) in (select (_delivery, _line) from incoming where _reasons is not null)
        ) b
        where incoming._delivery = b._delivery and incoming._line = b._line and incoming._reasons is not null
    """)
    con.execute("drop table incoming_text")
    con.execute("drop table incoming_files")


def _wrong_setting(con: duckdb.DuckDBPyConnection, settings: Settings, source: FeedSource) -> ConfigError | None:
    """Which expression or format of cx.toml DuckDB cannot compute over `incoming_text`."""
    written = {f"columns.{name}": f"({mapped.expr})" for name, mapped in source.columns.items() if isinstance(mapped, Expression)}
    if source.datetime_format:
        written["datetime_format"] = f"try_strptime('', {literal(source.datetime_format)})"
    for place, sql in written.items():
        try:
            con.execute(f"select max({sql}) from (select t.*, f._file from incoming_text t join incoming_files f using (_path))")
        except duckdb.Error as error:
            return ConfigError(
                f"{settings.config_path}: feed '{source.feed}' ({source.pattern}): {place}: {error} "
                "Write SQL that holds for every row, for example with try_cast."
            )
    return None


def _repeats_by_day(con: duckdb.DuckDBPyConnection, settings: Settings, contract: Contract) -> bool | None:
    """Whether a delivery can only repeat one of its own day; None where no delivery of the feed ever repeats another one.

    A snapshot that equals yesterday's is news (nothing changed), not a repeat. Nor is a delta of another day: between the
    two its keys may have changed, and come back. But where keys are made of the file's name, loading it would count every
    row twice.
    """
    if _is_delivered_as(con, contract.id, "snapshot"):
        return None
    keyed_by_file = any(
        isinstance(mapped := source.columns.get(name), Expression) and ("_file" in mapped.expr or "_line" in mapped.expr)
        for source in settings.config.sources_of({contract.id})
        for name in contract.key
    )
    return _is_delivered_as(con, contract.id, "delta") and not keyed_by_file


def _repeats(
    con: duckdb.DuckDBPyConnection,
    feed: str,
    content: dict[str, str],
    days: dict[str, date],
    by_day: bool | None,
    refused: set[str],
) -> tuple[dict[str, str], set[str]]:
    """Deliveries whose content stands under another name, with that name; and those of a chunk that repeat a refused one.

    Of several names of a content the first stands, by day and name and not by when they were taken: a rebuild takes them
    in another order. So this names loaded deliveries, too, where one comes that is before them. What a delivery holds
    whose file was overwritten with content that was refused stands before all: nobody can read that file again.

    Args:
        con: connection to the warehouse.
        feed: whose deliveries.
        content: hash of the content by delivery, of a chunk's files that have rows.
        days: delivery days of the chunk's files.
        by_day: as `_repeats_by_day` says.
        refused: deliveries of the chunk that are refused.
    """
    if by_day is None:
        return {}, set()
    # What is pending is about to hold other content, unless it is refused.
    judged = con.execute(
        "with d as (from ops.deliveries where feed = $1) "
        "select content_hash, delivery_day, delivery, status, "
        "delivery in (select delivery from d where status = 'refused') or delivery in (select cast(unnest($2) as varchar)) "
        "from d where (status = 'accepted' and rows_read > 0 or status in ('refused', 'repeated')) and delivery not in "
        "(select delivery from d where status = 'pending' and delivery not in (select cast(unnest($2) as varchar))) "
        "order by delivery",
        [feed, sorted(refused)],
    ).fetchall()
    names: dict[tuple[str, date | None], list[tuple[int, date, str]]] = defaultdict(list)
    before: dict[tuple[str, date | None], str] = {}
    for digest, day, delivery, status, is_held in judged:
        same = (digest, day if by_day else None)
        if status == "refused":
            before.setdefault(same, delivery)
        elif delivery not in content:
            names[same].append((0 if is_held and status == "accepted" else 1, day, delivery))
    repeats: dict[str, str] = {}
    refused_before: set[str] = set()
    for delivery, digest in content.items():
        same = (digest, days[delivery] if by_day else None)
        if same in before and same not in names:
            repeats[delivery] = before[same]
            refused_before.add(delivery)
        else:
            names[same].append((1, days[delivery], delivery))
    for found in names.values():
        first = min(found)[2]
        repeats |= {delivery: first for *_, delivery in found if delivery != first}
    return repeats, refused_before


def _is_delivered_as(con: duckdb.DuckDBPyConnection, feed: str, kind: str) -> bool:
    return con.execute("from ops.feeds where feed = ? and delivery = ?", [feed, kind]).fetchone() is not None


def _profile(
    con: duckdb.DuckDBPyConnection,
    contract: Contract,
    files: list[LandingFile],
    rejects: dict[str, list[Reject]],
    problems: dict[str, str],
    repeats: dict[str, str],
) -> Any:
    """One row per delivery of a chunk, as `data_quality.suites.delivery` describes it but for volumes (a pandas DataFrame)."""
    import pandas as pd

    counts = {
        delivery: (rows, bad)
        for delivery, rows, bad in con.execute(
            "select _delivery, count(*), count(_reasons) from incoming group by _delivery"
        ).fetchall()
    }
    profile = pd.DataFrame(
        {
            "feed": contract.id,
            "delivery": [file.delivery for file in files],
            "day": [file.delivery_day for file in files],
            "problem": [problems.get(file.delivery, "") for file in files],
            "problems": [int(file.delivery in problems) for file in files],
            "rows_read": [counts.get(file.delivery, (0, 0))[0] + len(rejects.get(file.delivery, [])) for file in files],
            "rows_bad": [counts.get(file.delivery, (0, 0))[1] + len(rejects.get(file.delivery, [])) for file in files],
            "repeats": [int(file.delivery in repeats) for file in files],
        }
    )
    profile["bad_share"] = (profile["rows_bad"] / profile["rows_read"].where(profile["rows_read"] > 0)).fillna(0.0)
    # A single bad row never refuses a small file: quarantine exists for it.
    profile["bad_limit"] = contract.limits.quarantineShare
    profile.loc[profile["rows_bad"] <= 1, "bad_limit"] = 1.0
    return profile


def _with_volume(con: duckdb.DuckDBPyConnection, contract: Contract, profile: Any, refused: set[str]) -> Any:
    """The profile of loaded deliveries with the volume of each one's day, and what is usual for it.

    A day's volume is what stands accepted for it, so it does not matter in which run or order its deliveries came.
    """
    low, high = contract.limits.volumeRatio
    closed = delivery_facts.holidays(con)
    days = con.execute(
        """
        with volumes as (
            select delivery_day as day, sum(rows_read) as n from ops.deliveries
            where feed = $1 and status = 'accepted' and delivery_day not in (select unnest($3)) group by 1
        )
        -- the last 8 same weekdays before each day; fewer than 4 say nothing
        select d.day, any_value(v.n), median(h.n), count(h.n)
        from (select unnest(cast($2 as date[])) as day) d
        left join volumes v using (day)
        left join lateral (
            select n from volumes where day < d.day and isodow(day) = isodow(d.day) order by day desc limit 8
        ) h on true
        group by d.day
        """,
        [contract.id, sorted(set(profile["day"])), closed],
    ).fetchall()
    by_day = {
        day: (float(n or 0), usual if known >= 4 and usual > 0 and day not in closed else None) for day, n, usual, known in days
    }
    # A refused delivery is told by that; of its rows none counts.
    usual = [None if row.delivery in refused else by_day[row.day][1] for row in profile.itertuples()]
    # Outside the ratio, and further off than chance moves a small count: 4 standard deviations of a Poisson count.
    return profile.assign(
        volume=[by_day[day][0] for day in profile["day"]],
        volume_low=[max(0.0, min(low * u, u - 4 * u**0.5)) if u else 0.0 for u in usual],
        volume_high=[max(high * u, u + 4 * u**0.5) if u else 1e15 for u in usual],
    )


def _write(
    con: duckdb.DuckDBPyConnection,
    settings: Settings,
    contract: Contract,
    profile: Any,
    refused_by: dict[str, str],
    rejects: dict[str, list[Reject]],
    repeats: dict[str, str],
    used: list[Acceptance],
    shapes: dict[str, delivery_facts.Shape],
    run_id: str,
) -> None:
    """Everything that loading a chunk changes, in one transaction.

    `repeats` names what each delivery repeats, those of the chunk and those in the ledger, or which refused one it equals;
    `refused_by` the gate that refused a delivery; `used` the acceptances without which more would be refused.
    """
    feed, refused = contract.id, set(refused_by)
    columns = ", ".join(ident(name) for name in _raw_columns(contract))
    accepted = [d for d in profile["delivery"] if d not in refused and d not in repeats]
    repeated = [d for d in profile["delivery"] if d not in refused and d in repeats]
    days = dict(zip(profile["delivery"], profile["day"], strict=True))
    import pandas as pd

    # Staging logs what moves only once it exists: its first build reads everything anyway.
    log_keys = table_exists(con, "staging", f"stg_{feed}")
    with tx(con):
        con.execute("create or replace temp table accepted as select cast(unnest($1) as varchar) as delivery", [accepted])
        outgoing = _outgoing(con, feed, [*accepted, *repeated], {d: o for d, o in repeats.items() if d not in days})
        log = f"insert into ops.changes select distinct 'raw', {literal(feed)}, _key, cast(null as date), %s, null "
        # A snapshot feed shows its newest day only, and which one that is may change: the keys of both count as moved.
        newest = f"from raw.{ident(feed)} where _delivery_day = (select max(_delivery_day) from raw.{ident(feed)})"
        newest_accepted = max(accepted, key=lambda delivery: days[delivery], default=None)
        log_snapshot = log_keys and newest_accepted is not None and _is_delivered_as(con, feed, "snapshot")
        if log_snapshot:
            con.execute((log % "$1") + newest, [newest_accepted])
        if outgoing:
            if log_keys:
                con.execute((log % "_delivery") + f"from raw.{ident(feed)} where _delivery in (select delivery from outgoing)")
            con.execute(f"delete from raw.{ident(feed)} where _delivery in (select delivery from outgoing)")
            con.execute("delete from ops.quarantine where delivery in (select delivery from outgoing)")
        good = "from incoming where _reasons is null and _delivery in (select delivery from accepted)"
        con.execute(f"insert into raw.{ident(feed)} select {columns} {good}")
        if log_keys:
            con.execute((log % "_delivery") + good)
        if log_snapshot:
            con.execute((log % "$1") + newest, [newest_accepted])
        con.execute(
            f"insert into ops.quarantine select {literal(feed)}, _delivery, _delivery_day, _file, _line, _raw_text, _reasons, $1 "
            "from incoming where _reasons is not null and _delivery in (select delivery from accepted)",
            [run_id],
        )
        for delivery in accepted:
            for reject in rejects.get(delivery, []):
                con.execute(
                    "insert into ops.quarantine values (?, ?, ?, ?, ?, ?, ?, ?)",
                    [feed, delivery, days[delivery], delivery.split(":", 1)[1], reject.line, reject.raw_text,
                     [reject.reason], run_id],
                )  # fmt: skip
        outcome = profile[["delivery", "rows_read", "rows_bad", "problem", "bad_share", "bad_limit"]].copy()
        outcome["status"] = [
            "refused" if d in refused else "repeated" if d in repeats else "accepted" for d in outcome["delivery"]
        ]
        outcome["reason"] = [
            row.problem or (
            f"same content as {repeats[row.delivery]}, which was refused" if row.delivery in refused & repeats.keys()
            else f"{row.bad_share:.1%} of its rows are bad, more than {row.bad_limit:.0%}" if row.delivery in refused
            else f"same content as {repeats[row.delivery]}" if row.delivery in repeats else None)
            for row in outcome.itertuples()
        ]  # fmt: skip
        outcome["gate"] = pd.Series([refused_by.get(d) for d in outcome["delivery"]], dtype="object")
        con.register("outcome", outcome)
        con.execute(
            "update ops.deliveries d set status = 'replaced' from outcome o where d.delivery = o.delivery "
            "and (d.status in ('refused', 'repeated') or d.status = 'accepted' and o.status <> 'refused')"
        )
        con.execute(
            "update ops.deliveries d set status = o.status, run_id = $1, reason = o.reason, gate = o.gate, "
            "rows_bad = case when o.status = 'repeated' then 0 else o.rows_bad end, "
            "rows_read = case when o.status = 'repeated' then 0 else o.rows_read end, "
            "rows_quarantined = case when o.status = 'accepted' then o.rows_bad else 0 end, "
            "rows_accepted = case when o.status = 'accepted' then o.rows_read - o.rows_bad else 0 end "
            "from outcome o where d.delivery = o.delivery and d.status = 'pending'",
            [run_id],
        )
        con.unregister("outcome")
        con.execute(
            "update ops.deliveries d set status = 'repeated', reason = 'same content as ' || o.original, rows_read = 0, "
            "rows_accepted = 0, rows_quarantined = 0, rows_bad = 0 from outgoing o "
            "where (d.delivery, d.content_hash) = (o.delivery, o.content_hash) and o.original is not null "
            "and d.status in ('accepted', 'repeated')"
        )
        business = settings.config.business
        parameters = {"reporting_currency": business.reporting_currency}
        delivery_facts.remember(con, contract, business.timezone, parameters, shapes, run_id)
        con.execute("drop table accepted")
        con.execute("drop table outgoing")
        con.execute("delete from ops.loaded where feed = ?", [feed])
        con.execute("insert into ops.loaded values (?, ?)", [feed, reading_fingerprint(settings, feed)])
        acceptance.mark_used(con, used)
        _append_quarantine_file(con, settings, profile, refused, rejects, feed, run_id)


def _outgoing(con: duckdb.DuckDBPyConnection, feed: str, taken: list[str], demoted: dict[str, str]) -> int:
    """How many deliveries lose the rows they have; they are in the temporary table `outgoing`.

    Its columns are delivery, content_hash, original: earlier versions of the deliveries `taken`; and deliveries in the
    ledger that repeat another one, now that it is known, with that one as `original`.
    """
    con.execute(
        "create or replace temp table outgoing as select delivery, content_hash, null as original from ops.deliveries "
        "where feed = $1 and status = 'accepted' and delivery in (select cast(unnest($2) as varchar)) "
        "union all select d.delivery, content_hash, h.original from ops.deliveries d "
        "join (select cast(unnest($3) as varchar) as delivery, cast(unnest($4) as varchar) as original) h using (delivery) "
        "where d.feed = $1 and d.status in ('accepted', 'repeated')",
        [feed, taken, [*demoted], [*demoted.values()]],
    )
    return con.execute("select count(*) from outgoing").fetchone()[0]


def _append_quarantine_file(
    con: duckdb.DuckDBPyConnection,
    settings: Settings,
    profile: Any,
    refused: set[str],
    rejects: dict[str, list[Reject]],
    feed: str,
    run_id: str,
) -> None:
    """A readable copy of a chunk's bad rows and refused files: one NDJSON file a feed and run, by delivery day, file, line.

    Bad rows of a refused delivery are here only: none of its rows is loaded, so none is in `ops.quarantine`.
    """
    rows = con.execute(
        "select delivery, line, raw_text, reasons from ops.quarantine where feed = $1 and run_id = $2 "
        "and delivery in (select cast(unnest($3) as varchar)) "
        "union all select _delivery, _line, _raw_text, _reasons from incoming "
        "where _reasons is not null and _delivery in (select cast(unnest($4) as varchar)) "
        "union all select delivery, null, null, [reason] from ops.deliveries "
        "where feed = $1 and run_id = $2 and status = 'refused' and delivery in (select cast(unnest($4) as varchar))",
        [feed, run_id, profile["delivery"].tolist(), sorted(refused)],
    ).fetchall()
    rows += [(d, reject.line, reject.raw_text, [reject.reason]) for d in sorted(refused) for reject in rejects.get(d, [])]
    if rows:
        place = {delivery: n for n, delivery in enumerate(profile["delivery"])}
        with (settings.quarantine / f"{run_id}.{feed}.ndjson").open("a", encoding="utf-8") as handle:
            for delivery, line, raw_text, reasons in sorted(rows, key=lambda row: (place[row[0]], row[1] or 0)):
                file = delivery.split(":", 1)[1]
                handle.write(json.dumps({"file": file, "line": line, "reasons": reasons, "raw": raw_text}) + "\n")
