"""Purchase, spend and retention models: against published figures, 60-digit arithmetic and simulated customers."""

from __future__ import annotations

import csv
import itertools
from pathlib import Path

import mpmath as mp
import numpy as np
import pytest
from scipy import special

from orchestration.lib import clv_models as clv

BETA_MODELS = ("bg_nbd", "mbg_nbd")
TYPICAL = {
    "bg_nbd": {"r": 0.8, "alpha": 35.0, "a": 0.8, "b": 5.9},
    "mbg_nbd": {"r": 0.9, "alpha": 40.0, "a": 0.9, "b": 2.5},
    "pareto_nbd": {"r": 0.9, "alpha": 40.0, "s": 0.7, "beta": 90.0},
}


# ------------------------------------------------------------------------------------------------------------- simulation


def simulate(model: str, parameters: dict[str, float], customers: int, seed: int, ahead: float = 180.0):
    """x, t_x, T and the purchases in (T, T+ahead], in days and continuous time, of customers who came over two years."""
    rng = np.random.default_rng(seed)
    age = rng.integers(30, 730, customers).astype(float)
    rate = rng.gamma(parameters["r"], 1 / parameters["alpha"], customers)
    if model == "pareto_nbd":
        leaves = rng.exponential(1 / rng.gamma(parameters["s"], 1 / parameters["beta"], customers))
        dropout = np.zeros(customers)
    else:
        leaves = np.full(customers, np.inf)
        dropout = rng.beta(parameters["a"], parameters["b"], customers)
    alive = np.ones(customers, dtype=bool)
    if model == "mbg_nbd":
        alive = rng.random(customers) >= dropout
    frequency, recency, future, clock = (np.zeros(customers) for _ in range(4))
    while alive.any():
        who = np.flatnonzero(alive)
        clock[who] += rng.exponential(1 / rate[who])
        alive[who] = clock[who] <= np.minimum(leaves[who], age[who] + ahead)
        who = who[alive[who]]
        seen = who[clock[who] <= age[who]]
        frequency[seen] += 1
        recency[seen] = clock[seen]
        future[who[clock[who] > age[who]]] += 1
        alive[who] = rng.random(len(who)) >= dropout[who]
    return frequency, recency, age, future


# ------------------------------------------------------------------------------------------- published figures (CDNOW, sBG)


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
    ("model", "published", "within", "log_likelihood"),
    [
        # Fader, Hardie and Lee (2005), table 2: -9582.4; -9582.43 on the same data with more digits.
        ("bg_nbd", (0.243, 4.414, 0.793, 2.426), 6e-4, -9582.43),
        ("mbg_nbd", (0.525, 6.183, 0.891, 1.614), 6e-4, None),
        # The published values are those of an optimiser that stopped a little early.
        ("pareto_nbd", (0.553, 10.578, 0.606, 11.669), 2e-3, -9595.0),
    ],
)
def test_cdnow_gives_the_published_parameters(cdnow, model, published, within, log_likelihood):
    fit = clv.fit_purchases(model, cdnow["x"], cdnow["t_x"], cdnow["T"])
    assert fit.converged and fit.message == "" and fit.customers == 2357
    assert tuple(fit.parameters.values()) == pytest.approx(published, abs=within)
    if log_likelihood is not None:
        assert fit.log_likelihood == pytest.approx(log_likelihood, abs=0.005 if model == "bg_nbd" else 0.05)


def test_cdnow_gives_the_published_spend_and_expectation(cdnow):
    spend = clv.fit_spend(cdnow["x"], cdnow["zbar"])
    assert spend.converged
    assert (spend.customers, spend.left_out) == (946, 1411)
    assert tuple(spend.parameters.values()) == pytest.approx((6.25, 3.74, 15.44), abs=0.008)
    bg = clv.fit_purchases("bg_nbd", cdnow["x"], cdnow["t_x"], cdnow["T"])
    # Fader, Hardie and Lee (2005): the first customer, over the next 39 weeks.
    assert clv.expected_purchases("bg_nbd", bg.parameters, 2, 30.43, 38.86, 39) == pytest.approx(1.226, abs=5e-4)


