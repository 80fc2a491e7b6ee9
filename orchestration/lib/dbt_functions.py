"""Functions of Python that SQL of the dbt project calls: those of the purchase models that need special functions.

Belongs here: registering them with dbt's connection (a dbt-duckdb plugin, named in profiles.yml). Does not: their mathematics
(`clv_models`), or anything that SQL can say itself.

Both take columns of one length and return a column of doubles; arguments are those of `clv_models`, in the fit's unit of time.
"""

from __future__ import annotations

from typing import Any

from dbt.adapters.duckdb.plugins import BasePlugin
from duckdb import DuckDBPyConnection


class Plugin(BasePlugin):
    """Registers the functions with every connection that dbt opens. scipy is imported by the first call."""

    def configure_connection(self, conn: DuckDBPyConnection) -> None:
        """Give the connection `cx_expected_purchases` and `cx_discounted_purchases`."""
        register(conn)


def register(con: DuckDBPyConnection) -> None:
    """Give a connection the functions that scores call (dbt_project/macros/clv.sql)."""
    double = "DOUBLE"
    parameters = ["VARCHAR", *[double] * 4]
    con.create_function("cx_expected_purchases", _expected, [*parameters, "BIGINT", double, double], double, type="arrow")
    con.create_function(
        "cx_discounted_purchases", _discounted, [*parameters, "BIGINT", double, "INTEGER", double, double], double, type="arrow"
    )


def _expected(model: Any, r: Any, alpha: Any, a: Any, b: Any, frequency: Any, age: Any, horizon: Any) -> Any:
    from orchestration.lib.clv_models import expected_purchases_if_alive

    return _by_fit(expected_purchases_if_alive, model, (r, alpha, a, b), (frequency, age, horizon))


def _discounted(
    model: Any, r: Any, alpha: Any, a: Any, b: Any, frequency: Any, age: Any, periods: Any, length: Any, rate: Any
) -> Any:
    from orchestration.lib.clv_models import discounted_purchases_if_alive

    return _by_fit(discounted_purchases_if_alive, model, (r, alpha, a, b), (frequency, age), (periods, length, rate))


def _by_fit(function: Any, model: Any, parameters: Any, columns: Any, constants: Any = ()) -> Any:
    """Call the function once for each model, set of parameters and constants in a chunk of rows."""
    import numpy as np
    import pyarrow as pa

    keys = np.column_stack([np.asarray(column, dtype=float) for column in (*parameters, *constants)])
    names = np.asarray(model.to_pylist(), dtype=object)
    values = [np.asarray(column, dtype=float) for column in columns]
    found = np.empty(len(names))
    fits, which = np.unique(keys, axis=0, return_inverse=True)
    for number, key in enumerate(fits):
        for name in set(names[which == number]):
            rows = (which == number) & (names == name)
            named = dict(zip(("r", "alpha", "a", "b"), key[:4], strict=True))
            arguments = [column[rows] for column in values]
            rest = [int(key[4]), *key[5:]] if constants else []
            found[rows] = function(name, named, *arguments, *rest)
    return pa.array(found)
