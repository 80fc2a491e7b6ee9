"""Alerts against a channel on loopback: one message an incident, what it says, and that no URL is ever repeated."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator
from datetime import datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from orchestration.defs.automation import schedules
from orchestration.lib import alerts, report
from orchestration.lib.report import Ran
from orchestration.lib.run_lock import run_lock
from orchestration.run_context import CxHome
from orchestration.settings import ConfigError, Settings
from tests.landing import DAY

SECRET = "hunter2secret"
CONFIG = """
[alerts]
on = ["failed", "held", "recovered"]
[[feed]]
feed = "refunds"
pattern = "refunds_{day}.csv"
format = "csv"
"""


class Channel:
    """What a channel received, and whether it takes it."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []
        self.status = 200
        channel = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                channel.messages.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(channel.status)
                self.end_headers()

            def log_message(self, *args: Any) -> None: ...

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"json://user:{SECRET}@127.0.0.1:{self.server.server_port}/{SECRET}"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()


@pytest.fixture
def channel(monkeypatch: pytest.MonkeyPatch) -> Iterator[Channel]:
    made = Channel()
    monkeypatch.setenv("CX_ALERT_URLS", made.url)
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return _settings(tmp_path, CONFIG)


def _settings(home: Path, config: str) -> Settings:
    (home / "landing").mkdir(exist_ok=True)
    (home / "landing" / "cx.toml").write_text(config)
    return Settings(home)


def _night(settings: Settings, *failed: str, refused: str = "", problem: str = "") -> dict[str, Any]:
    """The report of a night on which gates failed, a file stands refused, or nothing is wrong; delivered."""
    made = report.collect(settings, Ran("r-1", "nightly", DAY, DAY, problems=(problem,) if problem else ()))
    made["gates"] = [
        {"gate": gate, "subject": "sales_daily", "state": "failed", "sentence": f"FAILED: {gate} on sales_daily", "sample": [],
         "passed": False, "severity": "block", "figure": "1", "bound": "0", "message": "", "accepted": "",
         "is_consequence": False}
        for gate in failed
    ]  # fmt: skip
    if refused:
        made["refused_standing"] = [
            {"feed": "refunds", "day": str(DAY), "file": refused, "status": "refused", "reason": "line 3: bad"}
        ]
        made["quarantined"] = [
            {"feed": "refunds", "file": refused, "line": 3, "rows": 2, "reason": "amount: nought", "values": {}, "of_groups": 1}
        ]
        made["stale_feeds"] = ["refunds"]
    code = 2 if failed else 3 if refused else 1 if problem else 0
    made["exit_code"], made["outcome"] = code, report.OUTCOMES[code]
    made["readers"] = {"release": "R7", "data_through": "2026-01-04", "published_at": "x", "stale_feeds": []}
    made["next"] = [{"do": "then take it", "command": "cx nightly --day 2026-01-05"}]
    return alerts.deliver(settings, made)


def test_one_message_an_incident_and_one_when_it_is_over(settings: Settings, channel: Channel) -> None:
    """The same the next night is no news; one more file is; so is the end, once."""
    told = []
    for refused, more in (("", ()), ("a.csv", ()), ("a.csv", ()), ("a.csv", ("unique_grain",)), ("", ()), ("", ())):
        made = _night(settings, *more, refused=refused)
        assert made["warnings"] == []
        told.append(len(channel.messages))
    assert told == [0, 1, 1, 2, 3, 3]
    assert [message["type"] for message in channel.messages] == ["warning", "failure", "success"]
    assert "recovered" in channel.messages[-1]["title"]


def test_the_message_says_what_failed_what_readers_see_and_what_to_do(settings: Settings, channel: Channel) -> None:
    _night(settings, "unique_grain", refused="refunds_2026-01-05.csv")
    (message,) = channel.messages
    text = message["title"] + "\n" + message["message"]
    for piece in (
        "nightly 2026-01-05", "FAILED: unique_grain on sales_daily", "refunds_2026-01-05.csv, line 3: amount: nought (2 rows)",
        "Readers see: release R7, through 2026-01-04", "Next: then take it: cx nightly --day 2026-01-05",
        f"Report: {settings.reports}",
    ):  # fmt: skip
        assert piece in text, piece
    path = Path(text.rsplit("Report: ", 1)[1].strip())
    assert path.is_file()


def test_figures_and_days_make_no_new_incident(settings: Settings, channel: Channel) -> None:
    _night(settings, problem="no space is left on the disk of /x (12 MB free)")
    _night(settings, problem="no space is left on the disk of /x (7 MB free)")
    assert len(channel.messages) == 1
    _night(settings, problem="the warehouse is of another version")
    assert len(channel.messages) == 2


