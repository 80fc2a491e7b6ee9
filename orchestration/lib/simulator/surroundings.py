"""What surrounds the company: what is said of it in public, the price of its shares, and what others reach.

Here belongs: the rows of these feeds, their exports and their marts. Not here: anything that customers did with the company.
"""

from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from orchestration.lib.simulator.company import CURRENCY, Maker
from orchestration.lib.simulator.exports import Cell, Column, Layout
from orchestration.lib.simulator.exports import _money as money
from orchestration.lib.simulator.exports import _zulu as zulu
from orchestration.lib.simulator.subject import Subject, Truth
from orchestration.lib.simulator.truth import UNKNOWN, Books, Rows, ratio


class SocialMention(NamedTuple):
    """Something said in public, one version."""

    mention_id: str
    network: str
    published_at: datetime
    sentiment: str | None
    is_repost: bool | None
    is_referral: bool | None
    language: str | None
    is_spam: bool | None
    updated_at: datetime


class StockPrice(NamedTuple):
    """A closing price, one version; in cents."""

    symbol: str
    trading_day: date
    close: int
    adjusted_close: int | None
    currency: str
    updated_at: datetime


class Benchmark(NamedTuple):
    """A target or a figure of others, one version; the value in hundredths."""

    benchmark_id: str
    metric: str
    kind: str
    industry: str | None
    source: str | None
    value: int
    valid_from: date
    valid_to: date | None
    updated_at: datetime | None


# ---- what happened --------------------------------------------------------------------------------------------------


def make(maker: Maker) -> None:
    """Mentions of every day, prices of weekdays that are no holiday of the exchange, and targets for a quarter each."""
    _make_mentions(maker)
    _make_prices(maker)
    _make_benchmarks(maker)


def _make_mentions(maker: Maker) -> None:
    rng = maker.stream("social media")
    for day in range(maker.days):
        for _ in range(rng.randint(2, 5) + (12 if rng.random() < 0.03 else 0)):
            at = maker.clock.plain(day, rng.randrange(86_400))
            scored = rng.random() < 0.85
            row = SocialMention(
                maker.number("M"), rng.choice(("Instagram", "Reddit", "X", "YouTube")), at,
                rng.choices(("positive", "neutral", "negative"), (4, 4, 3))[0] if scored else None,
                rng.choice((False, False, False, True, None)), rng.random() < 0.1, rng.choice(("nl", "de", "en", None)),
                rng.random() < 0.04, at,
            )  # fmt: skip
            delivered = maker.post("social_mentions", row, day, rng.choice((0,) * 60 + (1, 2)))
            if rng.random() < (0.06 if scored else 0.5) and delivered + 1 < maker.days:
                # Somebody reads it, and corrects or adds the score.
                read_at = maker.clock.plain(delivered + 1, rng.randrange(9 * 3600, 17 * 3600))
                maker.post("social_mentions", row._replace(sentiment="negative", updated_at=read_at), delivered + 1)


