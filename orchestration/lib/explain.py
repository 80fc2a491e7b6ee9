"""Why a number is what it is: its parts, its definition, and the rows of the exports that add up to it.

Belongs here: finding the published value, the source rows behind it and the rows left out. Does not: the lineage of a
mart, which is SQL (`dbt_project/analyses/explain/<mart>.sql`, contract in `macros/explain.sql`), or printing (`cli`). Of a
mart without such a file everything is told but the rows.

Nothing is written but temporary tables. Values of a question are bound, never part of a SQL text; names in a text are
those of the project's own columns.
"""

from __future__ import annotations

import calendar
import difflib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import duckdb

from data_quality.rules import ident, literal
from orchestration.lib import release, warehouse
from orchestration.lib.dbt_build import compiled_analyses
from orchestration.lib.dbt_manifest import (
    Metric,
    definition_of,
    explained_marts,
    manifest_json,
    marts,
    marts_on,
    metrics,
)
from orchestration.lib.run_lock import run_lock
from orchestration.settings import DBT_PROJECT_DIR, ConfigError, Settings

_LISTED = 30
_PLACES = 3


class ExplainError(Exception):
    """The question has no answer as it is asked; the message says what there is instead."""


@dataclass(frozen=True)
class Question:
    """Which number: a metric on a day, of the cells that have these values of their dimensions."""

    metric: Metric
    day: date
    by: dict[str, str]

    @property
    def dimensions(self) -> list[str]:
        """The mart's dimensions besides the day."""
        return [column for column in marts()[self.metric.mart].grain if column != "metric_date"]

    @property
    def last_day(self) -> date:
        """The last day the number is about: its own, or the end of the month that it is about."""
        if self.metric.date == "metric_date":
            return self.day
        return self.day.replace(day=calendar.monthrange(self.day.year, self.day.month)[1])

    @property
    def bound(self) -> dict[str, Any]:
        """Values of the conditions, by parameter."""
        return {"day": self.day, **{f"by_{name}": value for name, value in self.by.items()}}


@dataclass
class Figure:
    """A metric's parts summed over the cells asked for, and its value; None where nothing was observed."""

    cells: int
    parts: dict[str, Any]
    value: Any
    is_final: bool | None
    final_on: date | None


def explain(settings: Settings, name: str, day: date, by: dict[str, str], limit: int) -> dict[str, Any]:
    """Everything there is to say about one number.

    Args:
        settings: whose warehouse and release.
        name: a metric of the registry.
        day: any day of the month where the metric is about months.
        by: dimension -> value as text.
        limit: how many rows of each kind to name; counts and sums are of all.

    Raises:
        ExplainError: no such metric, dimension, value or day, or the warehouse cannot be read.
        RunLocked: a run is at work.
    """
    metric = _metric(name)
    asked = Question(metric, day if metric.date == "metric_date" else day.replace(day=1), by)
    for dimension in by:
        if dimension not in asked.dimensions:
            raise ExplainError(f"{name} has no dimension '{dimension}'; there is {', '.join(asked.dimensions) or 'none'}")
    if not settings.warehouse.exists():
        raise ExplainError(f"no warehouse at {settings.warehouse}: run cx nightly or cx backfill first")
    published = _published(settings, asked)
    has_rows = metric.mart in explained_marts()
    sql, feeds = lineages(settings, metric.mart)[metric.mart] if has_rows else (None, sorted(marts()[metric.mart].feeds))
    with _open(settings) as con:
        _check_question(con, asked)
        candidate = _figure(con, "marts", asked)
        shown = published["figure"] if published else candidate
        found: dict[str, Any] = {
            "metric": name,
            "date": asked.day,
            "by": by,
            "limit": limit,
            "value": shown.value,
            "parts": shown.parts,
            "cells": shown.cells,
            "is_final": shown.is_final,
            "final_on": shown.final_on,
            "published": published and {key: value for key, value in published.items() if key != "figure"},
            "warehouse": {
                "value": candidate.value,
                "parts": candidate.parts,
                "is_published": published is not None and _is_same(candidate.parts, shown.parts),
            },
            "definition": _definition(metric),
        }
        if sql is None:
            found |= {"rows": [], "rows_total": 0, "superseded": [], "superseded_total": 0, "left_out": [], "rows_add_up": None}
            found["rows_not_listed"] = (
                f"the source rows of {metric.mart} are not listed; its SQL is {found['definition']['sql']}, "
                "and the deliveries are those of its feeds for the day"
            )
            _find_deliveries(con, asked, feeds)
            found["deliveries"] = _deliveries_of_day(con)
        else:
            _find_rows(con, asked, sql, feeds)
            sums = _dicts(con, f"select {_sums(metric)} from source_rows")[0]
            found["rows_add_up"], found["rows_not_listed"] = _is_same(sums, candidate.parts), None
            found["deliveries"] = _deliveries(con, asked)
            found["rows"], found["rows_total"] = _rows(con, asked, limit)
            found["superseded"], found["superseded_total"] = _superseded(con, feeds, limit)
            found["left_out"] = _left_out(con)
        found["quarantined"] = _quarantined(con)
        found["not_taken"] = _not_taken(con, settings, asked, feeds)
    return _plain(found)