def test_a_dead_channel_is_a_warning_and_the_next_night_tries_again(
    settings: Settings, channel: Channel, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """No run fails; nothing that is written or logged repeats a URL; a channel that works is not told twice."""
    channel.status = 500
    with caplog.at_level(logging.DEBUG):
        made = _night(settings, "unique_grain")
    assert made["warnings"] == ["channel 1 of 1 in CX_ALERT_URLS did not take the alert"]
    channel.status = 200
    monkeypatch.setenv("CX_ALERT_URLS", f"json://x:{SECRET}@127.0.0.1:9/ bogus://{SECRET} {channel.url}")
    with caplog.at_level(logging.DEBUG):
        made = _night(settings, "unique_grain")
    assert [warning.split(" in ")[0] for warning in made["warnings"]] == ["channel 1 of 3", "channel 2 of 3"]
    assert len(channel.messages) == 2
    written = "".join(path.read_text() for path in settings.reports.rglob("*") if path.is_file() and not path.is_symlink())
    assert "did not take the alert" in written
    assert _night(settings, "unique_grain")["warnings"] == [] and len(channel.messages) == 2
    captured = capfd.readouterr()
    assert SECRET not in written + caplog.text + captured.out + captured.err


def test_nothing_is_sent_before_it_is_configured(tmp_path: Path, channel: Channel, monkeypatch: pytest.MonkeyPatch) -> None:
    off = _settings(tmp_path, CONFIG.replace("[alerts]", "").replace('on = ["failed", "held", "recovered"]', ""))
    assert _night(off, "unique_grain")["warnings"] == [] and channel.messages == []
    monkeypatch.delenv("CX_ALERT_URLS")
    on = _settings(tmp_path, CONFIG)
    (warning,) = _night(on, "unique_grain")["warnings"]
    assert "CX_ALERT_URLS is not set" in warning


def test_only_what_is_asked_for_is_told(tmp_path: Path, channel: Channel) -> None:
    settings = _settings(tmp_path, CONFIG.replace('["failed", "held", "recovered"]', '["failed"]'))
    for night in ({"refused": "a.csv"}, {}, {"problem": "no"}, {}):
        assert _night(settings, **night)["warnings"] == []
    assert [message["type"] for message in channel.messages] == ["failure"]


def test_who_interrupts_a_run_knows(settings: Settings, channel: Channel) -> None:
    _night(settings, problem=report.INTERRUPTED)
    assert channel.messages == []


@pytest.mark.parametrize("key", ["urls_env", "urls"])
def test_a_url_in_cx_toml_is_refused_without_repeating_it(tmp_path: Path, key: str) -> None:
    settings = _settings(tmp_path, CONFIG.replace("[alerts]", f'[alerts]\n{key} = "json://user:{SECRET}@host"'))
    with pytest.raises(ConfigError) as refused:
        _ = settings.config
    assert SECRET not in str(refused.value) and "urls_env" in str(refused.value)


def _tick(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Any:
    """What the production schedule answers at 03:00."""
    monkeypatch.setenv("CX_ENV", "production")
    monkeypatch.setenv("CX_HOME", str(settings.home))
    (schedule,) = schedules.schedules().schedules
    return schedule(dg.build_schedule_context(scheduled_execution_time=datetime.now()))


def test_a_night_that_the_schedule_skips_has_a_report_and_one_message(
    settings: Settings, channel: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is no incident: that the other run ends well is no news, and an incident that is open stays the same one."""
    settings.make_folders()
    _night(settings, refused="a.csv")
    with run_lock(settings, "run 4711"):
        answer = _tick(settings, monkeypatch)
    assert isinstance(answer, dg.SkipReason) and "4711" in str(answer.skip_message)
    made = report.load(settings)
    assert made is not None and made["was_refused"] and made["what"] == f"nightly {settings.yesterday()}"
    message = channel.messages[-1]
    assert message["title"] == f"cxmarts: nightly {settings.yesterday()} skipped: another run is at work"
    assert "4711" in message["message"] and "cx nightly" in message["message"] and message["type"] == "warning"
    _night(settings, refused="a.csv")
    assert len(channel.messages) == 2
    assert isinstance(_tick(settings, monkeypatch), dg.RunRequest) and len(channel.messages) == 2


def test_a_night_that_cannot_begin_for_its_configuration_alerts_once(
    tmp_path: Path, channel: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = _settings(tmp_path, CONFIG.replace('"refunds"', '"parrots"'))
    for _ in range(2):
        with pytest.raises(ConfigError, match="no contract"):
            _tick(settings, monkeypatch)
    (message,) = channel.messages
    assert "parrots" in message["message"] and message["type"] == "failure"


def test_a_scheduled_run_that_finds_another_at_work_tells_so(
    settings: Settings, channel: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the schedule's look at the lock and the run's beginning; who starts one by hand sees it."""
    monkeypatch.setenv("CX_HOME", str(settings.home))
    settings.make_folders()

    @dg.asset(key=["release", "current"])
    def released(cx_home: CxHome) -> None: ...

    told = []
    for tags in ({}, {"dagster/schedule_name": "nightly"}):
        with run_lock(settings, "run 4711"):
            dg.materialize(
                [released], resources={"cx_home": CxHome()}, instance=dg.DagsterInstance.ephemeral(), raise_on_error=False,
                tags=tags, run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
            )  # fmt: skip
        told.append(len(channel.messages))
    assert told == [0, 1] and "skipped" in channel.messages[0]["title"]