HIGH_END = [100, 86.9, 74.3, 65.3, 59.3, 55.1, 51.7, 49.1]
REGULAR = [100, 63.1, 46.8, 38.2, 32.6, 28.9, 26.2, 24.1]


@pytest.mark.parametrize(("active", "alpha", "beta"), [(HIGH_END, 0.668, 3.806), (REGULAR, 0.704, 1.182)])
def test_retention_gives_the_published_parameters(active, alpha, beta):
    """Fader and Hardie (2007): years 1 to 7 of two segments of 1,000 customers."""
    fit = clv.fit_retention([10 * share for share in active])
    assert fit.converged and fit.customers == pytest.approx(1000)
    assert (fit.parameters["alpha"], fit.parameters["beta"]) == pytest.approx((alpha, beta), abs=6e-4)
    # By hand: S(1) = beta / (alpha + beta), and S(t) = r(t) S(t-1).
    assert clv.survival(fit.parameters, 1) == pytest.approx(fit.parameters["beta"] / sum(fit.parameters.values()), rel=1e-12)
    rates = clv.retention_rate(fit.parameters, np.arange(1, 13))
    assert clv.survival(fit.parameters, np.arange(13)) == pytest.approx(np.append(1, np.cumprod(rates)), rel=1e-12)


def test_retention_takes_cohorts_of_different_ages_and_single_tenures_alike():
    young = [500, 440, 380]
    both = clv.fit_retention([[10 * share for share in HIGH_END], young])
    tenure = [1, 2, 3, 4, 5, 6, 7, 7, 1, 2, 2]
    churned = [1, 1, 1, 1, 1, 1, 1, 0, 1, 1, 0]
    weights = [131, 126, 90, 60, 42, 34, 26, 491, 60, 60, 380]
    single = clv.fit_tenures(np.repeat(tenure, weights), np.repeat(churned, weights))
    assert both.parameters == pytest.approx(single.parameters, rel=1e-6)
    assert both.customers == pytest.approx(single.customers) and both.converged and single.converged
    # Nobody can be told apart from a customer who is not there: tenure 0, not churned.
    more = clv.fit_tenures([*tenure, 0], [*churned, 0], [*weights, 1000])
    assert more.parameters == pytest.approx(single.parameters, rel=1e-6)


# ----------------------------------------------------------------------------- likelihood, gradient, standard errors, weights


def published_likelihood(model: str, theta, x, t_x, T):
    """The likelihood as the papers print it, in double precision: good where nothing overflows or cancels."""
    r, alpha, third, fourth = theta
    front = special.gammaln(r + x) - special.gammaln(r) + r * np.log(alpha)
    if model == "pareto_nbd":
        s, beta = third, fourth
        assert alpha < beta

        def a0(u):
            z = (beta - alpha) / (beta + u)
            return special.hyp2f1(r + s + x, r + x, r + s + x + 1, z) / (beta + u) ** (r + s + x)

        bracket = (alpha + T) ** -(r + x) * (beta + T) ** -s + s / (r + s + x) * (a0(t_x) - a0(T))
        return front + s * np.log(beta) + np.log(bracket)
    a, b = third, fourth
    ratio = lambda p, q: np.exp(special.betaln(p, q) - special.betaln(a, b))  # noqa: E731
    if model == "bg_nbd":
        dropped = np.where(x > 0, ratio(a + 1, b + np.maximum(x, 1) - 1), 0)
        return front + np.log(ratio(a, b + x) * (alpha + T) ** -(r + x) + dropped * (alpha + t_x) ** -(r + x))
    return front + np.log(ratio(a, b + x + 1) * (alpha + T) ** -(r + x) + ratio(a + 1, b + x) * (alpha + t_x) ** -(r + x))


def published_spend_likelihood(theta, x, m):
    p, q, v = theta
    return (
        special.gammaln(p * x + q) - special.gammaln(p * x) - special.gammaln(q) + q * np.log(v)
        + (p * x - 1) * np.log(m) + p * x * np.log(x) - (p * x + q) * np.log(v + x * m)
    )  # fmt: skip


def published_tenure_likelihood(theta, tenure, churned):
    alpha, beta = theta
    lost = special.betaln(alpha + 1, beta + np.maximum(tenure, 1) - 1)
    return np.where(churned == 1, lost, special.betaln(alpha, beta + tenure)) - special.betaln(alpha, beta)