def _make_prices(maker: Maker) -> None:
    """One symbol; a split of one into two halves all adjusted prices before it, delivered on its day."""
    rng = maker.stream("stock")
    price, split = 4000, maker.days * 2 // 3
    told: list[tuple[int, StockPrice]] = []
    for day in range(maker.days):
        today = maker.clock.start + timedelta(days=day)
        if today.weekday() >= 5 or rng.random() < 0.03:
            continue
        price = max(100, round(price * rng.gauss(1.0005, 0.015)) // (2 if day == split else 1))
        closed = maker.clock.local(day, 18 * 3600)
        row = StockPrice("CXM", today, price, price if rng.random() < 0.97 else None, CURRENCY, closed)
        maker.post("stock_prices", row, day, 1 if rng.random() < 0.02 else 0)
        if day == split:
            for before, old in told[-10:]:
                if before < split:
                    maker.post("stock_prices", old._replace(adjusted_close=old.close // 2, updated_at=closed), day)
        told.append((day, row))


def _make_benchmarks(maker: Maker) -> None:
    """Targets that follow each other, some corrected; figures of an industry for a year."""
    rng = maker.stream("benchmarks")
    aims = {"containment_rate": 70, "fcr_rate": 75, "cart_abandonment_rate": 65, "contacts_per_order": 40, "social_sentiment": 10}
    for metric, aim in aims.items():
        for day in range(0, maker.days, 30):
            first = maker.clock.start + timedelta(days=day)
            said_at = maker.clock.plain(day, 9 * 3600)
            row = Benchmark(maker.number("B"), metric, "target", None, None, aim + day // 30, first, None, said_at)
            maker.post("benchmarks", row, day)
            if rng.random() < 0.3 and day + 5 < maker.days:
                again = row._replace(value=aim, updated_at=maker.clock.plain(day + 5, 9 * 3600))
                maker.post("benchmarks", again, day + 5)
        year = date(maker.clock.start.year, 1, 1), date(maker.clock.start.year, 12, 31)
        said_at = maker.clock.plain(1, 9 * 3600)
        maker.post(
            "benchmarks", Benchmark(maker.number("B"), metric, "industry", "retail", "yearbook", aim - 5, *year, said_at), 1
        )


# ---- how it is exported ---------------------------------------------------------------------------------------------


def _epoch_ms(value: datetime, _: ZoneInfo) -> Cell:
    return int(value.timestamp()) * 1000


def _boolean(value: bool | None, _: ZoneInfo) -> Cell:
    return value


_FROM_EPOCH = "strftime(make_timestamp(cast(\"posted_ms\" as bigint) * 1000), '%Y-%m-%dT%H:%M:%SZ')"
LAYOUTS = {
    "social_mentions": Layout(
        "context",
        "ndjson",
        "ndjson",
        (
            Column("mention_id", "id"),
            Column("network", "source"),
            Column("published_at", "posted_ms", _epoch_ms, _FROM_EPOCH),
            Column("sentiment", "tone"),
            Column("is_repost", "repost", _boolean),
            Column("is_referral", "recommends", _boolean),
            Column("language", "lang"),
            Column("is_spam", "spam", _boolean),
            Column("updated_at", "updated", zulu),
        ),
    ),
    "benchmarks": Layout(
        "context",
        "csv",
        "csv",
        (
            Column("benchmark_id", "id"),
            *(Column(name, name) for name in ("metric", "kind", "industry", "source")),
            Column("value", "figure", money),
            Column("valid_from", "from"),
            Column("valid_to", "to"),
            Column("updated_at", "updated_at", zulu),
        ),
        expected=None,
    ),
    "stock_prices": Layout(
        "context",
        "csv",
        "csv",
        (
            Column("symbol", "symbol"),
            Column("trading_day", "date"),
            Column("close", "close", money),
            Column("adjusted_close", "adj_close", money),
            Column("currency", "currency"),
            Column("updated_at", "updated_at", zulu),
        ),
        expected=None,
    ),
}


# ---- what is true about it ------------------------------------------------------------------------------------------


def _social_daily(books: Books) -> Rows:
    """A row wherever anything but spam was said, also where all of it recommends the company to somebody."""
    cells: dict[tuple[Any, ...], list[SocialMention]] = defaultdict(list)
    for mention in books.rows["social_mentions"]:
        if not mention.is_spam:
            kind = "repost" if mention.is_repost else "original"
            cells[books.day(mention.published_at), mention.network, kind].append(mention)
    for (day, network, kind), said in cells.items():
        words = [mention.sentiment for mention in said if not mention.is_referral]
        counts = {word: words.count(word) for word in ("positive", "neutral", "negative")}
        net = counts["positive"] - counts["negative"]
        yield {
            "metric_date": day,
            "network": network,
            "kind": kind,
            "mentions": len(words),
            **counts,
            "unscored": words.count(None),
            "net_positive": net,
            "referral_mentions": len(said) - len(words),
            "social_sentiment": ratio(net, len(words)),
            **books.finality(day, 0),
        }


def _stock_daily(books: Books) -> Rows:
    """A row for every calendar day since the symbol's first price."""
    prices: dict[str, dict[date, StockPrice]] = defaultdict(dict)
    for price in books.rows["stock_prices"]:
        prices[price.symbol][price.trading_day] = price
    for symbol, by_day in prices.items():
        for day in books.days_from(min(by_day)):
            price = by_day[max(known for known in by_day if known <= day)]
            yield {
                "metric_date": day,
                "symbol": symbol,
                "currency": price.currency,
                "close": price.close / 100,
                "adjusted_close": None if price.adjusted_close is None else price.adjusted_close / 100,
                "trading_day": price.trading_day,
                "is_carried": price.trading_day != day,
                **books.finality(day, 0),
            }


def _benchmark_targets(books: Books) -> Rows:
    """A row for what holds on at least one day, when one day after the other is asked which row holds on it.

    That is the row that began last, unless the day is after the end it names; of two that began at once the newer
    version, and the later id of two such.
    """
    groups: dict[tuple[Any, ...], list[Benchmark]] = defaultdict(list)
    for row in books.rows["benchmarks"]:
        groups[row.metric, row.kind, row.industry, row.source].append(row)
    for rows in groups.values():
        rows.sort(key=lambda row: (row.valid_from, row.updated_at or datetime.min.replace(tzinfo=UTC), row.benchmark_id))
        for n, row in enumerate(rows):
            later = [other.valid_from for other in rows[n + 1 :]]
            ends = [*later, *([row.valid_to + timedelta(days=1)] if row.valid_to else [])]
            until = min(ends, default=date.max)
            if until > row.valid_from:
                yield {
                    "benchmark_id": row.benchmark_id,
                    "metric": row.metric,
                    "kind": row.kind,
                    "industry": row.industry or UNKNOWN,
                    "source": row.source or UNKNOWN,
                    "value": row.value / 100,
                    "valid_from": row.valid_from,
                    "valid_until": until,
                    "is_in_force": row.valid_from <= books.through < until,
                }


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


SUBJECT = Subject(
    feeds={"social_mentions": SocialMention, "stock_prices": StockPrice, "benchmarks": Benchmark},
    key_width={"stock_prices": 2},
    layouts=LAYOUTS,
    make=make,
    marts={
        "social_daily": Truth(
            ("metric_date", "network", "kind"),
            _words("mentions positive neutral negative unscored net_positive referral_mentions social_sentiment"),
            _social_daily,
        ),
        "benchmark_targets": Truth(
            ("benchmark_id",),
            _words("metric kind industry source value valid_from valid_until is_in_force"),
            _benchmark_targets,
            has_finality=False,
        ),
        "stock_daily": Truth(
            ("metric_date", "symbol"), ("currency", "close", "adjusted_close", "trading_day", "is_carried"), _stock_daily
        ),
    },
)
