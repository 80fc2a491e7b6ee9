"""How long somebody must be silent to count as lost: the inactivity window that the gaps between purchases suggest.

Belongs here: reading windows off the curves of `repurchase_survival` in a release. Does not: the curves (dbt), changing
cx.toml, or what became of those who lapsed (`false_churn_daily`).

Of those silent for N days a share 1 - S(N + H) / S(N) comes back within the next H days, S being the estimated share of
purchases without another one within so many days. So the horizon H begins when somebody counts as lost, as the windows of
`false_churn_daily` do: counted from the purchase, any N near H would look right.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from math import exp, log, sqrt

import duckdb

from orchestration.settings import ConfigError, Settings

MART = "repurchase_survival"
MIN_AT_RISK = 30
"""A curve is believed as far as so many purchases were watched: the least number the shares of persons are published for."""
Z = 1.96


@dataclass(frozen=True)
class Step:
    """A curve after a day of silence: who was at risk on it, the estimate, and the sum under the root of its error."""

    at_risk: int
    survival: float
    greenwood: float


@dataclass(frozen=True)
class FalseChurn:
    """What a window of `days` costs: of `silent` purchases that no other followed in them, the share that one follows later.

    `low` and `high` are the 95 % interval by log(-log S), which stays within 0 and 1 (J. D. Kalbfleisch and R. L. Prentice,
    "The Statistical Analysis of Failure Time Data", 1980, section 1.3), of Greenwood's variance over the horizon alone; None
    where the share is 0 or 1. It takes the gaps of one person for independent.
    """

    days: int
    silent: int
    share: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Suggestion:
    """Of a segment: the smallest window that keeps the target, and what the configured one costs; `note` says why one is missing.

    `purchases` were watched for at least a day, and `watched_days` is the longest silence that at least `MIN_AT_RISK` of them
    were watched for.
    """

    dimension: str
    segment: str
    purchases: int
    watched_days: int
    suggested: FalseChurn | None
    configured: FalseChurn | None
    note: str


@dataclass(frozen=True)
class Suggestions:
    """All segments, the whole first; `line` is what to write into `[business]` of cx.toml, None where nothing is suggested."""

    release: str
    as_of: date
    target: float
    horizon_days: int
    configured_days: int
    segments: tuple[Suggestion, ...]
    line: str | None


def suggest(settings: Settings, target: float, horizon: int) -> Suggestions:
    """The windows that the newest month end of the current release suggests.

    Args:
        settings: whose release is read, and whose cx.toml says what is configured.
        target: the largest share of those silent that may come back, 0 to 1.
        horizon: days after the window in which they may.

    Raises:
        ConfigError: there is no release, or no curve in it.
    """
    as_of, curves = _curves(settings)
    configured = settings.config.business.churn_inactive_days
    segments = tuple(_suggestion(*key, curve, target, horizon, configured) for key, curve in curves.items())
    whole = segments[0].suggested
    line = f"churn_inactive_days = {whole.days}" if whole else None
    return Suggestions(settings.current_release.resolve().name, as_of, target, horizon, configured, segments, line)


def false_churn(curve: list[Step], days: int, horizon: int) -> FalseChurn | None:
    """What a window costs by a curve (entry n: after n days, entry 0: at the purchase); None where the curve does not tell."""
    if days + horizon >= len(curve) or curve[days].survival == 0:
        return None
    silent, later = curve[days], curve[days + horizon]
    stays = later.survival / silent.survival
    low = high = None
    if 0 < stays < 1:
        error = sqrt(later.greenwood - silent.greenwood) / -log(stays)
        low, high = (1 - stays ** exp(sign * Z * error) for sign in (-1, 1))
    return FalseChurn(days, curve[days + 1].at_risk, 1 - stays, low, high)


def _suggestion(dimension: str, segment: str, whole: list[Step], target: float, horizon: int, configured_days: int) -> Suggestion:
    curve = [step for step in whole if step.at_risk >= MIN_AT_RISK]  # who is at risk only becomes fewer
    watched = max(len(curve) - 1, 0)
    windows = [found for days in range(1, watched - horizon + 1) if (found := false_churn(curve, days, horizon))]
    suggested = next((found for found in windows if found.share <= target), None)
    configured = false_churn(curve, configured_days, horizon)
    seen, notes = f"{MIN_AT_RISK} purchases were watched for {watched} days of silence", []
    if not windows:
        notes.append(f"the history is too short: {seen}, and a window of one day with a horizon of {horizon} needs {horizon + 1}")
    elif suggested is None:
        last = windows[-1]
        notes.append(
            f"no window of up to {last.days} days, the longest this history can judge, keeps it: of those silent for so long "
            f"{last.share:.1%} come back"
        )
    if windows and configured is None:
        needed = configured_days + horizon
        notes.append(f"the history is too short to judge {configured_days} days: {seen}, and that needs {needed}")
    return Suggestion(dimension, segment, whole[1].at_risk, watched, suggested, configured, "; ".join(notes))


def _curves(settings: Settings) -> tuple[date, dict[tuple[str, str], list[Step]]]:
    """The newest month end of the current release, and by dimension and segment its curve; the whole first."""
    path = settings.current_release / "cx.duckdb"
    if not path.exists():
        raise ConfigError(f"no release at {settings.current_release}: run cx nightly or cx backfill first")
    with duckdb.connect(str(path), read_only=True, config={"enable_external_access": False}) as con:
        query = "select 1 from duckdb_tables() where schema_name = 'marts' and table_name = ?"
        if not con.execute(query, [MART]).fetchone():
            raise ConfigError(f"the release has no {MART}: configure orders or order_lines in cx.toml, and run cx nightly")
        rows = con.execute(
            f"""
            select metric_date, dimension, segment, at_risk, survival, standard_error
            from marts.{MART}
            where metric_date = (select max(metric_date) from marts.{MART})
            order by dimension <> 'all', dimension, segment, gap_days
            """
        ).fetchall()
    if not rows:
        raise ConfigError(
            "the history is too short: no month with a purchase before its last day is complete; there is no curve yet"
        )
    curves: dict[tuple[str, str], list[Step]] = {}
    for _, dimension, segment, at_risk, survival, error in rows:
        curve = curves.setdefault((dimension, segment), [Step(at_risk, 1.0, 0.0)])
        curve.append(Step(at_risk, survival, (error / survival) ** 2 if survival else 0.0))
    return rows[0][0], curves