def gradient_and_information(total, theta, relative=2e-4):
    """Central differences of a function of few parameters, in their logarithms."""
    log_theta = np.log(theta)
    size = len(theta)
    at = lambda shift: total(np.exp(log_theta + shift))  # noqa: E731
    e = relative * np.eye(size)
    gradient = np.array([(at(e[i]) - at(-e[i])) / (2 * relative) for i in range(size)])
    second = np.empty((size, size))
    for i, j in itertools.product(range(size), repeat=2):
        second[i, j] = (at(e[i] + e[j]) - at(e[i] - e[j]) - at(e[j] - e[i]) + at(-e[i] - e[j])) / (4 * relative**2)
    return gradient, -second


@pytest.mark.parametrize("model", clv.PURCHASE_MODELS)
def test_gradient_is_that_of_the_published_likelihood(model):
    rng = np.random.default_rng(5)
    x = np.append(np.zeros(20), rng.integers(1, 25, 60)).astype(float)
    T = rng.uniform(1, 60, 80)
    t_x = np.where(x > 0, T * rng.choice([1e-3, 0.3, 0.8, 1.0], 80), 0.0)
    theta = (0.6, 5.0, 0.9, 8.0)
    likelihood, gradient = clv._terms(model)(clv._Purchases(x, t_x, T), theta)
    assert likelihood == pytest.approx(published_likelihood(model, theta, x, t_x, T), rel=1e-9)
    for i in range(4):
        step = np.where(np.arange(4) == i, 1e-5, 0.0)
        up, down = (published_likelihood(model, theta + sign * step, x, t_x, T) for sign in (1, -1))
        assert gradient[i] == pytest.approx((up - down) / 2e-5, rel=2e-5, abs=2e-6)


def assert_is_the_optimum(fit: clv.Fit, total) -> None:
    """Gradient nought and standard errors the inverse information, both of the published likelihood."""
    theta = np.array(list(fit.parameters.values()))
    gradient, information = gradient_and_information(total, theta)
    covariance = np.linalg.inv(information)
    assert fit.converged
    assert fit.log_likelihood == pytest.approx(total(theta), rel=1e-10)
    assert np.abs(covariance @ gradient) == pytest.approx(0, abs=0.02 * np.sqrt(np.diag(covariance)).min())
    assert list(fit.standard_errors.values()) == pytest.approx(theta * np.sqrt(np.diag(covariance)), rel=0.01)
    assert np.array(fit.covariance) == pytest.approx(covariance * np.outer(theta, theta), rel=0.02, abs=1e-9)


@pytest.mark.parametrize("model", clv.PURCHASE_MODELS)
def test_fit_is_the_optimum_of_the_published_likelihood(model):
    x, t_x, T, _ = simulate(model, TYPICAL[model], 1500, seed=3)
    fit = clv.fit_purchases(model, x, t_x, T)
    assert_is_the_optimum(fit, lambda theta: published_likelihood(model, theta, x, t_x, T).sum())


def test_spend_and_tenure_fits_are_the_optimum_of_the_published_likelihood():
    rng = np.random.default_rng(6)
    x = rng.integers(1, 9, 2000).astype(float)
    m = rng.gamma(5 * x, 1 / rng.gamma(4, 1 / 20, 2000)) / x
    assert_is_the_optimum(clv.fit_spend(x, m), lambda theta: published_spend_likelihood(theta, x, m).sum())
    tenure = rng.geometric(rng.beta(0.8, 2.5, 2000))
    churned, tenure = (tenure <= 6).astype(float), np.minimum(tenure, 6).astype(float)
    fit = clv.fit_tenures(tenure, churned)
    assert_is_the_optimum(fit, lambda theta: published_tenure_likelihood(theta, tenure, churned).sum())


def same_fit(one: clv.Fit, other: clv.Fit) -> None:
    assert one.converged and other.converged
    assert one.customers == pytest.approx(other.customers)
    assert one.log_likelihood == pytest.approx(other.log_likelihood, rel=1e-10)
    for name, value in one.parameters.items():
        assert value == pytest.approx(other.parameters[name], abs=1e-3 * one.standard_errors[name])
        assert one.standard_errors[name] == pytest.approx(other.standard_errors[name], rel=1e-4)


