"""A release has exactly what was promised, and says of everything in it what it is."""

from __future__ import annotations

import subprocess
from pathlib import Path

import duckdb
import pytest

from orchestration.lib import interface, release
from orchestration.settings import Settings
from tests.company import Whole, release_of


@pytest.fixture(scope="module")
def home(whole: Whole) -> Path:
    return whole.home


def test_a_release_has_the_promised_columns_and_types(home: Path) -> None:
    """Every feed is on, so every relation is there; names, order and types are those of the committed record."""
    record = interface.promised()
    with duckdb.connect(str(release_of(home)), read_only=True) as con:
        columns = con.execute(
            "select table_name, column_name, data_type from duckdb_columns() where schema_name = 'marts' order by column_index"
        ).fetchall()
        found: dict[str, dict[str, str]] = {}
        for table, column, kind in columns:
            found.setdefault(table, {})[column] = kind
        for asked in ("metric('orders', 'day')", "metric_between('orders', '2025-09-01', '2025-09-30')",
                      "metric_as_published(timestamp '2030-01-01')"):  # fmt: skip
            name = next(name for name in record.relations if name.startswith(asked[: asked.index("(") + 1]))
            found[name] = {column: kind for column, kind, *_ in con.execute(f"describe from marts.{asked}").fetchall()}
    assert found == record.relations
    assert all(list(columns) == list(record.relations[name]) for name, columns in found.items())
    assert release.manifest_of(Settings(home), release.current(Settings(home)) or "")["interface"] == record.interface


def test_parquet_files_have_the_columns_of_their_marts(home: Path) -> None:
    record, folder = interface.promised(), release_of(home).parent / "parquet"
    marts = sorted(path.name for path in folder.iterdir())
    assert {"sales_daily", "metric_daily", "restatements", "releases"} <= set(marts)
    for mart in marts:
        rows = duckdb.sql(f"describe from '{folder / mart}/*.parquet'").fetchall()
        assert {column: kind for column, kind, *_ in rows} == record.relations[mart], mart


def test_every_table_view_column_and_macro_is_commented(home: Path) -> None:
    with duckdb.connect(str(release_of(home)), read_only=True) as con:
        for what, relation, named in (
            ("table", "duckdb_tables()", "table_name"),
            ("view", "duckdb_views()", "view_name"),
            ("column", "duckdb_columns()", "table_name || '.' || column_name"),
            ("macro", "duckdb_functions()", "function_name"),
        ):
            rows = con.execute(
                f"select {named}, nullif(trim(comment), '') is null from {relation} where schema_name = 'marts'"
            ).fetchall()
            assert rows and [name for name, is_silent in rows if is_silent] == [], what


def test_sha256sum_checks_a_release(home: Path) -> None:
    """Every file of it but the list itself, also the manifest; a changed byte is found."""
    folder = release_of(home).parent.resolve()
    checked = subprocess.run(["sha256sum", "--check", "--strict", "--quiet", release.CHECKSUMS], cwd=folder, capture_output=True)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b"")
    listed = {line.split("  ", 1)[1] for line in (folder / release.CHECKSUMS).read_text(encoding="utf-8").splitlines()}
    there = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert listed == there - {release.CHECKSUMS}
