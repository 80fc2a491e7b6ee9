"""Purchase, spend and retention models behind customer lifetime value: fitted by maximum likelihood, scored in closed form.

What belongs here: the likelihood, the fit, its verdict and the scores of BG/NBD, MBG/NBD, Pareto/NBD, Gamma-Gamma and the
shifted-beta-geometric, on plain numpy arrays. What does not: where customers come from, how scores are stored (no Dagster, no
DuckDB, no SQL), and which model a segment uses.

Words, as in the papers. Of one customer, with a customer's purchases of one day counted as one:

- frequency `x`: repeat purchases, i.e. days with a purchase less one;
- recency `t_x`: time from the first to the last purchase, 0 where `x` is 0;
- age `T`: time from the first purchase to the end of what was observed, at least `t_x`;
- mean value `m`: mean value of the `x` repeat purchases.

Times are in one unit, any; parameters and horizons are in the same. Fits take *grouped* customers: one row a combination, with
the number of customers as its weight. `T` and `t_x` rounded to weeks lose far less than a sample of the same cost would.

Sources: Fader, Hardie and Lee (2005), "Counting your customers" the easy way, Marketing Science 24 (BG/NBD);
Batislam, Denizel and Filiztekin (2007), Int. J. of Research in Marketing 24, and Hoppe and Wagner (2007), Marketing JRM 3
(MBG/NBD); Schmittlein, Morrison and Colombo (1987), Management Science 33, and Fader and Hardie (2005), A note on deriving the
Pareto/NBD model (Pareto/NBD); Fader and Hardie (2013), The gamma-gamma model of monetary value; Fader and Hardie (2007), How to
project customer retention, J. of Interactive Marketing 21 (shifted-beta-geometric).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

# Submodules load at their first use: importing this module costs what numpy costs.
import scipy

PARAMETERS: dict[str, tuple[str, ...]] = {
    "bg_nbd": ("r", "alpha", "a", "b"),
    "mbg_nbd": ("r", "alpha", "a", "b"),
    "pareto_nbd": ("r", "alpha", "s", "beta"),
    "gamma_gamma": ("p", "q", "v"),
    "shifted_beta_geometric": ("alpha", "beta"),
}
PURCHASE_MODELS = ("bg_nbd", "mbg_nbd", "pareto_nbd")
# Parameters measured in the unit of the data (time or money); their bounds move with it. The others are pure numbers.
_SCALED = {"bg_nbd": {"alpha"}, "mbg_nbd": {"alpha"}, "pareto_nbd": {"alpha", "beta"}, "gamma_gamma": {"v"}}
_LOG_BOUND = 11.5  # parameters may lie within e**-11.5 (1e-5) and e**11.5 (1e5), times the data's unit
_OPEN = 3.0  # a standard error of a log-parameter of 3 is a 95 % interval of e**12 (160,000) from end to end
_ROWS = 8192  # rows of a fit evaluated together, so that they stay in the processor's cache
_NODES = 65536  # nodes of a quadrature evaluated together


@dataclass(frozen=True)
class Fit:
    """A fitted model.

    `standard_errors` and `covariance` (rows and columns in the order of `parameters`) are the inverse of the observed
    information, by the delta method from the logarithms of the parameters; NaN, and an empty covariance, where the fit did not
    converge so far that the information can be inverted. `customers` is the sum of the weights that entered, `left_out` of
    those that could not (Gamma-Gamma: no repeat purchase, or a mean value that is not positive). `message` says in one
    sentence why a fit did not converge and is empty where it did. Do not score with a fit that has not converged.
    """

    model: str
    parameters: dict[str, float]
    standard_errors: dict[str, float]
    log_likelihood: float
    customers: float
    converged: bool
    message: str
    covariance: tuple[tuple[float, ...], ...] = ()
    left_out: float = 0.0


@dataclass(frozen=True)
class Forecast:
    """Expected total of a portfolio and the interval around it; see `forecast_interval` for what the interval holds."""

    expected: float
    lower: float
    upper: float
    standard_error: float
    parameter_error: float
    process_error: float
    level: float


# ------------------------------------------------------------------------------------------------------------ checking input


def _parameters(model: str, parameters: Mapping[str, float]) -> list[float]:
    """Values in the model's order; ValueError where one is missing, not finite or not positive."""
    if model not in PARAMETERS:
        raise ValueError(f"no model {model!r}; there are {', '.join(PARAMETERS)}")
    values = []
    for name in PARAMETERS[model]:
        value = float(parameters[name]) if name in parameters else float("nan")
        if not (np.isfinite(value) and value > 0):
            raise ValueError(f"{model}: parameter {name} must be a positive number, got {parameters.get(name)!r}")
        values.append(value)
    return values


def _purchase_model(model: str) -> None:
    if model not in PURCHASE_MODELS:
        raise ValueError(f"no purchase model {model!r}; there are {', '.join(PURCHASE_MODELS)}")


def _arrays(**named: object) -> list[np.ndarray]:
    """The arguments as float64 arrays of one shape; ValueError where they do not broadcast or hold something else."""
    try:
        return list(np.broadcast_arrays(*(np.asarray(value, dtype=np.float64) for value in named.values())))
    except (TypeError, ValueError) as error:
        raise ValueError(f"{', '.join(named)} must be numbers of one shape: {error}") from None


def _refuse(bad: np.ndarray, what: str, **named: np.ndarray) -> None:
    """ValueError that names the first bad row and its values."""
    if bad.any():
        row = int(np.flatnonzero(bad.ravel())[0])
        values = ", ".join(f"{name} {array.ravel()[row]:g}" for name, array in named.items())
        raise ValueError(f"{what}: row {row} has {values}" + (f" ({int(bad.sum())} such rows)" if bad.sum() > 1 else ""))


def _check_frequency(frequency: np.ndarray) -> None:
    with np.errstate(invalid="ignore"):
        bad = ~(np.isfinite(frequency) & (frequency >= 0) & (frequency == np.floor(frequency)))
    _refuse(bad, "frequency must be a whole number, 0 or more", frequency=frequency)


def _check_not_negative(name: str, values: np.ndarray) -> None:
    with np.errstate(invalid="ignore"):
        _refuse(~(np.isfinite(values) & (values >= 0)), f"{name} must be a number, 0 or more", **{name: values})


def _customers(frequency: object, recency: object, age: object) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    x, t_x, T = _arrays(frequency=frequency, recency=recency, age=age)
    _check_frequency(x)
    _check_not_negative("recency", t_x)
    _check_not_negative("age", T)
    _refuse(t_x > T, "recency must not exceed age", frequency=x, recency=t_x, age=T)
    _refuse((x == 0) & (t_x > 0), "a customer without a repeat purchase has recency 0", frequency=x, recency=t_x, age=T)
    return x, t_x, T