@pytest.mark.parametrize("model", clv.PURCHASE_MODELS)
def test_weights_are_repeated_rows_and_a_start_changes_nothing(model):
    x, t_x, T, _ = simulate(model, TYPICAL[model], 700, seed=4)
    w = np.random.default_rng(1).integers(0, 4, len(x))
    grouped = clv.fit_purchases(model, x, t_x, T, weights=w)
    repeated = clv.fit_purchases(model, np.repeat(x, w), np.repeat(t_x, w), np.repeat(T, w), start=grouped.parameters)
    same_fit(grouped, repeated)
    # Another unit of time moves the scale parameters and nothing else.
    weeks = clv.fit_purchases(model, x, t_x / 7, T / 7, weights=w)
    units = [1, 7, 1, 7 if model == "pareto_nbd" else 1]
    assert [v * u for v, u in zip(weeks.parameters.values(), units, strict=True)] == pytest.approx(
        list(grouped.parameters.values()), rel=1e-4
    )


def test_spend_weights_are_repeated_rows_and_unusable_customers_are_counted():
    rng = np.random.default_rng(8)
    x = rng.integers(0, 6, 3000).astype(float)
    m = rng.gamma(5 * x + 1e-9, 1 / rng.gamma(4, 1 / 20, 3000)) / np.maximum(x, 1)
    m[x == 0] = np.nan
    m[np.flatnonzero(x > 0)[:7]] = (0, -3, 0, -1, 0, 0, -5)
    w = rng.integers(0, 3, len(x))
    grouped = clv.fit_spend(x, m, weights=w)
    same_fit(grouped, clv.fit_spend(np.repeat(x, w), np.repeat(m, w)))
    assert grouped.left_out == w[(x == 0) | (m <= 0)].sum()
    assert grouped.customers + grouped.left_out == w.sum()


# --------------------------------------------------------------------------------------------- scores against 60-digit mpmath


def corners(model: str, number: int, seed: int):
    """Extreme customers with extreme parameters: (parameters, x, t_x, T, t)."""
    rng = np.random.default_rng(seed)
    pick = lambda *values: values[rng.integers(len(values))]  # noqa: E731
    for _ in range(number):
        r, alpha = pick(0.01, 0.24, 0.8, 1.0, 3.3, 50.0, 300.0), pick(0.01, 1.0, 4.4, 37.0, 1000.0, 1e4)
        if model == "pareto_nbd":
            parameters = {"r": r, "alpha": alpha, "s": pick(0.01, 0.3, 0.99, 1.0, 1.0000001, 2.5, 30.0)}
            parameters["beta"] = pick(0.01, 1.0, 4.4, 11.7, 200.0, 1e4)
        else:
            parameters = {
                "r": r,
                "alpha": alpha,
                "a": pick(0.01, 0.3, 0.79, 0.99, 0.999999, 1.0, 1.0000001, 1.02, 2.0, 30.0, 3e4),
            }
            # With a = 0.79 and x = 0 the second gives BG/NBD's a + b - 1 = 0.
            parameters["b"] = pick(0.01, 0.21, 1.0, 2.4, 5.9, 100.0, 1000.0)
        x = float(pick(0, 0, 1, 2, 7, 30, 150, 1000, 3000))
        T = pick(0.0, 0.5, 7.0, 39.0, 200.0, 365.0, 3650.0)
        t_x = 0.0 if x == 0 else T * pick(0.0, 1e-6, 0.1, 0.5, 0.9, 0.999999, 1.0)
        yield parameters, x, t_x, T, pick(0.0, 0.001, 1.0, 30.0, 90.0, 365.0, 1825.0)


def mp_powers(P, Q, alpha, beta, low, high):
    """Integral of (alpha+u)^-P (beta+u)^-Q over [low, high] as Fader and Hardie (2005) write it: two 2F1, two branches."""
    n = P + Q - 1
    if alpha >= beta:
        part = lambda u: mp.hyp2f1(n, Q, n + 1, (alpha - beta) / (alpha + u)) / (alpha + u) ** n  # noqa: E731
    else:
        part = lambda u: mp.hyp2f1(n, P, n + 1, (beta - alpha) / (beta + u)) / (beta + u) ** n  # noqa: E731
    return (part(low) - part(high)) / n