# ---- the question ----------------------------------------------------------------------------------------------------


def _metric(name: str) -> Metric:
    known = metrics()
    if name not in known:
        close = [other for other in known if name in other] or difflib.get_close_matches(name, known, n=3)
        meant = f"did you mean {' or '.join(close)}? " if close else ""
        raise ExplainError(f"there is no metric '{name}'; {meant}metrics are {', '.join(known)}")
    return known[name]


@contextmanager
def _open(settings: Settings) -> Iterator[duckdb.DuckDBPyConnection]:
    """The warehouse, read-only. Under the run lock: whoever reads it keeps a run from opening it."""
    with run_lock(settings, "explain"), ExitStack() as stack:
        try:
            con = stack.enter_context(warehouse.connect(settings, read_only=True))
        except duckdb.IOException as error:
            raise ExplainError(f"the warehouse is in use; ask again when it is free ({' '.join(str(error).split())})") from None
        try:
            yield con
        except (duckdb.BinderException, duckdb.CatalogException) as error:
            raise ExplainError(
                f"the definitions are not those the warehouse was built by: run cx nightly ({' '.join(str(error).split())})"
            ) from None


def _check_question(con: duckdb.DuckDBPyConnection, asked: Question) -> None:
    """Say what there is, where the mart has no such cells at all."""
    mart = asked.metric.mart
    on = {feed for (feed,) in con.execute("select feed from ops.feeds where is_on").fetchall()}
    if mart not in marts_on(on):
        raise ExplainError(f"{mart} is off: none of its feeds is in cx.toml ({', '.join(sorted(marts()[mart].feeds))})")
    if not warehouse.table_exists(con, "marts", mart):
        raise ExplainError(f"{mart} was never built: run cx nightly or cx backfill first")
    table = f"marts.{ident(mart)}"
    first = con.execute(f"select min({asked.metric.date}) from {table}").fetchone()[0]
    through = con.execute("select data_through from ops.clock").fetchone()[0]
    if first is None:
        raise ExplainError(f"{mart} has no row: nothing was observed through {through}")
    if not first <= asked.day <= through:
        raise ExplainError(f"nothing is known of {asked.day}: {mart} holds {first} to {through}")
    for name, value in asked.by.items():
        values = [
            text for (text,) in con.execute(f"select distinct cast({ident(name)} as varchar) from {table} order by 1").fetchall()
        ]
        if value not in values:
            more = f" and {len(values) - _LISTED} more" if len(values) > _LISTED else ""
            raise ExplainError(f"{mart} has no {name} '{value}'; there is {', '.join(values[:_LISTED])}{more}")


# ---- the number ------------------------------------------------------------------------------------------------------


def value_of(metric: Metric, parts: dict[str, Any]) -> Any:
    """The metric's value of its parts: the one that is the value, or the first one divided by those of the denominator."""
    if len(metric.parts) == 1 or metric.value in metric.parts:
        return parts[metric.value if metric.value in metric.parts else metric.parts[0]]
    above = (parts[metric.parts[0]] or 0) - sum(parts[part] or 0 for part in metric.minus)
    below = sum(parts[part] or 0 for part in metric.denominator)
    return metric.scale * float(above) / float(below) if below else None


