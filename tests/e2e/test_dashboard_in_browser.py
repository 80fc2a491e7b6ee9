"""The dashboard as a reader opens it: Chromium, from disk, without a network.

Belongs here: what only a browser can tell: nothing failed and nothing was asked for outside, numbers on the page are the
release's, choices change what they should, axe-core finds nothing serious. Does not: the data of the pages and their words
(tests/unit/test_dashboard.py).

One browser for the whole file. Skipped where there is no Chromium (Debian: `apt install chromium`).
"""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import os
import shutil
from collections.abc import Iterator
from datetime import date, timedelta
from importlib.resources import files
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import duckdb
import pandas as pd
import pytest

from orchestration.lib import dashboard
from orchestration.lib.dashboard.pages import PAGES
from orchestration.settings import CxConfig, Settings
from tests.company import Whole, release_of
from tests.dashboard_rows import HOSTILE, MANIFEST, daily, write_release

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine (Debian: apt install chromium)")


@pytest.fixture(scope="module")
def folder(whole: Whole, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every page of the company's current release, that of persons too."""
    release = release_of(whole.home).parent.resolve()
    manifest = json.loads((release / "manifest.json").read_text())
    building = tmp_path_factory.mktemp("dashboard")
    (building / "cx.duckdb").symlink_to(release / "cx.duckdb")
    config = Settings(whole.home).config
    allowed = config.model_copy(update={"dashboard": config.dashboard.model_copy(update={"personal_data": True})})
    told = {**manifest, "data_through": date.fromisoformat(manifest["data_through"])}
    dashboard.write(building, "cx.duckdb", told, SimpleNamespace(config=allowed))
    return building / "dashboard"


@pytest.fixture(scope="module")
def con(whole: Whole) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(str(release_of(whole.home)), read_only=True) as con:
        yield con


class Reader:
    """A page in the browser, with everything it complained of and everything it asked for."""

    def __init__(self, context: Any, folder: Path) -> None:
        self.folder, self.page = folder, context.new_page()
        self.complaints: list[str] = []
        self.asked: list[str] = []
        self.page.on("console", lambda told: self.complaints.append(told.text) if told.type in ("error", "warning") else None)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))

    def open(self, name: str, choices: str = "") -> Any:
        """Open a page anew, with choices as they stand in its address."""
        self.page.goto("about:blank")
        self.page.goto((self.folder / f"{name}.html").as_uri() + choices)
        assert self.page.evaluate("document.documentElement.dataset.ready") == "yes"
        return self.page

    def draw(self) -> int:
        """Wait until every chart is drawn; how many there are."""
        # Asked again and again from here: the page's policy lets nobody make code of text, the driver's own waiting included.
        for _ in range(600):
            if self.page.evaluate("[...document.querySelectorAll('.plot')].every((one) => one.dataset.drawn)"):
                break
            self.page.wait_for_timeout(100)
        return self.page.evaluate("document.querySelectorAll('.plot svg').length")


