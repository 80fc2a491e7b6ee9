"""What does not pass is not published; readers never see an error or a mixed state; a killed run loses nothing."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

import duckdb
import pytest
from typer.testing import CliRunner

from orchestration import cli
from orchestration.lib import release, report
from orchestration.lib.simulator import Company, simulate
from orchestration.lib.warehouse import connect
from orchestration.settings import DBT_PROJECT_DIR, Settings
from tests.bi_readers import WAYS, mark, read_while
from tests.company import release_of, rows_that_differ, run, write_company

CX = Path(sys.executable).parent / "cx"
DAYS = 14


@pytest.fixture(scope="module")
def company() -> Company:
    return simulate(customers=120, days=DAYS, seed=5)


@pytest.fixture(scope="module")
def published(company: Company, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with everything but the last day published."""
    home = tmp_path_factory.mktemp("published")
    write_company(company, home)
    assert run(home, "backfill", company.start, company.start + timedelta(days=DAYS - 2)) == 0
    return home


@pytest.fixture
def home(published: Path, tmp_path: Path) -> Path:
    """A copy of that home to spoil."""
    return Path(shutil.copytree(published, tmp_path / "home", symlinks=True))


def _last_night(home: Path, company: Company, **environment: str) -> subprocess.CompletedProcess[str]:
    last = company.start + timedelta(days=DAYS - 1)
    return subprocess.run(
        [CX, "nightly", "--day", str(last)],
        env={**os.environ, "CX_HOME": str(home), "COLUMNS": "400", **environment},
        capture_output=True,
        text=True,
    )


CORRUPTIONS = {
    "a hard bound": (
        "models/marts/commerce/cart_abandonment_daily.sql",
        "as abandonment_rate",
        "* 3 as abandonment_rate",
        ("mart_contract", "cart_abandonment_daily", "abandonment_rate <= 1", "mobile"),
    ),
    "rows lost between staging and mart": (
        "models/marts/contact_center/contact_volume_daily.sql",
        "direction = 'inbound'",
        "direction = 'inbound' and channel <> 'phone'",
        ("assert_contacts_equal_staged_contacts", "contact_volume_daily", "0 rows", "staged"),
    ),
    "two rows of one grain": (
        "models/marts/retention/churn_daily.sql",
        "where {{ affected_filter('metric_date') }}",
        "cross join range(2) where {{ affected_filter('metric_date') }}",
        ("unique_grain", "churn_daily", "0 rows", "rows_of_this_grain"),
    ),
}


@pytest.mark.parametrize(
    "corruption", [name if name == "a hard bound" else pytest.param(name, marks=pytest.mark.minutes) for name in CORRUPTIONS]
)
def test_a_corrupted_mart_is_not_published(corruption: str, home: Path, company: Company, tmp_path: Path) -> None:
    """Exit code 2, readers keep the last release, and the message names gate, figure, bound and sample rows."""
    file, right, wrong, said = CORRUPTIONS[corruption]
    project = shutil.copytree(DBT_PROJECT_DIR, tmp_path / "dbt_project", ignore=shutil.ignore_patterns("target"))
    model = project / file
    text = model.read_text(encoding="utf-8")
    assert right in text
    model.write_text(text.replace(right, wrong), encoding="utf-8")
    before = os.readlink(home / "releases" / "current")

    outcome = _last_night(home, company, CX_DBT_PROJECT=str(project))

    assert outcome.returncode == 2, outcome.stdout + outcome.stderr
    assert os.readlink(home / "releases" / "current") == before
    for piece in said:
        assert piece in outcome.stdout
    assert "not published" in outcome.stderr and before in outcome.stderr
    made = report.load(Settings(home))
    assert made is not None and made["exit_code"] == 2 and made["readers"]["release"] == before
    (failed,) = [gate for gate in made["gates"] if (gate["gate"], gate["subject"]) == said[:2]]
    assert failed["state"] == made["gates"][0]["state"] == "failed" and failed["sample"]
    assert {row["phase"] for row in made["phases"]} >= {"loading", "building"} and made["slowest"]


