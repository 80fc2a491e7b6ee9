"""The report of a run: what it names, what it hides, and that the page needs nothing but itself."""

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from data_quality.verdict import NOT_JUDGED, Verdict, record
from orchestration import cli, run_outcome
from orchestration.lib import alerts, report
from orchestration.lib.report import Ran
from orchestration.lib.run_lock import run_lock
from orchestration.run_context import CxHome
from orchestration.settings import Settings
from tests.landing import Home

DAY = date(2026, 1, 5)
CONFIG = """
[business]
timezone = "UTC"
[[feed]]
feed = "refunds"
pattern = "refunds_{day}.csv"
format = "csv"
[feed.columns]
refund_id = "id"
amount = { expr = "trim(sum, ' €')" }
[[feed]]
feed = "persons"
pattern = "*people_{day}.csv"
format = "csv"
"""
NASTY = "<img src=x onerror=alert(1)>people_2026-01-05.csv"
HEADER = "id,order_id,order_line_id,sum,currency,kind,refunded_at\n"
GOOD = "R{n},O{n},L1,{amount},EUR,goods,2026-01-05T10:00:00Z\n"


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Home, dict[str, Any]]]:
    """A night that published all but refunds, whose file was refused for its bad rows; and its report."""
    home = Home(tmp_path_factory.mktemp("report") / "home", CONFIG)
    with home.open():
        rows = [GOOD.format(n=n, amount="-3.50 €" if n < 3 else "9.99 €") for n in range(9)]
        home.put("refunds_2026-01-05.csv", HEADER + "".join(rows))
        home.put(NASTY, "person_id,name,email,created_at\np1,Ann,ann@example.org,2026-01-01\np2,Bob,b@example.org,yesterday\n")
        for feed in ("persons", "refunds"):
            home.take(feed, DAY, DAY)
            from orchestration.lib import ingest

            record(home.con, "r-1", ingest.load_feed(home.con, home.settings, feed, "r-1").verdicts)
        sample = [{"metric_date": "2026-01-05", "email": "ann@example.org", "figure": 1.5}]
        record(home.con, "r-1", [Verdict("mart_moved", "sales_daily", "warn", False, "12", "3", "moved oddly", sample)])
        home.con.execute("update ops.clock set data_through = ?", [DAY])
    publish(home.settings, "20260105T030000.000000Z-r-1", "r-1")
    return home, report.collect(
        home.settings, Ran("r-1", "nightly", DAY, DAY, *_times(), steps=(("raw_crm", 2.0),), models={"m": 1})
    )


def _times() -> tuple[datetime, datetime]:
    began = datetime(2026, 1, 6, 3, tzinfo=UTC)
    return began, began + timedelta(seconds=7)


def publish(settings: Settings, name: str, run_id: str, stale: tuple[str, ...] = ()) -> None:
    """As much of a release as a report reads."""
    folder = settings.releases / name
    folder.mkdir(parents=True)
    manifest = {
        "run_id": run_id,
        "data_through": str(DAY),
        "published_at": "2026-01-06T03:00:00+00:00",
        "feeds": [{"feed": feed, "is_stale": True, "data_through": None} for feed in stale],
        "restated": [
            {"kind": "restatement", "metric": "net_sales", "cause": "correction", "cells": 4, "first_day": "2026-01-02",
             "last_day": "2026-01-04"},
        ],
    }  # fmt: skip
    (folder / "manifest.json").write_text(json.dumps(manifest))
    settings.current_release.unlink(missing_ok=True)
    settings.current_release.symlink_to(name)


def test_the_report_of_a_held_night_names_file_line_and_value(night: tuple[Home, dict[str, Any]]) -> None:
    """Also of a column that an expression of cx.toml makes, as text before it is cast."""
    _, made = night
    assert (made["exit_code"], made["outcome"], made["stale_feeds"]) == (3, "published_stale", ["refunds"])
    (bad,) = [row for row in made["quarantined"] if row["feed"] == "refunds"]
    assert (bad["file"], bad["line"], bad["rows"], bad["values"]["amount"]) == ("refunds_2026-01-05.csv", 2, 3, "-3.50")
    assert [row["file"] for row in made["refused_standing"]] == ["refunds_2026-01-05.csv"]
    assert made["gates"][0]["gate"] == "row_rules" and made["gates"][0]["state"] == "held", "failed gates come first"
    assert [row["gate"] for row in made["gates"] if row["passed"]] and made["gates"][-1]["passed"]
    commands = [step["command"] for step in made["next"]]
    assert commands == [
        "cx quarantine show --feed refunds",
        "cx nightly --day 2026-01-05",
        'cx accept row_rules --delivery refunds_2026-01-05.csv --reason "..."',
    ]
    (refunds,) = [row for row in made["deliveries"] if row["feed"] == "refunds"]
    assert (refunds["refused"], refunds["rows_read"], refunds["rows_accepted"], refunds["rows_refused"]) == (1, 9, 0, 9)
    (restated,) = made["restatements"]
    assert restated["sentence"] == "restated by correction: 4 final values on 2026-01-02 .. 2026-01-04 (net_sales)"
    assert made["phases"] == [{"phase": "loading", "seconds": 2.0}, {"phase": "starting and between steps", "seconds": 5.0}]


