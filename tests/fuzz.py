"""Damaged deliveries through the functions a night ingests with: nothing raises, no good row changes, nothing is lost.

`python -m tests.fuzz --deliveries 10000 --seed 1` (or `make fuzz`) writes valid deliveries of four feeds (CSV in UTF-8, cp1252
and UTF-16, NDJSON; some compressed), damages each at the level of bytes, lines, cells, header or file name, and takes and loads
them in batches. What must become of each is worked out here, by a reader of its own that shares no code with either of cxmarts.

Belongs here: the damage and the expectation. Does not: named cases (tests/unit/test_hostile_files.py).
"""

from __future__ import annotations

import argparse
import gzip
import io
import json
import random
import sys
import tempfile
import time
import traceback
import zlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path

from data_quality.contract import load_contracts
from orchestration.lib import ingest
from orchestration.partitions import Window
from tests.landing import Home

CONFIG = """
[[feed]]
feed = 'refunds'
pattern = 'refunds_{day}_*'
format = 'csv'
[[feed]]
feed = 'stock_prices'
pattern = 'stock_{day}_*'
format = 'csv'
delimiter = ';'
encoding = 'cp1252'
decimal = ','
[[feed]]
feed = 'social_mentions'
pattern = 'social_{day}_*'
format = 'csv'
delimiter = "\\t"
encoding = 'utf-16'
[[feed]]
feed = 'referrals'
pattern = 'referrals_{day}_*'
format = 'ndjson'
"""
SHARE = 0.05
"""Share of bad rows up to which a delivery of these feeds is accepted (limits.quarantineShare of their contracts)."""


@dataclass(frozen=True)
class Feed:
    """How a feed's deliveries are written."""

    name: str
    prefix: str
    encoding: str
    delimiter: str | None
    columns: tuple[str, ...]
    required: tuple[str, ...]


FEEDS = (
    Feed("refunds", "refunds", "utf-8", ",", ("refund_id", "order_id", "refunded_at", "amount", "currency", "reason"),
         ("refund_id", "order_id", "refunded_at", "amount", "currency")),
    Feed("stock_prices", "stock", "cp1252", ";", ("symbol", "trading_day", "close", "currency"),
         ("symbol", "trading_day", "close", "currency")),
    Feed("social_mentions", "social", "utf-16", "\t", ("mention_id", "network", "published_at", "sentiment", "language"),
         ("mention_id", "network", "published_at")),
    Feed("referrals", "referrals", "utf-8", None, ("referral_id", "referrer_id", "link_code", "created_at"),
         ("referral_id", "referrer_id", "created_at")),
)  # fmt: skip

TEXTS = [
    "plain",
    "naïve café",
    "=cmd|' /C calc'!A0",
    "'; drop table x; --",
    "a,b;c",
    'said "no"',
    "two\nlines",
    "-",
    "NULL",
    "x" * 300,
]


@dataclass
class Delivery:
    """One delivery: its rows as written and as they must stand in raw, and the file once it is damaged."""

    feed: Feed
    name: str
    data: bytes
    rows: dict[tuple[str, ...], tuple[str | None, ...]]
    """Cells of a good row as written (NDJSON: its line alone) -> the same cells as raw must have them, as text."""
    damage: str = "none"
    link: bool = False
    counts: Counter[str] = field(default_factory=Counter)


def _row(rng: random.Random, feed: Feed, key: str) -> tuple[list[str], list[str | None]]:
    """Cells as an export writes them, and as raw has them."""
    at = datetime(2026, 1, 1) + timedelta(seconds=rng.randrange(360 * 86400))
    text = rng.choice(TEXTS)
    cents = rng.randrange(1, 10_000_000)
    amount = f"{cents // 100}.{cents % 100:02d}"
    match feed.name:
        case "refunds":
            return [key, "o" + key, f"{at}", amount, "EUR", text], [key, "o" + key, f"{at}", amount + "00", "EUR", text]
        case "stock_prices":
            return [key, f"{at:%Y-%m-%d}", amount.replace(".", ","), "EUR"], [key, f"{at:%Y-%m-%d}", amount + "00", "EUR"]
        case "social_mentions":
            word = rng.choice(["positive", "neutral", "negative", ""])
            return [key, "net", f"{at.isoformat()}Z", word, text], [key, "net", f"{at}", word or None, text]
        case _:
            return [key, "p" + key, text, f"{at}"], [key, "p" + key, text, f"{at}"]


