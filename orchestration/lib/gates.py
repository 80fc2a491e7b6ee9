"""The gates on what dbt built: row accounting of every feed, plausibility of every mart; and what must have been judged.

Belongs here: counting for these gates and the list of verdicts a publishable run has. Does not: expectations
(`data_quality.suites`), dbt's own tests (`dbt_build`), the decision (`data_quality.verdict.refusals`).
"""

from __future__ import annotations

from typing import Any

import duckdb

from data_quality import acceptance
from data_quality.contract import load_contracts
from data_quality.rules import ident, literal
from data_quality.suites.delivery import ARRIVAL, READABLE, ROW_RULES, reference_checks
from data_quality.suites.judge import figure_text, judge
from data_quality.suites.marts import METRIC_MOVED, MOVED, PLAUSIBLE, mart_checks
from data_quality.verdict import Verdict
from orchestration.lib import delivery_facts
from orchestration.lib.dbt_build import MODEL_GATE
from orchestration.lib.dbt_manifest import gate_of_test, manifest_json, marts, marts_on, models_on, tests_on
from orchestration.lib.moves import move_limit, moves
from orchestration.lib.warehouse import records, table_exists

ACCOUNTING = "row_accounting"
_LISTED = 5


def expected(feeds_on: set[str], with_arrival: bool) -> set[tuple[str, str]]:
    """Every (gate, subject) that must have a verdict before a run may publish.

    `with_arrival` is false for a rebuild, which takes no window of deliveries.
    """
    feed_gates = [READABLE, ROW_RULES, ACCOUNTING] + ([ARRIVAL] if with_arrival else [])
    wanted = {(gate, feed) for gate in feed_gates for feed in feeds_on}
    wanted |= {(gate, mart) for gate in (MODEL_GATE, PLAUSIBLE) for mart in marts_on(feeds_on)}
    for test, about in tests_on(models_on(feeds_on)).items():
        wanted |= {(gate_of_test(test), mart) for mart in about}
    return wanted


def row_accounting(con: duckdb.DuckDBPyConnection, feeds: set[str]) -> list[Verdict]:
    """Delivered = quarantined + raw, and raw = staged + excluded + superseded: by delivery, each side counted on its own.

    The first identity is counted over the deliveries taken since the last publication, and over the sums of all; the
    second over the keys that changed since, or over everything where staging was built whole.
    """
    return [_account(con, feed) for feed in sorted(feeds)]


def _account(con: duckdb.DuckDBPyConnection, feed: str) -> Verdict:
    raw, staging, name = f"raw.{ident(feed)}", f"staging.{ident('stg_' + feed)}", literal(feed)
    changed = f"(select key from ops.changes where model = 'raw' and entity = {name})"
    has_changes = con.execute(f"select count(*) from {changed}").fetchone()[0] > 0
    scope = f"_key in {changed}" if has_changes else "true"
    snapshot = f"{name} in (select feed from ops.feeds where delivery = 'snapshot')"
    newest = f"(not {snapshot} or _delivery_day = (select max(_delivery_day) from {raw}))"
    delivered, quarantined, loaded = con.execute(f"""
        select
            (select coalesce(sum(rows_read), 0) from ops.deliveries where feed = {name} and status = 'accepted'),
            (select count(*) from ops.quarantine where feed = {name}),
            (select count(*) from {raw})
    """).fetchone()
    # The rows of a delivery taken since the last publication, wherever they are.
    unfounded = con.execute(f"""
        with taken as (
            select delivery, rows_read from ops.deliveries
            where feed = {name} and status = 'accepted'
                and taken_at > coalesce((select max(published_at) from ops.releases), timestamp '1970-01-01')
        ),
        bad as (select delivery, count(*) as n from ops.quarantine where feed = {name} group by delivery),
        good as (
            select _delivery as delivery, count(*) as n from {raw}
            where _delivery in (select delivery from taken) group by _delivery
        )
        select t.delivery, t.rows_read as delivered, coalesce(bad.n, 0) as quarantined, coalesce(good.n, 0) as raw
        from taken t left join bad using (delivery) left join good using (delivery)
        where t.rows_read <> coalesce(bad.n, 0) + coalesce(good.n, 0) order by 1
    """)
    broken = records(unfounded)
    con.execute(f"""
        create or replace temp table accounts as
        with rows as (select * from {raw} where {scope}),
        several as (select _key from rows where {newest} group by _key having count(*) > 1),
        older as (
            select _delivery, row_number() over (
                partition by _key order by _version desc nulls last, _delivery_day desc, _file desc, _line desc
            ) > 1 as is_older
            from rows where {newest} and _key in (from several)
        )
        select delivery, sum(raw) as raw, sum(staged) as staged, sum(excluded) as excluded, sum(superseded) as superseded
        from (
            select
                _delivery as delivery, count(*) as raw, 0 as staged, 0 as excluded,
                count(*) filter (where not {newest}) as superseded
            from rows group by _delivery
            union all
            select _delivery, 0, 0, 0, count(*) from older where is_older group by _delivery
            union all
            select _delivery, 0, count(*) filter (where _exclusion is null), count(_exclusion), 0
            from {staging} where {scope} group by _delivery
        )
        group by delivery
    """)
    sums = con.execute("select sum(raw), sum(staged), sum(excluded), sum(superseded) from accounts").fetchone()
    scoped, staged, excluded, superseded = (int(n or 0) for n in sums)
    broken += records(con.execute("from accounts where raw <> staged + excluded + superseded order by delivery"))
    passed = delivered == quarantined + loaded and not broken
    return Verdict(
        ACCOUNTING, feed, "block", passed,
        figure=f"{delivered} delivered, {quarantined} quarantined, {loaded} raw; "
        f"of {scoped} raw: {staged} staged, {excluded} excluded, {superseded} superseded",
        bound="" if passed else "delivered = quarantined + raw; raw = staged + excluded + superseded, for each delivery",
        message="" if passed else "rows got lost or counted twice"
        + (f", first in {broken[0]['delivery']}" if broken else "") + "; run `cx rebuild` and report this",
        sample=broken[:5],
    )  # fmt: skip


