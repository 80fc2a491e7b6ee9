"""The dashboard's pages without a browser: what they hold, what they may not hold, and their words.

Belongs here: data of a page against pandas on a small release written by hand, escaping, translations, the setting for
persons. Does not: what the browser makes of it (tests/e2e/test_dashboard_in_browser.py).
"""

from __future__ import annotations

import json
import re
import shutil
from datetime import date, timedelta
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import duckdb
import pandas as pd
import pytest

from orchestration.lib import dashboard
from orchestration.lib.dashboard import assets, data
from orchestration.lib.dashboard.pages import PAGES
from orchestration.settings import CxConfig
from tests.dashboard_rows import DAILY, HOSTILE, MANIFEST, write_release


@pytest.fixture
def building(tmp_path: Path) -> Path:
    """The folder of a release that is being built."""
    write_release(tmp_path)
    return tmp_path


def settings(**dashboard_table: Any) -> Any:
    return SimpleNamespace(config=CxConfig.model_validate({"dashboard": dashboard_table}))


class Page(HTMLParser):
    """Scripts, links and the data of a page, as an HTML parser sees them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.scripts: list[dict[str, str | None]] = []
        self.loads: list[str] = []
        self.content: list[str] = []
        self.policy, self._in_data = "", False
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        told = dict(attributes)
        if tag == "script":
            self.scripts.append(told)
            self._in_data = told.get("type") == "application/json"
        if tag == "meta" and told.get("http-equiv") == "Content-Security-Policy":
            self.policy = told["content"] or ""
        self.loads += [told[name] or "" for name in ("src", "href") if name in told]

    def handle_endtag(self, tag: str) -> None:
        self._in_data = self._in_data and tag != "script"

    def handle_data(self, text: str) -> None:
        if self._in_data:
            self.content.append(text)

    @property
    def data(self) -> dict[str, Any]:
        return json.loads("".join(self.content))


def read(building: Path, name: str) -> Page:
    return Page((building / "dashboard" / f"{name}.html").read_text(encoding="utf-8"))


def test_a_hostile_value_ends_no_script_and_arrives_whole(building: Path) -> None:
    dashboard.write(building, "cx.duckdb", MANIFEST, settings(personal_data=True))
    for page in PAGES:
        opened = read(building, page.name)
        assert [one.get("type") or one.get("src") for one in opened.scripts] == [
            "application/json", "assets/dashboard.js", f"assets/{assets.vega_name()}"
        ]  # fmt: skip
        assert "unsafe-eval" not in opened.policy and "script-src 'self' file:;" in opened.policy
        assert all(url.startswith(("assets/", "#main", "data:,")) for url in opened.loads)
    assert read(building, "customer-360").data["blocks"][0]["rows"]["rows"][0][0] == HOSTILE
    health = read(building, "data-health").data
    assert health["feeds"][0]["reason"] == HOSTILE and health["gates"]["not_passed"] == [HOSTILE]
    contact = read(building, "contact-centre").data
    assert contact["metrics"]["fcr_rate"]["labels"]["nl"] == f"fcr_rate {HOSTILE}"
    assert {one["d"].get("channel") for one in contact["series"]["fcr_rate"]} == {None, HOSTILE}


def test_series_hold_what_the_rows_say(building: Path) -> None:
    dashboard.write(building, "cx.duckdb", MANIFEST, settings())
    told = read(building, "index").data
    months, weeks = told["months"], told["weeks"]
    assert (months[0], months[-1], weeks[0], weeks[-1]) == ("2026-01-01", "2026-03-01", "2025-12-29", "2026-03-09")
    rows = pd.DataFrame(DAILY)
    total = next(one for one in told["series"]["fcr_rate"] if one["g"] == "M" and one["b"] == "total")
    expected = rows[(rows.metric == "fcr_rate") & (rows.grain == "month") & (rows.breakdown == "total")]
    assert [months[n] for n in total["t"]] == [str(day) for day in expected.period_start]  # February has no row
    assert (total["n"], total["k"], total["c"]) == (expected.numerator.tolist(), expected.denominator.tolist(), 1)
    assert total["p"] == {"1": "2026-03-17"}
    week = next(one for one in told["series"]["fcr_rate"] if one["g"] == "W")
    assert (weeks[week["s"]], week["n"], week["k"]) == ("2026-03-09", [1], [2])
    assert "k" not in told["series"]["contact_volume"][0] and told["series"]["contact_volume"][0]["n"] == [100]


def test_a_trailing_period_stands_at_the_end_of_months_and_weeks_beside_the_one_before(building: Path) -> None:
    with duckdb.connect(str(building / "cx.duckdb")) as con:  # the first day with data is the first one of a period
        con.execute("insert into marts.metric_daily select * replace (date '2025-12-12' as period_start, "
                    "date '2026-01-10' as metric_date) from marts.metric_daily where metric = 'churn_rate' limit 1")  # fmt: skip
    dashboard.write(building, "cx.duckdb", MANIFEST, settings())
    by_grain = {one["g"]: one for one in read(building, "index").data["series"]["churn_rate"]}
    # ends of January and February, and how far data go; of 28 February the one before ended on 29 January: there is none
    assert (by_grain["M"]["o"], by_grain["M"]["s"], by_grain["M"]["v"]) == ("trailing_30d", 1, [0.08, 0.1])
    assert by_grain["M"]["q"] == [None, 0.12]
    # Sundays 8 February and 1 March, and 10 March
    assert by_grain["W"]["v"] == [0.12, 0.06, 0.1]


def test_a_trailing_period_that_began_before_the_data_is_nothing_to_compare_with(building: Path) -> None:
    # data from 8 February: the thirty days before it, and those before 10 March's, began without
    dashboard.write(building, "cx.duckdb", MANIFEST, settings())
    by_grain = {one["g"]: one for one in read(building, "index").data["series"]["churn_rate"]}
    assert by_grain["M"]["v"] == [0.08, 0.1] and "q" not in by_grain["M"] and "q" not in by_grain["W"]


def test_a_count_says_how_long_its_weeks_without_a_row_are_provisional(building: Path) -> None:
    # of the month to 10 March the end is the 31st: the lag does not grow with the days that are not there yet
    with duckdb.connect(str(building / "cx.duckdb")) as con:
        con.execute("insert into marts.metric_daily select * replace (date '2026-03-01' as period_start, "
                    "date '2026-03-10' as metric_date, date '2026-04-05' as final_on) "
                    "from marts.metric_daily where metric = 'contact_volume'")  # fmt: skip
    dashboard.write(building, "cx.duckdb", MANIFEST, settings())
    told = read(building, "index").data["metrics"]
    assert told["contact_volume"]["final_days"] == 5 and "final_days" not in told["fcr_rate"]


def test_nobody_can_be_lost_before_the_history_is_as_long_as_the_setting(building: Path) -> None:
    business = {"churn_inactive_days": 90, "late_allowance_days": 5}
    dashboard.write(building, "cx.duckdb", MANIFEST, SimpleNamespace(config=CxConfig.model_validate({"business": business})))
    told = read(building, "customers").data
    # the first day with a person active on some day is 8 February 2026; 20 days are left of it, 31 of March, 30 of April
    assert told["lapse"] == {"begins": "2026-02-08", "first": "2026-05-09"} and told["lateDays"] == 5
    with duckdb.connect(str(building / "cx.duckdb")) as con:
        con.execute("update marts.metric_daily set dimensions = replace(dimensions, 'inactivity', 'contractual')")
    shutil.rmtree(building / "dashboard")
    dashboard.write(building, "cx.duckdb", MANIFEST, settings())
    assert read(building, "customers").data["lapse"] is None


def test_what_moved_comes_before_what_only_changed_its_parts(building: Path) -> None:
    day, parts = date(2026, 2, 1), ('{"a":1,"b":1}', '{"a":2,"b":2}')
    changes = [
        ("nps", 100.0, 100.0),
        ("nps", 100.0, 100.0),
        ("csat", None, 0.5),
        ("fcr_survey", 0.5, 0.75),
        ("fcr_survey", 1.0, 1.0),
    ]
    with duckdb.connect(str(building / "cx.duckdb")) as con:
        con.execute("delete from marts.restatements")
        con.executemany(
            "insert into marts.restatements by name select $1 as metric, 'r' as release, timestamp '2026-03-11' as published_at, "
            "$2 as metric_date, 'restatement' as kind, 'late_rows' as cause, $3 as old_value, $4 as new_value, "
            "$5 as old_parts, $6 as new_parts",
            [(metric, day + timedelta(n), old, new, *parts) for n, (metric, old, new) in enumerate(changes)],
        )
        told = data.restated(con)
    rows = [dict(zip(told["columns"], row, strict=True)) for row in told["rows"]]
    assert [(one["metric"], one["cells"], one["was"], one["becomes"]) for one in rows] == [
        ("fcr_survey", 2, 0.5, 0.75), ("csat", 1, None, 0.5), ("nps", 2, 100, 100)
    ]  # fmt: skip
    assert (rows[2]["parts_were"], rows[2]["parts_are"]) == parts and rows[0]["parts_were"] is None


def test_a_release_has_no_more_metrics_than_are_on(building: Path) -> None:
    with duckdb.connect(str(building / "cx.duckdb")) as con:
        # the log names every metric of a mart, net_sales too, which is off
        con.execute("update marts.releases set metrics = ['fcr_rate', 'churn_rate', 'net_sales']")
        told = data.releases(con)
    assert dict(zip(told["columns"], told["rows"][0], strict=True))["metrics"] == 2


def test_a_definition_speaks_of_the_period_that_is_shown_and_not_of_how_it_is_made() -> None:
    from orchestration.lib.dbt_manifest import manifest_json, metrics

    texts = {node["name"]: node for node in manifest_json()["metrics"].values() if node["name"] in metrics()}
    for page in PAGES:
        for name in page.metrics:
            meta = texts[name]["config"]["meta"]
            told = " ".join([texts[name]["description"], meta["window"], meta["matures"]])
            assert not re.search(r"MetricFlow|\bmart\b|registry|dbt|[a-z]_[a-z]|^The same", told), (name, told)
    picks = [pick for page in PAGES for block in page.blocks for pick in block.picks]
    picks += [
        pick for page in PAGES for block in page.blocks for group in block.options.get("groups", ()) for pick in group["picks"]
    ]
    for pick in picks:
        # of a metric of several periods or windows the words name none but the one that is shown
        if (
            isinstance(pick, dict)
            and len(re.findall(r"\d+|day|week|month", texts[pick["metric"]]["config"]["meta"]["window"])) > 2
        ):
            shown = {*re.findall(r"\d+", pick.get("own", "")), str(pick.get("where", {}).get("window_days"))}
            assert {*re.findall(r"(\d+) days", texts[pick["metric"]]["description"])} <= shown, pick


def test_a_metric_that_is_off_is_told(building: Path) -> None:
    dashboard.write(building, "cx.duckdb", MANIFEST, settings())
    told = read(building, "index").data
    assert told["metrics"]["net_sales"]["is_on"] is False and told["series"]["net_sales"] == []
    assert next(one for one in told["blocks"] if one["kind"] == "cohorts")["missing"] == ["retention_cohorts"]


def test_persons_are_written_only_where_it_is_allowed(building: Path) -> None:
    files = dashboard.write(building, "cx.duckdb", MANIFEST, settings())
    assert not any("customer-360" in name for name in files)
    assert "customer-360" not in read(building, "index").data["pages"]
    assert not any("SKU-OF-SOMEBODY" in path.read_text() for path in (building / "dashboard").rglob("*.*"))
    assert read(building, "data-health").data["personalData"] is False
    assert {str(path.relative_to(building)) for path in (building / "dashboard").rglob("*.*")} == set(files)


def test_no_more_persons_than_a_page_can_hold(building: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with duckdb.connect(str(building / "cx.duckdb")) as con:
        con.execute("insert into marts.customer_360 select c.* replace ('p' || i as person_id, i as clv_historic) "
                    "from marts.customer_360 c, range(20) t(i)")  # fmt: skip
    monkeypatch.setattr(data, "MAX_PERSONS", 5)
    dashboard.write(building, "cx.duckdb", MANIFEST, settings(personal_data=True))
    found = read(building, "customer-360").data["blocks"][0]["rows"]
    assert [row[0] for row in found["rows"]] == ["p19", "p18", "p17", "p16", "p15"] and found["of"] == 21


def test_every_word_is_said_in_five_languages() -> None:
    for key, texts in assets.words().items():
        assert tuple(texts) == assets.LANGUAGES, key
        assert all(isinstance(text, str) and text.strip() for text in texts.values()), key
        holes = {language: sorted(re.findall(r"\{(\w+)\}", text)) for language, text in texts.items()}
        assert all(found == holes["en"] for found in holes.values()), (key, holes)


def test_every_word_that_is_used_is_there() -> None:
    script = "\n".join(assets._text(f"static/{name}.js") for name in assets.SCRIPTS)
    used = set(re.findall(r'\bt\("([\w.-]+)"', script)) | set(re.findall(r'(?:row|field|select)\("([\w.-]+)"', script))
    used = {key for key in used if not key.endswith(".")}  # those are put together: t("dim." + name)
    used |= {f"page.{page.name}" for page in PAGES} | {block.word for page in PAGES for block in page.blocks}
    used |= {group["word"] for page in PAGES for block in page.blocks for group in block.options.get("groups", ())}
    assert used - set(assets.words()) == set()


def arguments(text: str) -> list[str]:
    """Parts of a script's text between commas that stand in no bracket; up to the bracket that closes it."""
    found, depth = [""], 0
    for sign in text:
        depth += (sign in "([{") - (sign in ")]}")
        if depth < 0:
            break
        if sign == "," and not depth:
            found.append("")
        else:
            found[-1] += sign
    return [one.strip() for one in found]


