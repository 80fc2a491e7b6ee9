"""Reading a feed's files once more, because its contract, its mapping or everything is new.

Belongs here: what is forgotten of a feed for it, and what is set aside until its files are read: what the new reading
refuses goes on to hold what it held. Does not: reading and judging (`ingest`), or when it is due (`ingest.changed_reading`).
"""

from __future__ import annotations

import duckdb

from data_quality import normalise
from data_quality.contract import Contract, load_contracts
from data_quality.rules import LINEAGE_COLUMNS, ident, key_columns, raw_table_ddl
from orchestration.lib import readers
from orchestration.lib.warehouse import table_exists, tx
from orchestration.settings import Settings

_BOOKS = ("deliveries", "quarantine", "delivery_facts")
"""Tables of `ops` with rows a delivery, that are set aside with its rows; `deliveries` says which are loaded."""


class FilesGone(Exception):
    """Deliveries that would have to be read again are not there any more."""


def reset_feeds(con: duckdb.DuckDBPyConnection, settings: Settings, feeds: list[str]) -> None:
    """Forget everything loaded of these feeds, so that every delivery is loaded anew from the landing folder.

    One transaction with the ledger: a run that dies afterwards finds them all pending, and rebuilds every model. What they
    held is set aside until they are loaded (`take_back`).
    Only what a delivery held before its file was overwritten cannot be read again: it stays as it was read, until the
    new content is loaded, or for good where that is refused. So does what an earlier reading made of a file that a later
    one refused.

    Raises:
        FilesGone: a delivery that is loaded is no longer in the landing folder; nothing was changed.
    """
    present = {file.delivery for source in settings.config.sources_of(set(feeds)) for file in readers.discover(settings, source)}
    held = con.execute(
        "select delivery, file from ops.deliveries where status = 'accepted' and rows_read > 0 and feed in (select unnest($1))",
        [feeds],
    ).fetchall()
    # A file that is there but that cx.toml no longer maps was taken out on purpose.
    gone = [file for delivery, file in held if delivery not in present and not (settings.landing / file).exists()]
    if gone:
        raise FilesGone(
            f"{len(gone)} loaded deliveries are no longer in {settings.landing} (first: {gone[0]}). Loading anew would lose "
            "their rows: put the files back. To withdraw a delivery, put a file with its header only under its name."
        )
    with tx(con):
        con.execute(
            "create or replace temp table kept as select delivery from ops.deliveries where feed in (select unnest($1)) "
            "group by delivery having bool_or(status = 'accepted') and bool_or(status in ('refused', 'pending'))",
            [feeds],
        )
        for feed in feeds:
            contract = load_contracts()[feed]
            con.execute(f"create or replace temp table kept_rows as from raw.{ident(feed)} where _delivery in (from kept)")
            _set_aside(con, feed)
            con.execute(raw_table_ddl(contract))  # the contract may have other columns now
            _insert(con, contract, "kept_rows")
            con.execute("drop table kept_rows")
            con.execute("delete from ops.delivery_facts where feed = ? and delivery not in (from kept)", [feed])
        con.execute(
            "delete from ops.quarantine where feed in (select unnest($1)) and delivery not in (from kept)",
            [feeds],
        )
        # A file is read once, as it is now: of its rows in the ledger the newest stays. Why it was refused is forgotten
        # too, because the reading may have been corrected since.
        con.execute(
            "delete from ops.deliveries where feed in (select unnest($1)) and rowid not in "
            "(select max_by(rowid, (taken_at, rowid)) from ops.deliveries group by delivery) "
            "and not (status = 'accepted' and delivery in (from kept))",
            [feeds],
        )
        con.execute(
            "update ops.deliveries set status = 'pending', reason = null, gate = null where feed in (select unnest($1)) "
            "and not (status = 'accepted' and delivery in (from kept))",
            [feeds],
        )
        con.execute("drop table kept")
        con.execute("delete from ops.loaded where feed in (select unnest($1))", [feeds])
        con.execute("update ops.clock set fingerprint = null")


def take_back(con: duckdb.DuckDBPyConnection, feed: str) -> None:
    """Give deliveries that were loaded, and that the new reading refused, what they held; forget what was set aside.

    Such a delivery is as one whose file was overwritten with content that is refused: it holds its last good state, the
    feed is stale, and every run that comes by its day tries it again.
    """
    if not table_exists(con, "raw", _before(feed)):
        return
    contract, before = load_contracts()[feed], f"raw.{ident(_before(feed))}"
    with tx(con):
        con.execute(
            "create or replace temp table worse as select delivery from ops.deliveries_before "
            "where feed = $1 and status = 'accepted' "
            "and delivery in (select delivery from ops.deliveries where status = 'refused') "
            "and delivery not in (select delivery from ops.deliveries where status = 'accepted')",
            [feed],
        )
        con.execute(f"create or replace temp table worse_rows as from {before} where _delivery in (from worse)")
        _insert(con, contract, "worse_rows")
        for table in _BOOKS:
            loaded = "and status = 'accepted'" if table == "deliveries" else ""
            con.execute(
                f"insert into ops.{table} by name from ops.{table}_before where feed = ? and delivery in (from worse) {loaded}",
                [feed],
            )
            con.execute(f"delete from ops.{table}_before where feed = ?", [feed])
        con.execute(f"drop table {before}")
        con.execute("drop table worse_rows")
        con.execute("drop table worse")


def held_as_read_before(con: duckdb.DuckDBPyConnection) -> set[str]:
    """Deliveries that hold what an earlier reading made of their file, because today's refuses it: each run tries again."""
    rows = con.execute(
        "select delivery from ops.deliveries where status in ('accepted', 'refused') "
        "group by delivery, content_hash having count(distinct status) = 2"
    ).fetchall()
    return {delivery for (delivery,) in rows}


def _before(feed: str) -> str:
    return f"{feed}__before"


def _set_aside(con: duckdb.DuckDBPyConnection, feed: str) -> None:
    """Put the feed's rows and books beside; where they are already, the reading that began since was never published."""
    if table_exists(con, "raw", _before(feed)):
        con.execute(f"drop table raw.{ident(feed)}")
        return
    con.execute(f"alter table raw.{ident(feed)} rename to {ident(_before(feed))}")
    for table in _BOOKS:
        con.execute(f"create table if not exists ops.{table}_before as from ops.{table} limit 0")
        con.execute(f"insert into ops.{table}_before by name from ops.{table} where feed = ?", [feed])


def _insert(con: duckdb.DuckDBPyConnection, contract: Contract, rows: str) -> None:
    """Put rows that were read under another contract into the raw table: the columns that both have."""
    old = {name for name, *_ in con.execute(f"describe {rows}").fetchall()}
    types = {name: kind for name, kind, *_ in con.execute(f"describe raw.{ident(contract.id)}").fetchall()}
    both = [name for name in (*(p.name for p in contract.properties), *LINEAGE_COLUMNS) if name in old]
    # A value that is none of the new type is nothing, as one that was not delivered.
    values = ", ".join(f"try_cast({ident(name)} as {types[name]}) as {ident(name)}" for name in both)
    con.execute(f"insert into raw.{ident(contract.id)} by name select {values} from {rows}")
    if contract.normalized:
        normalise.register(con)
        made = ", ".join(f"{ident(name)} = {sql}" for name, sql in key_columns(contract).items())
        inserted = f"_delivery in (select _delivery from {rows})"
        con.execute(f"update raw.{ident(contract.id)} set {made} where {inserted}")