def _weights(weights: object, shape: tuple[int, ...]) -> np.ndarray:
    if weights is None:
        return np.ones(shape)
    w = np.asarray(weights, dtype=np.float64)
    if w.shape != shape:
        raise ValueError(f"weights must have the shape of the customers, {shape}, not {w.shape}")
    _check_not_negative("weights", w)
    return w


def _total(weights: np.ndarray, values: np.ndarray) -> float:
    """Weighted sum. Not `@`: on long vectors BLAS starts a thread on every core, which costs more than the sum."""
    return float((weights * values).sum())


# ------------------------------------------------------------------------------------------------------------- quadratures


@cache
def _legendre(panels: int, nodes: int) -> tuple[np.ndarray, np.ndarray]:
    """Composite Gauss-Legendre nodes and weights on [0, 1]."""
    u, w = np.polynomial.legendre.leggauss(nodes)
    start = np.arange(panels)[:, None]
    return ((start + (u + 1) / 2) / panels).ravel(), np.tile(w / 2 / panels, panels)


# ------------------------------------------------------------------------------------------------------ purchase likelihoods


class _Purchases:
    """Customers prepared for repeated evaluation: what does not depend on the parameters is computed once."""

    def __init__(self, frequency: object, recency: object, age: object):
        x, t_x, T = (np.ascontiguousarray(array.ravel()) for array in _customers(frequency, recency, age))
        self.x, self.t_x, self.T = x, t_x, T
        self.silence = T - t_x
        # Gamma functions depend on x alone, of which there are few.
        self.distinct_x, self.index_x = np.unique(x, return_inverse=True)

    def parts(self) -> list[_Purchases]:
        """The same in blocks of rows."""
        starts = range(0, len(self.x), _ROWS)
        return [_Purchases(*(column[i : i + _ROWS] for column in (self.x, self.t_x, self.T))) for i in starts]

    def by_x(self, values: np.ndarray) -> np.ndarray:
        return values[self.index_x]


def _bg_terms(data: _Purchases, theta: Sequence[float], m: int) -> tuple[np.ndarray, list[np.ndarray]]:
    """Log-likelihood of each row and its derivatives by r, alpha, a, b: BG/NBD (`m` 0) or MBG/NBD (`m` 1).

    With c = b + x - 1 + m,

        L = Gamma(r+x) alpha^r / Gamma(r) * [B(a, c+1) (alpha+T)^-(r+x) + delta B(a+1, c) (alpha+t_x)^-(r+x)] / B(a, b)

    delta = 1 where x + m > 0 and 0 otherwise: in BG/NBD a customer can drop out only after a repeat purchase, in MBG/NBD
    after the first purchase too. Fader, Hardie and Lee (2005); Batislam et al. (2007). The second term over the first is
    exp(d), d the log-odds of having dropped out, so nothing overflows.
    """
    r, alpha, a, b = theta
    sp = scipy.special
    ux = data.distinct_x
    of_x = (
        sp.gammaln(r + ux)
        - sp.gammaln(r)
        + (sp.gammaln(b + ux + m) - sp.gammaln(b))
        - (sp.gammaln(a + b + ux + m) - sp.gammaln(a + b))
    )
    psi_ab = sp.digamma(a + b) - sp.digamma(a + b + ux + m)
    psi_b = sp.digamma(b + ux + m) - sp.digamma(b)
    psi_r = sp.digamma(r + ux) - sp.digamma(r)

    log_c = np.log(np.where(ux + m > 0, b + ux - 1 + m, 1.0))  # at x + m = 0 it is not used

    # Absolute, not relative, digits count from here on: plain logarithms are enough, and several times faster.
    k = r + data.x
    per_age, per_recency = 1 / (alpha + data.T), 1 / (alpha + data.t_x)
    log_age = np.log((alpha + data.T) / alpha)
    log_silence = np.log((alpha + data.T) * per_recency)
    d = k * log_silence
    d += data.by_x(np.where(ux + m > 0, np.log(a) - log_c, -np.inf))
    small = np.exp(-np.abs(d))
    left = np.where(d >= 0, 1.0, small) / (1 + small)
    likelihood = data.by_x(of_x - ux * np.log(alpha)) - k * log_age + np.maximum(d, 0) + np.log(1 + small)
    gradient = [
        data.by_x(psi_r) - log_age + left * log_silence,
        r / alpha - k * (per_age + left * (per_recency - per_age)),
        data.by_x(psi_ab) + left / a,
        data.by_x(psi_ab + psi_b) - left * data.by_x(np.exp(-log_c)),
    ]
    return likelihood, gradient


class _Powers:
    """Integrals of ((alpha+low)/(alpha+u))^P ((beta+low)/(beta+u))^Q du from low to high, one a row, for P, Q >= 0.

    This is the integral behind the difference of two 2F1 in the Pareto/NBD papers. Taken as it stands it needs no branch for
    alpha < beta and cancels nothing when recency is close to age. In y = ln(g+u), g the smaller of alpha and beta, the
    integrand is analytic within pi of the real axis, so Gauss-Legendre converges geometrically, with few nodes where the
    range is short and the powers fall little; the range ends where a power has made the rest smaller than 1e-19 of the whole.
    """

    def __init__(self, P: np.ndarray, Q: float, alpha: float, beta: float, low: np.ndarray, high: np.ndarray):
        self.P, self.Q, self.alpha, self.beta, self.low = P, Q, alpha, beta, low
        self.g = min(alpha, beta) + low
        length = high - low
        with np.errstate(over="ignore"):
            for power, shift in ((P, alpha), (Q, beta)):
                length = np.minimum(length, (shift + low) * np.expm1(46.0 / np.maximum(power - 1, 0.05)))
        self.span = np.log1p(length / self.g)
        self.fall = P * np.log1p(length / (alpha + low)) + Q * np.log1p(length / (beta + low))

    def batches(self) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Rows that fit in memory together, with the nodes and weights that suffice for them."""
        kind = np.where((self.span <= 2) & (self.fall <= 12), 0, np.where((self.span <= 4) & (self.fall <= 25), 1, 2))
        for k, (nodes, weight) in enumerate((_legendre(1, 20), _legendre(1, 40), _legendre(3, 24))):
            rows, at_once = np.flatnonzero(kind == k), _NODES // len(nodes)
            for start in range(0, len(rows), at_once):
                yield rows[start : start + at_once], nodes, weight

    def at(
        self, rows: np.ndarray, nodes: np.ndarray, weight: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Logarithm of the integral (n); alpha+u and beta+u over their value at `low`, and the nodes' shares (n, k)."""
        span, g, low = self.span[rows], self.g[rows], self.low[rows]
        growth = np.exp(span[:, None] * nodes)
        beyond = growth - 1
        of_alpha = 1 + (g / (self.alpha + low))[:, None] * beyond
        of_beta = 1 + (g / (self.beta + low))[:, None] * beyond
        share = np.exp(-self.P[rows, None] * np.log(of_alpha) - self.Q * np.log(of_beta))
        share *= growth
        share *= weight
        whole = share.sum(axis=1)
        share /= whole[:, None]
        with np.errstate(divide="ignore"):
            log_integral = np.log(whole) + np.log(span) + np.log(g)
        return log_integral, of_alpha, of_beta, share

    def log_integral(self) -> np.ndarray:
        out = np.empty(self.span.shape)
        for rows, nodes, weight in self.batches():
            out[rows] = self.at(rows, nodes, weight)[0]
        return out


