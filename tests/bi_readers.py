"""Readers as BI tools are: each opens the release by its stable path, asks, and closes; in a process of its own.

Belongs here: the ways to open a release (duckdb, SQLAlchemy, ADBC, Parquet files) and a loop that reads until told to stop.
Does not: publishing, or what is expected of how many reads.
"""

from __future__ import annotations

import json
import multiprocessing
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb

Query = Callable[[str], list[tuple[Any, ...]]]
MARKED = ("sales_daily", "churn_daily", "clv_daily", "contact_volume_daily")
"""Marts that carry the same mark in every release of `mark`."""
_FIRST = date(2030, 1, 1)
_BETWEEN = 0.02
"""Seconds between two reads: a tool that reads without a pause leaves no processor to publish with."""


def mark(con: duckdb.DuckDBPyConnection, n: int) -> str:
    """Write the mark of publication `n` into the marts of a warehouse; the id of the run to publish it by."""
    for mart in MARKED:
        con.execute(f"update marts.{mart} set final_on = $1", [_FIRST + timedelta(days=n)])
        con.execute("insert into ops.rebuilt values (?, null)", [mart])
    return f"run{n:05d}"


@contextmanager
def by_duckdb(path: Path) -> Iterator[Query]:
    """DuckDB's own client."""
    with duckdb.connect(str(path), read_only=True) as con:
        yield lambda sql: con.execute(sql).fetchall()


@contextmanager
def by_sqlalchemy(path: Path) -> Iterator[Query]:
    """SQLAlchemy with duckdb-engine. No pool: a pooled connection stays with the release it opened."""
    import sqlalchemy

    engine = sqlalchemy.create_engine(f"duckdb:///{path}", connect_args={"read_only": True}, poolclass=sqlalchemy.pool.NullPool)
    with engine.connect() as con:
        yield lambda sql: [tuple(row) for row in con.execute(sqlalchemy.text(sql))]


@contextmanager
def by_adbc(path: Path) -> Iterator[Query]:
    """ADBC's driver manager with the driver that DuckDB's own library is."""
    import adbc_driver_duckdb
    from adbc_driver_manager import dbapi

    options = {"path": str(path), "access_mode": "READ_ONLY"}
    with (
        dbapi.connect(driver=adbc_driver_duckdb.driver_path(), entrypoint="duckdb_adbc_init", db_kwargs=options) as con,
        con.cursor() as cursor,
    ):

        def query(sql: str) -> list[tuple[Any, ...]]:
            cursor.execute(sql)
            return cursor.fetchall()

        yield query


@contextmanager
def by_parquet(path: Path) -> Iterator[Query]:
    """Parquet files, after the link was resolved once; `marts.x` of a query is their union."""
    parquet = path.parent.resolve() / "parquet"
    with duckdb.connect() as con:
        con.execute("create schema marts")
        for mart in (*MARKED, "releases"):
            con.execute(f"create view marts.{mart} as from '{parquet / mart}/*.parquet'")
        yield lambda sql: con.execute(sql).fetchall()


WAYS = {"duckdb": by_duckdb, "sqlalchemy": by_sqlalchemy, "adbc": by_adbc, "parquet": by_parquet}


def look(query: Query) -> tuple[str, str]:
    """The run whose release this is, and what in it does not fit: every marked mart must carry that run's mark."""
    marks = {query(f"select max(final_on) from marts.{mart}")[0][0] for mart in MARKED}
    run = query("select max_by(run_id, release) from marts.releases")[0][0]
    if not run.startswith("run"):
        return run, ""  # of before the first mark
    return run, "" if marks == {_FIRST + timedelta(days=int(run[3:]))} else f"{run} holds {marks}"


def read_forever(way: str, home: Path, stop: Any, told: Any) -> None:
    """Open, look and close until `stop` is set; puts (way, reads, problems, how many releases were seen)."""
    reads, problems, seen = 0, [], set()
    while not stop.is_set() or reads == 0:
        try:
            folder = (home / "releases" / "current").resolve()
            manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
            with WAYS[way](home / "releases" / "current" / "cx.duckdb") as query:
                run, problem = look(query)
            if problem or manifest["release"] != folder.name:
                problems.append(f"mixed: {problem or manifest['release']}")
            seen.add(run)
        except Exception as error:  # whatever a reader is told instead of an answer is a failed read
            problems.append(repr(error))
        reads += 1
        time.sleep(_BETWEEN)
    told.put((way, reads, problems, len(seen)))


def read_while(
    home: Path, publish: Callable[[], None], ways: tuple[str, ...] = tuple(WAYS)
) -> dict[str, tuple[int, list[str], int]]:
    """Let one process a way read while `publish` runs; by way its reads, problems, and how many releases it saw."""
    context = multiprocessing.get_context("spawn")
    stop, told = context.Event(), context.Queue()
    readers = [context.Process(target=read_forever, args=(way, home, stop, told)) for way in WAYS]
    for reader in readers:
        reader.start()
    try:
        publish()
    finally:
        stop.set()
    found = {way: rest for way, *rest in (told.get(timeout=60) for _ in readers)}
    for reader in readers:
        reader.join()
    return {way: (reads, problems, seen) for way, (reads, problems, seen) in found.items()}
