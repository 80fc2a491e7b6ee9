"""Tells whether the installed DuckDB may be used: 2.0.0 loses the rows of this transaction (docs/adr/0002)."""

from pathlib import Path

import duckdb


def test_rows_inserted_after_an_empty_create_table_as_can_be_read(tmp_path: Path) -> None:
    with duckdb.connect(str(tmp_path / "t.duckdb")) as con:
        con.execute("begin")
        con.execute("create table t as select * from range(10) r(i) where i < 0")
        con.execute("insert into t select * from range(200000)")
        con.execute("commit")
        assert con.execute("select count(*) from t").fetchone() == (200_000,)
        assert len(con.execute("select i from t").fetchall()) == 200_000