def _pareto_terms(data: _Purchases, theta: Sequence[float]) -> tuple[np.ndarray, list[np.ndarray]]:
    """Log-likelihood of each row and its derivatives by r, alpha, s, beta: Pareto/NBD.

        L = Gamma(r+x) alpha^r beta^s / Gamma(r) * [ (alpha+T)^-(r+x) (beta+T)^-s
            + s * integral from t_x to T of (alpha+u)^-(r+x) (beta+u)^-(s+1) du ]

    Schmittlein, Morrison and Colombo (1987); Fader and Hardie (2005) solve the integral with 2F1. Derivatives are taken
    under the integral, at the same nodes. The integral over the first term is exp(d), d the log-odds of having left.
    """
    r, alpha, s, beta = theta
    sp = scipy.special
    ux = data.distinct_x
    of_x = data.by_x(sp.gammaln(r + ux) - sp.gammaln(r))
    psi_r = data.by_x(sp.digamma(r + ux) - sp.digamma(r))
    likelihood = np.empty(data.x.shape)
    gradient = [np.empty(data.x.shape) for _ in range(4)]
    powers = _Powers(r + data.x, s + 1.0, alpha, beta, data.t_x, data.T)
    for rows, nodes, weight in powers.batches():
        log_integral, of_alpha, of_beta, share = powers.at(rows, nodes, weight)
        x, t_x, T, silence = data.x[rows], data.t_x[rows], data.T[rows], data.silence[rows]
        k = r + x
        d = np.log(s / (beta + t_x)) + log_integral + k * np.log1p(silence / (alpha + t_x)) + s * np.log1p(silence / (beta + t_x))
        left = sp.expit(d)
        stay = 1 - left
        age_alpha, age_beta = np.log1p(T / alpha), np.log1p(T / beta)
        likelihood[rows] = of_x[rows] - x * np.log(alpha) - k * age_alpha - s * age_beta + np.logaddexp(0.0, d)
        # Means over the posterior of the time of leaving.
        log_alpha = np.log1p(t_x / alpha) + np.einsum("ij,ij->i", share, np.log(of_alpha))
        log_beta = np.log1p(t_x / beta) + np.einsum("ij,ij->i", share, np.log(of_beta))
        by_alpha = np.einsum("ij,ij->i", share, 1 / of_alpha) / (alpha + t_x)
        by_beta = np.einsum("ij,ij->i", share, 1 / of_beta) / (beta + t_x)
        gradient[0][rows] = psi_r[rows] - stay * age_alpha - left * log_alpha
        gradient[1][rows] = r / alpha - k * (stay / (alpha + T) + left * by_alpha)
        gradient[2][rows] = left / s - stay * age_beta - left * log_beta
        gradient[3][rows] = s / beta - stay * s / (beta + T) - left * (s + 1) * by_beta
    return likelihood, gradient


def _pareto_log_odds(theta: Sequence[float], x: np.ndarray, t_x: np.ndarray, T: np.ndarray) -> np.ndarray:
    """ln(P(left) / P(alive)) under Pareto/NBD, -inf where T = t_x."""
    r, alpha, s, beta = theta
    shape, (x, t_x, T) = x.shape, (array.ravel() for array in (x, t_x, T))
    log_integral = _Powers(r + x, s + 1.0, alpha, beta, t_x, T).log_integral()
    still = (r + x) * np.log1p((T - t_x) / (alpha + t_x)) + s * np.log1p((T - t_x) / (beta + t_x))
    return (np.log(s / (beta + t_x)) + log_integral + still).reshape(shape)


def _pareto_if_alive(theta: Sequence[float], x: np.ndarray, T: np.ndarray, t: np.ndarray) -> np.ndarray:
    """E[purchases in (T, T+t] | alive]: the mean rate (r+x)/(alpha+T) times the mean time alive, finite at s = 1 too."""
    r, alpha, s, beta = theta
    log_w = np.log1p(t / (beta + T))
    return (r + x) / (alpha + T) * (beta + T) * log_w * scipy.special.exprel(-(s - 1) * log_w)


def _pareto_purchase_if_alive(theta: Sequence[float], x: np.ndarray, T: np.ndarray, t: np.ndarray) -> np.ndarray:
    """P(at least one purchase in (T, T+t] | alive): the density of the next purchase, lambda exp(-(lambda+mu) u), over the
    posteriors Gamma(r+x, alpha+T) of lambda and Gamma(s, beta+T) of mu, integrated over u."""
    r, alpha, s, beta = theta
    shape, (x, T, t) = x.shape, (array.ravel() for array in (x, T, t))
    integral = np.exp(_Powers(r + x + 1.0, s, alpha, beta, T, T + t).log_integral())
    return np.minimum((r + x) / (alpha + T) * integral, 1.0).reshape(shape)


def _terms(model: str) -> Callable[[_Purchases, Sequence[float]], tuple[np.ndarray, list[np.ndarray]]]:
    if model == "pareto_nbd":
        return _pareto_terms
    m = _m(model)
    return lambda data, theta: _bg_terms(data, theta, m)


def _m(model: str) -> int:
    return 1 if model == "mbg_nbd" else 0


def purchase_log_likelihood(
    model: str, parameters: Mapping[str, float], frequency: object, recency: object, age: object
) -> np.ndarray:
    """Log-likelihood of each customer (shape of the arguments), as a density of the purchase times given x.

    ValueError as in `fit_purchases`. The formula is in the model's own function, with its source.
    """
    _purchase_model(model)
    theta = _parameters(model, parameters)
    shape = np.broadcast_shapes(np.shape(frequency), np.shape(recency), np.shape(age))
    likelihood, _ = _terms(model)(_Purchases(frequency, recency, age), theta)
    return likelihood.reshape(shape)


# --------------------------------------------------------------------------------------------------------------------- fits