def mp_mean(model, parameters, x, T, t):
    """E[n in (T, T+t] | alive] by the published formulas."""
    r, alpha, third, fourth, x, T, t = (mp.mpf(v) for v in (*parameters.values(), x, T, t))
    tiny = mp.mpf(10) ** -30  # for the removable singularities of the published forms
    if model == "pareto_nbd":
        s, beta = third if third != 1 else third + tiny, fourth
        return (r + x) * (beta + T) / ((alpha + T) * (s - 1)) * (1 - ((beta + T) / (beta + T + t)) ** (s - 1))
    a, b, m = third, fourth, 1 if model == "mbg_nbd" else 0
    if a == 1 or a + b + x - 1 + m == 0:
        a += tiny
    C = a + b + x - 1 + m
    f = mp.hyp2f1(r + x, b + x + m, C, t / (alpha + T + t))
    return C / (a - 1) * (1 - ((alpha + T) / (alpha + T + t)) ** (r + x) * f)


def mp_scores(model, parameters, x, t_x, T, t):
    """(log-likelihood, P(alive), P(purchase in (T, T+t] | alive)) by the published formulas."""
    r, alpha, third, fourth, x, t_x, T, t = (mp.mpf(v) for v in (*parameters.values(), x, t_x, T, t))
    front = mp.loggamma(r + x) - mp.loggamma(r) + r * mp.log(alpha)
    if model == "pareto_nbd":
        s, beta = third, fourth
        stay, left = (alpha + T) ** -(r + x) * (beta + T) ** -s, s * mp_powers(r + x, s + 1, alpha, beta, t_x, T)
        buys = (r + x) * (alpha + T) ** (r + x) * (beta + T) ** s * mp_powers(r + x + 1, s, alpha, beta, T, T + t)
        return front + s * mp.log(beta) + mp.log(stay + left), stay / (stay + left), buys
    a, b, m = third, fourth, 1 if model == "mbg_nbd" else 0
    stay = mp.beta(a, b + x + m) / mp.beta(a, b) * (alpha + T) ** -(r + x)
    left = mp.beta(a + 1, b + x - 1 + m) / mp.beta(a, b) * (alpha + t_x) ** -(r + x) if x + m > 0 else 0
    return front + mp.log(stay + left), stay / (stay + left), 1 - ((alpha + T) / (alpha + T + t)) ** (r + x)


def close(got: float, expected, what) -> None:
    if abs(expected) < 1e-290:  # below what a double holds with all its digits
        assert abs(got) < 1e-290, what
    else:
        assert abs(mp.mpf(float(got)) / expected - 1) < 1e-9, (what, float(got), mp.nstr(expected, 17))


@pytest.mark.parametrize(("model", "number"), [("bg_nbd", 330), ("mbg_nbd", 330), ("pareto_nbd", 150)])
def test_scores_of_extreme_customers_equal_high_precision(model, number):
    with mp.workdps(90 if model in BETA_MODELS else 70):
        for corner in corners(model, number, seed=11):
            parameters, x, t_x, T, t = corner
            likelihood, alive, buys = mp_scores(model, *corner)
            mean = mp_mean(model, parameters, x, T, t)
            got = clv.purchase_log_likelihood(model, parameters, x, t_x, T)
            assert abs(float(got) - likelihood) < 1e-9 * max(1, abs(likelihood)), corner
            close(clv.probability_alive(model, parameters, x, t_x, T), alive, corner)
            close(clv.expected_purchases_if_alive(model, parameters, x, T, t), mean, corner)
            close(clv.probability_of_purchase(model, parameters, x, t_x, T, t), alive * buys, corner)
            close(clv.expected_purchases(model, parameters, x, t_x, T, t), alive * mean, corner)