def orphans(con: duckdb.DuckDBPyConnection, feeds_on: set[str]) -> list[Verdict]:
    """Rows that miss what they belong to: ids of no row in the feed they are of, and orders on no day."""
    return references(con, feeds_on) + _orders_on_no_day(con, feeds_on)


def references(con: duckdb.DuckDBPyConnection, feeds_on: set[str]) -> list[Verdict]:
    """Verdicts of Great Expectations on the relationships of contracts whose two feeds are on: one batch for all of them."""
    import pandas as pd

    rows = [row for feed in sorted(feeds_on) for row in _relationships(con, feed, feeds_on)]
    return judge(pd.DataFrame(rows), "feed", reference_checks(), "label")[0]


def _relationships(con: duckdb.DuckDBPyConnection, feed: str, feeds_on: set[str]) -> list[dict[str, Any]]:
    """A row a relationship of the feed, over the rows that this publication brings; in one statement.

    Ids are counted, not rows: a customer who is missing is missing once. Excluded rows (tests, deleted) are there.
    """
    contract = load_contracts()[feed]
    wanted = [(c.name, to) for c in contract.properties for to in c.relationships if to.feed in feeds_on]
    if not wanted:
        return []
    brought = (
        f"select delivery from ops.deliveries where feed = {literal(feed)} and status = 'accepted' "
        "and taken_at > coalesce((select max(published_at) from ops.releases), timestamp '1970-01-01')"
    )
    # Where nothing of the other feed has ever come, no id has its row: that is told by its arrival.
    wanted = [(column, to) for column, to in wanted if table_exists(con, "staging", f"stg_{to.feed}")]
    if not wanted or con.execute(brought + " limit 1").fetchone() is None:
        return [_relationship(feed, column, to.to, 0, 0, None, contract.limits.orphanShare) for column, to in wanted]
    columns = ", ".join(dict.fromkeys(ident(column) for column, _ in wanted))
    each = " union all ".join(
        f"select {n} as n, count(*), count(*) filter (where not is_there), min(id) filter (where not is_there) from ("
        f"select cast(i.id as varchar) as id, i.id in ("
        f"select {ident(to.column)} from staging.{ident('stg_' + to.feed)} where {ident(to.column)} is not null) as is_there "
        f"from (select distinct {ident(column)} as id from rows where {ident(column)} is not null) i)"
        for n, (column, to) in enumerate(wanted)
    )
    found = con.execute(
        f"with rows as materialized (select {columns} from staging.{ident('stg_' + feed)} where _delivery in ({brought})) {each} "
        "order by n"
    ).fetchall()
    limit = contract.limits.orphanShare
    return [
        _relationship(feed, column, to.to, ids, missing, first, limit)
        for (column, to), (_, ids, missing, first) in zip(wanted, found, strict=True)
    ]