def test_of_a_run_that_is_blocked_the_cause_comes_first_and_what_hangs_on_it_is_one_line(tmp_path: Path) -> None:
    """What dbt skips failed, too; but who corrects metric_daily for a mistake in churn_daily loses the night."""
    home = Home(tmp_path / "home", CONFIG)
    unjudged = f"was not judged: {NOT_JUDGED}"
    with home.open():
        verdicts = [
            Verdict("assert_months_equal_their_days", "metric_daily", "block", False, message=unjudged),
            Verdict("mart_contract", "metric_daily", "block", False, message=f"was not built: {NOT_JUDGED}"),
            Verdict("unique_grain", "churn_daily", "block", False, "2 rows", "0 rows", "test failed", [{"plan": "plus", "n": 2}]),
            Verdict("unique_grain", "sales_daily", "block", False, "1 rows", "0 rows", "test failed"),
        ]
        record(home.con, "r-1", verdicts)
    made = report.collect(home.settings, Ran("r-1", "nightly", DAY, DAY, problems=("not published",)))
    assert made["headline"].startswith("Not published: unique_grain failed on churn_daily, and so did 1 more gate; ")
    assert [gate["subject"] for gate in made["gates"]] == ["churn_daily", "sales_daily", "metric_daily", "metric_daily"]
    assert [step["do"].split(" (")[0] for step in made["next"]] == [
        "correct the model or definition behind churn_daily",
        "correct the model or definition behind sales_daily",
    ]
    assert report.sentences(made)[2] == "not judged, because what they need failed: 2 gates on metric_daily"
    shown = [text.strip() for text in Page(report.page(made)).shown]
    assert "mart_contract on metric_daily" in shown and shown.count("not judged") == 1 and unjudged not in shown
    # Where nothing else failed, they are all there is to say.
    for gate in made["gates"][:2]:
        gate["passed"], gate["state"] = True, "passed"
    assert [said.split(":")[0] for said in report.sentences(made)] == ["FAILED", "FAILED", "error"]


def test_numbers_stand_right_long_texts_get_lines_and_a_sample_that_says_nothing_new_is_left_out() -> None:
    rows = [{"n": 2, "day": "2026-01-05", "file": "x" * 33}, {"n": None, "day": None, "file": None}]
    assert [report._kind(name, rows) for name in rows[0]] == ["n", "", "long"]
    gate = {"figure": "9", "bound": "7", "subject": "orders", "message": "rows (1 of 1, first: orders:a.csv)"}
    assert not report._adds({**gate, "sample": [{"delivery": "orders:a.csv", "volume": 9, "volume_high": 7}]})
    assert report._adds({**gate, "sample": [{"delivery": "orders:a.csv", "volume": 9, "volume_low": 1}]})
    assert report._adds({**gate, "sample": [{"delivery": "orders:a.csv"}, {"delivery": "orders:a.csv"}]})


def test_nothing_personal_is_in_a_report(night: tuple[Home, dict[str, Any]]) -> None:
    """The bad row of persons is there by file, line and reason; the sample row of a mart hides its e-mail address."""
    _, made = night
    (bad,) = [row for row in made["quarantined"] if row["feed"] == "persons"]
    assert (bad["file"], bad["line"], bad["values"]) == (NASTY, 3, {"created_at": "yesterday"})
    (moved,) = [gate for gate in made["gates"] if gate["gate"] == "mart_moved"]
    assert moved["sample"] == [{"metric_date": "2026-01-05", "email": "(personal)", "figure": 1.5}]
    everything = json.dumps(made) + report.page(made)
    assert "example.org" not in everything and "Bob" not in everything and "Ann" not in everything


def test_a_quoted_value_of_a_personal_column_is_hidden() -> None:
    """No contract has a personal column that is cast today; one that gets it must not leak by the reason."""
    told = report._public_reason("persons", "email", 'email: "ann@example.org" is not an "address" as such')
    assert told == "email: (personal) as such"
    assert (
        report._public_reason("persons", "created_at", 'created_at: "x" is not a timestamp')
        == 'created_at: "x" is not a timestamp'
    )