def _assert_clean(home: Path, company: Company, folder: Path) -> None:
    """The home's release equals that of one backfill of the same landing folder, row for row."""
    shutil.copytree(home / "landing", folder / "landing")
    assert run(folder, "backfill", company.start, company.start + timedelta(days=DAYS - 1)) == 0
    assert rows_that_differ(release_of(home), release_of(folder)) == {}


@pytest.mark.minutes
def test_a_missing_verdict_is_a_no_and_what_was_not_published_is_not_forgotten(
    home: Path, company: Company, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A gate that did not run does not let the release through; the next run publishes all that it left behind."""
    from orchestration.lib import gates

    last = company.start + timedelta(days=DAYS - 1)
    before = os.readlink(home / "releases" / "current")
    with monkeypatch.context() as patch:
        patch.setattr(gates, "judge_marts", lambda con, feeds: [])
        assert run(home, "nightly", last) == 2
    assert os.readlink(home / "releases" / "current") == before
    assert run(home, "nightly", last) == 0
    _assert_clean(home, company, tmp_path / "clean")


@pytest.mark.parametrize("publications", [8, pytest.param(50, marks=pytest.mark.minutes)])
def test_readers_see_no_error_and_no_mixed_state_while_releases_are_published(home: Path, publications: int) -> None:
    """By DuckDB, SQLAlchemy, ADBC and Parquet, each in a process of its own."""
    settings = Settings(home)
    feeds = {source.feed for source in settings.config.feed}

    def publish() -> None:
        for n in range(publications):
            with connect(settings) as con:
                release.publish(con, settings, mark(con, n), feeds, [])

    seen = read_while(home, publish)
    assert {way: problems for way, (_, problems, _) in seen.items() if problems} == {}
    assert set(seen) == set(WAYS) and all(reads > publications / 2 and releases > 3 for reads, _, releases in seen.values()), seen
    assert len(release.releases(settings)) == 3


def test_who_is_connected_stays_with_the_release_and_who_connects_sees_the_new_one(home: Path) -> None:
    """By SQLAlchemy and ADBC; also when the release one is connected to is taken off the disk."""
    settings, path = Settings(home), release_of(home)
    feeds = {source.feed for source in settings.config.feed}
    newest = "select max(release) from marts.releases"
    ways = ("sqlalchemy", "adbc")
    with ExitStack() as stack:
        connected = {way: stack.enter_context(WAYS[way](path)) for way in ways}
        first = release.current(settings)
        assert {query(newest)[0][0] for query in connected.values()} == {first}
        for n in range(4):
            with connect(settings) as con:
                second = release.publish(con, settings, mark(con, n), feeds, [])
        assert first not in release.releases(settings)
        for way in ways:
            assert connected[way](newest) == [(first,)] and connected[way]("select count(*) from marts.metric_daily")[0][0] > 0
            with WAYS[way](path) as again:
                assert again(newest) == [(second,)]
            with pytest.raises(Exception, match="read-only"):
                connected[way]("create table marts.mine as select 1")


def test_a_bad_file_holds_its_feed_and_nothing_else(home: Path, company: Company, tmp_path: Path) -> None:
    """Exit code 3 until the file is corrected; the other feeds go on; the message names file and column."""
    last = company.start + timedelta(days=DAYS - 1)
    file = home / "landing" / "ecommerce" / "orders" / f"orders_{last}.csv"
    good = file.read_text(encoding="utf-8")
    file.write_text(good.replace("placed_at", "moment", 1), encoding="utf-8")

    outcome = _last_night(home, company)

    assert outcome.returncode == 3, outcome.stdout + outcome.stderr
    assert "HELD: readable on orders" in outcome.stdout and "stale: orders" in outcome.stdout
    assert "placed_at" in outcome.stdout and file.name in outcome.stdout
    with duckdb.connect(str(release_of(home)), read_only=True) as con:
        days = con.execute(
            "select (select max(metric_date) from marts.contact_volume_daily), (select max(metric_date) from marts.clv_daily)"
        ).fetchone()
    assert days == (last, last)
    manifest = release.manifest_of(Settings(home), release.current(Settings(home)) or "")
    assert [state["feed"] for state in manifest["feeds"] if state["is_stale"]] == ["orders"]

    made = report.load(Settings(home))
    assert made is not None and (made["exit_code"], made["stale_feeds"]) == (3, ["orders"])
    assert made["refused_standing"][0]["file"].endswith(file.name) and "placed_at" in made["refused_standing"][0]["reason"]
    assert made["next"][0]["command"] == f"cx nightly --day {last}"
    assert {row["phase"] for row in made["phases"]} >= {"loading", "building", "judging", "publishing"} and made["slowest"]
    assert str(report.find(Settings(home)) / "report.html") in outcome.stdout

    file.write_text(good, encoding="utf-8")
    assert _last_night(home, company).returncode == 0
    _assert_clean(home, company, tmp_path / "clean")


def test_there_is_nothing_to_rebuild_before_anything_was_taken(company: Company, tmp_path: Path) -> None:
    write_company(company, tmp_path)
    assert run(tmp_path, "rebuild") == 1
    assert release.current(Settings(tmp_path)) is None
    assert run(tmp_path, "nightly", company.start) == 0, "and it did no harm"


@pytest.mark.minutes
def test_a_lost_warehouse_is_begun_anew_and_history_goes_on(home: Path, company: Company) -> None:
    """What was said when comes back from the newest release; no release is taken away, and nothing is called restated."""
    last = company.start + timedelta(days=DAYS - 1)
    assert run(home, "nightly", last) == 0
    names, before = release.releases(Settings(home)), release_of(home)
    logs = "select (select count(*) from marts.releases), (select count(*) from marts.restatements)"
    with duckdb.connect(str(before), read_only=True) as con:
        said = con.execute(logs).fetchone()
    before = Path(shutil.copy(before, home / "before.duckdb"))
    shutil.rmtree(home / "warehouse")
    assert run(home, "rebuild") == 1, "the ledger of what to rebuild is gone"
    assert run(home, "backfill", company.start, last) == 0
    assert rows_that_differ(before, release_of(home)) == {}
    with duckdb.connect(str(release_of(home)), read_only=True) as con:
        assert con.execute(logs).fetchone() == (said[0] + 1, said[1])
    assert len(names) == 2 and release.releases(Settings(home))[:2] == names


def test_rollback_points_readers_at_an_older_release(home: Path, company: Company) -> None:
    settings = Settings(home)
    first = release.current(settings)
    assert run(home, "nightly", company.start + timedelta(days=DAYS - 1)) == 0
    second = release.current(settings)
    assert second != first and "older one" not in _status(home)
    assert release.roll_back(settings) == first == release.current(settings)
    assert f"readers see an older one by cx rollback, until the next run publishes; the newest is {second}" in _status(home)
    with pytest.raises(release.ReleaseError, match="no release is older"):
        release.roll_back(settings)
    with pytest.raises(release.ReleaseError, match="no release 'nonsense'"):
        release.roll_back(settings, "nonsense")

    # Nights in which nothing was delivered leave something to roll back to, and the clock goes on in them.
    feeds = {source.feed for source in settings.config.feed}
    for n in range(4):
        with connect(settings) as con:
            con.execute("update ops.clock set data_through = data_through + 1")
            release.publish(con, settings, f"idle{n:04d}", feeds, [])
    there = release.releases(settings)
    assert len(there) == 4 and there[0] == first and second not in there, "the newest three, and the last of other deliveries"
    assert len({release.manifest_of(settings, name)["inputs"] for name in there}) == 2
    assert release.roll_back(settings) == first, "not a night before with the same deliveries"
    with connect(settings) as con:
        con.execute("insert into ops.deliveries (delivery, feed, content_hash, status, rows_read) "
                    "values ('x', 'orders', 'new', 'accepted', 5)")  # fmt: skip
        assert release._inputs(con, "c") != _inputs_without(con, "new")


def _status(home: Path) -> str:
    return " ".join(CliRunner().invoke(cli.app, ["status"], env={"CX_HOME": str(home)}).stdout.split())


def _inputs_without(con: duckdb.DuckDBPyConnection, content_hash: str) -> str:
    con.execute("delete from ops.deliveries where content_hash = ?", [content_hash])
    return release._inputs(con, "c")


def _kill_night(home: Path, company: Company, moment: float) -> None:
    last = company.start + timedelta(days=DAYS - 1)
    process = subprocess.Popen(
        [CX, "nightly", "--day", str(last)],
        env={**os.environ, "CX_HOME": str(home)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    time.sleep(moment)
    process.send_signal(signal.SIGKILL)
    process.wait()


def test_a_killed_night_loses_nothing(home: Path, company: Company, tmp_path: Path) -> None:
    """kill -9 at random moments; readers keep a whole release, and the next run converges to the marts of a clean one."""
    rng = random.Random(20)
    for _ in range(4):
        _kill_night(home, company, rng.uniform(2.0, 9.0))
        with duckdb.connect(str(release_of(home)), read_only=True) as con:
            assert con.execute("select count(*) from marts.sales_daily").fetchone()[0] > 0
    assert _last_night(home, company).returncode == 0
    _assert_clean(home, company, tmp_path / "clean")


INTERRUPTING = """
import os, signal, sys
from orchestration import cli
from orchestration.lib.progress import Progress

begins, left, say = sys.argv[1], int(sys.argv[2]), Progress.say

def interrupting(self, text, log):
    global left
    left -= text.startswith(begins)
    if left == 0 and text.startswith(begins):
        os.killpg(0, signal.SIGINT)
    say(self, text, log)

Progress.say = interrupting
sys.argv = ["cx", *sys.argv[3:]]
cli.main()
"""


@pytest.mark.minutes
@pytest.mark.parametrize(("doing", "count"), [("loading", 2), ("building", 15)])
def test_an_interrupted_night_says_so_in_one_sentence(doing: str, count: int, home: Path, company: Company) -> None:
    """Ctrl-C reaches every process of the terminal: no traceback of anyone, exit code 1, and the next run goes on."""
    before, last = os.readlink(home / "releases" / "current"), company.start + timedelta(days=DAYS - 1)
    outcome = subprocess.run(
        [sys.executable, "-c", INTERRUPTING, doing, str(count), "nightly", "--day", str(last)],
        env={**os.environ, "CX_HOME": str(home), "COLUMNS": "400"}, capture_output=True, text=True, start_new_session=True,
    )  # fmt: skip
    said = outcome.stdout + outcome.stderr
    assert outcome.returncode == 1, said
    assert "error: interrupted. What it had taken and loaded is kept" in outcome.stderr
    assert "Traceback" not in said and "terminate" not in said and "CANCEL" not in said, said
    assert os.readlink(home / "releases" / "current") == before
    assert _last_night(home, company).returncode == 0


def test_a_second_run_is_refused_with_a_word_about_the_first(home: Path, company: Company) -> None:
    from filelock import FileLock

    settings = Settings(home)
    with FileLock(settings.run_lock):
        settings.run_lock.with_suffix(".json").write_text(json.dumps({"pid": os.getpid()}))
        outcome = _last_night(home, company)
    assert outcome.returncode == 1
    assert "another run holds" in outcome.stderr and str(os.getpid()) in outcome.stderr
    assert _last_night(home, company).returncode == 0