def _maximise(
    model: str,
    objective: Callable[[np.ndarray], tuple[float, np.ndarray]],
    starts: Sequence[Sequence[float]],
    customers: float,
    unit: float,
    left_out: float = 0.0,
) -> Fit:
    """Maximum of a log-likelihood from two starts, polished by Newton steps, with its verdict.

    `objective(theta)` gives the total log-likelihood and its gradient by the parameters. The search is in logarithms of the
    parameters on the mean per customer, L-BFGS-B; the Hessian is the central difference of the exact gradient.

    Converged means all of: no parameter at its bound, gradient of the mean by log-parameters below 1e-6 and the point within
    0.01 standard errors of the Newton optimum (only then is the optimiser believed, whatever it says of itself), the
    information positive definite, no parameter left open within orders of magnitude, and both starts at one optimum.
    """
    names = PARAMETERS[model]
    scale = np.array([np.log(unit) if name in _SCALED.get(model, ()) else 0.0 for name in names])
    low, high = scale - _LOG_BOUND, scale + _LOG_BOUND

    def mean(log_theta: np.ndarray) -> tuple[float, np.ndarray]:
        theta = np.exp(log_theta)
        total, gradient = objective(theta)
        return -total / customers, -gradient * theta / customers

    def hessian(log_theta: np.ndarray) -> np.ndarray:
        step = 1e-4
        rows = [(mean(log_theta + e)[1] - mean(log_theta - e)[1]) / (2 * step) for e in step * np.eye(len(names))]
        # Beyond what a double holds nothing is known: no information.
        return np.nan_to_num((np.array(rows) + np.array(rows).T) / 2, nan=0.0, posinf=0.0, neginf=0.0)

    found = []
    for start in starts:
        at = np.clip(np.log(start), low + 0.1, high - 0.1)
        options = {"maxiter": 500, "maxfun": 1000, "ftol": 1e-12, "gtol": 1e-8}
        found.append(
            scipy.optimize.minimize(
                mean, at, jac=True, method="L-BFGS-B", bounds=list(zip(low, high, strict=True)), options=options
            )
        )
    found.sort(key=lambda result: result.fun)
    best, other = found[0], found[-1]
    point, (value, gradient) = best.x, mean(best.x)
    information = hessian(point)
    for _ in range(5):
        eigenvalues = np.linalg.eigvalsh(information)
        if eigenvalues[0] <= 0 or customers * gradient @ np.linalg.solve(information, gradient) < 1e-8:
            break
        moved = point - np.linalg.solve(information, gradient)
        if (moved < low).any() or (moved > high).any():
            break
        new_value, new_gradient = mean(moved)
        if np.abs(new_gradient).max() >= np.abs(gradient).max():
            break
        point, value, gradient = moved, new_value, new_gradient
        information = hessian(point)

    theta = np.exp(point)
    eigenvalues = np.linalg.eigvalsh(information)
    definite = bool(eigenvalues[0] > 1e-9 * max(eigenvalues[-1], 0.0))
    covariance = np.linalg.inv(information) / customers if definite else np.full((len(names),) * 2, np.nan)
    errors = theta * np.sqrt(np.diag(covariance)) if definite else np.full(len(names), np.nan)
    at_bound = [name for name, v, lo, hi in zip(names, point, low, high, strict=True) if v < lo + 1e-3 or v > hi - 1e-3]
    distance = float(np.sqrt(customers * gradient @ covariance @ gradient * customers)) if definite else np.inf
    # The two optima in standard errors of the parameter that moves most.
    apart = float(np.max(np.abs(other.x - point) / np.sqrt(np.diag(covariance)))) if definite else np.inf

    if at_bound:
        message = f"{', '.join(at_bound)} ran to the end of the range searched: the data do not determine it"
    elif not definite:
        message = "the log-likelihood is flat at the optimum: the data do not determine all parameters"
    elif np.abs(gradient).max() >= 1e-6 or distance > 0.01:
        message = f"the optimiser stopped with a gradient of {np.abs(gradient).max():.1e}: {best.message}"
    elif apart > 0.1 and customers * (other.fun - value) > 1e-6:
        message = f"two starts ended {apart:.1g} standard errors apart"
    elif open_ := [name for name, error in zip(names, errors / theta, strict=True) if error > _OPEN]:
        message = f"the data leave {', '.join(open_)} open within orders of magnitude"
    elif model == "gamma_gamma" and theta[1] <= 1:
        message = "q is at most 1: mean spend has no expectation"
    else:
        message = ""
    outer = covariance * np.outer(theta, theta)
    return Fit(
        model=model,
        parameters={name: float(v) for name, v in zip(names, theta, strict=True)},
        standard_errors={name: float(v) for name, v in zip(names, errors, strict=True)},
        log_likelihood=float(-value * customers),
        customers=float(customers),
        converged=not message,
        message=message,
        covariance=tuple(tuple(float(v) for v in row) for row in outer) if definite else (),
        left_out=float(left_out),
    )


def _no_fit(model: str, start: Sequence[float], likelihood: float, customers: float, message: str, left_out: float = 0.0) -> Fit:
    """A fit that was not tried because its outcome is known; its parameters are where it would have started."""
    names = PARAMETERS[model]
    return Fit(
        model=model,
        parameters={name: float(v) for name, v in zip(names, start, strict=True)},
        standard_errors=dict.fromkeys(names, float("nan")),
        log_likelihood=likelihood,
        customers=float(customers),
        converged=False,
        message=message,
        left_out=float(left_out),
    )


def _starts(model: str, start: Mapping[str, float] | None, default: Sequence[Sequence[float]]) -> list[list[float]]:
    """Two starts: the caller's (last week's parameters, say) replaces the second of the defaults."""
    first, second = default
    return [list(first), list(second) if start is None else _parameters(model, start)]


def fit_purchases(
    model: str,
    frequency: object,
    recency: object,
    age: object,
    weights: object = None,
    start: Mapping[str, float] | None = None,
) -> Fit:
    """Maximum-likelihood fit of `bg_nbd`, `mbg_nbd` or `pareto_nbd`.

    `frequency`, `recency`, `age`: x, t_x, T, one row a customer or, with `weights` (customers in the row), a group of
    equal customers; equal rows and their weight give the same fit. `start` replaces one of the two starts.

    Raises ValueError, naming the first bad row, for a frequency that is not whole or negative, recency over age, recency
    above 0 at frequency 0, NaN, or a negative weight. A fit that fails is returned with `converged` False, not raised.
    """
    _purchase_model(model)
    data = _Purchases(frequency, recency, age)
    w = _weights(weights, np.shape(np.asarray(frequency))).ravel()
    if w.shape != data.x.shape:
        raise ValueError("frequency, recency and age must have one shape")
    customers = float(w.sum())
    mean_age = _total(w, data.T) / customers if customers else 0.0
    repeats = _total(w, data.x)
    gap = mean_age * customers / repeats if repeats and mean_age else 1.0
    if model == "pareto_nbd":
        default = [(1.0, gap, 0.7, max(mean_age, 1e-9)), (0.3, 0.3 * gap, 0.4, 0.3 * max(mean_age, 1e-9))]
    else:
        default = [(1.0, gap, 1.0, 3.0), (0.3, 0.3 * gap, 0.5, 1.0)]
    starts = _starts(model, start, default)
    terms = _terms(model)
    blocks = data.parts()
    weights_of = np.split(w, range(_ROWS, len(w), _ROWS))

    def objective(theta: np.ndarray) -> tuple[float, np.ndarray]:
        total = np.zeros(1 + len(theta))
        for block, weight in zip(blocks, weights_of, strict=False):
            likelihood, gradient = terms(block, theta)
            total += [_total(weight, column) for column in (likelihood, *gradient)]
        return float(total[0]), total[1:]

    for nothing, message in (
        (not customers, "there is no customer"),
        (not mean_age, "no customer was observed for any time"),
        (not repeats, "no customer bought a second time, so the data do not determine the parameters"),
    ):
        if nothing:
            return _no_fit(model, starts[0], objective(np.array(starts[0]))[0], customers, message)
    return _maximise(model, objective, starts, customers, unit=mean_age)