class Page(HTMLParser):
    """Collects what a browser would load or run, and the text it shows."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.shown: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in ("meta", "link", "img", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.shown.append(data)


def test_the_page_needs_nothing_else_and_a_file_name_is_never_markup(night: tuple[Home, dict[str, Any]]) -> None:
    _, made = night
    text = report.page(made)
    page = Page(text)
    assert page.open == [], "every element is closed"
    assert not {"img", "script", "link", "iframe", "object", "form", "base"} & set(page.tags)
    assert not {"src", "href", "srcset", "action", "style", "onerror"} & {name for name, _ in page.attributes}
    assert "url(" not in text and "@import" not in text and "http:" not in text and "https:" not in text
    shown = " ".join(page.shown)
    assert NASTY in shown and "refunds_2026-01-05.csv" in shown and "-3.50" in shown
    assert "prefers-color-scheme: dark" in text and "@media print" in text and "width=device-width" in text


SHAPE = {
    "format", "run", "kind", "what", "began", "ended", "seconds", "exit_code", "outcome", "was_refused", "headline",
    "published", "current", "readers", "stale_feeds", "stale", "next", "postgres", "problems", "warnings", "deliveries",
    "not_taken", "refused_standing", "gates_passed", "gates", "quarantined", "restatements", "fits", "acceptances", "phases",
    "slowest",
}  # fmt: skip


def test_the_json_has_the_shape_of_its_format(night: tuple[Home, dict[str, Any]]) -> None:
    """Somebody's program reads it: a field that goes or changes its meaning is another `format`."""
    home, made = night
    path = report.write(home.settings, made)
    stored = json.loads((path.parent / "report.json").read_text())
    assert stored == made == report.load(home.settings) == report.load(home.settings, "r-")
    assert stored["format"] == 1 and set(stored) == SHAPE
    assert set(stored["readers"]) == {"release", "data_through", "published_at", "stale_feeds", "not_made"}
    gate = {
        "gate", "subject", "severity", "passed", "state", "figure", "bound", "message", "accepted", "is_consequence", "sentence",
        "sample",
    }  # fmt: skip
    assert {frozenset(row) for row in stored["gates"]} == {frozenset(gate)}
    assert (path.parents[1] / "latest").resolve() == path.parent


def test_what_would_command_a_terminal_is_written_out() -> None:
    assert report._plain({"file": "a\x1b[2J\u202egnp.csv", "odd": "\udcff"}) == {
        "file": "a\\x1b[2J\\u202egnp.csv",
        "odd": "\\udcff",
    }


def test_only_the_newest_reports_are_kept(tmp_path: Path) -> None:
    home = Home(tmp_path / "home", "[reports]\nkeep = 2\n" + CONFIG)
    for n in range(4):
        made = report.collect(home.settings, Ran(f"r-{n}", "nightly", DAY, DAY, began=datetime(2026, 1, n + 1, tzinfo=UTC)))
        report.write(home.settings, made)
    assert [path.name for path in report.kept(home.settings)] == ["20260103T000000Z-r-2", "20260104T000000Z-r-3"]
    assert (home.settings.reports / "latest" / "report.html").is_file()


def test_acceptances_in_force_are_listed(tmp_path: Path) -> None:
    home = Home(tmp_path / "home", CONFIG)
    with home.open():
        if not home.rows("from duckdb_tables() where table_name = 'acceptances'"):
            home.con.execute(
                "create table ops.acceptances (gate varchar, subject varchar, delivery varchar, content_hash varchar, "
                "reason varchar, accepted_by varchar, accepted_at timestamp, expires_on date)"
            )
        columns = {row[0] for row in home.rows("select column_name from duckdb_columns() where table_name = 'acceptances'")}
        who = "who" if "who" in columns else "accepted_by"
        for gate, days in (("volume", 3), ("arrival", -1)):
            home.con.execute(
                f"insert into ops.acceptances (gate, subject, delivery, reason, {who}, accepted_at, expires_on) values "
                "(?, 'refunds', 'refunds:<b>.csv', 'sale', 'kim', current_timestamp, current_date + cast(? as integer))",
                [gate, days],
            )
    made = report.collect(home.settings, Ran("r", "nightly"))
    assert [(row["gate"], row["accepted_by"], row["reason"]) for row in made["acceptances"]] == [("volume", "kim", "sale")]
    assert "refunds:&lt;b&gt;.csv" in report.page(made)


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A home without a release, and the environment's."""
    home = Home(tmp_path / "home", CONFIG)
    monkeypatch.setenv("CX_HOME", str(home.home))
    return home.settings


def _dagster_run(do: Any) -> tuple[dg.DagsterInstance, str]:
    """A run of Dagster's own, as its UI and its schedule launch it, in which the release step does `do`."""

    @dg.asset(key=["release", "current"])
    def released(context: dg.AssetExecutionContext, cx_home: CxHome) -> None:
        do(context.run_id)

    instance = dg.DagsterInstance.ephemeral()
    run = dg.materialize(
        [released], resources={"cx_home": CxHome()}, instance=instance, raise_on_error=False,
        run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
    )  # fmt: skip
    return instance, run.run_id