def _cell(rng: random.Random, text: str, delimiter: str) -> str:
    if any(c in text for c in (delimiter, '"', "\n", "\r")) or rng.random() < 0.1:
        return '"' + text.replace('"', '""') + '"'
    return text


def make(rng: random.Random, number: int) -> Delivery:
    """A valid delivery, damaged once or twice (one in ten not at all)."""
    feed = rng.choice(FEEDS)
    cells: list[list[str]] = []
    rows: dict[tuple[str, ...], tuple[str | None, ...]] = {}
    end = rng.choice(["\n", "\n", "\r\n"])
    lines = []
    simple = rng.random() < 0.5  # without any quote, so that the fast reader keeps it
    for n in range(rng.randint(1, 50)):
        written, loaded = _row(rng, feed, f"d{number}r{n}")
        if simple:
            written, loaded = ([c if c is None or c not in TEXTS else "plain" for c in part] for part in (written, loaded))  # type: ignore[assignment]
        cells.append(written)
        if feed.delimiter is None:
            line = json.dumps(dict(zip(feed.columns, written, strict=True)), ensure_ascii=rng.random() < 0.5)
            rows[line,] = tuple(loaded)
            lines.append(line)
        else:
            rows[tuple(written)] = tuple(loaded)
            lines.append(feed.delimiter.join(_cell(rng, c, feed.delimiter) for c in written))
    if feed.delimiter is not None:
        lines.insert(0, feed.delimiter.join(feed.columns))
    day = datetime(2026, 1, 1) + timedelta(days=rng.randrange(360))
    kind = "ndjson" if feed.delimiter is None else "csv"
    tail, packed = f".{kind}", rng.random() < 0.2
    delivery = Delivery(feed, f"{feed.prefix}_{day:%Y-%m-%d}_{number}", b"", rows)
    if rng.random() < 0.9:
        for _ in range(rng.choice([1, 1, 1, 2])):
            level = rng.choice(list(LEVELS))
            done: Callable[..., list[str]] = rng.choice(LEVELS[level])
            lines = done(rng, delivery, lines)
            delivery.damage = level if delivery.damage in ("none", level) else "several"
    try:
        data = (end.join(lines) + rng.choice([end, end, ""])).encode(feed.encoding)
    except UnicodeEncodeError:
        data = end.join(lines).encode("utf-8")
    if feed.encoding == "utf-8" and rng.random() < 0.1:
        data = b"\xef\xbb\xbf" + data
    for change in ("_text", "_packed"):
        if change == "_packed" and packed:
            data, tail = gzip.compress(data, 1), tail + ".gz"
        if delivery.counts.pop(change, 0):
            data = _bytes(rng, data)
    delivery.data, delivery.name = data, delivery.name + tail
    if delivery.counts.pop("_unfinished", 0):
        delivery.name += ".part"
    return delivery


def _bytes(rng: random.Random, data: bytes) -> bytes:
    """One damage to bytes: flips, cuts, insertions, another encoding, a file of nothing."""
    if not data:
        return data
    at = rng.randrange(len(data))
    match rng.randrange(9):
        case 0:
            return data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1 :]
        case 1:
            return data[:at]
        case 2:
            return data[:at] + data[at + rng.randrange(1, 40) :]
        case 3:
            return data[:at] + rng.randbytes(rng.randint(1, 6)) + data[at:]
        case 4:
            return data[:at] + bytes(rng.choice([1, 2, 512])) + data[at:]
        case 5:
            return data + bytes(rng.choice([1, 512, 4096]))
        case 6:
            return b""
        case 7:
            try:
                return data.decode("utf-8").encode(rng.choice(["cp1252", "utf-16", "utf-16-be", "utf-32"]))
            except UnicodeError:
                return data
        case _:
            return data[:at] + rng.choice([b'"', b"\0", b"\n", b"\r", b",", b";", b"\t", b"\\", b" ", b"\xff", b"{"]) + data[at:]


def _damage_text(rng: random.Random, delivery: Delivery, lines: list[str]) -> list[str]:
    delivery.counts["_text"] = 1
    return lines


def _damage_packed(rng: random.Random, delivery: Delivery, lines: list[str]) -> list[str]:
    delivery.counts["_packed"] = 1
    return lines