def fit_spend(frequency: object, mean_value: object, weights: object = None, start: Mapping[str, float] | None = None) -> Fit:
    """Maximum-likelihood fit of the Gamma-Gamma model of spend per purchase.

        L = Gamma(px+q) / (Gamma(px) Gamma(q)) * v^q m^(px-1) x^(px) / (v + x m)^(px+q)

    Fader and Hardie (2013). Only customers with x > 0 and m > 0 enter; the weight of the others is
    `left_out`. The model assumes that spend does not depend on how often a customer buys: look at the correlation of x and m.

    Raises ValueError, naming the first bad row, for a frequency that is not whole or negative, a mean value that is not a
    number where x > 0 (it is not read where x is 0), or a negative weight.
    """
    x, m = _arrays(frequency=frequency, mean_value=mean_value)
    x, m = x.ravel(), m.ravel()
    _check_frequency(x)
    _refuse((x > 0) & ~np.isfinite(m), "mean value must be a number where frequency is above 0", frequency=x, mean_value=m)
    w = _weights(weights, np.shape(np.asarray(frequency))).ravel()
    if w.shape != x.shape:
        raise ValueError("frequency and mean_value must have one shape")
    with np.errstate(invalid="ignore"):
        enters = (x > 0) & (m > 0) & (w > 0)
    left_out = float(w[~enters].sum())
    x, m, w = x[enters], m[enters], w[enters]
    customers = float(w.sum())
    unit = float(np.exp(_total(w, np.log(m)) / customers)) if customers else 1.0
    starts = _starts("gamma_gamma", start, [(2.0, 3.0, unit), (6.0, 4.0, 3 * unit)])
    if not customers:
        return _no_fit("gamma_gamma", starts[0], 0.0, 0.0, "no customer has a repeat purchase with a value", left_out)
    distinct, index = np.unique(x, return_inverse=True)
    log_m, spend = np.log(m), x * m
    sp = scipy.special

    def objective(theta: np.ndarray) -> tuple[float, np.ndarray]:
        p, q, v = theta
        k = p * distinct
        of_x = sp.gammaln(k + q) - sp.gammaln(k) - sp.gammaln(q)
        psi = sp.digamma(k + q)
        total = np.log(v + spend)
        share = np.log(spend) - total
        of_v = np.log(v) - total
        likelihood = of_x[index] + q * of_v + (p * x) * share - log_m
        gradient = [
            x * ((psi - sp.digamma(k))[index] + share),
            (psi - sp.digamma(q))[index] + of_v,
            q / v - (p * x + q) / (v + spend),
        ]
        return _total(w, likelihood), np.array([_total(w, column) for column in gradient])

    return _maximise("gamma_gamma", objective, starts, customers, unit=unit, left_out=left_out)


# ------------------------------------------------------------------------------------------------------------------- scores


def _odds_of_having_left(model: str, theta: Sequence[float], x: np.ndarray, t_x: np.ndarray, T: np.ndarray) -> np.ndarray:
    """ln(P(left) / P(alive)); -inf where the customer cannot have left."""
    if model == "pareto_nbd":
        return _pareto_log_odds(theta, x, t_x, T)
    r, alpha, a, b = theta
    c = b + x - 1 + _m(model)
    can_have_left = x + _m(model) > 0
    d = np.log(a) - np.log(np.where(can_have_left, c, 1.0)) + (r + x) * np.log1p((T - t_x) / (alpha + t_x))
    return np.where(can_have_left, d, -np.inf)


def probability_alive(model: str, parameters: Mapping[str, float], frequency: object, recency: object, age: object) -> np.ndarray:
    """P(alive at T | x, t_x, T), shape of the arguments.

        1 / (1 + a / (b+x-1+m) * ((alpha+T) / (alpha+t_x))^(r+x))      m = 0 BG/NBD (and 1 at x = 0), m = 1 MBG/NBD

    Fader, Hardie and Lee (2008), Computing P(alive) using the BG/NBD model; Hoppe and Wagner (2007). Pareto/NBD: Fader and
    Hardie (2005). Through log-odds: no power is computed.
    """
    _purchase_model(model)
    theta = _parameters(model, parameters)
    x, t_x, T = _customers(frequency, recency, age)
    return scipy.special.expit(-_odds_of_having_left(model, theta, x, t_x, T))


def _x_and_age(frequency: object, age: object, horizon: object) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    x, T, t = _arrays(frequency=frequency, age=age, horizon=horizon)
    _check_frequency(x)
    _check_not_negative("age", T)
    _check_not_negative("horizon", t)
    return x, T, t


def _distinct(*columns: np.ndarray) -> tuple[list[np.ndarray], np.ndarray]:
    """Distinct rows of the columns, and the index that restores all rows."""
    key = np.zeros(columns[0].shape, dtype=np.int64)
    for column in columns:
        if column.size and (column == column.flat[0]).all():
            continue
        values, index = np.unique(column, return_inverse=True)
        _, key = np.unique(key * len(values) + index.reshape(column.shape), return_inverse=True)
        key = key.reshape(columns[0].shape)
    first = np.zeros(int(key.max()) + 1 if key.size else 0, dtype=np.int64)
    first[key.ravel()] = np.arange(key.size)
    return [column.ravel()[first] for column in columns], key


def expected_purchases_if_alive(
    model: str, parameters: Mapping[str, float], frequency: object, age: object, horizon: object
) -> np.ndarray:
    """E[purchases in (T, T+t] | alive at T, x, T], shape of the arguments; it does not depend on recency.

    BG/NBD (m = 0; Fader, Hardie and Lee 2005) and MBG/NBD (m = 1; Hoppe and Wagner 2007), after Euler's
    transformation of the hypergeometric function, which cancels the powers that overflow in the published form:

        C / (a-1) * (1 - (1-z)^(a-1) * 2F1(C-A, a-1; C; z)),   A = r+x, C = a+b+x-1+m, z = t / (alpha+T+t)

    Pareto/NBD (Fader and Hardie 2005, over P(alive)):

        (r+x) (beta+T) / ((alpha+T) (s-1)) * (1 - ((beta+T) / (beta+T+t))^(s-1))
    """
    _purchase_model(model)
    theta = _parameters(model, parameters)
    x, T, t = _x_and_age(frequency, age, horizon)
    (ux, uT, ut), index = _distinct(x, T, t)
    return _if_alive(model, theta, ux, uT, ut)[index]