def test_a_run_that_cx_did_not_start_has_its_report_also_when_a_step_failed(settings: Settings) -> None:
    """The schedule's run passes the same place, and its step has failed by then."""

    def fail(run_id: str) -> None:
        raise dg.Failure("not published, readers keep the last release: FAILED: unique_grain on sales_daily: 3 rows")

    _, run_id = _dagster_run(fail)
    made = report.load(settings, run_id)
    assert made is not None and made["exit_code"] == 2
    assert made["problems"] == ["not published, readers keep the last release: FAILED: unique_grain on sales_daily: 3 rows"]
    assert made["next"][-1]["command"] and "there is no release yet" in made["headline"]
    assert made["phases"][0]["phase"] == "publishing"


def test_a_run_that_published_has_its_report(settings: Settings) -> None:
    instance, run_id = _dagster_run(lambda run_id: publish(settings, "20260105T030000.000000Z-x", run_id))
    assert not run_outcome.is_at_work(instance, run_id), "who opens the home for it once more writes no second report"
    made = report.load(settings)
    assert made is not None and (made["run"], made["exit_code"], made["problems"], made["next"]) == (run_id, 0, [], [])


def test_a_run_that_finds_another_at_work_has_its_report_and_tells_nobody(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = []
    monkeypatch.setattr(alerts, "_send", lambda *args: told.append(args) or ([], 1))
    with run_lock(settings, "the other"):
        _, run_id = _dagster_run(lambda run_id: None)
    made = report.load(settings, run_id)
    assert made is not None and made["was_refused"] and made["exit_code"] == 1
    assert made["headline"].startswith("Not begun: another run holds") and told == []


def test_a_part_materialized_in_the_ui_is_no_run_of_a_night(settings: Settings) -> None:
    @dg.asset
    def part(cx_home: CxHome) -> None: ...

    @dg.asset(key=["release", "current"], deps=[part])
    def released(cx_home: CxHome) -> None: ...

    run = dg.materialize(
        [part, released], resources={"cx_home": CxHome()}, selection=[part], instance=dg.DagsterInstance.ephemeral(),
        run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
    )  # fmt: skip
    assert run.success and report.kept(settings) == []


def test_a_report_that_cannot_be_written_fails_no_run(settings: Settings) -> None:
    settings.reports.write_text("in the way")
    made = alerts.deliver(settings, report.collect(settings, Ran("r", "nightly", DAY, DAY)))
    assert len(made["warnings"]) == 1 and made["warnings"][0].startswith("the report could not be kept")


def test_cx_reports_a_run_that_never_began(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    """`cx status` and `cx report` find it."""
    settings.config_path.write_text("[business]\nfcr_window_days = 'seven'\n")
    with pytest.raises(Exception, match="fcr_window_days"):
        cli._run(Settings(), "nightly", None, as_json=False)
    made = report.load(settings)
    assert made is not None and made["was_refused"] and "fcr_window_days" in made["headline"]
    assert cli.app(["report"], standalone_mode=False) in (0, None)
    path = Path(capsys.readouterr().out.strip())
    assert path.is_file() and path.name == "report.html"
    settings.config_path.write_text(CONFIG)
    cli.app(["status"], standalone_mode=False)
    assert "Not begun" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("state", "said"), [("warning", "but nothing has come for long of cases"), ("passed", "every feed is up")]
)
def test_a_silent_feed_is_not_said_to_be_up_to_date(state: str, said: str) -> None:
    gates = [{"gate": "arrival", "subject": "cases", "state": state}, {"gate": "volume", "subject": "orders", "state": "warning"}]
    told = {"outcome": "published", "gates": gates, "readers": {"release": "r", "data_through": "2026-11-22"}, "problems": []}
    assert said in report._headline(told) and "2026-11-22" in report._headline(told)


def test_what_is_late_hides_no_refused_file(tmp_path: Path) -> None:
    """Nine feeds are late, one of them because its file was refused: that comes first, the others in one line."""
    feeds = ["cases", *(f"feed{n}" for n in range(8))]
    late = [{"gate": "arrival", "subject": feed, "state": "held", "is_consequence": False, "passed": False} for feed in feeds]
    refused = [{"feed": "cases", "file": "c.csv", "gate": "row_rules"}]
    told = {"outcome": "published_stale", "gates": late, "refused_standing": refused, "stale_feeds": feeds}
    steps = report._next(Settings(tmp_path), Ran("r", "nightly", None, None), told, None)
    assert [step["do"].split(",")[0].split(";")[0] for step in steps] == [
        "deliver a corrected c.csv", "or answer for it as it is", "put the missing files of feed0",
    ]  # fmt: skip
    assert f"of feed0, feed1, feed2, feed3, feed4 and 3 more into {tmp_path}" in steps[-1]["do"]
