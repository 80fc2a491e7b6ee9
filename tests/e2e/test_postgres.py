"""A release in PostgreSQL: the same rows, exact; readers see one release or the other; a failure takes nothing back.

Against a real server that the module starts; skipped where there is none.
"""

from __future__ import annotations

import json
import multiprocessing
import shutil
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest
from typer.testing import CliRunner

from orchestration import cli
from orchestration.lib import alerts, postgres, release, report
from orchestration.lib.warehouse import connect
from orchestration.runs import plan
from orchestration.settings import Settings
from tests.company import Whole, release_of, run
from tests.postgres_server import postgres as server

dbapi = pytest.importorskip("adbc_driver_postgresql.dbapi", reason="the extra postgres is not installed")
READER = "cx_reader"


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with server() as url:
        _ask(url, f"create role {READER} login")
        yield url


@pytest.fixture(scope="module")
def copied(whole: Whole, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the home of all feeds, to publish more of."""
    home = Path(shutil.copytree(whole.home, tmp_path_factory.mktemp("postgres") / "home", symlinks=True))
    with (home / "landing" / "cx.toml").open("a", encoding="utf-8") as file:
        file.write(f'\n[postgres]\nreader = "{READER}"\n')
    return home


@pytest.fixture
def home(copied: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CX_POSTGRES_URL", url)
    monkeypatch.setenv("CX_HOME", str(copied))
    return copied


def _ask(url: str, *statements: str) -> list[tuple[Any, ...]]:
    """Execute statements in one transaction; the rows of the last."""
    with dbapi.connect(url) as con, con.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
        rows = cursor.fetchall() if cursor.description else []
        con.commit()
    return rows


def _rows(url: str, table: str, columns: dict[str, str]) -> Any:
    """A table of the schema as Arrow; numeric as its text, which is exact."""
    said = ", ".join(f'"{c}"::text' if k.startswith("DECIMAL") else f'"{c}"' for c, k in columns.items())
    with dbapi.connect(url) as con, con.cursor() as cursor:
        cursor.execute(f'select {said} from marts."{table}"')
        return cursor.fetch_arrow_table()


def test_every_table_equals_the_release_row_for_row(home: Path, url: str) -> None:
    """Compared as multisets by DuckDB; then types and comments; and a second copy finds nothing to write."""
    first = postgres.publish(Settings(home))
    assert first.parts > 100 and first.release == release.current(Settings(home))
    with duckdb.connect(str(release_of(home)), read_only=True) as con:
        names = [name for (name,) in con.execute("select table_name from duckdb_tables() where schema_name = 'marts'").fetchall()]
        assert len(names) + 1 == first.tables
        for name in [*names, "benchmark"]:
            columns = {c: k for c, k, *_ in con.execute(f"describe marts.{name}").fetchall()}
            there = _rows(url, name, columns)  # noqa: F841  DuckDB reads it by its name
            own = ", ".join(f'"{c}"::varchar' if k.startswith("DECIMAL") else f'"{c}"' for c, k in columns.items())
            for left, right in (("there", f"(select {own} from marts.{name})"), (f"(select {own} from marts.{name})", "there")):
                (only,) = con.execute(f"select count(*) from (from {left} except all from {right})").fetchone()
                assert only == 0, (name, left)
        comments = dict(
            con.execute(
                "select table_name || '.' || column_name, comment from duckdb_columns() where schema_name = 'marts'"
            ).fetchall()
        )
    said = _ask(url, "select c.relname || '.' || a.attname, col_description(c.oid, a.attnum) from pg_class c join pg_attribute a "
                "on a.attrelid = c.oid and a.attnum > 0 where c.relnamespace = 'marts'::regnamespace and c.relkind = 'r' "
                "and c.relname <> 'published_files'")  # fmt: skip
    assert dict(said) == {name: about for name, about in comments.items() if not name.startswith("metric_values.")}
    kinds = dict(
        _ask(
            url,
            "select column_name, concat(data_type, '(' || numeric_precision || ',' || numeric_scale || ')') "
            "from information_schema.columns where table_schema = 'marts' and table_name = 'sales_daily' "
            "and (data_type = 'numeric' or column_name = 'metric_date')",
        )
    )
    assert kinds["metric_date"] == "date" and kinds["net_amount"] == "numeric(18,4)"

    again = postgres.publish(Settings(home))
    assert (again.parts, again.rows) == (0, 0)


ANSWERED = (
    "metric('fcr_rate', 'month')",
    "metric('net_sales', 'week')",
    "metric('churn_rate', 'trailing_30d')",
    "metric('fcr_rate', 'year')",
    "metric('nps', 'year')",
    "metric_between('fcr_rate', '2025-09-10', '2025-10-20')",
    "metric_between('orders', '2025-09-10', '2025-09-10')",
)
REFUSED = (
    "metric('nope', 'day')",
    "metric('churn_rate', 'week')",
    "metric_between('churn_rate', '2025-09-01', '2025-09-30')",
)


def test_metrics_are_asked_as_in_a_release(home: Path, url: str) -> None:
    """`metric` and `metric_between` are functions there: the same rows, and the same refusals. Sums of doubles to 12 digits."""
    postgres.publish(Settings(home))
    with duckdb.connect(str(release_of(home)), read_only=True) as con:
        for asked in ANSWERED:
            mine, theirs = (
                {(row[0], row[2], row[3]): row for row in rows}
                for rows in (con.execute(f"from marts.{asked}").fetchall(), _ask(url, f"select * from marts.{asked}"))
            )
            assert mine and mine.keys() == theirs.keys(), asked
            for key, row in mine.items():
                for left, right in zip(row, theirs[key], strict=True):
                    assert left == (pytest.approx(right, rel=1e-12) if isinstance(left, float) else right), (asked, key)
        for asked in REFUSED:
            with pytest.raises(duckdb.Error) as mine_says:
                con.execute(f"from marts.{asked}").fetchall()
            with pytest.raises(dbapi.Error) as theirs_says:
                _ask(url, f"select * from marts.{asked}")
            assert str(mine_says.value).split("Error: ")[-1].splitlines()[0] in str(theirs_says.value)


def test_the_reader_may_read_and_what_others_granted_or_built_stays(home: Path, url: str) -> None:
    postgres.publish(Settings(home))
    _ask(url, "create or replace view public.mine as select sum(orders) as orders from marts.sales_daily")
    as_reader = url.replace("//cx@", f"//{READER}@")
    assert _ask(as_reader, "select count(*) > 0 from marts.metric_daily") == [(True,)]
    assert _ask(as_reader, "select count(*) > 0 from marts.metric('orders', 'month')") == [(True,)]
    for forbidden in (
        "delete from marts.metric_daily",
        "create table marts.x (n integer)",
        "select * from marts.published_files",
    ):
        with pytest.raises(dbapi.Error, match="permission denied"):
            _ask(as_reader, forbidden)
    _ask(url, f"grant select on public.mine to {READER}")
    postgres.publish(Settings(home), whole=True)
    assert _ask(as_reader, "select orders > 0 from public.mine") == [(True,)]


def test_a_changed_month_is_written_alone_and_changed_columns_are_followed(home: Path, url: str) -> None:
    """A later release of the same months writes few parts; a column that is too many, gone or of another type is mended."""
    settings = Settings(home)
    postgres.publish(settings)
    with connect(settings) as con:
        con.execute("update marts.sales_daily set orders = orders + 1 where metric_date = date '2025-10-05'")
        con.execute("insert into ops.rebuilt values ('sales_daily', date '2025-10-05')")
        release.publish(con, settings, "changed1", {source.feed for source in settings.config.feed}, [])
    copied = postgres.publish(settings)
    assert copied.parts < 40, "the month, this month's log, and tables without a day"
    total = "select sum(orders) from marts.sales_daily"
    with duckdb.connect(str(release_of(home)), read_only=True) as con:
        expected = con.execute(total).fetchone()
    assert [tuple(map(int, row)) for row in _ask(url, total)] == [expected]

    _ask(
        url,
        "alter table marts.stock_daily add column surplus integer",
        "alter table marts.emotion_daily drop column is_final",
        "alter table marts.queue_daily alter column is_final type text",
        "create table marts.old (surplus integer)",
        "drop function marts.metric_between(text, date, date)",
        "create function marts.metric_between(metric_name text, first_day date, last_day date) returns table (value float) "
        "language sql as 'select 1e0'",
        "insert into marts.published_files values ('old', 'all', '')",
    )
    postgres.publish(settings)
    kinds = _ask(
        url,
        "select table_name::text, column_name::text, data_type::text from information_schema.columns "
        "where table_schema = 'marts' "
        "and (column_name = 'surplus' or column_name = 'is_final' and table_name in ('emotion_daily', 'queue_daily')) order by 1",
    )
    assert kinds == [("emotion_daily", "is_final", "boolean"), ("queue_daily", "is_final", "boolean")]
    _assert_sums_are_equal(home, url)
    assert _ask(url, "select count(n) from marts.metric_between('orders', '2025-09-10', '2025-09-10')") is not None

    _ask(url, "delete from marts.sales_daily where metric_date = date '2025-09-05'")
    with connect(settings) as con:
        con.execute("insert into ops.rebuilt values ('sales_daily', date '2025-10-05')")
        con.execute("update marts.sales_daily set orders = orders - 1 where metric_date = date '2025-10-05'")
        release.publish(con, settings, "changed2", {source.feed for source in settings.config.feed}, [])
    with pytest.raises(postgres.PostgresError, match="has somebody written into it"):
        postgres.publish(settings)
    assert CliRunner().invoke(cli.app, ["publish", "postgres", "--whole"]).exit_code == 0
    assert postgres.publish(settings).parts == 0


def _assert_sums_are_equal(home: Path, url: str) -> None:
    """Rows, and the sum of every whole number and boolean, in one statement a table."""
    with duckdb.connect(str(release_of(home)), read_only=True) as con:
        for (name,) in con.execute("select table_name from duckdb_tables() where schema_name = 'marts'").fetchall():
            columns = [c for c, k, *_ in con.execute(f"describe marts.{name}").fetchall() if k in ("INTEGER", "BOOLEAN")]
            said = ", ".join(["count(*)", *(f'coalesce(sum("{c}"::int)::bigint, 0)' for c in columns)])
            rows = con.execute(f"select {said} from marts.{name}").fetchall()
            assert _ask(url, f'select {said} from marts."{name}"') == rows, name


def _read_forever(url: str, stop: Any, told: Any) -> None:
    """One statement over two tables, and a REPEATABLE READ transaction of several; each must be of one release."""
    reads, problems, seen = 0, [], set()
    con = dbapi.connect(url)
    while not stop.is_set() or reads == 0:
        try:
            with con.cursor() as cursor:
                cursor.execute(
                    "select (select max(final_on) from marts.sales_daily), (select max(final_on) from marts.clv_daily), "
                    "(select run_id from marts.releases order by release desc limit 1)"
                )
                ((one, other, run_id),) = cursor.fetchall()
            con.rollback()
            with con.cursor() as cursor:
                cursor.execute("set transaction isolation level repeatable read, read only")
                states = []
                for table in ("sales_daily", "clv_daily"):
                    cursor.execute(f"select max(final_on), count(*) > 0 from marts.{table}")
                    states += cursor.fetchall()
            con.rollback()
            if run_id.startswith("mark") and not one == other == date(2030, 1, 1) + timedelta(days=int(run_id[4:])):
                problems.append(f"{run_id}: {one}, {other}")
            if run_id.startswith("mark") and (len(set(states)) != 1 or not states[0][1]):
                problems.append(f"transaction: {states}")
            seen.add(run_id)
        except Exception as error:
            problems.append(repr(error))
        reads += 1
    told.put((reads, problems, len(seen)))


def test_readers_see_one_release_or_the_other(home: Path, url: str) -> None:
    """Four releases are copied while a reader reads; in one of them the columns of both tables change."""
    settings = Settings(home)
    feeds = {source.feed for source in settings.config.feed}
    context = multiprocessing.get_context("spawn")
    stop, told = context.Event(), context.Queue()

    def mark(n: int) -> None:
        with connect(settings) as con:
            for mart in ("sales_daily", "clv_daily"):
                con.execute(f"update marts.{mart} set final_on = $1", [date(2030, 1, 1) + timedelta(days=n)])
                con.execute("insert into ops.rebuilt values (?, null)", [mart])
            release.publish(con, settings, f"mark{n:04d}", feeds, [])
        postgres.publish(settings)

    mark(0)
    reader = context.Process(target=_read_forever, args=(url, stop, told))
    reader.start()
    for n in range(1, 5):
        if n == 3:
            _ask(url, *(f"alter table marts.{mart} add column surplus integer" for mart in ("sales_daily", "clv_daily")))
        mark(n)
    stop.set()
    reads, problems, seen = told.get(timeout=60)
    reader.join()
    assert problems == [] and reads > 10 and seen > 2, (reads, problems[:3], seen)


def test_a_server_that_is_down_takes_nothing_back(home: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The release is published; the report of its run exits 3 and says what is behind, and no secret; the command mends it."""
    settings = Settings(home)
    postgres.publish(settings)
    had = release.current(settings)
    monkeypatch.setenv("CX_POSTGRES_URL", "postgresql://cx:s3cr3t@127.0.0.1:1/marts")
    with connect(settings) as con:
        con.execute("delete from ops.deliveries where status = 'refused'")
        now = release.publish(con, settings, "refused1", {source.feed for source in settings.config.feed}, [])
    failed = CliRunner().invoke(cli.app, ["publish", "postgres"])
    assert isinstance(failed.exception, postgres.PostgresError) and "Connection refused" in str(failed.exception)

    made = report.collect(settings, report.Ran("refused1", "nightly"))
    assert (made["published"], made["exit_code"], made["outcome"]) == (now, 3, "published_stale")
    assert made["postgres"]["release"] == had and made["postgres"]["is_behind"]
    assert "but not to PostgreSQL: PostgreSQL: connection to server" in made["headline"]
    assert "cx publish postgres" in [step["command"] for step in made["next"]]
    assert any(f"not in PostgreSQL, which has {had}" in sentence for sentence in report.sentences(made))
    assert "PostgreSQL is behind" in alerts.failing_set(made)
    state = json.loads(CliRunner().invoke(cli.app, ["status", "--json"]).output)
    assert state["postgres"]["is_behind"] and state["postgres"]["release"] == had
    kept = (home / postgres.STATE).read_text(encoding="utf-8")
    assert "s3cr3t" not in json.dumps(made) + str(failed.exception) + failed.output + report.page(made) + kept

    monkeypatch.setenv("CX_POSTGRES_URL", url)
    assert CliRunner().invoke(cli.app, ["publish", "postgres"]).exit_code == 0
    again = postgres.state(settings)
    assert again is not None and (again["release"], again["problem"], again["is_behind"]) == (now, None, False)
    release.roll_back(settings, had)
    assert (postgres.state(settings) or {})["is_behind"]
    postgres.publish(settings)
    assert _ask(url, "select max(release) from marts.releases") == [(had,)]


def test_a_run_copies_where_that_is_configured(home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asset = dg.AssetKey(["release", "postgres"])
    assert asset in plan(Settings(home), "rebuild", None).assets
    text = (home / "landing" / "cx.toml").read_text(encoding="utf-8")
    (tmp_path / "cx.toml").write_text(text[: text.index("[postgres]")], encoding="utf-8")
    without = Settings(home, config_path=tmp_path / "cx.toml")
    assert asset not in plan(without, "rebuild", None).assets and postgres.state(without) is None


@pytest.mark.minutes
def test_a_night_copies_by_itself(home: Path, url: str, whole: Whole, monkeypatch: pytest.MonkeyPatch) -> None:
    """And exits 3 while it cannot."""
    settings, day = Settings(home), whole.company.data_through
    monkeypatch.setenv("CX_POSTGRES_URL", "postgresql://cx:s3cr3t@127.0.0.1:1/marts")
    assert run(home, "nightly", day) == 3
    made = report.load(settings)
    assert made is not None and made["published"] == release.current(settings) and made["postgres"]["is_behind"]
    monkeypatch.setenv("CX_POSTGRES_URL", url)
    assert run(home, "nightly", day) == 0
    assert _ask(url, "select max(release) from marts.releases") == [(release.current(settings),)]


def test_a_schema_of_somebody_else_is_left_alone(home: Path, url: str, tmp_path: Path) -> None:
    _ask(url, "create schema theirs", "create table theirs.sales_daily (n integer)")
    text = (home / "landing" / "cx.toml").read_text(encoding="utf-8")
    (tmp_path / "cx.toml").write_text(text.replace("[postgres]", '[postgres]\nschema = "theirs"'), encoding="utf-8")
    with pytest.raises(postgres.PostgresError, match="theirs has a table sales_daily that cxmarts did not make"):
        postgres.publish(Settings(home, config_path=tmp_path / "cx.toml"))
    assert _ask(url, "select count(*) from information_schema.tables where table_schema = 'theirs'") == [(1,)]
