"""Fits of customer lifetime value: which are due, the customers they see, how they would have forecast the last days.

Belongs here: sufficient statistics out of the warehouse, the choice between models, the rows of `ops.clv_fits` and the tables
beside it. Does not: the models themselves (`clv_models`), scores (dbt_project/macros/clv.sql), when a run asks for a fit
(`orchestration.runs`).

A fit is kept for ever and never changed: it is an input of the marts, so a rebuild scores with the fits there were.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from data_quality.verdict import Verdict
from orchestration.lib.dbt_manifest import marts_on
from orchestration.lib.warehouse import table_exists, tx
from orchestration.settings import Business

if TYPE_CHECKING:
    import duckdb
    import numpy as np

    from orchestration.lib.clv_models import Fit

GATE = "clv_fit"
SUBJECT = "clv_params"
SOURCE = "cxmarts"
TABLES = {
    "clv_params": "clv_fits", "clv_backtest": "clv_backtests",
    "clv_calibration": "clv_calibration", "clv_forecast": "clv_forecasts",
}  # fmt: skip
"""Marts of fits, and the tables of `ops` they show whole."""
NEEDED = ("int_customer_purchases", "int_customer_segments")
"""Models that a fit reads."""
SCORING = ("mbg_nbd", "bg_nbd")
"""Models that SQL can score: given somebody is alive, they do not ask when the last purchase was."""
HORIZONS = (90, 180, 365)
EXACT_CUSTOMERS = 200_000
"""Of more customers than this, ages and recencies are rounded to units of time and mean values to 1 %: docs/performance.md."""
BANDS = 10
CORRELATION = 0.3
"""Of frequency and mean value, above which Gamma-Gamma, which takes them as independent, is told to be doubtful."""
_ALL = "all"
_PARAMETERS = ("r", "alpha", "a", "b", "s", "beta", "p", "q", "v")


Rows = dict[str, list[dict[str, Any]]]
"""Records by table of `ops`, until they are written together."""


class ClvError(Exception):
    """What was asked of customer lifetime value cannot be had; the message says why, and what to do."""


@dataclass(frozen=True)
class Fitted:
    """What became of one segment."""

    segment: str
    customers: int
    model: str
    """The purchase model that scores, or would if it had converged."""
    is_used: bool
    message: str
    """Why it is not used; empty where it is."""


def is_due(con: duckdb.DuckDBPyConnection, business: Business) -> bool:
    """Whether the last fit is `clv_fit_days` old on the last complete day, or there is none; and enough people bought twice.

    Where nothing was built yet, nobody knows how many did.
    """
    newest, through = con.execute(
        "select (select max(as_of_date) from ops.clv_fits where source = $1), data_through from ops.clock", [SOURCE]
    ).fetchone()
    if through is None:
        return False
    if newest is not None and newest + timedelta(days=business.clv_fit_days) > through:
        return False
    if not table_exists(con, "intermediate", "int_customer_purchases"):
        return True
    query = "select count(*) from intermediate.customer_rfm(?) where frequency > 0"
    (repeat_customers,) = con.execute(query, [through]).fetchone()
    return repeat_customers >= business.clv_min_repeat_customers


def failed(error: Exception) -> Verdict:
    """The word on a fit that stumbled."""
    return Verdict(GATE, SUBJECT, "warn", False, message=f"the fit failed: {error}; scores go on with the fit before it")


def judge(con: duckdb.DuckDBPyConnection, business: Business, feeds_on: set[str]) -> list[Verdict]:
    """Whether everybody is scored by a recent fit that may be believed.

    That of all customers converged and is at most two intervals old. A segment that never had parameters of its own is
    scored by those of all; one that had goes on with them, and is told. Spend goes with frequency no more than a model may
    ignore that takes them as independent.
    """
    if SUBJECT not in marts_on(feeds_on):
        return []
    rows = con.execute(
        "with newest as (select segment, max(as_of_date) as as_of_date from ops.clv_fits group by segment), "
        "latest as (from ops.clv_fits semi join newest using (segment, as_of_date)) "
        "select segment, max(as_of_date), bool_or(is_used), coalesce(string_agg(distinct model || ': ' || message, '; ') "
        "filter (where message <> ''), ''), (select data_through from ops.clock) - max(as_of_date), "
        "segment in (select segment from ops.clv_fits where is_used), arg_max(frequency_value_correlation, fitted_at) "
        "from latest group by segment order by segment"
    ).fetchall()
    if not rows:
        return [Verdict(GATE, SUBJECT, "warn", True, message="too few customers bought twice for a fit")]
    (is_scored,) = con.execute("select exists (from ops.clv_fits where is_used)").fetchone()
    unfit = "scores go on with older parameters" if is_scored else "nobody is scored yet"
    odd = []
    for segment, day, used, why, age, was_used, correlation in rows:
        told = {"segment": segment, "fitted_on": str(day), "converged": used, "age_days": age, "correlation": correlation}
        if not used and (was_used or segment == _ALL):
            odd.append(told | {"why": f"{unfit}: {why}"})
        elif segment == _ALL and age > 2 * business.clv_fit_days:
            odd.append(told | {"why": f"{unfit}: the newest fit is {age} days old; run `cx clv fit`"})
        elif used and abs(correlation or 0) > CORRELATION:
            odd.append(told | {"why": f"spend goes with frequency (correlation {correlation:.2f}), and the model of spend takes "
                       "them as independent: values of frequent and of rare buyers are off in opposite directions"})  # fmt: skip
    if not odd:
        return [Verdict(GATE, SUBJECT, "warn", True)]
    first = odd[0]
    return [
        Verdict(
            GATE, SUBJECT, "warn", False, figure=f"{len(odd)} segments", bound="0 segments",
            message=f"{first['segment']}, fitted on {first['fitted_on']}: {first['why']}", sample=odd[:5],
        )
    ]  # fmt: skip


def fit(con: duckdb.DuckDBPyConnection, business: Business, run_id: str) -> list[Fitted]:
    """Fit every segment as of the last complete day and keep the result, in one transaction.

    A fit that does not converge is kept, too, and scores nobody: the one before it goes on.
    """
    (as_of,) = con.execute("select data_through from ops.clock").fetchone()
    found = []
    rows: Rows = {table: [] for table in TABLES.values()}
    for segment, repeat_customers in _segments(con, business, as_of):
        found.append(_fit_segment(con, business, as_of, segment, repeat_customers, rows))
    with tx(con):
        now = datetime.now(UTC).replace(tzinfo=None)
        for table, records in rows.items():
            for record in records:
                _insert(con, table, record | ({"fitted_at": now, "run_id": run_id} if table == "clv_fits" else {}))
        # Scores of months from the day of the fit on are others now.
        con.execute(
            "insert into ops.changes select distinct 'clv_fits', 'fit', fit_id, as_of_date, null, 'new_fit' from ops.clv_fits "
            "where run_id = ? and is_used",
            [run_id],
        )
    return found


def keep_imported(
    con: duckdb.DuckDBPyConnection,
    business: Business,
    fits: dict[tuple[str, date], list[tuple[str, dict[str, float]]]],
    source: str,
    now: datetime,
) -> None:
    """Keep fits of another library: by segment and day the models with their parameters. They score from their day on."""
    with tx(con):
        for (segment, day), models in fits.items():
            fit_id = _next_id(con, day, segment)
            for model, parameters in models:
                record = {
                    "fit_id": fit_id, "segment": segment, "currency": business.reporting_currency, "as_of_date": day,
                    "model": model, "is_used": True, "unit_days": business.clv_unit_days, "customers": 0, "repeat_customers": 0,
                    **parameters, "converged": True, "message": "", "source": source, "fitted_at": now,
                }  # fmt: skip
                _insert(con, "clv_fits", record)
            con.execute("insert into ops.changes values ('clv_fits', 'fit', ?, ?, null, 'new_fit')", [fit_id, day])


def _next_id(con: duckdb.DuckDBPyConnection, day: date, segment: str) -> str:
    (number,) = con.execute(
        "select count(distinct fit_id) + 1 from ops.clv_fits where as_of_date = ? and segment = ?", [day, segment]
    ).fetchone()
    return f"{day}-{segment}-{number}"


def _insert(con: duckdb.DuckDBPyConnection, table: str, record: dict[str, Any]) -> None:
    con.execute(f"insert into ops.{table} ({', '.join(record)}) values ({', '.join('?' * len(record))})", [*record.values()])


_RFM = "from intermediate.customer_rfm($as_of) where $segment in ('all', segment)"


def _segments(con: duckdb.DuckDBPyConnection, business: Business, as_of: date) -> list[tuple[str, int]]:
    """All customers first, then segments with enough who bought on two days; with how many did."""
    rows = con.execute(
        f"select segment, count(*) filter (where frequency > 0) as n {_RFM} group by 1 order by 1",
        {"as_of": as_of, "segment": _ALL},
    ).fetchall()
    least = business.clv_min_repeat_customers
    together = [(_ALL, sum(n for _, n in rows))]
    return [(name, n) for name, n in together + [row for row in rows if row[0] != _ALL] if n >= least]


@dataclass
class _Customers:
    """Grouped customers of a segment: arrays of one length; times in days but for `unit`."""

    frequency: np.ndarray
    recency: np.ndarray
    age: np.ndarray
    weight: np.ndarray
    unit: int

    @property
    def triples(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return self.frequency, self.recency / self.unit, self.age / self.unit


def _customers(con: duckdb.DuckDBPyConnection, business: Business, as_of: date, segment: str) -> _Customers:
    unit = business.clv_unit_days
    rounded = f"case when n > {EXACT_CUSTOMERS} then {{0}} else {{1}} end"
    age = rounded.format(f"round(age_days / {unit}) * {unit}", "age_days")
    recency = rounded.format(f"least(round(recency_days / {unit}), round(age_days / {unit})) * {unit}", "recency_days")
    found = con.execute(
        f"with customers as ({_RFM}), "
        "counted as (select *, (select count(*) from customers) as n from customers) "
        f"select frequency, {recency} as recency, {age} as age, count(*) as weight from counted group by all order by all",
        {"as_of": as_of, "segment": segment},
    ).fetchnumpy()
    return _Customers(*(found[name].astype(float) for name in ("frequency", "recency", "age", "weight")), unit)


def _fit_spend(con: duckdb.DuckDBPyConnection, as_of: date, segment: str, start: dict[str, float] | None) -> Fit:
    from orchestration.lib.clv_models import fit_spend

    found = con.execute(
        f"with customers as ({_RFM}), "
        "counted as (select *, (select count(*) from customers) as n from customers where frequency > 0) "
        f"select frequency, case when n > {EXACT_CUSTOMERS} and mean_value > 0 then exp(round(ln(mean_value), 2)) "
        "else mean_value end as mean_value, count(*) as weight from counted group by all order by all",
        {"as_of": as_of, "segment": segment},
    ).fetchnumpy()
    return fit_spend(*(found[name].astype(float) for name in ("frequency", "mean_value", "weight")), start)


def _fit_segment(
    con: duckdb.DuckDBPyConnection, business: Business, as_of: date, segment: str, repeat_customers: int, rows: Rows
) -> Fitted:
    from orchestration.lib.clv_models import fit_purchases, forecast_interval

    about = {"fit_id": _next_id(con, as_of, segment), "segment": segment, "as_of_date": as_of}
    models = list(dict.fromkeys(business.clv_models.split(",")))
    preferred = _backtest(con, business, as_of, segment, models, about, rows)
    customers = _customers(con, business, as_of, segment)
    fits = {
        model: fit_purchases(model, *customers.triples, customers.weight, start=_last(con, segment, model)) for model in models
    }
    spend = _fit_spend(con, as_of, segment, _last(con, segment, "gamma_gamma"))
    (correlation,) = con.execute(
        f"select corr(frequency, mean_value) from (select frequency, mean_value {_RFM}) where frequency > 0 and mean_value > 0",
        {"as_of": as_of, "segment": segment},
    ).fetchone()
    chosen = fits[preferred]
    problems = [f"{one.model}: {one.message}" for one in (chosen, spend) if not one.converged]
    is_used = not problems
    for one in (*fits.values(), spend):
        scores = is_used and one.model in (preferred, "gamma_gamma")
        rows["clv_fits"].append(
            about | {
                "currency": business.reporting_currency, "model": one.model, "is_used": scores,
                "unit_days": business.clv_unit_days, "customers": int(customers.weight.sum()),
                "repeat_customers": repeat_customers, **one.parameters,
                **{f"{name}_se": _finite(error) for name, error in one.standard_errors.items()},
                "log_likelihood": _finite(one.log_likelihood), "converged": one.converged, "message": one.message,
                "source": SOURCE,
                "frequency_value_correlation": _finite(correlation) if one is spend and correlation is not None else None,
            }
        )  # fmt: skip
    if is_used:
        for days in HORIZONS:
            ahead = forecast_interval(chosen, *customers.triples, days / customers.unit, customers.weight)
            rows["clv_forecasts"].append(
                about | {
                    "model": chosen.model, "horizon_days": days, "customers": int(customers.weight.sum()),
                    "expected_purchases": ahead.expected, "expected_low": ahead.lower, "expected_high": ahead.upper,
                }
            )  # fmt: skip
    return Fitted(segment, int(customers.weight.sum()), preferred, is_used, "; ".join(problems))


def _last(con: duckdb.DuckDBPyConnection, segment: str, model: str) -> dict[str, float] | None:
    """The segment's newest parameters: next week's are near them."""
    row = con.execute(
        f"select {', '.join(_PARAMETERS)} from ops.clv_fits where segment = ? and model = ? and converged "
        "order by as_of_date desc, fitted_at desc limit 1",
        [segment, model],
    ).fetchone()
    return {name: value for name, value in zip(_PARAMETERS, row, strict=True) if value is not None} if row else None


def _finite(value: float) -> float | None:
    import math

    return value if math.isfinite(value) else None


def _backtest(
    con: duckdb.DuckDBPyConnection,
    business: Business,
    as_of: date,
    segment: str,
    models: list[str],
    about: dict[str, Any],
    rows: Rows,
) -> str:
    """Fit to all but the last days, compare what each model then forecasts with what came; return the model to score with.

    That is the first of `models` that SQL can score, unless another one was better in both: the mean absolute error by more
    than 1 % of it, and the bias of the total by more than 1 % of what came. Where the history is too short to hold anything
    out, it is the first.
    """
    from orchestration.lib.clv_models import (
        expected_purchases,
        expected_spend,
        fit_purchases,
        forecast_interval,
        probability_of_purchase,
    )

    preferred, *others = (model for model in models if model in SCORING)  # settings see to it that there is one
    (first,) = con.execute("select min(purchase_day) from intermediate.int_customer_purchases").fetchone()
    held_out = min(business.clv_holdout_days, ((as_of - first).days + 1) // 2)
    calibrated_on = as_of - timedelta(days=held_out)
    customers = _customers(con, business, calibrated_on, segment)
    repeat_customers = customers.weight[customers.frequency > 0].sum() if len(customers.weight) else 0
    if held_out < business.clv_unit_days or repeat_customers < business.clv_min_repeat_customers:
        return preferred
    spend = _fit_spend(con, calibrated_on, segment, None)
    later = _later(con, calibrated_on, as_of, segment)
    # the spend that is expected of a mean is the mean of those expected: it is linear in the value
    per_purchase = expected_spend(spend.parameters, later["frequency"], later["mean_value"]) if spend.converged else None
    horizon = held_out / customers.unit
    best: dict[str, tuple[float, float]] = {}
    records = []
    for model in models:
        fitted = fit_purchases(model, *customers.triples, customers.weight)
        if not fitted.converged:
            continue
        group = later["frequency"], later["recency"] / customers.unit, later["age"] / customers.unit
        expected = expected_purchases(model, fitted.parameters, *group, horizon)
        chance = probability_of_purchase(model, fitted.parameters, *group, horizon)
        ahead = forecast_interval(fitted, *group, horizon, later["weight"])
        weight, came, value = later["weight"], later["purchases"], float(later["value"].sum())
        error, actual = expected - came, float(weight @ came)
        bias = _ratio(ahead.expected - actual, actual)
        mae = float(weight @ abs(error) / weight.sum())
        worth = float(expected @ (weight * per_purchase)) if spend.converged else None
        if model in SCORING and bias is not None:
            best[model] = (mae, abs(bias))
        records.append(
            about | {
                "model": model, "is_preferred": False, "calibrated_on": calibrated_on, "holdout_days": held_out,
                "customers": int(weight.sum()), "purchases": int(actual), "expected_purchases": ahead.expected,
                "expected_low": ahead.lower, "expected_high": ahead.upper, "bias": bias, "mae": mae,
                "rmse": float((weight @ error**2 / weight.sum()) ** 0.5), "auc": _auc(chance, weight, came > 0),
                "top_decile_share": _top_decile_share(expected, weight, came), "value": round(value, 4),
                "expected_value": worth, "value_bias": None if worth is None else _ratio(worth - value, value),
            }
        )  # fmt: skip
        rows["clv_calibration"] += [about | {"model": model, **band} for band in _bands(chance, weight, came > 0)]
    for model in others:
        if preferred in best and model in best:
            (mae, bias), (old_mae, old_bias) = best[model], best[preferred]
            if mae < 0.99 * old_mae and bias < old_bias - 0.01:
                preferred = model
    for record in records:
        record["is_preferred"] = record["model"] == preferred
    rows["clv_backtests"] += records
    return preferred


def _later(con: duckdb.DuckDBPyConnection, calibrated_on: date, as_of: date, segment: str) -> dict[str, np.ndarray]:
    """Customers of the calibration, grouped with what they did after it; `mean_value` is the group's, 0 where none is known."""
    found = con.execute(
        f"""
        with customers as ({_RFM}),
        later as (
            select person_id, count(distinct purchase_day) as purchases, sum(amount) as value
            from intermediate.int_customer_purchases
            where purchase_day > $as_of and purchase_day <= $until and known_day <= $until
            group by person_id
        )
        select
            frequency, recency_days as recency, age_days as age, coalesce(purchases, 0) as purchases, count(*) as weight,
            cast(sum(coalesce(value, 0)) as double) as value, avg(greatest(coalesce(mean_value, 0), 0)) as mean_value
        from customers left join later using (person_id)
        group by frequency, recency_days, age_days, purchases
        order by frequency, recency_days, age_days, purchases
        """,
        {"as_of": calibrated_on, "until": as_of, "segment": segment},
    ).fetchnumpy()
    return {name: column.astype(float) for name, column in found.items()}


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def _auc(chance: np.ndarray, weight: np.ndarray, bought: np.ndarray) -> float | None:
    """Chance that a buyer had the higher probability than somebody who did not buy; ties count half (Mann-Whitney)."""
    import numpy as np

    levels, which = np.unique(chance, return_inverse=True)
    buyers = np.bincount(which, weight * bought, len(levels))
    others = np.bincount(which, weight * ~bought, len(levels))
    if not buyers.sum() or not others.sum():
        return None
    return float((buyers @ (np.cumsum(others) - others / 2)) / (buyers.sum() * others.sum()))


def _top_decile_share(expected: np.ndarray, weight: np.ndarray, came: np.ndarray) -> float | None:
    """Share of the purchases that came from the tenth of customers with most expected; a group at its edge counts in part."""
    import numpy as np

    order = np.argsort(-expected, kind="stable")
    before = np.cumsum(weight[order]) - weight[order]
    counted = np.clip(weight.sum() / 10 - before, 0, weight[order])
    return _ratio(float(counted @ came[order]), float(weight @ came))


def _bands(chance: np.ndarray, weight: np.ndarray, bought: np.ndarray) -> list[dict[str, Any]]:
    import numpy as np

    band = np.minimum((chance * BANDS).astype(int), BANDS - 1)
    found = []
    for number in range(BANDS):
        rows = band == number
        customers, buyers, predicted = (float(x[rows].sum()) for x in (weight, weight * bought, weight * chance))
        if customers:
            found.append(
                {
                    "band": number + 1, "customers": int(customers), "predicted_buyers": predicted, "buyers": int(buyers),
                    "predicted_share": predicted / customers, "buyer_share": buyers / customers,
                }
            )  # fmt: skip
    return found