def _if_alive(model: str, theta: Sequence[float], x: np.ndarray, T: np.ndarray, t: np.ndarray) -> np.ndarray:
    if model == "pareto_nbd":
        return _pareto_if_alive(theta, x, T, t)
    r, alpha, a, b = theta
    return _bg_if_alive(r + x, a, b + x + _m(model), t / (alpha + T))


def _bg_if_alive(A: np.ndarray, a: float, B: np.ndarray, w: np.ndarray) -> np.ndarray:
    """E[(1 - (1 + p w)^-A) / p] for p ~ Beta(a, B): the expected purchases of somebody alive, w = t / (alpha+T)."""
    out = np.empty(w.shape)
    C = a + B - 1
    log_w = np.log1p(w)
    with np.errstate(all="ignore"):
        power = np.exp(-(a - 1) * log_w)
        f = scipy.special.hyp2f1(C - A, a - 1, C, w / (1 + w)) * power
        out = C / (a - 1) * (1 - f)
        # Digits are lost in 1 - f and at the removable singularities a = 1 and C = 0; scipy's 2F1 itself is unsure for a
        # negative first argument and where its third less the other two comes near a whole number. The quadrature is sure
        # of all of these, at some fifty times the cost.
        gap = A - (a - 1)
        near_whole = (np.abs(gap - np.rint(gap)) < 1e-3) & (w > 4)
        unsure = ~np.isfinite(out) | (np.abs(1 - f) < 1e-3 * np.maximum(np.abs(f), 1)) | (np.abs(C) < 1e-2)
        unsure |= near_whole | (C - A < -5) | (np.abs(a - 1) < 1e-2)
    unsure &= w > 0
    out[w == 0] = 0.0
    if unsure.any():
        out[unsure] = _beta_mean(_first_moment, A[unsure], a, B[unsure], w[unsure])
    return out


def _first_moment(p: np.ndarray, A: np.ndarray, w: np.ndarray) -> np.ndarray:
    """(1 - (1 + p w)^-A) / p: E[n | p] of somebody alive, over the posterior of lambda."""
    return -np.expm1(-A * np.log1p(p * w)) / p


def _second_moment(p: np.ndarray, A: np.ndarray, w: np.ndarray) -> np.ndarray:
    """2 (1-p) / p^2 * (1 - (1 + A p w / (1 + p w)) (1 + p w)^-A): E[n (n-1) | p] of somebody alive.

    Two purchases at u1 < u2 have the density lambda^2 (1-p) exp(-lambda p u2): integrated over both and over lambda.
    """
    v = p * w
    return 2 * (1 - p) / p**2 * -np.expm1(np.log1p(A * v / (1 + v)) - A * np.log1p(v))


def _beta_mean(
    moment: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray],
    A: np.ndarray,
    a: float,
    B: np.ndarray,
    w: np.ndarray,
    panels: int = 24,
) -> np.ndarray:
    """E[moment(p, A, w)] for p ~ Beta(a, B), by Gauss-Legendre panels in the logit of p: every term is positive.

    Below `low` and above `high` the moment is a straight line to 1e-12; there the incomplete beta function gives mass and
    mean exactly. In between, the integrand is analytic within pi of the real axis.
    """
    out = np.empty(A.shape)
    at_once = _NODES // (16 * panels)
    for start in range(0, len(A), at_once):
        part = slice(start, start + at_once)
        out[part] = _beta_mean_of_chunk(moment, A[part, None], a, B[part, None], w[part, None], panels)
    return out


def _beta_mean_of_chunk(
    moment: Callable[..., np.ndarray], A: np.ndarray, a: float, B: np.ndarray, w: np.ndarray, panels: int
) -> np.ndarray:
    sp = scipy.special
    u, weight = _legendre(panels, 16)
    distinct, index = np.unique(B.ravel(), return_inverse=True)
    # Hardly any mass lies beyond these two; only their size matters.
    least = np.nan_to_num(sp.betaincinv(a, distinct, 1e-28))[index][:, None]
    rest = np.nan_to_num(sp.betaincinv(distinct, a, 1e-18))[index][:, None]
    p_low = np.clip(np.maximum(least, np.minimum(3e-7 / ((A + 2) * w), 0.25)), 1e-300, 1 - 1e-9)
    q_high = np.clip(np.maximum(rest, 1e-7 / (A + 1)), 0, 1 - 1e-12)
    low = np.log(p_low) - np.log1p(-p_low)
    high = np.maximum(np.log1p(-q_high) - np.log(q_high), low)
    y = low + (high - low) * u
    p, q = sp.expit(y), sp.expit(-y)
    density = np.exp(a * np.log(p) + B * np.log(q) - sp.betaln(a, B))
    middle = (high - low)[:, 0] * (np.einsum("ij,ij,j->i", density, moment(p, A, w), weight))

    p_low, p_high, q_high = sp.expit(low), sp.expit(high), sp.expit(-high)
    at_low, at_high = moment(p_low, A, w), moment(p_high, A, w)
    slope = (at_low - moment(p_low / 2, A, w)) / (p_low / 2)
    mass, mean = sp.betainc(a, B, p_low), sp.betainc(a + 1, B, p_low) * a / (a + B)
    left = at_low * mass + slope * (mean - p_low * mass)
    slope = (at_high - moment(1 - q_high / 2, A, w)) / (q_high / 2)
    mass, mean = sp.betainc(B, a, q_high), sp.betainc(B + 1, a, q_high) * B / (a + B)
    right = at_high * mass + slope * (mean - q_high * mass)
    return middle + left[:, 0] + right[:, 0]


def expected_purchases(
    model: str, parameters: Mapping[str, float], frequency: object, recency: object, age: object, horizon: object
) -> np.ndarray:
    """E[purchases in (T, T+t] | x, t_x, T] = P(alive) * E[purchases | alive], shape of the arguments."""
    alive = probability_alive(model, parameters, frequency, recency, age)
    return alive * expected_purchases_if_alive(model, parameters, frequency, age, horizon)


def probability_of_purchase(
    model: str, parameters: Mapping[str, float], frequency: object, recency: object, age: object, horizon: object
) -> np.ndarray:
    """P(at least one purchase in (T, T+t] | x, t_x, T), shape of the arguments.

        P(alive) * (1 - ((alpha+T) / (alpha+T+t))^(r+x))      BG/NBD and MBG/NBD

    as lambda of somebody alive is Gamma(r+x, alpha+T) and nobody leaves before the next purchase.
    """
    _purchase_model(model)
    theta = _parameters(model, parameters)
    x, t_x, T = _customers(frequency, recency, age)
    x, T, t = _x_and_age(x, T, horizon)
    alive = scipy.special.expit(-_odds_of_having_left(model, theta, x, t_x, T))
    if model == "pareto_nbd":
        return alive * _pareto_purchase_if_alive(theta, x, T, t)
    r, alpha = theta[:2]
    return alive * -np.expm1(-(r + x) * np.log1p(t / (alpha + T)))