def _figure(con: duckdb.DuckDBPyConnection, schema: str, asked: Question) -> Figure:
    metric = asked.metric
    cells = f"from {schema}.{ident(metric.mart)} where " + " and ".join(
        [f"{metric.date} = $day", f"({metric.where})", *(f"cast({ident(name)} as varchar) = $by_{name}" for name in asked.by)]
    )
    value = ident(metric.value) if metric.value else "null"
    row = _dicts(
        con,
        f"select count(*) as cells, {_sums(metric, 'sum({0})')}, any_value({value}) as value, "
        f"bool_and({ident(metric.is_final)}) as is_final, max({ident(metric.final_on)}) as final_on {cells}",
        asked.bound,
    )[0]
    # Cells with another date than their day (cohorts by age) meet on a day without being one number.
    if row["cells"] > 1 and (metric.additivity not in ("additive", "ratio", "mean") or metric.date != "metric_date"):
        free = [name for name in asked.dimensions if name not in asked.by]
        rows = con.execute(f"select {', '.join(ident(name) for name in free)} {cells} order by all", asked.bound).fetchall()
        listed = [" ".join(f"--by {name}={value}" for name, value in zip(free, row, strict=True)) for row in rows]
        raise ExplainError(
            f"{metric.name} ({metric.additivity}): its {len(rows)} cells of {asked.day} do not add up. Add one of\n  "
            + "\n  ".join(listed[:_LISTED])
        )
    parts = {part: row[part] for part in metric.parts}
    value = row["value"] if row["cells"] == 1 and metric.value else value_of(metric, parts)
    return Figure(row["cells"], parts, value, row["is_final"], row["final_on"])


def _published(settings: Settings, asked: Question) -> dict[str, Any] | None:
    """What readers of the current release see; None before the first, and where it has no such mart."""
    name = release.current(settings)
    if name is None:
        return None
    manifest = release.manifest_of(settings, name)
    mart = manifest["marts"].get(asked.metric.mart)
    if mart is None or not {*asked.metric.parts, asked.metric.final_on} <= {*mart["columns"]}:
        return None
    with duckdb.connect(str(settings.releases / name / release.DATABASE), read_only=True) as con:
        figure = _figure(con, "marts", asked)
        restated = _restatements(con, asked)
    return {
        "release": name,
        "run_id": manifest["run_id"],
        "published_at": manifest["published_at"],
        "data_through": manifest["data_through"],
        "definition": mart["definition"],
        "value": figure.value,
        "parts": figure.parts,
        "restatements": restated,
        "figure": figure,
    }


def _restatements(con: duckdb.DuckDBPyConnection, asked: Question) -> list[dict[str, Any]]:
    """What earlier releases said of these cells, newest change first."""
    if not warehouse.table_exists(con, "marts", "restatements"):
        return []  # a release of an older cxmarts
    same = "".join(f" and json_extract_string(dimensions, {literal('/' + name)}) = $by_{name}" for name in asked.by)
    return _dicts(
        con,
        "select published_at, kind, cause, dimensions, old_value, new_value, old_parts, new_parts, deliveries, run_id, "
        "old_definition, new_definition from marts.restatements where metric = $metric and metric_date = $day"
        f"{same} order by published_at desc, dimensions",
        {**asked.bound, "metric": asked.metric.name},
    )


def _definition(metric: Metric) -> dict[str, Any]:
    node = next(n for n in manifest_json()["nodes"].values() if n["resource_type"] == "model" and n["name"] == metric.mart)
    columns = [*metric.parts, *([metric.value] if metric.value else [])]
    return {
        "mart": metric.mart,
        "class": metric.additivity,
        "description": " ".join(node["description"].split()),
        "columns": {column: node["columns"][column]["description"] for column in columns},
        "sql": f"{DBT_PROJECT_DIR.name}/{node['original_file_path']}",
        "version": definition_of(metric.mart),
    }


# ---- the rows --------------------------------------------------------------------------------------------------------


def lineages(settings: Settings, marts: str) -> dict[str, tuple[str, list[str]]]:
    """By mart (or all that match, `*`) its explanation as SQL for this warehouse, and the feeds it reads."""
    return {node.name: _lineage(node) for node in compiled_analyses(settings, f"explain/{marts}")}


def _lineage(node: Any) -> tuple[str, list[str]]:
    staged = sorted(u.split(".")[-1] for u in node.depends_on.nodes if u.split(".")[-1].startswith("stg_"))
    return node.compiled_code, [name.removeprefix("stg_") for name in staged]


