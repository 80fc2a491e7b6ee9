"""Survival of contracts, held to a published curve."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

from orchestration.settings import Settings
from tests.company import release_of, run
from tests.frames import read_mart

# Weeks in remission on 6-mercaptopurine (Freireich and others 1963), + where it went on: the curve of every textbook.
REMISSIONS = "6 6 6 6+ 7 9+ 10 10+ 11+ 13 16 17+ 19+ 20+ 22 23 25+ 32+ 32+ 34+ 35+"
PUBLISHED = {
    6: (21, 3, 0.8571, 0.0764), 7: (17, 1, 0.8067, 0.0869), 10: (15, 1, 0.7529, 0.0963), 13: (12, 1, 0.6902, 0.1068),
    16: (11, 1, 0.6275, 0.1141), 22: (7, 1, 0.5378, 0.1282), 23: (6, 1, 0.4482, 0.1346),
}  # fmt: skip


def test_survival_of_a_published_trial(tmp_path: Path) -> None:
    """Each patient a contract that ends within the month, or runs on its last day."""
    end = date(2026, 3, 31)
    lines = ["subscription_id,person_id,plan,started_at,ended_at"]
    for n, word in enumerate(REMISSIONS.split()):
        length = int(word.rstrip("+"))
        start = end - timedelta(days=length - 1 if word.endswith("+") else length + n % 3)
        ended = "" if word.endswith("+") else f"{start + timedelta(days=length)}T00:00:00Z"
        lines.append(f"S{n},P{n},6-MP,{start}T00:00:00Z,{ended}")
    (tmp_path / "landing").mkdir()
    (tmp_path / "landing" / f"trial_{end}.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (tmp_path / "landing" / "cx.toml").write_text(
        '[[feed]]\nfeed = "subscriptions"\npattern = "trial_{day}.csv"\nformat = "csv"\n', encoding="utf-8"
    )
    assert run(tmp_path, "backfill", end) == 0
    assert Settings(tmp_path).current_release.exists()
    curves = read_mart(release_of(tmp_path), "survival")
    curve = curves[(curves["plan"] == "6-MP") & (curves["metric_date"].dt.date == end)]
    assert list(curve["tenure_days"]) == list(range(1, 36))
    steps = curve[curve["ended"] > 0].set_index("tenure_days")
    found = {
        t: (row["at_risk"], row["ended"], round(row["survival"], 4), round(row["standard_error"], 4))
        for t, row in steps.iterrows()
    }
    assert found == PUBLISHED