def test_what_a_word_leaves_open_is_filled_in_wherever_it_is_said() -> None:
    script = "\n".join(assets._text(f"static/{name}.js") for name in assets.SCRIPTS)
    seen = set()
    for call in re.finditer(r"\bt\(", script):
        told, *filled = arguments(script[call.end() :])
        given = {one.split(":")[0].strip() for one in arguments(filled[0][1:])} if filled and filled[0][:1] == "{" else set()
        for key in set(re.findall(r'(?:^|[?:] )"([\w.-]+)"(?= :|$)', told)) & set(assets.words()):
            seen.add(key)
            assert set(re.findall(r"\{(\w+)\}", assets.words()[key]["en"])) <= given, script[call.start() : call.end() + 120]
    # those that leave nothing open are said in other ways, too (in the page, put together)
    singular = {key for key in assets.words() if key.endswith(".one")}
    assert {key for key, texts in assets.words().items() if "{" in texts["en"]} - seen - singular == set()
    # what is said of one thing says nothing that is not said of several, and `t` asks by n whether it is one
    for key in singular:
        several = set(re.findall(r"\{(\w+)\}", assets.words()[key.removesuffix(".one")]["en"]))
        assert set(re.findall(r"\{(\w+)\}", assets.words()[key]["en"])) | {"n"} <= several, key