def _damage_lines(rng: random.Random, delivery: Delivery, lines: list[str]) -> list[str]:
    lines, at = list(lines), rng.randrange(len(lines))
    match rng.randrange(6):
        case 0:
            lines.insert(at, lines[at])
        case 1:
            del lines[at]
        case 2:
            lines.insert(at, rng.choice(["", "", " ", "\x0c", "Total", ";;;;", ",,,,,", "[" * 50_000, "null", "{}"]))
        case 3:
            other = rng.randrange(len(lines))
            lines[at], lines[other] = lines[other], lines[at]
        case 4:
            lines[at] = lines[at][: rng.randrange(len(lines[at]) + 1)]
        case _:
            lines[at : at + 2] = ["".join(lines[at : at + 2])]
    return lines or [""]


def _damage_cells(rng: random.Random, delivery: Delivery, lines: list[str]) -> list[str]:
    lines, at = list(lines), rng.randrange(len(lines))
    line = lines[at]
    where = rng.randrange(len(line) + 1)
    new = rng.choice(
        ['"', '""', "\0", "\n", "\r", ",", ";", "\t", "\\", "'", " ", "€", "🙂", "\u2028", "\ufeff", "=1+1", "1e400"]
    )
    new = rng.choice([new, new, "9" * 50, "NaN", "y" * 100_000, "2025-02-29", "\\u0000", "\\ud800", ' "', '" '])
    lines[at] = line[:where] + new + line[where:]
    return lines


def _damage_header(rng: random.Random, delivery: Delivery, lines: list[str]) -> list[str]:
    delimiter = delivery.feed.delimiter
    if delimiter is None:
        return _damage_cells(rng, delivery, lines)
    names = lines[0].split(delimiter)
    one, two = rng.randrange(len(names)), rng.randrange(len(names))
    match rng.randrange(7):
        case 0:
            names[one], names[two] = names[two], names[one]
        case 1:
            names.append(names[one])
        case 2:
            del names[one]
        case 3:
            names[one] = rng.choice(
                ["", "_line", names[one].upper(), names[one] + " ", '"a\nb"', "x'; drop table y", "=1+1", "é"]
            )
        case 4:
            return [lines[0], *lines]
        case 5:
            return lines[1:] or [""]
        case _:
            names.append("more")
    return [delimiter.join(names), *lines[1:]]


def _damage_name(rng: random.Random, delivery: Delivery, lines: list[str]) -> list[str]:
    match rng.randrange(4):
        case 0:
            delivery.name += rng.choice(
                ["'", '"', ";", "..", "\n", " ", "%s", "{a,b}", "[x]", "*", "?", "\\", "é🙂", "=1+1", "$(x)"]
            )
        case 1:
            prefix, _, rest = delivery.name.split("_", 2)
            delivery.name = f"{prefix}_2025-02-29_{rest}"
        case 2:
            delivery.counts["_unfinished"] = 1
        case _:
            delivery.link = True
    return lines


LEVELS: dict[str, list[Callable[..., list[str]]]] = {
    "bytes": [_damage_text, _damage_text, _damage_packed],
    "lines": [_damage_lines],
    "cells": [_damage_cells],
    "header": [_damage_header],
    "name": [_damage_name],
}


class Broken(Exception):
    """The file cannot be read by its rules: it must be refused."""


def decode(delivery: Delivery) -> str:
    """Text of a damaged file by the encoding of its feed.

    Raises:
        Broken: it has none.
    """
    data = delivery.data
    try:
        if delivery.name.endswith(".gz"):
            data = gzip.decompress(data)
            if not delivery.data:
                raise Broken("empty .gz")
        return data.decode("utf-8-sig" if delivery.feed.encoding == "utf-8" else delivery.feed.encoding)
    except (OSError, EOFError, zlib.error, UnicodeError) as error:
        raise Broken(str(error)) from None