def _relationship(feed: str, column: str, to: str, ids: int, missing: int, first: str | None, limit: float) -> dict[str, Any]:
    about = {c.name: c.classification for c in load_contracts()[feed].properties}
    sample = f", first: {first[:60]}" if first is not None and about[column] == "public" else ""
    return {
        "feed": feed, "label": f"{feed}.{column} -> {to}", "orphans": f"{missing} of {ids} ids{sample}", "orphan_count": missing,
        # More than the share, and than what chance makes of a small number of ids: 4 standard deviations.
        "orphan_limit": round(limit * ids + 4 * (limit * (1 - limit) * ids) ** 0.5, 1),
    }  # fmt: skip


def _orders_on_no_day(con: duckdb.DuckDBPyConnection, feeds_on: set[str]) -> list[Verdict]:
    """Orders on no day: lines that came without a header and without a time of their own. They count nowhere."""
    if "order_lines" not in feeds_on:
        return []
    rows = con.execute("select order_id from intermediate.int_orders where order_day is null order by 1").fetchall()
    return [
        Verdict(
            "orphans", "order_lines", "warn", not rows, figure=str(len(rows)) if rows else "", bound="0" if rows else "",
            message=f"orders have lines but no header and no time, and count nowhere (first: {rows[0][0]})" if rows else "",
            sample=[{"order_id": order} for (order,) in rows[:5]],
        )
    ]  # fmt: skip


def missing_rates(con: duckdb.DuckDBPyConnection, feeds_on: set[str]) -> list[Verdict]:
    """Rows held for want of an exchange rate: staged, and in no metric until the rate is known (docs/adr/0007)."""
    verdicts = []
    for feed in ("orders", "order_lines", "refunds"):
        if feed not in feeds_on:
            continue
        of_refund = "or (not h.is_of_order and r.currency = h.currency)" if feed == "refunds" else ""
        rows = con.execute(f"""
            with held as (
                select c.order_id, c.currency, c.rate_day, c.is_of_order
                from intermediate.int_order_currencies c
                left join intermediate.int_fx_rates x on c.rate_key = x.rate_key
                where x.rate is null
            )
            select h.currency, min(h.rate_day), max(h.rate_day), count(distinct r._key)
            from staging.stg_{feed} r join held h on r.order_id = h.order_id and (h.is_of_order {of_refund})
            where r._exclusion is null
            group by h.currency order by 1
        """).fetchall()
        count = sum(row[3] for row in rows)
        verdicts.append(
            Verdict(
                "missing_rates", feed, "warn", not rows, figure=str(count) if rows else "", bound="0" if rows else "",
                message="rows are held and count nowhere until fx_rates has a rate to the reporting currency: "
                + ", ".join(f"{currency} of {first} .. {last}" for currency, first, last, _ in rows[:5]) if rows else "",
                sample=[
                    {"currency": currency, "first_day": str(first), "last_day": str(last), "rows": n}
                    for currency, first, last, n in rows[:5]
                ],
            )
        )  # fmt: skip
    return verdicts


def missing_currencies(con: duckdb.DuckDBPyConnection, feeds_on: set[str]) -> list[Verdict]:
    """Orders on a day of which neither header nor lines say the currency: their amounts count as in the reporting one."""
    if "order_lines" not in feeds_on:
        return []
    count, first = con.execute(
        "select count(*), min(order_id) from intermediate.int_orders where currency = 'unknown' and order_day is not null"
    ).fetchone()
    if not count:
        return [Verdict("missing_currencies", "order_lines", "warn", True)]
    message = (
        f"orders have no currency, and their amounts count as in the reporting currency (first: {first}). Map currency under "
        '[feed.columns], or write currency = "EUR" (yours) under [feed.constants]'
    )
    return [Verdict("missing_currencies", "order_lines", "warn", False, str(count), "0", message, [{"order_id": first}])]


def survey_answers(con: duckdb.DuckDBPyConnection, feeds_on: set[str]) -> list[Verdict]:
    """Choices that the scale registry does not list, and answers that count nowhere because they do not fit it."""
    if "survey_responses" not in feeds_on:
        return []
    found = con.execute("""
        select
            coalesce(exclusion, 'unmapped') as reason, survey_id, question_id,
            count(*) as answers, min(response_id) as first_response
        from intermediate.int_survey_answers
        where (exclusion is not null or choice = 'unmapped') and coalesce(exclusion, '') not in ('test_person', 'test_account')
        group by all order by all
    """)
    rows = records(found)
    verdicts = []
    for gate, chosen, what in (
        ("mapped_answers", [row for row in rows if row["reason"] == "unmapped"],
         "answers are none of the options of their question; map them in cx.toml or list the option in the feed surveys"),
        ("known_scales", [row for row in rows if row["reason"] != "unmapped"],
         "answers do not fit the scale of their question, and count nowhere"),
    ):  # fmt: skip
        n = sum(row["answers"] for row in chosen)
        first = f" (first: {chosen[0]['first_response']}, {chosen[0]['reason']})" if chosen else ""
        verdicts.append(
            Verdict(
                gate, "survey_responses", "warn", not n, figure=str(n) if n else "", bound="0" if n else "",
                message=f"{what}{first}" if n else "", sample=chosen[:5],
            )
        )  # fmt: skip
    return verdicts