@pytest.fixture(scope="module")
def context() -> Iterator[Any]:
    """The browser."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="the dev extra is not installed")
    with sync_api.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser.new_context(offline=True, locale="en-GB", viewport={"width": 1440, "height": 900})
        browser.close()


@pytest.fixture(scope="module")
def reader(context: Any, folder: Path) -> Reader:
    return Reader(context, folder)


def of_rows(context: Any, folder: Path, rows: list[dict[str, Any]], also: str = "select 1", **manifest: Any) -> Reader:
    """The dashboard of the release written by hand, with more rows of `metric_daily` and what SQL does to it besides."""
    write_release(folder)
    told = pd.DataFrame(rows)  # noqa: F841 (read by name)
    with duckdb.connect(str(folder / "cx.duckdb")) as con:
        con.execute("insert into marts.metric_daily by name select * replace (cast(period_start as date) as period_start, "
                    "cast(metric_date as date) as metric_date, cast(final_on as date) as final_on) from told")  # fmt: skip
        con.execute(also)
    allowed = CxConfig.model_validate({"dashboard": {"personal_data": True}})
    dashboard.write(folder, "cx.duckdb", {**MANIFEST, **manifest}, SimpleNamespace(config=allowed))
    return Reader(context, folder / "dashboard")


def week(metric: str, n: int, a: float, b: float | None = None, **other: Any) -> dict[str, Any]:
    """A row of the n-th week of the calendar of that release, which begins on 29 December."""
    first = date(2025, 12, 29) + timedelta(days=7 * n)
    return daily(metric, "week", str(first), str(first + timedelta(days=6)), a, b, **({} if b else {"value": float(a)}), **other)


def as_table(page: Any, panel: str) -> list[list[str]]:
    """Cells of what a chart says as a table."""
    page.click(f"{panel} .astable summary")
    page.wait_for_selector(f"{panel} .astable table")
    return page.evaluate(
        "(panel) => [...document.querySelectorAll(panel + ' .astable tbody tr')]"
        ".map((row) => [...row.children].map((cell) => cell.innerText))",
        panel,
    )


def axe_findings(page: Any) -> list[str]:
    """What axe-core calls serious or critical."""
    page.evaluate(files("axe_playwright_python").joinpath("axe.min.js").read_text())
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{one['id']}: {one['help']} at {one['nodes'][0]['target']}: {one['nodes'][0].get('failureSummary')}"
        for one in found["violations"]
        if one["impact"] in ("serious", "critical")
    ]


def attributes(page: Any, selector: str) -> list[dict[str, Any]]:
    """The data attributes of every element, and its class."""
    return page.evaluate(
        "(selector) => [...document.querySelectorAll(selector)].map((one) => ({class: one.className, ...one.dataset}))", selector
    )


def figures(page: Any) -> list[dict[str, Any]]:
    """Every figure on the page with its data attributes."""
    return attributes(page, ".tile .value[data-value]")


def in_release(con: duckdb.DuckDBPyConnection, one: dict[str, Any], through: date) -> tuple[Any, ...]:
    """The figure as SQL has it: (value, low, high, is_final) of one period."""
    last = min(date.fromisoformat(one["last"]), through)
    found = con.execute(
        "select value, interval_low, interval_high, is_final from marts.metric_daily "
        "where metric = ? and grain = ? and metric_date = ? and cast(dimensions as json) = cast(? as json)",
        [one["metric"], one["grain"], last, one["dimensions"]],
    ).fetchall()
    if one.get("counted") == "nothing":  # a count without a row
        assert found == [] and one["value"] == "0", (one, found)
        return 0, None, None, one["final"] == "true"
    assert len(found) == 1, (one, found)
    return found[0]


def same(shown: str | None, true: float | None) -> bool:
    if shown is None or true is None:
        return shown is None and true is None
    return math.isclose(float(shown), true, rel_tol=1e-9, abs_tol=1e-9)


def test_the_release_lists_its_pages_with_their_digests(whole: Whole) -> None:
    release = release_of(whole.home).parent.resolve()
    told = json.loads((release / "manifest.json").read_text())["files"]
    pages = sorted(path.relative_to(release).as_posix() for path in (release / "dashboard").rglob("*.*"))
    assert pages == sorted(name for name in told if name.startswith("dashboard/"))
    assert {f"dashboard/{page.file}" for page in PAGES if not page.is_personal} < set(pages)
    assert "dashboard/customer-360.html" not in pages  # nobody allowed it
    for name in pages:
        assert hashlib.sha256((release / name).read_bytes()).hexdigest() == told[name]["sha256"]
        assert not os.access(release / name, os.W_OK) or os.geteuid() == 0


@pytest.mark.parametrize("page", [page.name for page in PAGES])
def test_a_page_opens_from_disk_without_a_word_and_asks_for_nothing_outside(reader: Reader, page: str) -> None:
    reader.complaints.clear()
    reader.asked.clear()
    opened = reader.open(page)
    paint = opened.evaluate("performance.getEntriesByName('first-contentful-paint').map((one) => one.startTime)")
    drawn = reader.draw()
    assert reader.complaints == []
    outside = [url for url in reader.asked if not url.startswith((reader.folder.as_uri() + "/", "data:", "about:"))]
    assert outside == []
    assert paint == [] or paint[0] < 2000
    assert drawn > 0 or page in ("data-health", "agents", "customer-360")
    assert (reader.folder / f"{page}.html").stat().st_size < dashboard.MAX_PAGE_BYTES
    assert opened.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert axe_findings(opened) == []


@pytest.mark.parametrize("page", ["index", "customers", "contact-centre", "voice", "commerce"])
def test_figures_are_those_of_the_release(reader: Reader, con: duckdb.DuckDBPyConnection, whole: Whole, page: str) -> None:
    shown = figures(reader.open(page))
    assert len(shown) >= 10
    for one in shown:
        value, low, high, is_final = in_release(con, one, whole.company.data_through)
        assert same(one["value"], value) and same(one.get("low"), low) and same(one.get("high"), high), one
        assert (one["final"] == "true") == is_final, one


@pytest.mark.parametrize(("choice", "column"), [("previous", "previous_value"), ("year", "last_year_value")])
def test_what_a_figure_is_compared_with_is_what_the_benchmark_says(
    reader: Reader, con: duckdb.DuckDBPyConnection, whole: Whole, choice: str, column: str
) -> None:
    compared = 0
    for page in ("index", "customers", "contact-centre"):
        opened = reader.open(page, f"#against={choice}")
        for tile in opened.query_selector_all(".tile:has(.value[data-value])"):
            one = tile.eval_on_selector(".value", "(value) => ({...value.dataset})")
            before = tile.eval_on_selector(".change", "(change) => change.dataset.before ?? null")
            if one["grain"] == "running":
                continue
            last = min(date.fromisoformat(one["last"]), whole.company.data_through)
            found = con.execute(
                f"select {column} from marts.benchmark "
                "where metric = ? and grain = ? and metric_date = ? and cast(dimensions as json) = cast(? as json)",
                [one["metric"], one["grain"], last, one["dimensions"]],
            ).fetchall()
            assert len(found) == 1, one
            earlier = found[0][0]
            if one["grain"].startswith("trailing"):
                # a period that began before the data did is not compared with
                ends = (
                    last - timedelta(days=int(one["grain"][9:-1])) if choice == "previous" else last.replace(year=last.year - 1)
                )
                first = con.execute(
                    "select min(metric_date) from marts.metric_daily where metric = ?", [one["metric"]]
                ).fetchone()[0]
                earlier = earlier if ends - timedelta(days=int(one["grain"][9:-1]) - 1) >= first else None
            assert same(before, earlier), (one, before, found)
            compared += before is not None
    # of 75 days no month has a year before it
    assert compared >= 20 if choice == "previous" else compared == 0


def test_a_longer_period_divides_summed_parts(reader: Reader, con: duckdb.DuckDBPyConnection) -> None:
    shown = {one["metric"]: one for one in figures(reader.open("contact-centre", "#period=all"))}
    for metric in ("fcr_rate", "resolution_time", "transfer_rate", "contact_volume"):
        one = shown[metric]
        scale, true = con.execute(
            "select any_value(m.scale), if(any_value(m.class) = 'additive', sum(d.numerator), "
            "sum(d.numerator) / sum(d.denominator)) "
            "from marts.metric_daily d join marts.metrics m using (metric) "
            "where metric = ? and grain = 'day' and breakdown = 'total'",
            [metric],
        ).fetchone()
        assert same(one["value"], scale * true), one


def test_a_filter_changes_what_has_that_dimension_and_says_so_of_the_rest(
    reader: Reader, con: duckdb.DuckDBPyConnection, whole: Whole
) -> None:
    everything = {one["metric"]: one for one in figures(reader.open("index"))}
    page = reader.open("index")
    page.select_option("#choose-only", "channel:phone")
    phone = {one["metric"]: one for one in figures(page)}
    assert json.loads(phone["contact_volume"]["dimensions"]) == {"channel": "phone"}
    assert float(phone["contact_volume"]["value"]) < float(everything["contact_volume"]["value"])
    for metric in ("contact_volume", "fcr_rate", "resolution_time"):
        assert same(phone[metric]["value"], in_release(con, phone[metric], whole.company.data_through)[0])
    assert phone["net_sales"] == everything["net_sales"]
    assert "not split by Channel" in page.inner_text("[data-metric=net_sales]")
    page.select_option("#choose-period", "w1")
    week = {one["metric"]: one for one in figures(page)}["contact_volume"]
    assert week["grain"] == "week" and same(week["value"], in_release(con, week, whole.company.data_through)[0])
    page.reload()  # the choice stands in the address
    assert {one["metric"]: one for one in figures(page)}["contact_volume"] == week


def test_members_and_hours_are_those_of_the_release(reader: Reader, con: duckdb.DuckDBPyConnection) -> None:
    page = reader.open("contact-centre", "#period=all")
    cells = attributes(page, "[data-block=channels] td[data-metric=fcr_rate]")
    true = con.execute(
        "select dimensions ->> 'channel', sum(numerator) / sum(denominator) from marts.metric_daily "
        "where metric = 'fcr_rate' and grain = 'day' and breakdown = 'channel' group by 1 having sum(denominator) > 0"
    ).fetchall()
    assert {name: pytest.approx(value) for name, value in true} == {one["member"]: float(one["value"]) for one in cells}
    hours = attributes(page, "td[data-hour]")
    counted = con.execute(
        "select channel, hour, sum(inbound) from marts.contact_volume_daily group by all having sum(inbound) > 0"
    ).fetchall()
    shown = {(one["channel"], int(one["hour"])): int(one["value"]) for one in hours if one["value"] != "0"}
    assert {(channel, hour): int(count) for channel, hour, count in counted} == shown


def test_agents_with_small_samples_are_grey(reader: Reader, con: duckdb.DuckDBPyConnection) -> None:
    page = reader.open("agents", "#period=all")
    shown = attributes(page, "td[data-metric=agent_fcr_to_team]")
    true = con.execute(
        "select agent_id, sum(fcr_resolved) / sum(expected_fcr_resolved), sum(fcr_cases) < 10 from marts.agent_performance_daily "
        "group by all having sum(expected_fcr_resolved) > 0"
    ).fetchall()
    assert {agent: (pytest.approx(value), small) for agent, value, small in true} == {
        one["agent"]: (float(one["value"]), "is-small" in one["class"]) for one in shown
    }


def test_somebody_is_found_and_the_next_action_said(reader: Reader, con: duckdb.DuckDBPyConnection) -> None:
    person, rule, value = con.execute(
        "select person_id, next_best_action_rule, clv_historic from marts.customer_360 where next_best_action_rule <> 'no_rule' "
        "and clv_historic > 0 order by person_id desc limit 1"
    ).fetchone()
    page = reader.open("customer-360")
    page.fill("#find", person)
    page.click(f"text={person}")
    card = page.inner_text(".card")
    assert person in card and rule.replace("_", " ") in card and f"€{float(value):,.2f}"[:4] in card


def test_a_definition_is_one_key_away_and_words_change_with_the_language(reader: Reader) -> None:
    page = reader.open("index")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.focus("[data-metric=fcr_rate] .define")
    page.keyboard.press("Enter")
    told = page.inner_text("dialog")
    assert "resolved_first_contact / issues" in told and "95 % interval" in told
    page.keyboard.press("Escape")
    page.wait_for_timeout(100)
    assert page.query_selector("dialog") is None
    page.select_option("#choose-language", "de")
    assert page.inner_text("h1") == "Überblick"
    assert page.inner_text("[data-metric=fcr_rate] h3") == "Erstlösungsquote"
    assert page.evaluate("document.documentElement.lang") == "de"
    page.select_option("#choose-language", "en")


@pytest.mark.parametrize("page", ["index", "agents", "customers"])
def test_dark_and_on_a_telephone_nothing_runs_off_the_page(reader: Reader, page: str) -> None:
    opened = reader.open(page)
    opened.select_option("#choose-theme", "dark")
    opened.set_viewport_size({"width": 390, "height": 844})
    try:
        reader.draw()
        assert opened.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        assert axe_findings(opened) == []
    finally:
        opened.select_option("#choose-theme", "auto")
        opened.set_viewport_size({"width": 1440, "height": 900})


def test_values_that_try_to_be_markup_stay_text(reader: Reader, folder: Path, tmp_path: Path) -> None:
    write_release(tmp_path)
    allowed = CxConfig.model_validate({"dashboard": {"personal_data": True}})
    dashboard.write(tmp_path, "cx.duckdb", MANIFEST, SimpleNamespace(config=allowed))
    reader.folder = tmp_path / "dashboard"
    reader.complaints.clear()
    reader.page.on("dialog", lambda dialog: reader.complaints.append(f"a dialog: {dialog.message}"))
    try:
        for page in PAGES:
            reader.open(page.name, "#period=now")
            reader.draw()
            assert reader.page.evaluate("document.scripts.length") == 3
            if page.name == "index":
                assert "Off: needs the feed orders" in reader.page.inner_text("[data-metric=net_sales]")
                assert "data only to 9 Mar 2026" in reader.page.inner_text("[data-metric=fcr_rate]")
        health = reader.page.inner_text("main")
        # reason of the feed, the gate; delivery, reason and author of the acceptance; labels of three stale metrics, of the one
        # that is off and of the restated one, whose cause it is, too
        assert health.count(HOSTILE[:20]) == 11
        assert reader.complaints == []
    finally:
        reader.folder = folder


def test_a_week_without_anything_to_count_is_zero_and_a_ratio_without_one_is_a_gap(context: Any, tmp_path: Path) -> None:
    chat = {"breakdown": "channel", "dimensions": '{"channel":"chat"}'}
    phone = {"breakdown": "channel", "dimensions": '{"channel":"phone"}'}
    rows = [week("contact_volume", n, count, **chat) for n, count in ((1, 2), (3, 3), (4, 3))]
    rows += [week("contact_volume", n, 9, **phone) for n in range(11)]
    # drawn as two lines and a point: weeks 0 to 1, 3, 5 to 6, and the one of 9 March, which is there already
    rows += [week("fcr_rate", n, 1, 2.0) for n in (0, 1, 3, 5, 6)]
    reader = of_rows(context, tmp_path, rows)
    page = reader.open("contact-centre", "#by=W")
    reader.draw()
    volume = [row[2] for row in as_table(page, "[data-block=volume] [data-trend=contact_volume]") if row[1] == "chat"]
    # phone began in week 0; the feed has data to 9 March, the Monday of the last week
    assert volume == ["0", "2", "0", "3", "3", "0", "0", "0", "0", "0", "0"]
    reader.open("voice", "#by=W")
    page = reader.open("index", "#by=W")
    reader.draw()
    panel = "[data-block=trends] [data-trend=fcr_rate]"
    assert len(as_table(page, panel)) == 6
    drawn = page.evaluate(
        "(panel) => [...document.querySelectorAll(panel + ' .mark-line path')].map((one) => one.getAttribute('d'))", panel
    )
    assert sorted(len(path.split("L")) for path in drawn) == [1, 1, 2, 2]
    assert reader.complaints == []


def test_where_a_late_feed_leaves_nothing_the_page_says_so(context: Any, tmp_path: Path) -> None:
    # of contact_volume nothing after January, and the feed has data to 9 March only: that is a count of nothing up to then
    february = "period_start = '2026-02-01', metric_date = '2026-02-28' where metric = 'fcr_rate' and period_start = '2026-03-01'"
    reader = of_rows(context, tmp_path, [week("contact_volume", 2, 7)], f"update marts.metric_daily set {february}")
    page = reader.open("contact-centre", "#period=now")
    tile = page.inner_text("[data-block=figures] [data-metric=contact_volume]")
    assert "Nothing observed" not in tile and "data only to 9 Mar 2026" in tile
    assert page.inner_text("[data-block=figures] [data-metric=contact_volume] .value") == "0"
    # a share of nothing is unknown
    tile = page.inner_text("[data-block=figures] [data-metric=fcr_rate]")
    assert "Nothing observed in this period" in tile and "data only to 9 Mar 2026" in tile
    assert "data only to 9 Mar 2026" in page.inner_text("[data-block=volume] [data-trend=contact_volume]")
    # January is all there
    assert "data only" not in reader.open("contact-centre", "#period=m:2026-01").inner_text("[data-metric=contact_volume]")
    assert "contacts: data only to 9 Mar 2026" in reader.open("customer-360").inner_text("[data-block=persons]")
    assert reader.complaints == []


def test_a_month_without_a_row_is_a_fall_to_zero_and_its_weeks_mature_like_any_other(context: Any, tmp_path: Path) -> None:
    december = daily("contact_volume", "month", "2025-12-01", "2025-12-31", 50, None, value=50.0, final_on=date(2026, 1, 10))
    reader = of_rows(
        context, tmp_path, [december, week("contact_volume", 2, 7, breakdown="channel", dimensions='{"channel":"phone"}')]
    )
    page = reader.open("contact-centre", "#period=m:2026-02&by=W")
    tile = page.inner_text("[data-block=figures] [data-metric=contact_volume]")
    assert "\n0\n" in tile and "was 100" in tile and "Nothing observed" not in tile and "provisional" not in tile
    reader.draw()
    # final ten days after their end: of the week to 22 February on 4 March, of the one to 1 March on the day after the last
    told = [(row[2], row[-1]) for row in as_table(page, "[data-block=volume] [data-trend=contact_volume]")]
    assert told[-4:] == [("0", "final"), ("0", "provisional"), ("0", "provisional"), ("0", "provisional")]
    assert reader.complaints == []


def test_small_samples_are_pale_and_have_no_band(context: Any, tmp_path: Path) -> None:
    reader = of_rows(context, tmp_path, [week("fcr_rate", n, 1, 2.0 if n == 3 else 40.0) for n in (0, 1, 2, 3, 4, 5)])
    page = reader.open("index", "#by=W")
    reader.draw()
    panel = "[data-block=trends] [data-trend=fcr_rate]"
    assert "Pale, without a band: fewer than 30 observations." in page.inner_text(panel)
    drawn = page.query_selector_all(f"{panel} .mark-line path")
    lines = sorted((len((one.get_attribute("d") or "").split("L")), one.get_attribute("stroke-opacity")) for one in drawn)
    # weeks 0 to 2, 2 to 4 over the small one, 4 to 5, and the one of 9 March alone, which is small, too
    assert lines == [(1, "0.35"), (2, "1"), (3, "0.35"), (3, "1")]
    # over weeks 0 to 2 and 4 to 5: there and back
    bands = [one.get_attribute("d") for one in page.query_selector_all(f"{panel} .mark-area path")]
    assert sorted(d.count("L") for d in bands if d) == [3, 5]
    assert len(as_table(page, panel)) == 7 and reader.complaints == []


def test_where_nobody_can_be_lost_yet_it_is_said(context: Any, tmp_path: Path) -> None:
    contractual = [
        daily("churn_rate", "trailing_30d", "2026-01-30", "2026-02-28", 1, 40.0, breakdown="cell",
              dimensions='{"basis":"contractual","plan":"all"}'),
    ]  # fmt: skip
    reader = of_rows(context, tmp_path, contractual)
    page = reader.open("customers")
    # 8 February, the first day with somebody active, and 180 days; a contract may end before
    said = "Nobody can count as lost before 7 Aug 2026: the history begins on 8 Feb 2026."
    tiles = page.query_selector_all("[data-block=figures] .tile[data-metric=churn_rate]")
    assert [said in tile.inner_text() for tile in tiles] == [True, False]
    reader.draw()
    assert page.inner_text("[data-block=churn] [data-trend=churn_rate]").count(said) == 1
    page.click("[data-block=figures] .tile[data-metric=churn_rate] .define")
    told = page.inner_text("dialog")
    assert said in told and "at once + 3 days for rows that come late" in told
    assert reader.complaints == []


def test_windows_stand_in_their_order_and_parts_that_changed_behind_a_value_are_told(context: Any, tmp_path: Path) -> None:
    rows = []
    for days, count in ((365, 40.0), (60, 30.0), (30, 20.0), (90, 0.0)):
        rows.append(week("second_purchase_rate", 1, 10, count, dimensions=json.dumps({"window_days": days})))
        rows[-1] |= {} if count else {"numerator": 0.0, "denominator": 0.0, "value": None}
    also = """
        insert into marts.metrics
        select * replace ('second_purchase_rate' as metric) from marts.metrics where metric = 'fcr_rate';
        insert into marts.metrics select * replace ('nps' as metric) from marts.metrics where metric = 'fcr_rate';
        insert into marts.restatements select * replace ('late_rows' as cause, 0.5 as new_value) from marts.restatements;
    """
    reader = of_rows(context, tmp_path, rows, also, deliveries=[{"rows_quarantined": 1}])
    page = reader.open("customers", "#by=W")
    reader.draw()
    labels = page.query_selector_all("[data-trend=second_purchase_rate] .role-legend-label text")
    assert [one.text_content() for one in labels] == ["within 30 days", "within 60 days", "within 365 days"]
    told = reader.open("data-health").inner_text("[data-block=restated] tbody").split("\n")
    assert ["50.0% → 60.0%" in told[0], "50.0%: same value, parts changed" in told[-1]] == [True, True], told
    page.focus("[data-block=restated] td span[tabindex]")
    assert page.inner_text("#tip") == "a: 1 → 3\nb: 2 → 5"
    one = "1 delivery since the release before. 1 row of what came is in quarantine."
    assert one in page.inner_text("[data-block=gates]")
    # of what has no rows at all nothing is late
    told = reader.open("voice").inner_text("[data-block=figures] [data-metric=nps]")
    assert "Nothing observed yet" in told and "data only to" not in told
    assert reader.complaints == []


def test_a_name_of_three_hundred_letters_is_cut_short_and_whole_in_its_title(context: Any, tmp_path: Path) -> None:
    names = [letter * 300 for letter in "abc"]
    rows = [
        week("contact_volume", n, 9 - m, breakdown="channel", dimensions=json.dumps({"channel": name}))
        for m, name in enumerate(names)
        for n in range(11)
    ]
    reader = of_rows(context, tmp_path, rows)
    page = reader.open("contact-centre", f"#period=w4&by=W&only=channel:{names[0]}")
    reader.draw()
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    cut = page.evaluate(
        "[...document.querySelectorAll('[data-block=channels] tbody th .name')].map((one) => [one.title, one.offsetWidth])"
    )
    assert [title for title, _ in cut] == names and all(wide <= 256 for _, wide in cut)
    # the legend's entries stand beside one another, each within the plot
    page = reader.open("contact-centre", "#period=w4&by=W")
    reader.draw()
    boxes = page.evaluate(
        "[...document.querySelectorAll('[data-block=volume] [data-trend=contact_volume] .role-legend-label text')]"
        ".map((one) => { const box = one.getBoundingClientRect(); return [box.left, box.right, box.top]; })"
    )
    assert len(boxes) == 3
    for a, b in itertools.pairwise(boxes):
        assert a[1] <= b[0] or a[2] != b[2], boxes


def test_of_ten_members_six_are_drawn_said_to_be_six_and_ten_are_in_the_table(context: Any, tmp_path: Path) -> None:
    rows = [
        week("contact_volume", n, 20 - m, breakdown="channel", dimensions=json.dumps({"channel": f"line {m}"}))
        for m in range(10)
        for n in range(11)
    ]
    reader = of_rows(context, tmp_path, rows)
    page = reader.open("contact-centre", "#by=W")
    reader.draw()
    panel = "[data-block=volume] [data-trend=contact_volume]"
    assert "6 of 10, the largest" in page.inner_text(panel)
    strokes = "(panel) => [...document.querySelectorAll(panel + ' .mark-line path')].map((one) => one.getAttribute('stroke'))"
    assert len(set(page.evaluate(strokes, panel))) == 6
    assert {row[1] for row in as_table(page, panel)} == {f"line {m}" for m in range(10)}