@pytest.mark.parametrize("model", clv.PURCHASE_MODELS)
def test_discounted_purchases_equal_the_sum_of_discounted_increments(model):
    with mp.workdps(90):
        for parameters, x, _, T, t in corners(model, 12, seed=12):
            length, rate = max(t, 1.0), 0.01
            mean = [mp_mean(model, parameters, x, T, k * length) for k in range(7)]
            expected = sum((mean[k] - mean[k - 1]) / mp.mpf(1 + rate) ** k for k in range(1, 7))
            close(clv.discounted_purchases_if_alive(model, parameters, x, T, 6, length, rate), expected, (parameters, x, T))
    # Without a discount it is the expectation over all periods.
    assert clv.discounted_purchases_if_alive(model, TYPICAL[model], [0, 3], [50, 9], 4, 30, 0) == pytest.approx(
        clv.expected_purchases_if_alive(model, TYPICAL[model], [0, 3], [50, 9], 120), rel=1e-14
    )


def test_spend_and_retention_scores_equal_high_precision():
    with mp.workdps(60):
        for p, q, v, x, m in itertools.product(
            (0.1, 6.25), (1.001, 3.74, 90.0), (0.01, 15.4, 1e6), (0, 1, 3000), (0.01, 35.0, 1e7)
        ):
            mp_p, mp_q, mp_v, mp_x, mp_m = (mp.mpf(value) for value in (p, q, v, x, m))
            # Fader and Hardie (2013): a weighted mean of the population's and the customer's own.
            weight = (mp_q - 1) / (mp_p * mp_x + mp_q - 1)
            expected = weight * mp_p * mp_v / (mp_q - 1) + (1 - weight) * mp_m
            close(clv.expected_spend({"p": p, "q": q, "v": v}, x, m), expected, (p, q, v, x, m))
        for alpha, beta, t in itertools.product((0.01, 0.668, 1e4), (0.01, 3.806, 1e4), (0, 1, 7, 3000)):
            parameters = {"alpha": alpha, "beta": beta}
            expected = mp.beta(mp.mpf(alpha), mp.mpf(beta) + t) / mp.beta(mp.mpf(alpha), mp.mpf(beta))
            close(clv.survival(parameters, t), expected, (alpha, beta, t))
    assert clv.expected_spend({"p": 2, "q": 0.5, "v": 1}, [0, 1], [np.nan, 3]).tolist() == [np.inf, 2 * 4 / 1.5]


def test_scores_do_not_depend_on_the_company_of_a_customer():
    """One row alone, in a block and in another shape: the same figure, and the shape of the arguments."""
    rng = np.random.default_rng(2)
    x = rng.integers(0, 5, (50, 40)).astype(float)
    T = rng.integers(0, 300, (50, 40)).astype(float)
    for model in clv.PURCHASE_MODELS:
        block = clv.expected_purchases_if_alive(model, TYPICAL[model], x, T, 90)
        assert block.shape == (50, 40)
        for i, j in ((0, 0), (17, 3), (49, 39)):
            assert block[i, j] == pytest.approx(
                clv.expected_purchases_if_alive(model, TYPICAL[model], x[i, j], T[i, j], 90), rel=1e-13
            )


# ------------------------------------------------------------------------------------------------- recovery and the forecast


@pytest.mark.parametrize("model", clv.PURCHASE_MODELS)
def test_known_parameters_are_recovered_and_the_next_180_days_lie_in_the_interval(model):
    x, t_x, T, future = simulate(model, TYPICAL[model], 20_000, seed=2026)
    fit = clv.fit_purchases(model, x, t_x, T)
    assert fit.converged
    for name, truth in TYPICAL[model].items():
        assert abs(fit.parameters[name] - truth) < 3 * fit.standard_errors[name], (name, fit)
    forecast = clv.forecast_interval(fit, x, t_x, T, 180)
    assert forecast.lower < future.sum() < forecast.upper
    # Wide enough to be honest, narrow enough to be of use.
    assert 0.005 < (forecast.upper - forecast.lower) / forecast.expected < 0.1
    assert forecast.standard_error**2 == pytest.approx(forecast.parameter_error**2 + forecast.process_error**2)


