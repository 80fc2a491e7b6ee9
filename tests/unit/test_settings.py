"""What `cx.toml` and the environment may say; a message names the file, the place and what to write."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest

from orchestration.partitions import Window
from orchestration.settings import ConfigError, Expression, Settings

FEED = "[[feed]]\nfeed = 'orders'\npattern = 'o_{day}.csv'\nformat = 'csv'\n"


def settings(home: Path, text: str | bytes) -> Settings:
    (home / "landing").mkdir(exist_ok=True)
    (home / "landing" / "cx.toml").write_bytes(text if isinstance(text, bytes) else text.encode())
    return Settings(home)


def test_a_whole_configuration(cx_home: Path) -> None:
    text = (
        "[business]\ntimezone = 'Europe/Amsterdam'\nreporting_currency = 'USD'\nchurn_inactive_days = 90\n"
        + FEED
        + "delimiter = ';'\nencoding = 'CP1252'\ndecimal = ','\nmissing = ['-']\ndelivery = 'snapshot'\nexpected = 'daily'\n"
        + "[feed.columns]\norder_id = 'Nr'\nstatus = { expr = \"lower(s)\" }\n[feed.constants]\ncurrency = 'EUR'\n"
    )
    found = settings(cx_home, text)
    assert found.config.business.timezone == "Europe/Amsterdam" and found.config.business.churn_inactive_days == 90
    assert found.config.business.fcr_window_days == 7
    (source,) = found.config.sources_of({"orders"})
    assert source.columns == {"order_id": "Nr", "status": Expression(expr="lower(s)")}
    assert (source.encoding, source.delivery, source.constants) == ("cp1252", "snapshot", {"currency": "EUR"})
    assert found.config.sources_of({"refunds"}) == []
    assert found.env == "ci" and found.home == cx_home


@pytest.mark.parametrize("name", ["UTF-8", "utf8", "utf_8", "U8"])
def test_every_name_of_utf_8_is_the_same_encoding(cx_home: Path, name: str) -> None:
    """The fast reader and the byte order mark depend on it."""
    assert settings(cx_home, FEED + f"encoding = '{name}'\n").config.feed[0].encoding == "utf-8"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[business]\ntimezone = 'Amsterdam'\n", "business.timezone: 'Amsterdam' is not an IANA time zone; write one like"),
        ("[business]\ntimezone = 'CEST'\n", "business.timezone: "),
        ("[business]\nreporting_currency = 'eur'\n", "'eur' is not an ISO 4217 code; write one like 'EUR'"),
        ("[business]\nreporting_currency = 'E1R'\n", "'E1R' is not an ISO 4217 code"),
        ("[business]\nreporting_currency = '€€€'\n", "is not an ISO 4217 code"),
        ("[business]\nclv_models = 'mbg_nbd,lstm'\n", "'mbg_nbd,lstm' names an unknown model; write some of mbg_nbd,bg_nbd"),
        ("[business]\nclv_models = 'pareto_nbd'\n", "pareto_nbd can be compared, not score: add mbg_nbd or bg_nbd"),
        ("[business]\nchurn_inactive_days = 0\n", "business.churn_inactive_days: "),
        ("[business]\nchurn_days = 90\n", "business.churn_days: unknown key 'churn_days'; write one of timezone, "),
        ("[bussiness]\n", "bussiness: unknown key 'bussiness'; write one of business, feed, reports, alerts"),
        (FEED + "delimeter = ';'\n", "feed.0.delimeter: unknown key 'delimeter'; write one of feed, pattern, "),
        (FEED + FEED.replace("o_", "p_") + "zone = 'UTC'\n", "feed.1.zone: unknown key 'zone'"),
        (FEED + "[feed.columns]\nstatus = { sql = 'x' }\n", "unknown key 'sql'; write one of expr"),
        (FEED.replace("o_{day}", "/tmp/o"), "'/tmp/o.csv' leaves the landing folder; write a pattern relative to it"),
        (FEED.replace("o_{day}", "../o"), "'../o.csv' leaves the landing folder"),
        (FEED.replace("o_{day}", "a/../../o"), "leaves the landing folder"),
        (FEED.replace("o_{day}.csv", ""), "names no file; write one like 'shop/{day}.csv'"),
        (FEED.replace("{day}", "{date}"), "has {date}; the only placeholder is {day}"),
        (FEED.replace("o_{day}", "**/o"), "write one * for each folder"),
        (FEED.replace("'csv'", "'xlsx'"), "feed.0.format: Input should be 'csv', 'ndjson' or 'parquet'"),
        (FEED + "delimiter = 'tab'\n", "feed.0.delimiter: "),
        (FEED + "delimiter = '\"'\n", "delimiter and quote are both '\"'; write two different characters"),
        (FEED + "delimiter = \"\\n\"\n", "delimiter cannot be '\\n'; write a character like delimiter = ';'"),
        (FEED + "encoding = 'ansi-ish'\n", "'ansi-ish' is not an encoding Python knows; write one like 'cp1252'"),
        (FEED + "encoding = 'rot13'\n", "'rot13' is not an encoding"),
        (FEED + "timezone = 'Amsterdam'\n", "feed.0.timezone: 'Amsterdam' is not an IANA time zone"),
        (FEED + "decimal = ';'\n", "feed.0.decimal: "),
        (FEED + "delivery = 'full'\n", "feed.0.delivery: "),
        (FEED + FEED, "feed 'orders' has the pattern 'o_{day}.csv' twice"),
        (
            FEED.replace("'orders'", "'order_lines'") + "[feed.columns]\nqty = 'Menge'\n",
            "[feed.columns] of 'o_{day}.csv': order_lines has no column 'qty'; did you mean 'quantity'? It has order_id, ",
        ),
        (FEED + "[feed.constants]\ncurency = 'EUR'\n", "[feed.constants] of 'o_{day}.csv': orders has no column 'curency'; did"),
        (FEED + "[feed.columns]\nzz9 = 'a'\n", "orders has no column 'zz9'; write one of order_id, person_id, "),
        ("[[feed]]\nfeed = 'orders'\n", "feed.0.pattern: Field required; feed.0.format: Field required"),
        ("[business\n", "at line 1"),
        ("a = 1\na = 2\n", "at line 2"),
        (b"[business]\ntimezone = 'caf\xe9'\n", "byte 26 is not UTF-8; save the file as UTF-8"),
    ],
)  # fmt: skip
def test_a_wrong_configuration_says_what_to_write(cx_home: Path, text: str | bytes, said: str) -> None:
    with pytest.raises(ConfigError) as error:
        _ = settings(cx_home, text).config
    assert str(error.value).startswith(f"{cx_home / 'landing' / 'cx.toml'}: ")
    assert said in str(error.value)


def test_a_missing_configuration_says_where_to_write_it(cx_home: Path) -> None:
    with pytest.raises(
        ConfigError,
        match=r"no configuration at .*landing/cx\.toml: put exports into .* and run cx init, which drafts one, or set CX_CONFIG",
    ):
        _ = Settings(cx_home).config


def test_cx_config_names_another_file(cx_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = cx_home / "other.toml"
    other.write_text(FEED)
    monkeypatch.setenv("CX_CONFIG", str(other))
    assert Settings().config.feed[0].feed == "orders"
    monkeypatch.setenv("CX_CONFIG", str(cx_home))
    with pytest.raises(ConfigError, match="CX_CONFIG is the path of a readable"):
        _ = Settings().config


def test_an_unknown_environment_is_refused(cx_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CX_ENV", "prod")
    with pytest.raises(ConfigError, match="CX_ENV is 'prod'; write one of local, ci, production"):
        Settings()


def test_today_is_that_of_the_business(cx_home: Path) -> None:
    """Two zones 26 hours apart never have the same day."""
    east = settings(cx_home, "[business]\ntimezone = 'Pacific/Kiritimati'\n").today()
    west = settings(cx_home, "[business]\ntimezone = 'Etc/GMT+12'\n")
    assert timedelta(days=1) <= east - west.today() <= timedelta(days=2)
    assert west.yesterday() <= west.today() - timedelta(days=1)


def test_making_folders_keeps_what_is_there(cx_home: Path) -> None:
    found = Settings(cx_home)
    found.make_folders()
    (found.dagster_home / "dagster.yaml").write_text("mine\n")
    found.make_folders()
    assert (found.dagster_home / "dagster.yaml").read_text() == "mine\n"
    assert all(folder.is_dir() for folder in (found.landing, found.warehouse.parent, found.releases, found.quarantine))


# Windows of delivery days

JAN_30, FEB_2 = date(2026, 1, 30), date(2026, 2, 2)


def test_a_window_is_half_open_inside_and_inclusive_as_people_say_it() -> None:
    window = Window.of_days(JAN_30, FEB_2)
    assert (window.start, window.end, window.last, len(window)) == (JAN_30, date(2026, 2, 3), FEB_2, 4)
    assert list(window.days()) == [JAN_30, date(2026, 1, 31), date(2026, 2, 1), FEB_2]
    assert JAN_30 in window and FEB_2 in window
    assert date(2026, 1, 29) not in window and date(2026, 2, 3) not in window
    assert str(window) == "2026-01-30 .. 2026-02-02" and str(Window.of_days(FEB_2, FEB_2)) == "2026-02-02"


def test_a_window_has_at_least_one_day() -> None:
    assert len(Window.of_days(FEB_2, FEB_2)) == 1
    for start, end in ((FEB_2, FEB_2), (FEB_2, JAN_30)):
        with pytest.raises(ValueError, match="at least one day"):
            Window(start, end)
