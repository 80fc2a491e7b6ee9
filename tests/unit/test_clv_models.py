"""Purchase, spend and retention models: against published figures, 60-digit arithmetic and simulated customers."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from orchestration.lib import clv_models as clv


@pytest.fixture(scope="module")
def cdnow() -> dict[str, np.ndarray]:
    """The published RFM summary of the CDNOW sample: weeks, to 1997-09-30."""
    path = Path(__file__).parents[3] / "shared" / "data" / "cdnow" / "cdnow_customers_summary_with_transactions.csv"
    if not path.is_file():
        pytest.skip(f"no real data at {path}")
    with path.open() as lines:
        rows = list(csv.DictReader(lines))
    return {name: np.array([float(row[name]) for row in rows]) for name in ("x", "t_x", "T", "zbar")}


@pytest.mark.parametrize(
    ("model", "published", "log_likelihood"),
    [
        # Fader, Hardie and Lee (2005), table 2; -9582.43 from the same data.
        ("bg_nbd", (0.243, 4.414, 0.793, 2.426), -9582.43),
        # No likelihood is published for the other two on this scale (Pareto: methods as in Fader and Hardie 2005).
        ("mbg_nbd", (0.525, 6.183, 0.891, 1.614), None),
        ("pareto_nbd", (0.553, 10.578, 0.606, 11.669), -9595.0),
    ],
)
def test_cdnow_gives_the_published_parameters(cdnow, model, published, log_likelihood):
    fit = clv.fit_purchases(model, cdnow["x"], cdnow["t_x"], cdnow["T"])
    assert fit.converged and fit.message == ""
    assert tuple(fit.parameters.values()) == pytest.approx(published, abs=2e-3 if model == "pareto_nbd" else 6e-4)
    if log_likelihood:
        assert fit.log_likelihood == pytest.approx(log_likelihood, abs=0.06 if model == "pareto_nbd" else 0.005)


def test_cdnow_gives_the_published_spend_and_expectation(cdnow):
    spend = clv.fit_spend(cdnow["x"], cdnow["zbar"])
    assert spend.converged
    assert (spend.customers, spend.left_out) == (946, 1411)
    assert tuple(spend.parameters.values()) == pytest.approx((6.25, 3.74, 15.44), abs=0.008)
    bg = clv.fit_purchases("bg_nbd", cdnow["x"], cdnow["t_x"], cdnow["T"])
    # Fader, Hardie and Lee (2005), customer 1 over the next 39 weeks.
    assert clv.expected_purchases("bg_nbd", bg.parameters, 2, 30.43, 38.86, 39) == pytest.approx(1.226, abs=5e-4)