def _find_rows(con: duckdb.DuckDBPyConnection, asked: Question, sql: str, feeds: list[str]) -> None:
    """Temporary tables: `source_rows`, the explanation's rows of the question, each with its file, line and delivery;
    `concerned`, the deliveries behind the number and those for its days.

    A row left out that has no day is told where its delivery is concerned.
    """
    conditions = ["(metric_date = $day or metric_date is null)", "(part is null or part in (select unnest($parts)))"]
    conditions.append(f"coalesce(({asked.metric.where}), part is null)")
    conditions += [
        f"(cast({ident(name)} as varchar) = $by_{name} or (part is null and {ident(name)} is null))" for name in asked.by
    ]
    con.execute(
        "create temp table explained as select metric_date, part, entity, contribution, note, feed, _key "
        f"from ({sql}) where {' and '.join(conditions)}",
        {**asked.bound, "parts": list(asked.metric.parts)},
    )
    staged = " union all ".join(
        f"select {literal(feed)} as feed, s._key, r._delivery as delivery, r._delivery_day as delivery_day, r._file as file, "
        f"r._line as line from staging.{ident('stg_' + feed)} s "
        f"join raw.{ident(feed)} r on r._key = s._key and r._delivery = s._delivery and r._line = s._line "
        f"where s._key in (select _key from explained where feed = {literal(feed)})"
        for feed in feeds
    )
    con.execute(f"create temp table source_rows as from explained join ({staged}) using (feed, _key)")
    _find_deliveries(con, asked, feeds, "select delivery from source_rows where part is not null union ")
    con.execute("delete from source_rows where metric_date is null and delivery not in (from concerned)")


def _find_deliveries(con: duckdb.DuckDBPyConnection, asked: Question, feeds: list[str], behind: str = "") -> None:
    """The temporary table `concerned`: deliveries for the days asked, and those of the query `behind` (ends in `union`)."""
    con.execute(
        f"create temp table concerned as {behind}select delivery from ops.deliveries where delivery_day >= $first "
        "and delivery_day <= $last and feed in (select unnest($feeds))",
        {"first": asked.day, "last": asked.last_day, "feeds": feeds},
    )


def _sums(metric: Metric, form: str = "sum(contribution) filter (where part = {1})") -> str:
    return ", ".join(f"{form.format(ident(part), literal(part))} as {ident(part)}" for part in metric.parts)


def _rows(con: duckdb.DuckDBPyConnection, asked: Question, limit: int) -> tuple[list[dict[str, Any]], int]:
    """Source rows behind the number, entity by entity, those that add most first."""
    query = (
        f"select entity, {_sums(asked.metric)}, feed, file, line, string_agg(distinct note, '; ' order by note) as note "
        "from source_rows where part is not null group by feed, file, line, entity"
    )
    size = "greatest(" + ", ".join(f"abs(coalesce({ident(part)}, 0))" for part in asked.metric.parts) + ", 0)"
    rows = _dicts(
        con,
        f"from ({query}) order by sum({size}) over (partition by entity) desc, entity, {size} desc, file, line limit $limit",
        {"limit": limit},
    )
    return rows, con.execute(f"select count(*) from ({query})").fetchone()[0]


def _deliveries(con: duckdb.DuckDBPyConnection, asked: Question) -> list[dict[str, Any]]:
    """Deliveries behind the number: how many of their rows, what those add, and which run took them."""
    return _dicts(
        con,
        f"""
        with behind as (
            select delivery, count(distinct line) as rows, {_sums(asked.metric)}
            from source_rows where part is not null group by delivery
        )
        select d.feed, d.delivery_day, d.file, b.* exclude (delivery),
            date_trunc('second', d.taken_at) as taken_at, d.run_id
        from behind b left join ops.deliveries d on d.delivery = b.delivery and d.status = 'accepted'
        order by d.delivery_day, d.feed, d.file
        """,
    )


def _deliveries_of_day(con: duckdb.DuckDBPyConnection) -> list[dict[str, Any]]:
    """Deliveries for the days asked, where nothing tells which of their rows are behind the number."""
    return _dicts(
        con,
        """
        select feed, delivery_day, file, rows_accepted as rows, date_trunc('second', taken_at) as taken_at, run_id
        from ops.deliveries where status = 'accepted' and delivery in (from concerned)
        order by delivery_day, feed, file
        """,
    )