def records(text: str, delimiter: str) -> list[tuple[int, list[str]]]:
    """Records of CSV with the line each starts on, character by character; blank lines are none.

    Raises:
        Broken: a quote is not closed, or something stands behind one that is.
    """
    found: list[tuple[int, list[str]]] = []
    cells, cell, line, start, state = [], io.StringIO(), 1, 1, "start"
    at, end = 0, len(text)
    while at <= end:
        char = text[at] if at < end else ""
        pair = char == "\r" and text[at + 1 : at + 2] == "\n"
        if state == "quoted":
            if not char:
                raise Broken(f"line {start}: open quote")
            if char == '"':
                state = "closed"
            else:
                cell.write("\r\n" if pair else char)
                line += char in "\r\n"
        elif char == '"' and state == "closed":
            cell.write('"')
            state = "quoted"
        elif char == '"' and state == "start":
            state = "quoted"
        elif char == delimiter or char in ("", "\r", "\n"):
            if char != delimiter and not cells and state == "start":
                pass  # a blank line, or the end
            else:
                cells.append(cell.getvalue())
                if char != delimiter:
                    found.append((start, cells))
            cell, state = io.StringIO(), "start"
            if char != delimiter:
                cells, line = [], line + 1
                start = line
        elif state == "closed":
            raise Broken(f"line {line}: text behind a quote")
        else:
            cell.write(char)
            state = "text"
        at += 2 if pair else 1
    return found


def _blanks_at_quotes(text: str) -> bool:
    """Blanks around quoted cells are dropped, by a rule that this module does not repeat."""
    return ' "' in text or '" ' in text


@dataclass
class Expected:
    """What must become of a file: lines that must be accounted for, and those that must be loaded, with their cells."""

    lines: set[int] = field(default_factory=set)
    good: dict[int, tuple[str | None, ...]] = field(default_factory=dict)
    must_refuse: bool = False
    may_refuse: bool = False
    exact: bool = True


def expected(delivery: Delivery) -> Expected:
    """The expectation, from the damaged bytes alone and the rows that were good."""
    feed, found = delivery.feed, Expected()
    if "_2025-02-29_" in delivery.name or delivery.link:
        return Expected(must_refuse=True)
    try:
        text = decode(delivery)
        if feed.delimiter is None:
            lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
            table = [(n, [line]) for n, line in enumerate(lines, 1) if line.strip()]
            header: list[str] | None = None
        else:
            if _blanks_at_quotes(text):
                return Expected(exact=False, may_refuse=True)
            table = records(text, feed.delimiter)
            # A blank first line is no header, although a blank line elsewhere is nothing.
            if not table or table[0][0] != 1:
                raise Broken("no header")
            header = [name.strip() for name in table.pop(0)[1]]
    except Broken:
        return Expected(must_refuse=True)
    order = list(feed.columns)
    if header is not None:
        lower = [name.lower() for name in header]
        if len(set(lower)) < len(lower) or "" in lower or not set(feed.required) <= set(header) or "_line" in lower:
            return Expected(must_refuse=True)
    for line, cells in table:
        found.lines.add(line)
        if header is None:
            if (good := delivery.rows.get((cells[0],))) is not None:
                found.good[line] = good
        elif len(cells) == len(header):
            by_name = dict(zip(header, cells, strict=True))
            # Every row was written with its key; so a column that is gone leaves the rest as it was.
            good = delivery.rows.get(tuple(by_name.get(name, "") for name in order))
            if good is not None:
                found.good[line] = good
    bad = len(found.lines) - len(found.good)
    found.may_refuse = bad > 1 and bad / len(found.lines) > SHARE
    return found


def judge(home: Home, delivery: Delivery) -> tuple[str, list[str]]:
    """The outcome of a delivery that was loaded, and everything that is wrong with it."""
    feed, want, wrong = delivery.feed, expected(delivery), []
    ledger = home.rows(
        "select status, rows_read, rows_accepted, rows_quarantined, reason from ops.deliveries "
        "where feed = $1 and file = $2 and status <> 'replaced'", feed.name, delivery.name,
    )  # fmt: skip
    if delivery.name.endswith((".part", ".tmp")):
        return "passed over (unfinished)", [] if not ledger else [f"taken although unfinished: {ledger}"]
    if len(ledger) != 1:
        return "not in the ledger", [f"{len(ledger)} rows in the ledger"]
    status, read, accepted, quarantined, reason = ledger[0]
    columns = ", ".join(f"cast({name} as varchar)" for name in feed.columns)
    raw = home.rows(f"select _line, {columns} from raw.{feed.name} where _file = $1", delivery.name)
    kept = home.rows("select line, reasons from ops.quarantine where feed = $1 and file = $2", feed.name, delivery.name)
    if status == "refused":
        if raw or kept:
            wrong.append(f"refused, but {len(raw)} rows are loaded and {len(kept)} in quarantine")
        if not reason or len(reason) < 10:
            wrong.append(f"refused without a reason: {reason!r}")
        if not (want.must_refuse or want.may_refuse):
            wrong.append(f"refused although {len(want.good)} of {len(want.lines)} rows are good: {reason}")
        return "refused for its bad rows" if "of its rows are bad" in (reason or "") else "refused as a file", wrong
    if status != "accepted":
        return status, [f"{status}: {reason}"]
    if want.must_refuse:
        wrong.append("accepted although it cannot be read by its rules")
    if (read, accepted, quarantined) != (len(raw) + len(kept), len(raw), len(kept)):
        wrong.append(f"ledger {read} = {accepted} + {quarantined}, tables {len(raw)} + {len(kept)}")
    if any(not reasons for _, reasons in kept):
        wrong.append("a row in quarantine without a reason")
    if want.exact and not want.must_refuse:
        there = sorted([line for line, *_ in raw] + [line for line, _ in kept])
        if there != sorted(want.lines):
            wrong.append(f"lines {there[:20]} instead of {sorted(want.lines)[:20]}")
        cells = {line: tuple(values) for line, *values in raw}
        for line, good in want.good.items():
            if cells.get(line) != good:
                wrong.append(f"line {line}: {cells.get(line)} instead of {good}")
    return ("accepted, rows in quarantine" if kept else "accepted whole"), wrong


