"""The inactivity window that a curve suggests, on curves small enough to read by hand."""

from __future__ import annotations

import json
from pathlib import Path

import duckdb
import pytest
from typer.testing import CliRunner

from orchestration.cli import app
from orchestration.lib.churn_window import Step, false_churn
from orchestration.settings import ConfigError, Settings

CURVE = [(10, 170, 40), (50, 130, 30), (365, 100, 0)]
"""170 purchases: 40 followed by another after 10 days and 30 after 50, 100 by none in the 365 days that all of them are watched.

So S is 1 before day 10, 130/170 before day 50, and 100/170 from there on.
"""


def _steps(longest: int = 365) -> list[tuple[int, int, float, float]]:
    """Day, at risk, survival and Greenwood's error of the curve."""
    rows, survival, variance = [], 1.0, 0.0
    for day in range(1, longest + 1):
        at_risk = next(n for until, n, _ in CURVE if day <= until)
        came_back = next((k for on, _, k in CURVE if on == day), 0)
        survival *= 1 - came_back / at_risk
        variance += came_back / (at_risk * (at_risk - came_back))
        rows.append((day, at_risk, survival, survival * variance**0.5))
    return rows


@pytest.fixture
def home(cx_home: Path) -> Path:
    """A release with that curve for all, the first 100 days of it for web, and a sixth of it (too few) for app."""
    folder = cx_home / "releases" / "r1"
    folder.mkdir(parents=True)
    (cx_home / "releases" / "current").symlink_to("r1")
    (cx_home / "landing").mkdir()
    (cx_home / "landing" / "cx.toml").write_text("[business]\nchurn_inactive_days = 9\n", encoding="utf-8")
    with duckdb.connect(str(folder / "cx.duckdb")) as con:
        con.execute(
            "create schema marts; create table marts.repurchase_survival (metric_date date, dimension varchar, segment varchar, "
            "gap_days integer, at_risk bigint, survival double, standard_error double)"
        )
        put = "insert into marts.repurchase_survival values (?, ?, ?, ?, ?, ?, ?)"
        for day, at_risk, survival, error in _steps():
            con.execute(put, ["2025-12-31", "all", "all", day, at_risk, survival, error])
            con.execute(put, ["2025-12-31", "entry_channel", "app", day, at_risk // 6, survival, error])
        for day, at_risk, survival, error in _steps(100):
            con.execute(put, ["2025-12-31", "entry_channel", "web", day, at_risk, survival, error])
        # an older month end, which nobody asks for
        con.execute(put, ["2025-11-30", "all", "all", 1, 50, 1.0, 0.0])
    return cx_home


def _asked(*arguments: str) -> dict[tuple[str, str], dict]:
    found = json.loads(CliRunner().invoke(app, ["suggest", "churn-window", "--json", *arguments]).stdout)
    return found | {(one["dimension"], one["segment"]): one for one in found["segments"]}


def test_the_smallest_window_that_keeps_the_target(home: Path) -> None:
    """Of those silent for 9 days 70 of 170 (41.2 %) come back, for 10 days 30 of 130 (23.1 %), for 50 days nobody."""
    found = _asked("--false-churn", "0.25", "--horizon", "100")
    whole = found["all", "all"]
    assert (found["release"], found["as_of"], found["line"]) == ("r1", "2025-12-31", "churn_inactive_days = 10")
    assert (whole["purchases"], whole["watched_days"], whole["note"]) == (170, 365, "")
    assert (whole["suggested"]["days"], whole["suggested"]["silent"]) == (10, 130)
    assert whole["suggested"]["share"] == pytest.approx(30 / 130, abs=1e-12)
    # S = 100/130, Greenwood 30 / (130 * 100): log S = -0.262364, error of log(-log S) = 0.0480384 / 0.262364 = 0.183098
    assert whole["suggested"]["low"] == pytest.approx(1 - 0.83256, abs=1e-5)
    assert whole["suggested"]["high"] == pytest.approx(1 - 0.68686, abs=1e-5)
    assert (whole["configured"]["days"], whole["configured"]["silent"]) == (9, 170)
    assert whole["configured"]["share"] == pytest.approx(70 / 170, abs=1e-12)
    assert _asked("--false-churn", "0.23", "--horizon", "100")["line"] == "churn_inactive_days = 50"
    assert _asked("--false-churn", "0.42", "--horizon", "100")["line"] == "churn_inactive_days = 1"


def test_the_horizon_begins_when_somebody_counts_as_lost(home: Path) -> None:
    """Within 39 days after 10 of silence nobody comes back, within 40 days 30 of 130 do."""
    assert _asked("--false-churn", "0.2", "--horizon", "39")["line"] == "churn_inactive_days = 10"
    assert _asked("--false-churn", "0.2", "--horizon", "40")["line"] == "churn_inactive_days = 50"


def test_a_history_that_is_too_short_is_said_to_be(home: Path) -> None:
    found = _asked("--false-churn", "0.25", "--horizon", "95")
    web, few = found["entry_channel", "web"], found["entry_channel", "app"]
    # 100 days are watched, so windows of up to 5: silent for 5 days are all 170, of whom 70 come back
    assert web["suggested"] is None and web["configured"] is None
    assert "no window of up to 5 days" in web["note"] and "41.2% come back" in web["note"]
    assert "too short to judge 9 days" in web["note"] and "needs 104" in web["note"]
    # 28 purchases are fewer than 30 from the first day on
    assert few["watched_days"] == 0 and few["suggested"] is None and "too short" in few["note"]
    none = _asked("--horizon", "365")
    assert none["line"] is None and "watched for 365 days of silence" in none["all", "all"]["note"]
    told = CliRunner().invoke(app, ["suggest", "churn-window"])
    assert told.exit_code == 0 and "nothing to write into cx.toml" in told.stdout and "too short" in told.stdout


def test_the_table_says_it_too(home: Path) -> None:
    told = CliRunner().invoke(app, ["suggest", "churn-window", "--horizon", "100"]).stdout
    assert "23.1% (16.7% to 31.3%)" in told and "[business]\nchurn_inactive_days = 10\n" in told


def test_a_curve_that_falls_to_nothing_has_nobody_silent() -> None:
    """Everybody came back on day 2: of one day's silence all, of two days' there is nobody to speak of."""
    curve = [Step(40, 1.0, 0.0), Step(40, 1.0, 0.0), Step(40, 0.0, 0.0)]
    one = false_churn(curve, 1, 1)
    assert one is not None and (one.share, one.low, one.high) == (1.0, None, None)
    assert false_churn(curve, 2, 1) is None


def test_without_a_curve_the_error_says_what_to_do(cx_home: Path) -> None:
    from orchestration.lib.churn_window import suggest

    (cx_home / "landing").mkdir()
    (cx_home / "landing" / "cx.toml").write_text("", encoding="utf-8")
    with pytest.raises(ConfigError, match="run cx nightly or cx backfill first"):
        suggest(Settings(cx_home), 0.25, 365)
    (cx_home / "releases" / "current").mkdir(parents=True)
    with duckdb.connect(str(cx_home / "releases" / "current" / "cx.duckdb")) as con:
        con.execute("create schema marts")
    with pytest.raises(ConfigError, match="configure orders or order_lines"):
        suggest(Settings(cx_home), 0.25, 365)