def _superseded(con: duckdb.DuckDBPyConnection, feeds: list[str], limit: int) -> tuple[list[dict[str, Any]], int]:
    """Older versions of the rows behind the number, and of those left out."""
    query = " union all ".join(
        f"select distinct {literal(feed)} as feed, r._file as file, r._line as line, w.file as newer_file, w.line as newer_line "
        f"from source_rows w join raw.{ident(feed)} r on r._key = w._key and (r._delivery, r._line) <> (w.delivery, w.line) "
        f"where w.feed = {literal(feed)}"
        for feed in feeds
    )
    rows = _dicts(con, f"from ({query}) order by file, line limit $limit", {"limit": limit})
    return rows, con.execute(f"select count(*) from ({query})").fetchone()[0]


def _places(file: str, line: str) -> str:
    """SQL: the first places of a group, as `file:line`."""
    return f"list_slice(list({file} || ':' || {line} order by {file}, {line}), 1, {_PLACES}) as first_places"


def _left_out(con: duckdb.DuckDBPyConnection) -> list[dict[str, Any]]:
    return _dicts(
        con,
        f"select feed, note as reason, count(*) as rows, {_places('file', 'line')} "
        "from (select distinct feed, note, file, line from source_rows where part is null) group by all "
        "order by rows desc, reason",
    )


def _quarantined(con: duckdb.DuckDBPyConnection) -> list[dict[str, Any]]:
    """Bad rows of the deliveries behind the number, and of those for its days."""
    return _dicts(
        con,
        f"select feed, reason, count(*) as rows, {_places('file', 'line')} "
        "from (select feed, file, line, unnest(reasons) as reason from ops.quarantine where delivery in (from concerned)) "
        "group by all order by rows desc, reason",
    )


def _not_taken(con: duckdb.DuckDBPyConnection, settings: Settings, asked: Question, feeds: list[str]) -> list[dict[str, Any]]:
    """Deliveries for the days asked that gave no rows, and whatever is held up: it may hold rows of any day.

    What has not come is missing from the time on at which it is due, not before the feed's first delivery, and not where
    somebody answers for that.
    """
    try:
        due = warehouse.due_through(settings.config, feeds)
    except ConfigError:  # it stands elsewhere, as for an example: then by the clock of the last run
        due = dict(con.execute("select feed, due_through from ops.feeds where feed in (select unnest($1))", [feeds]).fetchall())
    return _dicts(
        con,
        """
        select feed, delivery_day, status, file, reason from ops.deliveries
        where feed in (select unnest($feeds)) and (
            status in ('refused', 'pending')
            or (delivery_day >= $first and delivery_day <= $last and status not in ('accepted', 'replaced'))
        )
        union all
        select
            f.feed, cast(d as date), case when coalesce(cast(d as date) <= due.through, true) then 'missing' else 'not due' end,
            null, 'expected ' || f.expected || ', nothing has come'
        from ops.feeds f
        join (select unnest($feeds) as feed, cast(unnest($due) as date) as through) due using (feed),
            unnest(generate_series(cast($first as timestamp), cast($last as timestamp), interval 1 day)) as g(d)
        where f.is_on and f.feed in (select unnest($feeds)) and cast(d as date) <= (select data_through from ops.clock)
            and (f.expected = 'daily' or (f.expected = 'weekdays' and isodow(d) < 6))
            -- as in ops.feed_states: before its first delivery a feed is missed by nobody
            and cast(d as date) > (select min(x.delivery_day) from ops.deliveries x where x.feed = f.feed)
            and not exists (from ops.deliveries x where x.feed = f.feed and x.delivery_day = cast(d as date))
            and not exists (
                from ops.acceptances a
                where a.used_at is not null and (a.gate, a.subject, a.day) = ('arrival', f.feed, cast(d as date))
            )
        order by delivery_day, feed, file
        """,
        {"feeds": feeds, "due": [due[feed] for feed in feeds], "first": asked.day, "last": asked.last_day},
    )


# ---- the answer ------------------------------------------------------------------------------------------------------


def _dicts(con: duckdb.DuckDBPyConnection, sql: str, values: dict[str, Any] | None = None) -> list[dict[str, Any]]:
    return warehouse.records(con.execute(sql, values or {}))


def _is_same(left: dict[str, Any], right: dict[str, Any]) -> bool:
    """Whether all parts are equal. Minutes are floats, whose sum depends on the order; no row is a part of zero."""
    pairs = [(float(left[part] or 0), float(right[part] or 0)) for part in left]
    return all(abs(a - b) <= 1e-9 * max(1.0, abs(a), abs(b)) for a, b in pairs)


def _plain(value: Any) -> Any:
    """The same with numbers as JSON has them: whole ones as integers."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return value