def run(home: Home, batch: list[Delivery], outside: Path) -> None:
    """Put a batch into the landing folder, and take and load it as a night does."""
    landing = home.home / "landing"
    for delivery in batch:
        path = landing / delivery.name
        if delivery.link:
            target = outside / f"{len(list(outside.iterdir()))}"
            target.write_bytes(delivery.data)
            path.symlink_to(target)
        else:
            path.write_bytes(delivery.data)
    for domain in sorted({load_contracts()[feed.name].domain for feed in FEEDS}):
        ingest.take_deliveries(home.con, home.settings, domain, Window.of_days(date(2025, 1, 1), date(2026, 12, 31)), "run")
    for feed in FEEDS:
        ingest.load_feed(home.con, home.settings, feed.name, "run")


def fuzz(folder: Path, deliveries: int, seed: int, batch_size: int = 200) -> tuple[Counter[tuple[str, str]], list[str]]:
    """Outcomes by level of damage, and every finding (with the number that makes the delivery again)."""
    outcomes: Counter[tuple[str, str]] = Counter()
    findings: list[str] = []
    outside = folder / "outside"
    outside.mkdir()
    for first in range(0, deliveries, batch_size):
        batch = [make(random.Random(f"{seed}:{n}"), n) for n in range(first, min(deliveries, first + batch_size))]
        homes = [batch]
        while homes:
            part = homes.pop()
            path = Path(tempfile.mkdtemp(dir=folder))
            with Home(path, CONFIG).open() as home:
                try:
                    run(home, part, outside)
                except Exception:
                    if len(part) == 1:
                        outcomes[part[0].damage, "TRACEBACK"] += 1
                        findings.append(f"{part[0].name!r} ({part[0].damage}): {traceback.format_exc(limit=-3)}")
                    else:
                        homes += [part[: len(part) // 2], part[len(part) // 2 :]]
                    continue
                for delivery in part:
                    outcome, wrong = judge(home, delivery)
                    outcomes[delivery.damage, outcome] += 1
                    findings += [f"{delivery.name!r} ({delivery.damage}): {one}" for one in wrong]
    return outcomes, findings


def table(outcomes: Counter[tuple[str, str]]) -> str:
    """Outcomes as a Markdown table."""
    across = sorted({outcome for _, outcome in outcomes})
    lines = ["| damage | " + " | ".join(across) + " | all |", "|---" + "|---:" * (len(across) + 1) + "|"]
    for level in [*dict.fromkeys(["none", *LEVELS, "several"]), "all"]:
        figures = [sum(n for (lv, o), n in outcomes.items() if o == outcome and level in (lv, "all")) for outcome in across]
        lines.append(f"| {level} | " + " | ".join(f"{n:,}" for n in figures) + f" | {sum(figures):,} |")
    return "\n".join(lines)


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--deliveries", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    began, cpu = time.monotonic(), time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        outcomes, findings = fuzz(Path(folder), given.deliveries, given.seed)
    print(table(outcomes))
    for finding in findings[:50]:
        print("FOUND", finding)
    print(
        f"{given.deliveries:,} deliveries, seed {given.seed}: {len(findings)} findings, "
        f"{time.monotonic() - began:.0f} s, {time.process_time() - cpu:.0f} CPU s"
    )
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
