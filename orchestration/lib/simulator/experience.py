"""The truth of `experience_value_monthly`: what persons did after they said how their experience was.

Here belongs: counting that one mart from the books. Not here: any feed; it lives off surveys, orders and referrals.
"""

from collections import defaultdict
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Any

from orchestration.lib.simulator import surveys, truth
from orchestration.lib.simulator.subject import Subject, Truth
from orchestration.lib.simulator.truth import Books, Rows

WINDOWS = (90, 180, 365)
LOWEST = ("detractor", "unfavourable")


def _band(answer: surveys.Answer) -> str | None:
    """The band of an answer on the experience; None of any other answer."""
    if answer.exclusion is not None:
        return None
    if answer.row.metric_kind == "nps":
        return "promoter" if answer.score >= 9 else "passive" if answer.score >= 7 else "detractor"
    if answer.row.metric_kind == "overall_experience" and answer.favourable_from is not None:
        return "favourable" if answer.ease >= answer.favourable_from else "unfavourable"
    return None


def _said(books: Books) -> Iterator[tuple[date, str, str, str, str, date]]:
    """Month end, kind, scale, person, band and day of the last answer of each person, month, kind and scale."""
    last: dict[tuple[date, str, str, str], tuple[datetime, str, str]] = {}
    for answer in surveys.answers(books):
        row, person, band = answer.row, books.survivor(answer.row.person_id), _band(answer)
        if person and band:
            month_end = truth.next_month(books.day(row.answered_at)) - timedelta(days=1)
            key, entry = (month_end, row.metric_kind, answer.scale, person), (row.answered_at, row.response_id, band)
            last[key] = max(last.get(key, entry), entry)
    for key, (at, _, band) in last.items():
        yield (*key, band, books.day(at))


def _experience_value_monthly(books: Books) -> Rows:
    """A row wherever somebody answered, once the window is over for the whole month."""
    ordered, paid, shared = (defaultdict(list) for _ in range(3))
    for sale in truth.counted_sales(books):
        if sale.person:
            ordered[sale.person].append(sale.day)
            paid[sale.person].append((sale.day, sale.gross_reporting - sale.discount_reporting))
    for back in books.money_back:
        if back.person:
            paid[back.person].append((back.day, -back.reporting))
    for referral in books.rows["referrals"]:
        referrer, referred = books.survivor(referral.referrer_id), books.survivor(referral.referred_id)
        if referrer != referred:
            shared[referrer].append(books.day(referral.created_at))
    active = truth.inactivity(books).active
    cells: dict[tuple[Any, ...], dict[str, Any]] = defaultdict(lambda: defaultdict(int))
    for month_end, kind, scale, person, band, day in _said(books):
        for window in WINDOWS:
            if month_end + timedelta(days=window) > books.through:
                continue
            last = day + timedelta(days=window)
            cell = cells[month_end, window, kind, scale, band]
            cell["persons"] += 1
            cell["orders"] += sum(day < on <= last for on in ordered[person])
            cell["net"] += sum(amount for on, amount in paid[person] if day < on <= last)
            cell["referrals"] += sum(day < on <= last for on in shared[person])
            is_active = person in active.get(day, set())
            cell["active"] += is_active
            cell["lost"] += is_active and person not in active.get(last, set())
    each = {key: float(cell["net"]) / 100 / cell["persons"] for key, cell in cells.items()}
    for key, cell in cells.items():
        lowest = next((each[*key[:4], band] for band in LOWEST if (*key[:4], band) in each), None)
        yield {
            **dict(zip(("metric_date", "window_days", "metric_kind", "scale_id", "band"), key, strict=True)),
            "persons": cell["persons"],
            "orders": cell["orders"],
            "net_amount": float(cell["net"]) / 100,
            "active_at_answer": cell["active"],
            "lost": cell["lost"],
            "referrals": cell["referrals"],
            "orders_per_person": cell["orders"] / cell["persons"],
            "net_amount_per_person": each[key],
            "churn_rate": truth.ratio(cell["lost"], cell["active"]),
            "referrals_per_person": cell["referrals"] / cell["persons"],
            "net_amount_difference": None if lowest is None else each[key] - lowest,
            **books.finality(key[0], key[1]),
        }


COLUMNS = (
    "persons", "orders", "net_amount", "active_at_answer", "lost", "referrals", "orders_per_person", "net_amount_per_person",
    "churn_rate", "referrals_per_person", "net_amount_difference",
)  # fmt: skip
SUBJECT = Subject(
    feeds={},
    layouts={},
    make=lambda maker: None,
    marts={
        "experience_value_monthly": Truth(
            ("metric_date", "window_days", "metric_kind", "scale_id", "band"), COLUMNS, _experience_value_monthly
        )
    },
)
