"""`make duckdb-versions`: the files of a release opened by DuckDB 1.4, 1.5 and 2.0, each in a folder of its own.

Every table, view and Parquet folder is counted and summed, and metrics are asked by the table macros; all must say the same.
Needs an index to install from. `python -m tests.duckdb_versions [FOLDER OF A RELEASE]`; default: CX_HOME's current one.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

VERSIONS = ("1.4", "1.5", "2.0")
ASKED = (
    "marts.metric('fcr_rate', 'month')",
    "marts.metric('orders', 'year')",
    "marts.metric('churn_rate', 'trailing_30d')",
    "marts.metric_between('fcr_rate', '2025-01-01', '2030-01-01')",
    "marts.metric_as_published(timestamp '2100-01-01')",
)


class NotInstalled(Exception):
    """A version could not be had from the index."""


def install(version: str, folder: Path) -> None:
    """The newest DuckDB of a minor version, into a folder.

    Raises:
        NotInstalled: with what the installer said.
    """
    folder.mkdir(parents=True)
    wanted = ["--target", str(folder), "--no-deps", f"duckdb=={version}.*"]
    # Not in the project's folder: its constraint is for the project.
    for installer in (["uv", "pip", "install", "--python", sys.executable], ["pip", "install", "--disable-pip-version-check"]):
        done = subprocess.run(
            [sys.executable, "-m", *installer, "-q", *wanted], cwd=folder, capture_output=True, text=True, timeout=300
        )
        if done.returncode == 0:
            return
    raise NotInstalled(f"duckdb {version}: {done.stderr.strip()[-300:]}")


def said_by(folder: Path, release: Path) -> dict[str, Any]:
    """What the DuckDB of a folder says of a release, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, {str(folder)!r})\n" + _READER, str(release), *ASKED],
        capture_output=True,
        text=True,
        timeout=600,
    )
    if done.returncode != 0:
        raise RuntimeError(done.stderr)
    return json.loads(done.stdout)


_READER = r'''
import json, sys
import duckdb

release, asked = sys.argv[1], sys.argv[2:]
con = duckdb.connect(release + "/cx.duckdb", read_only=True)
con.execute("set threads = 1")
con.execute("set enable_progress_bar = false")  # it would stand in the answer


def summed(relation):
    """Rows; of each column how many values, and what they add up to: numbers, lengths of texts and lists, days since 1970."""
    said = []
    for column, kind, *_ in con.execute("describe from " + relation).fetchall():
        c = '"' + column + '"'
        if kind in ("DOUBLE", "FLOAT"):
            said.append("fsum(" + c + ")")
        elif kind.startswith("DECIMAL") or kind.endswith("INT") or kind == "INTEGER":
            said.append("cast(sum(" + c + ") as varchar)")
        elif kind == "BOOLEAN":
            said.append("count(*) filter (where " + c + ")")
        elif kind in ("DATE", "TIMESTAMP"):
            said.append("cast(sum(epoch_us(cast(" + c + " as timestamp))::hugeint) as varchar)")
        elif kind.endswith("[]"):
            said.append("sum(len(" + c + "))::bigint")
        else:
            said.append("sum(strlen(cast(" + c + " as varchar)))::bigint || ' ' || min(" + c + ") || ' ' || max(" + c + ")")
        said.append("count(" + c + ")")
    row = con.execute("select count(*), " + ", ".join(said) + " from " + relation).fetchone()
    return list(row)


found = {"version": duckdb.__version__, "said": {}}
tables = con.execute("select table_name from duckdb_tables() where schema_name = 'marts'").fetchall()
views = con.execute("select view_name from duckdb_views() where schema_name = 'marts'").fetchall()
for (name,) in tables + views:
    found["said"]["marts." + name] = summed('marts."' + name + '"')
for relation in asked:
    found["said"][relation] = summed(relation)
import os

for name in sorted(os.listdir(release + "/parquet")):
    found["said"]["parquet/" + name] = summed("read_parquet('" + release + "/parquet/" + name + "/*.parquet')")
comments = con.execute("select count(*) from duckdb_columns() where schema_name = 'marts' and comment is not null").fetchone()
found["said"]["comments"] = list(comments)
try:
    con.execute("create table marts.mine as select 1")
    found["said"]["wrote"] = True
except duckdb.Error:
    pass
print(json.dumps(found))
'''


def differences(left: dict[str, Any], right: dict[str, Any]) -> list[str]:
    """What two versions say otherwise; doubles may differ in their last digits."""
    found = []
    for name in sorted({*left["said"], *right["said"]}):
        one, other = left["said"].get(name), right["said"].get(name)
        if one is None or other is None or len(one) != len(other) or not all(map(_same, one, other)):
            found.append(f"{name}: DuckDB {left['version']} says {one}, {right['version']} {other}")
    return found


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-9)
    return one == other


def compare(release: Path, folder: Path) -> tuple[list[dict[str, Any]], list[str]]:
    """Install the versions below a folder and let each read the release: what they said, and where they differ."""
    said = []
    for version in VERSIONS:
        install(version, folder / version)
        said.append(said_by(folder / version, release))
    return said, [problem for other in said[1:] for problem in differences(said[0], other)]


def main() -> int:
    """Print what was compared; 1 where something differs."""
    home = Path(os.environ.get("CX_HOME", ".cx"))
    release = Path(sys.argv[1]) if len(sys.argv) > 1 else home / "releases" / "current"
    with tempfile.TemporaryDirectory() as folder:
        said, problems = compare(release.resolve(), Path(folder))
    for one in said:
        parquet = sum(name.startswith("parquet/") for name in one["said"])
        tables = sum(name.startswith("marts.") for name in one["said"])
        print(f"DuckDB {one['version']}: {tables} tables, views and macros, {parquet} Parquet folders")
    print("\n".join(problems) or "all say the same")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