@pytest.mark.parametrize("model", clv.PURCHASE_MODELS)
def test_where_next_to_nothing_is_expected_the_interval_is_none_or_one_purchase(model):
    """Three who bought once, years ago: a gamma quantile of so little lies below its own mean, and no count is a fraction."""
    fit = clv.fit_purchases(model, *simulate(model, TYPICAL[model], 5_000, seed=1)[:3])
    gone = np.zeros(3), np.zeros(3), np.full(3, 20_000.0)
    forecast = clv.forecast_interval(fit, *gone, 30)
    assert 0 < forecast.expected < 0.02 and (forecast.lower, forecast.upper) == (0, 1)
    ahead = clv.forecast_interval(fit, *gone, 0)
    assert (ahead.expected, ahead.lower, ahead.upper) == (0, 0, 0)


@pytest.mark.parametrize("model", clv.PURCHASE_MODELS)
def test_variance_of_the_next_180_days_is_that_of_simulated_customers(model):
    """Equal customers, told apart only by what they do next: mean and variance of 300,000 of them."""
    rng = np.random.default_rng(7)
    n, x, T, t = 300_000, 3.0, 100.0, 180.0
    r, alpha, third, fourth = TYPICAL[model].values()
    rate = rng.gamma(r + x, 1 / (alpha + T), n)  # the posterior of somebody alive
    count = np.zeros(n)
    if model == "pareto_nbd":
        lives = np.minimum(rng.exponential(1 / rng.gamma(third, 1 / (fourth + T), n)), t)
        count = rng.poisson(rate * lives).astype(float)
    else:
        dropout = rng.beta(third, fourth + x + (model == "mbg_nbd"), n)
        # Of a Poisson number of purchases, those up to the one after which the customer left.
        count = np.minimum(rng.poisson(rate * t), rng.geometric(dropout)).astype(float)
    mean = clv.expected_purchases_if_alive(model, TYPICAL[model], x, T, t)
    assert count.mean() == pytest.approx(mean, abs=4 * count.std() / n**0.5)
    theta = list(TYPICAL[model].values())
    pairs = clv._factorial_moment_if_alive(model, theta, *(np.array([v]) for v in (x, T, t)))[0]
    spread = count * (count - 1)
    assert spread.mean() == pytest.approx(pairs, abs=4 * spread.std() / n**0.5)


# ------------------------------------------------------------------------------------------------------ verdicts and refusals


@pytest.mark.parametrize("model", clv.PURCHASE_MODELS)
def test_customers_who_determine_nothing_do_not_converge(model):
    cases = {
        "a second time": ([0, 0, 0], [0, 0, 0], [10, 20, 30]),
        "no customer": ([], [], []),
        "any time": ([0, 0], [0, 0], [0, 0]),
        "": ([3], [10], [30]),
    }
    for words, (x, t_x, T) in cases.items():
        fit = clv.fit_purchases(model, x, t_x, T)
        assert not fit.converged and fit.message and words in fit.message
        assert all(np.isfinite(value) for value in fit.parameters.values())
        with pytest.raises(ValueError, match="did not converge"):
            clv.forecast_interval(fit, x, t_x, T, 30)
    same = clv.fit_purchases(model, np.full(500, 4), np.full(500, 20.0), np.full(500, 30.0))
    assert not same.converged and same.message


def test_spend_and_tenures_that_determine_nothing_do_not_converge():
    fit = clv.fit_spend([0, 0, 2], [5, np.nan, 0])
    assert not fit.converged and "repeat purchase" in fit.message and fit.left_out == 3
    fit = clv.fit_spend([1, 2, 3, 4], [10, 10, 10, 10])
    assert not fit.converged and fit.message
    assert not clv.fit_spend([2], [10]).converged
    assert "no customer churned" in clv.fit_retention([100, 100, 100]).message
    assert "renewed" in clv.fit_retention([100, 0]).message
    assert "no customer" in clv.fit_tenures([], []).message
    # Everybody equally likely to churn: no mixture to find.
    assert not clv.fit_retention([65536 / 2**k for k in range(9)]).converged