def discounted_purchases_if_alive(
    model: str,
    parameters: Mapping[str, float],
    frequency: object,
    age: object,
    periods: int,
    period_length: float,
    discount_rate_per_period: float,
) -> np.ndarray:
    """Present value of the purchases expected of somebody alive: sum over k of (E(k) - E(k-1)) / (1+d)^k, k = 1..periods.

    E(k) is `expected_purchases_if_alive` to the end of period k; a period's purchases are discounted from its end. Times
    P(alive), margin and expected spend it is the customer's lifetime value over `periods`. Summed by parts: E(k) weighs
    d_k - d_(k+1), so nothing cancels. Shape of `frequency` and `age`.
    """
    if int(periods) != periods or periods < 1:
        raise ValueError(f"periods must be a whole number, 1 or more, got {periods!r}")
    if not (np.isfinite(period_length) and period_length > 0):
        raise ValueError(f"period_length must be positive, got {period_length!r}")
    if not (np.isfinite(discount_rate_per_period) and discount_rate_per_period >= 0):
        raise ValueError(f"discount_rate_per_period must be 0 or more, got {discount_rate_per_period!r}")
    _purchase_model(model)
    theta = _parameters(model, parameters)
    x, T, _ = _x_and_age(frequency, age, 0.0)
    (ux, uT), index = _distinct(x, T)
    total = np.zeros(ux.shape)
    factor = 1.0 / (1.0 + discount_rate_per_period)
    for k in range(1, int(periods) + 1):
        weight = factor**k * ((1.0 - factor) if k < periods else 1.0)
        if weight:
            total += weight * _if_alive(model, theta, ux, uT, np.full(ux.shape, k * period_length))
    return total[index]


def expected_spend(parameters: Mapping[str, float], frequency: object, mean_value: object) -> np.ndarray:
    """E[mean spend per purchase | x, m] = p (v + x m) / (p x + q - 1), shape of the arguments; inf where it has no expectation.

    Fader and Hardie (2013). A customer without a repeat purchase gets the population's mean p v / (q - 1); its
    mean value is not read.
    """
    p, q, v = _parameters("gamma_gamma", parameters)
    x, m = _arrays(frequency=frequency, mean_value=mean_value)
    _check_frequency(x)
    with np.errstate(invalid="ignore"):
        bad = (x > 0) & ~(np.isfinite(m) & (m >= 0))
    _refuse(bad, "mean value must be 0 or more where frequency is above 0", frequency=x, mean_value=m)
    below = p * x + (q - 1)
    spend = x * np.where(x > 0, m, 0.0)
    return np.where(below > 0, p * (v + spend) / np.where(below > 0, below, 1.0), np.inf)


# ---------------------------------------------------------------------------------------------------------------- portfolio


def _factorial_moment_if_alive(model: str, theta: Sequence[float], x: np.ndarray, T: np.ndarray, t: np.ndarray) -> np.ndarray:
    """E[n (n-1) | alive at T, x, T] of the purchases n in (T, T+t]."""
    r, alpha = theta[:2]
    A = r + x
    out = np.zeros(x.shape)
    ahead = t > 0
    if model != "pareto_nbd":
        a, b = theta[2:]
        w = t[ahead] / (alpha + T[ahead])
        out[ahead] = _beta_mean(_second_moment, A[ahead], a, b + x[ahead] + _m(model), w, panels=8)
        return out
    # 2 E[lambda^2] times the integral of u P(alive at T+u), u in (0, t); with 1 + u/k = exp(l), k = beta+T.
    s, beta = theta[2:]
    k = beta + T[ahead]
    span = np.log1p(t[ahead] / k)
    nodes, weight = _legendre(2, 16)
    log_u = span[:, None] * nodes
    time = k**2 * span * np.einsum("ij,ij,j->i", np.expm1(log_u), np.exp((1 - s) * log_u), weight)
    out[ahead] = 2 * A[ahead] * (A[ahead] + 1) / (alpha + T[ahead]) ** 2 * time
    return out


def forecast_interval(
    fit: Fit,
    frequency: object,
    recency: object,
    age: object,
    horizon: float,
    weights: object = None,
    level: float = 0.95,
) -> Forecast:
    """Expected purchases of a portfolio over `horizon`, and an interval that holds the total with probability `level`.

    `frequency`, `recency`, `age`, `weights` as in `fit_purchases`; the customers need not be those fitted. The variance is
    the sum of two parts:

    - *parameters*: g' V g, V the covariance of the fit and g the gradient of the total (delta method; central differences);
    - *process*: the sum over customers of Var(n) = P E[n(n-1)|alive] + P E[n|alive] - (P E[n|alive])^2, P = P(alive). It is
      exact for the model: E[n(n-1)|alive] is the integral over pairs of purchases (`_second_moment`; Pareto/NBD: as in
      Schmittlein, Morrison and Colombo 1987, the time alive weighed with E[lambda^2]). Customers are independent.

    The bounds are quantiles of the gamma distribution of that mean and variance: never negative, normal for large totals;
    rounded outwards, because purchases are counted, and never beyond what is expected, which is beyond the upper quantile
    where next to nothing is.
    The interval does not hold customers who are yet to come, a change of behaviour, or a model that does not fit (the
    holdout of CDNOW lies 12 to 16 % above every model's forecast): publish a backtest beside it.

    Raises ValueError for bad customers, for a horizon or level out of range, and for a fit that did not converge.
    """
    _purchase_model(fit.model)
    if not fit.converged:
        raise ValueError(f"{fit.model} did not converge ({fit.message}): there is no interval")
    if not (np.isfinite(horizon) and horizon >= 0):
        raise ValueError(f"horizon must be 0 or more, got {horizon!r}")
    if not 0 < level < 1:
        raise ValueError(f"level must lie between 0 and 1, got {level!r}")
    shape = np.shape(np.asarray(frequency))
    x, t_x, T = _customers(frequency, recency, age)
    if x.shape != shape:
        raise ValueError("frequency, recency and age must have one shape")
    w = _weights(weights, shape).ravel()
    x, t_x, T = x.ravel(), t_x.ravel(), T.ravel()
    (ux, uT), index = _distinct(x, T)
    t = np.full(ux.shape, float(horizon))

    def expected(theta: Sequence[float]) -> tuple[float, np.ndarray, np.ndarray]:
        alive = scipy.special.expit(-_odds_of_having_left(fit.model, theta, x, t_x, T))
        purchases = _if_alive(fit.model, theta, ux, uT, t)
        return _total(w, alive * purchases[index]), alive, purchases

    theta = _parameters(fit.model, fit.parameters)
    total, alive, purchases = expected(theta)
    step = 1e-4
    gradient = []
    for i, value in enumerate(theta):
        up, down = list(theta), list(theta)
        up[i], down[i] = value * (1 + step), value * (1 - step)
        gradient.append((expected(up)[0] - expected(down)[0]) / (2 * step * value))
    of_parameters = float(np.array(gradient) @ np.array(fit.covariance) @ np.array(gradient))
    pairs = _factorial_moment_if_alive(fit.model, theta, ux, uT, t)
    mean = alive * purchases[index]
    of_process = _total(w, alive * pairs[index] + mean - mean**2)
    variance = of_parameters + of_process
    if total > 0 and variance > 0:
        shape_, scale = total**2 / variance, variance / total
        quantiles = [float(scipy.special.gammaincinv(shape_, q)) * scale for q in ((1 - level) / 2, (1 + level) / 2)]
    else:
        quantiles = [total]
    lower, upper = float(np.floor(min(total, *quantiles))), float(np.ceil(max(total, *quantiles)))
    return Forecast(total, lower, upper, variance**0.5, max(of_parameters, 0.0) ** 0.5, of_process**0.5, float(level))