def test_every_metric_and_mart_of_a_page_is_in_the_project() -> None:
    from orchestration.lib.dbt_manifest import manifest_json, marts, metrics

    for page in PAGES:
        assert page.metrics - set(metrics()) == set(), page.name
        for block in page.blocks:
            assert set(block.marts) - set(marts()) - {"restatements", "releases"} == set(), block.word
    exposure = next(one for one in manifest_json()["exposures"].values() if one["name"] == "dashboard")
    read = {mart for page in PAGES for block in page.blocks for mart in block.marts} & set(marts())
    assert read <= {name.split(".")[-1] for name in exposure["depends_on"]["nodes"]}


def test_vega_is_made_once_an_environment_and_says_whose_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import vl_convert

    made = []
    monkeypatch.setattr(vl_convert, "javascript_bundle", lambda: made.append(1) or "window.vegaEmbed = 1;")
    monkeypatch.setattr(assets.sys, "prefix", str(tmp_path))
    first, second = assets.vega(), assets.vega()
    assert first == second and len(made) == 1 and "BSD 3-Clause" in first and "window.vegaEmbed = 1;" in first
    monkeypatch.setattr(assets.sys, "prefix", "/proc/nobody/writes/here")
    assert assets.vega() == first and len(made) == 2


def test_of_many_members_the_largest_are_drawn_and_the_rest_is_counted(building: Path) -> None:
    with duckdb.connect(str(building / "cx.duckdb")) as con:
        con.execute(
            "insert into marts.metric_daily "
            "select d.* replace ('{\"channel\":\"c' || i || '\"}' as dimensions, i as denominator) "
            "from marts.metric_daily d, range(150) t(i) where metric = 'fcr_rate' and breakdown = 'channel'"
        )
    dashboard.write(building, "cx.duckdb", MANIFEST, settings())
    told = read(building, "index").data
    drawn = {one["d"]["channel"]: one["k"][0] for one in told["series"]["fcr_rate"] if one["b"] == "channel"}
    assert len(drawn) == 100 and min(drawn.values()) == 50  # of 0 .. 149 and one of 4
    assert told["leftOut"] == {"fcr_rate": {"channel": 51}}


def test_a_page_that_would_be_too_big_has_splits_by_month_only(building: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with duckdb.connect(str(building / "cx.duckdb")) as con:
        con.execute(
            "insert into marts.metric_daily select * replace ('channel' as breakdown, '{\"channel\":\"chat\"}' as dimensions) "
            "from marts.metric_daily where metric = 'fcr_rate' and grain = 'week'"
        )
    grains = {}
    for most in (dashboard.MAX_PAGE_BYTES, 1000):
        monkeypatch.setattr(dashboard, "MAX_PAGE_BYTES", most)
        (building / "dashboard").exists() and shutil.rmtree(building / "dashboard")
        dashboard.write(building, "cx.duckdb", MANIFEST, settings())
        told = read(building, "index").data
        grains[told.get("isThinned", False)] = {(one["g"], one["b"]) for one in told["series"]["fcr_rate"]}
    assert grains[False] == {("M", "total"), ("M", "channel"), ("W", "total"), ("W", "channel")}
    assert grains[True] == {("M", "total"), ("M", "channel"), ("W", "total")}