def test_two_optima_are_not_taken_for_one():
    """A made likelihood of two parameters with two hills of different height, each start at the foot of one."""

    def hills(theta):
        u, v = np.log(theta)
        height = -((u * u - 1) ** 2) + 0.1 * u - v * v
        return 1000 * height, 1000 * np.array([-4 * u * (u * u - 1) + 0.1, -2 * v]) / theta

    model = "shifted_beta_geometric"
    apart = clv._maximise(model, hills, [(0.4, 1.1), (2.5, 0.9)], 1000, 1.0)
    assert not apart.converged and "two starts" in apart.message
    # The higher hill is the one kept: 4u(u^2 - 1) = 0.1 near u = 1.
    assert np.log(apart.parameters["alpha"]) == pytest.approx(np.roots([4, 0, -4, -0.1]).max(), rel=1e-6)
    assert clv._maximise(model, hills, [(2.0, 1.1), (2.5, 0.9)], 1000, 1.0).converged
    # A ridge: only the product of the parameters counts.
    ridge = clv._maximise(
        model, lambda theta: (-((np.log(theta).sum()) ** 2), -2 * np.log(theta).sum() / theta), [(2, 2), (3, 1)], 1, 1.0
    )
    assert not ridge.converged and "flat" in ridge.message


GOOD = {"frequency": [1.0, 2.0], "recency": [3.0, 4.0], "age": [5.0, 6.0]}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"recency": [3, 6.5]}, "recency must not exceed age: row 1"),
        ({"recency": [-1, 4]}, "recency must be a number, 0 or more: row 0"),
        ({"frequency": [1, 2.5]}, "whole number, 0 or more: row 1 has frequency 2.5"),
        ({"frequency": [-1, 2]}, "row 0 has frequency -1"),
        ({"frequency": [1, np.nan]}, "row 1 has frequency nan"),
        ({"age": [np.nan, np.inf]}, r"age must be a number, 0 or more: row 0 has age nan \(2 such rows\)"),
        ({"frequency": [0, 2]}, "without a repeat purchase has recency 0: row 0"),
        ({"frequency": [1, 2, 3]}, "of one shape"),
        ({"age": ["a", "b"]}, "must be numbers"),
    ],
)
def test_bad_customers_are_refused_with_the_first_bad_row(change, words):
    customers = GOOD | change
    for call in (clv.fit_purchases, lambda model, **c: clv.probability_alive(model, TYPICAL[model], **c)):
        with pytest.raises(ValueError, match=words):
            call("mbg_nbd", **customers)


def test_bad_parameters_weights_and_models_are_refused():
    for call, words in (
        (lambda: clv.fit_purchases("nbd", **GOOD), "no purchase model 'nbd'"),
        (lambda: clv.fit_purchases("bg_nbd", **GOOD, weights=[1]), "weights must have the shape"),
        (lambda: clv.fit_purchases("bg_nbd", **GOOD, weights=[1, -1]), "weights must be a number, 0 or more: row 1"),
        (lambda: clv.probability_alive("bg_nbd", {"r": 1, "alpha": 1, "a": 0, "b": 1}, **GOOD), "parameter a must be a positive"),
        (lambda: clv.probability_alive("bg_nbd", {"r": 1, "alpha": 1, "a": 1}, **GOOD), "parameter b must be a positive"),
        (lambda: clv.expected_purchases("bg_nbd", TYPICAL["bg_nbd"], **GOOD, horizon=-1), "horizon must be a number, 0 or more"),
        (lambda: clv.discounted_purchases_if_alive("bg_nbd", TYPICAL["bg_nbd"], 1, 5, 0, 30, 0.01), "periods must be"),
        (lambda: clv.fit_spend([1.5], [3]), "whole number"),
        (lambda: clv.fit_spend([1, 2], [3, np.nan]), "row 1 has frequency 2, mean_value nan"),
        (lambda: clv.expected_spend({"p": 1, "q": 2, "v": 3}, [0, 1], [np.nan, -1]), "row 1 has frequency 1, mean_value -1"),
        (lambda: clv.fit_retention([100, 90, 95]), "must not rise: row 1"),
        (lambda: clv.fit_retention([100]), "at least two"),
        (lambda: clv.fit_tenures([1, 0], [0, 1]), "who churned"),
        (lambda: clv.fit_tenures([1, 2], [0, 0.5]), "churned must be 0 or 1: row 1"),
    ):
        with pytest.raises(ValueError, match=words):
            call()