# ---------------------------------------------------------------------------------------------------------------- retention


def tenures_of_active(active_by_age: object) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(tenure, churned, weights) for `fit_tenures` from the customers of one cohort active at ages 0, 1, 2, ... periods.

    `active_by_age[0]` is the cohort's size. Raises ValueError where it is not a falling row of at least two numbers.
    """
    active = np.asarray(active_by_age, dtype=np.float64)
    if active.ndim != 1 or len(active) < 2:
        raise ValueError("active_by_age must be one row of at least two numbers: customers at age 0, 1, ...")
    _check_not_negative("active_by_age", active)
    lost = -np.diff(active)
    _refuse(lost < 0, "active_by_age must not rise", customers_at_next_age=active[1:], customers=active[:-1])
    ages = np.arange(1, len(active), dtype=np.float64)
    return np.append(ages, ages[-1]), np.append(np.ones(len(ages)), 0.0), np.append(lost, active[-1])


def fit_retention(active_by_age: object, start: Mapping[str, float] | None = None) -> Fit:
    """Shifted-beta-geometric fit from customers active at ages 0, 1, 2, ... periods: one cohort's row, or a list of rows of
    any lengths, one a cohort (younger cohorts have shorter rows). See `fit_tenures`, which it calls."""
    if isinstance(active_by_age, list | tuple) and len(active_by_age) and np.ndim(active_by_age[0]):
        cohorts = [tenures_of_active(row) for row in active_by_age]
    else:
        cohorts = [tenures_of_active(active_by_age)]
    return fit_tenures(*(np.concatenate(parts) for parts in zip(*cohorts, strict=True)), start=start)


def fit_tenures(tenure: object, churned: object, weights: object = None, start: Mapping[str, float] | None = None) -> Fit:
    """Maximum-likelihood fit of the shifted-beta-geometric to right-censored contract tenures.

    `tenure` is in whole periods, 0 or more; where `churned` is 1 the customer left at the end of period
    `tenure` (1 or more), where it is 0 the customer was still there after it (0 says nothing). With the churn
    probability at each renewal Beta(alpha, beta) over customers:

        P(T = t) = B(alpha+1, beta+t-1) / B(alpha, beta),   S(t) = P(T > t) = B(alpha, beta+t) / B(alpha, beta)

    Fader and Hardie (2007). Raises ValueError, naming the first bad row.
    """
    t, lost = _arrays(tenure=tenure, churned=churned)
    shape = np.shape(np.asarray(tenure))
    if t.shape != shape:
        raise ValueError("tenure and churned must have one shape")
    with np.errstate(invalid="ignore"):
        bad = ~(np.isfinite(t) & (t >= 0) & (t == np.floor(t)))
    _refuse(bad, "tenure must be a whole number of periods, 0 or more", tenure=t)
    _refuse((lost != 0) & (lost != 1), "churned must be 0 or 1", churned=lost)
    _refuse((lost == 1) & (t < 1), "who churned did so at the end of a period: tenure 1 or more", tenure=t)
    w = _weights(weights, shape).ravel()
    t, lost = t.ravel(), lost.ravel()
    customers = float(w.sum())
    distinct, index = np.unique(t, return_inverse=True)
    left = np.bincount(index, weights=w * lost, minlength=len(distinct))
    stayed = np.bincount(index, weights=w * (1 - lost), minlength=len(distinct))
    sp = scipy.special

    def objective(theta: np.ndarray) -> tuple[float, np.ndarray]:
        alpha, beta = theta
        before = np.maximum(distinct - 1, 0)
        # ln B(alpha, beta+t) - ln B(alpha, beta), and one renewal earlier with the churn that followed it.
        survive = (sp.gammaln(beta + distinct) - sp.gammaln(beta)) - (
            sp.gammaln(alpha + beta + distinct) - sp.gammaln(alpha + beta)
        )
        churn = (
            np.log(alpha)
            + (sp.gammaln(beta + before) - sp.gammaln(beta))
            - (sp.gammaln(alpha + beta + before + 1) - sp.gammaln(alpha + beta))
        )
        psi = sp.digamma(alpha + beta)
        both_survive, both_churn = psi - sp.digamma(alpha + beta + distinct), psi - sp.digamma(alpha + beta + before + 1)
        own_survive = sp.digamma(beta + distinct) - sp.digamma(beta)
        own_churn = sp.digamma(beta + before) - sp.digamma(beta)
        gradient = [
            stayed @ both_survive + left @ (1 / alpha + both_churn),
            stayed @ (both_survive + own_survive) + left @ (both_churn + own_churn),
        ]
        return float(stayed @ survive + left @ churn), np.array(gradient)

    starts = _starts("shifted_beta_geometric", start, [(1.0, 1.0), (0.5, 4.0)])
    for nothing, message in (
        (not customers, "there is no customer"),
        (not left.sum(), "no customer churned, so the data do not determine the parameters"),
        (not (stayed * distinct).sum() + (left * (distinct - 1)).sum(), "no customer renewed even once"),
    ):
        if nothing:
            return _no_fit("shifted_beta_geometric", starts[0], objective(np.array(starts[0]))[0], customers, message)
    return _maximise("shifted_beta_geometric", objective, starts, customers, unit=1.0)


def survival(parameters: Mapping[str, float], periods: object) -> np.ndarray:
    """S(t) = B(alpha, beta+t) / B(alpha, beta), the share still there after `periods` t. Fader and Hardie (2007)."""
    alpha, beta = _parameters("shifted_beta_geometric", parameters)
    (t,) = _arrays(periods=periods)
    _check_not_negative("periods", t)
    sp = scipy.special
    return np.exp(sp.betaln(alpha, beta + t) - sp.betaln(alpha, beta))


def retention_rate(parameters: Mapping[str, float], period: object) -> np.ndarray:
    """r(t) = (beta+t-1) / (alpha+beta+t-1), the share of those there in period t-1 who renew. Same source."""
    alpha, beta = _parameters("shifted_beta_geometric", parameters)
    (t,) = _arrays(period=period)
    _check_not_negative("period", t)
    _refuse(t < 1, "period must be 1 or more", period=t)
    return (beta + t - 1) / (alpha + beta + t - 1)
