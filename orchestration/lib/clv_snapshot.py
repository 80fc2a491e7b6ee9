"""Predictions as they stood at the end of each month, person by person, kept as they were.

Belongs here: when a month's end is due, and keeping its scores in `ops.clv_snapshots`. Does not: scores
(dbt_project/macros/clv.sql), fits (`clv_fit`), scores of any other day (`clv_as_of`).

Everything else is computed anew when late rows come; these rows are what somebody was told, and are held against what came.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

from data_quality.rules import literal
from orchestration.lib.warehouse import tx

if TYPE_CHECKING:
    import duckdb

MART = "clv_predicted_snapshot"
TABLE = "clv_snapshots"
GRACE = timedelta(days=7)
"""A month whose last day no run saw within this many days has no snapshot: nobody was told anything then."""


def due(con: duckdb.DuckDBPyConnection) -> date | None:
    """The last day of the newest complete month, if its scores are to be kept now.

    That is where a fit of up to that day scores, and no published run has kept them: those of a run that a gate refused
    are taken again. Rows without a run came from a release, when a warehouse was lost.
    """
    (through,) = con.execute("select data_through from ops.clock").fetchone()
    if through is None:
        return None
    month_end = (through + timedelta(days=1)).replace(day=1) - timedelta(days=1)
    (is_due,) = con.execute(
        "select exists (from ops.clv_fits where is_used and segment = 'all' and as_of_date <= $1) and not exists ("
        f"from ops.{TABLE} where metric_date = $1 and (run_id is null or run_id in (select run_id from ops.releases)))",
        [month_end],
    ).fetchone()
    return month_end if is_due and through - month_end <= GRACE else None


def take(con: duckdb.DuckDBPyConnection, month_end: date, scores: str, run_id: str) -> int:
    """Keep the scores as of the last day of a month; return of how many persons.

    Args:
        con: connection to the warehouse, with the functions that scores call (`dbt_functions.register`).
        month_end: the day.
        scores: the compiled query of analyses/clv/clv_predicted_as_of.sql.
        run_id: the run whose publication makes them final.
    """
    con.execute(f"set variable as_of = {literal(str(month_end))}::date")
    with tx(con):
        con.execute(f"delete from ops.{TABLE} where metric_date = ?", [month_end])
        con.execute(
            f"insert into ops.{TABLE} by name select * exclude (as_of_date, mean_value, fit_segment), as_of_date as metric_date, "
            f"cast(? as timestamp) as taken_at, cast(? as varchar) as run_id from ({scores})",
            [datetime.now(UTC).replace(tzinfo=None), run_id],
        )
        con.execute(
            "insert into ops.changes values ('clv_snapshots', 'snapshot', ?, ?, null, 'new_snapshot')",
            [str(month_end), month_end],
        )
        return con.execute(f"select count(*) from ops.{TABLE} where metric_date = ?", [month_end]).fetchone()[0]