def mart_profile(con: duckdb.DuckDBPyConnection, names: list[str]) -> Any:
    """One row per mart, as `data_quality.suites.marts` describes it (a pandas DataFrame)."""
    import pandas as pd

    nodes = {n["name"]: n for n in manifest_json()["nodes"].values() if n["resource_type"] == "model"}
    closed = delivery_facts.holidays(con)
    (through,) = con.execute("select data_through from ops.clock").fetchone()
    found = moves(con, through, closed) if "metric_daily" in names else []
    limit = move_limit(len(found))
    rows = []
    for name in names:
        columns = nodes[name]["columns"]
        doubles = [column for column, about in columns.items() if about["data_type"] == "double"]
        not_finite = " + ".join(f"count(*) filter (where not isfinite({ident(c)}))" for c in doubles) or "0"
        late = "count(*) filter (where metric_date > (select data_through from ops.clock))" if "metric_date" in columns else "0"
        count, late_rows, broken = con.execute(f"select count(*), {late}, {not_finite} from marts.{ident(name)}").fetchone()
        volume, low, high = 0.0, 0.0, 1e15
        measure = nodes[name]["config"]["meta"].get("volume")
        if measure and through not in closed:
            today, usual, known = con.execute(
                f"""
                with days as (select metric_date, sum({ident(measure)}) as n from marts.{ident(name)} group by 1)
                select
                    coalesce(sum(n) filter (where metric_date = c.data_through), 0),
                    median(n) filter (where metric_date < c.data_through),
                    count(*) filter (where metric_date < c.data_through)
                from days cross join ops.clock c
                where metric_date > c.data_through - 57 and isodow(metric_date) = isodow(c.data_through)
                    and metric_date not in (select unnest(cast($1 as date[])))
                """,
                [closed],
            ).fetchone()
            volume = float(today or 0)
            if known and known >= 4 and usual > 0:
                # Outside the ratio, and further off than chance moves a small count.
                chance = 4 * float(usual) ** 0.5
                low = max(0.0, min(0.3 * float(usual), float(usual) - chance))
                high = max(3.0 * float(usual), float(usual) + chance)
        own = [move for move in found if move.mart == name]
        odd = [move.sentence() for move in own if abs(move.z) > limit]
        rows.append(
            {"mart": name, "label": name, "rows": count, "late_rows": late_rows, "not_finite": broken,
             "volume": volume, "volume_low": low, "volume_high": high, "move_limit": limit,
             "move": max((abs(move.z) for move in own), default=0.0), "moves": "; ".join(odd[:_LISTED])}
        )  # fmt: skip
    return pd.DataFrame(rows)


def judge_marts(con: duckdb.DuckDBPyConnection, feeds_on: set[str]) -> list[Verdict]:
    """Verdicts of Great Expectations on the profile of every mart that is on."""
    names = [name for name in marts() if name in marts_on(feeds_on)]
    profile = mart_profile(con, names)
    return judge(profile, "mart", mart_checks(), "label", _accepted_moves(con, profile))[0]


def _accepted_moves(con: duckdb.DuckDBPyConnection, profile: Any) -> dict[tuple[str, str], str]:
    """By gate and mart, who answers for exactly the figure that it has on the last complete day."""
    through, today = con.execute(
        "select data_through, cast(timezone(s.timezone, now()) as date) from ops.clock cross join ops.settings s"
    ).fetchone()
    rows = profile.to_dict("records")
    figures = {(MOVED, row["label"]): figure_text(row["volume"]) for row in rows}
    figures |= {(METRIC_MOVED, row["label"]): figure_text(row["moves"]) for row in rows}
    return {
        (a.gate, a.delivery): a.sentence()
        for a in acceptance.in_force(con, today, (MOVED, METRIC_MOVED))
        if a.day == through and a.content_hash == f"figure {figures.get((a.gate, a.delivery))}"
    }
