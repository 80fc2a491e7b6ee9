"""`cx quarantine`: what is in it is all there, can be taken out, and is judged again by the way it came."""

from __future__ import annotations

import csv
import json
import stat
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from data_quality.contract import load_contracts
from orchestration import cli
from orchestration.lib import ingest, quarantine, rereading, warehouse
from orchestration.lib.quarantine import QuarantineError
from orchestration.partitions import Window
from tests.landing import Home

HEADER = "refund_id,order_id,refunded_at,amount,currency\n"
CONFIG = "[[feed]]\nfeed = 'refunds'\npattern = 'r_{day}.csv'\nformat = 'csv'\n"
GOOD = HEADER + "".join(f"g{n},o,2026-01-05 10:00:00,5,EUR\n" for n in range(80))
DAY = date(2026, 1, 5)


@pytest.fixture
def home(cx_home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    # The home's own connection is open to write, and DuckDB opens a file in one way only in a process.
    monkeypatch.setattr(quarantine, "_open", warehouse.connect)
    with Home(cx_home, CONFIG).open() as home:
        yield home


def _spoiled(home: Home) -> None:
    """80 good rows and four bad ones that are loaded; a file that is refused for two bad rows of two; one without rows."""
    home.put("r_2026-01-05.csv", GOOD + "=1+1,o,2026-01-05,x,EUR\n,o,never,7,EUR\nb,o,2026-01-05,y,EUR\nshort\n")
    home.put("r_2026-01-06.csv", HEADER + "c,o,2026-01-06,0,EUR\nd,o,2026-01-06,0,eur\n")
    home.put("r_2026-01-07.csv", "refund_id\nx\n")
    home.load("refunds")


def _state(home: Home) -> list[list[tuple[object, ...]]]:
    """Raw rows, quarantine and what counts of the ledger, less times and runs."""
    return [
        home.rows("select * exclude (_ingested_at) from raw.refunds order by all"),
        home.rows("select * exclude (run_id) from ops.quarantine order by all"),
        home.rows(
            "select delivery, content_hash, status, rows_read, rows_bad from ops.deliveries where status = 'accepted' order by 1"
        ),
    ]


def test_every_bad_row_is_there_once_also_of_refused_deliveries(home: Home) -> None:
    _spoiled(home)
    found = list(quarantine.rows(home.settings))
    assert [(row.file, row.line, row.status) for row in found] == [
        ("r_2026-01-05.csv", 82, "quarantined"),
        ("r_2026-01-05.csv", 83, "quarantined"),
        ("r_2026-01-05.csv", 84, "quarantined"),
        ("r_2026-01-05.csv", 85, "quarantined"),
        ("r_2026-01-06.csv", None, "refused"),
        ("r_2026-01-06.csv", 2, "refused"),
        ("r_2026-01-06.csv", 3, "refused"),
        ("r_2026-01-07.csv", None, "refused"),
    ]
    assert found[1].reasons == [
        "refund_id: is missing",
        "refunded_at: \"never\" is not a timestamp in ISO 8601 (set datetime_format in cx.toml, for example '%d/%m/%Y %H:%M')",
    ]
    assert json.loads(str(found[1].raw))["amount"] == "7" and found[3].raw == "short"
    assert "100.0% of its rows are bad" in found[4].reasons[0]
    assert [row.line for row in quarantine.rows(home.settings, "refunds", "r_2026-01-06.csv")] == [None, 2, 3]
    assert [row.line for row in quarantine.rows(home.settings, None, "refunds:r_2026-01-07.csv")] == [None]


def test_reasons_are_counted_without_the_values(home: Home) -> None:
    _spoiled(home)
    found = {row["reason"][:40]: row["rows"] for row in quarantine.counts(home.settings, delivery="r_2026-01-05.csv")}
    assert found["amount: is not a number with decimal mar"] == 2, "x and y"
    assert found["refund_id: is missing"] == 1 and len(found) == 4


def test_the_list_says_how_many_rows_there_are(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    """Four bad rows of the first file have five reasons (line 83 has two); the second file is refused for two rows."""
    _spoiled(home)
    cli.app(["quarantine", "list", "--delivery", "r_2026-01-05.csv"], standalone_mode=False)
    said = capsys.readouterr().out
    assert said.endswith("bad rows: 4; one with several reasons is counted for each of them\n")
    cli.app(["quarantine", "list", "--delivery", "r_2026-01-06.csv"], standalone_mode=False)
    said = capsys.readouterr().out
    assert said.endswith("of the whole file\n") and "bad rows: 2; one with several" in said
    counted = [(row["rows"], row["reason"][:9]) for row in quarantine.counts(home.settings, delivery="r_2026-01-06.csv")]
    assert (None, "100.0% of") in counted and sum(rows or 0 for rows, _ in counted) == 3, "eur and 0 of one row"


def test_a_copy_that_was_cleared_away_leaves_the_reason_of_the_ledger(home: Home) -> None:
    _spoiled(home)
    for copy in home.settings.quarantine.iterdir():
        copy.unlink()
    assert [row.reasons[0][:12] for row in quarantine.rows(home.settings, delivery="r_2026-01-06.csv")] == ["100.0% of it"]


def test_what_is_asked_for_must_be_there(home: Home) -> None:
    _spoiled(home)
    for chosen in (("orders", None), (None, "r_2026-01-09.csv"), ("orders", "r_2026-01-05.csv")):
        for action in (lambda *c: list(quarantine.rows(home.settings, *c)), lambda *c: quarantine.retake(home.settings, *c)):
            with pytest.raises(QuarantineError, match=r"no run has taken a delivery .*feeds with deliveries are: refunds"):
                action(*chosen)


def test_export(home: Home, tmp_path: Path) -> None:
    _spoiled(home)
    lines, table = tmp_path / "bad.ndjson", tmp_path / "bad.csv"
    assert quarantine.export(home.settings, lines) == quarantine.export(home.settings, table) == 8
    assert stat.S_IMODE(lines.stat().st_mode) == stat.S_IMODE(table.stat().st_mode) == 0o600, "it holds personal data"
    told = [json.loads(line) for line in lines.read_text(encoding="utf-8").splitlines()]
    assert [row["line"] for row in told] == [82, 83, 84, 85, None, 2, 3, None] and told[3]["raw"] == "short"
    with table.open(encoding="utf-8", newline="") as handle:
        rows = list(csv.DictReader(handle))
    assert [row["raw"] for row in rows] == [row["raw"] or "" for row in told]
    with pytest.raises(QuarantineError, match="is there already"):
        quarantine.export(home.settings, lines)
    for wrong in ("bad.txt", "no_folder/bad.csv"):
        with pytest.raises(QuarantineError, match=r"ends in|No such file"):
            quarantine.export(home.settings, tmp_path / wrong)


def test_a_spreadsheet_computes_nothing_of_it() -> None:
    assert [quarantine._harmless(value) for value in ("=1+1", "@x", "-1", "a=1", 3)] == ["'=1+1", "'@x", "'-1", "a=1", 3]


def test_what_is_shown_does_not_steer_the_terminal(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    home.put("r_2026-01-05.csv", GOOD + "e\x1b[31mvil\n")
    home.load("refunds")
    cli.app(["quarantine", "show"], standalone_mode=False)
    told = capsys.readouterr().out
    assert "r_2026-01-05.csv:82" in told and "\\x1b[31mvil" in told and "\x1b" not in told


def test_rows_that_were_wrongly_judged_are_judged_again_and_nothing_is_twice(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """The files are what they were, and so is everything that the fingerprint knows: a fault of ours was corrected."""
    text = GOOD + "x,o,2026-01-05 10:00:00,7,EUR\n"
    home.put("r_2026-01-05.csv", text)
    home.put("r_2026-01-06.csv", GOOD.replace("g", "h").replace("EUR", "USD"))
    with monkeypatch.context() as patch:
        wrong = "case when refund_id = 'x' or currency = 'USD' then ['a fault of ours'] end"
        patch.setattr(ingest, "reasons_expression", lambda *_: wrong)
        home.load("refunds")
    assert home.statuses() == {"r_2026-01-05.csv": ["accepted"], "r_2026-01-06.csv": ["refused"]}
    before = _state(home)
    window, deliveries = quarantine.retake(home.settings)
    assert window == Window.of_days(DAY, date(2026, 1, 6)) and deliveries == [
        "refunds:r_2026-01-05.csv",
        "refunds:r_2026-01-06.csv",
    ]
    assert _state(home) == before, "what is loaded stays until it has been read again"
    quarantine.retake(home.settings, delivery="r_2026-01-05.csv")  # of a retry that was killed: once more does no harm
    assert ingest.untaken_days(home.con, home.settings, date(2026, 1, 9)) == Window.of_days(DAY, date(2026, 1, 9))
    loaded = home.load("refunds")
    assert (loaded.accepted, loaded.rows_quarantined) == (2, 0)
    assert home.statuses() == {"r_2026-01-05.csv": ["replaced", "accepted"], "r_2026-01-06.csv": ["accepted"]}
    with Home(home.home.parent / "right", CONFIG).open() as right:
        right.put("r_2026-01-05.csv", text)
        right.put("r_2026-01-06.csv", GOOD.replace("g", "h").replace("EUR", "USD"))
        right.load("refunds")
        assert _state(home) == _state(right)
    with pytest.raises(QuarantineError, match="nothing to retry"):
        quarantine.retake(home.settings)


def test_a_changed_rule_reads_the_whole_feed_anew(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    _spoiled(home)
    contract = load_contracts()["refunds"]
    kept = tuple(rule for rule in contract.quality if rule.name not in ("amount_positive", "currency_code"))
    laxer = {**load_contracts(), "refunds": contract.model_copy(update={"quality": kept})}
    monkeypatch.setattr(ingest, "load_contracts", lambda: laxer)
    quarantine.retake(home.settings)
    rereading.reset_feeds(home.con, home.settings, ingest.changed_reading(home.con, home.settings, ["refunds"]))
    home.load("refunds")
    assert [(row.file, row.line) for row in quarantine.rows(home.settings)] == [
        *(("r_2026-01-05.csv", line) for line in range(82, 86)),
        ("r_2026-01-07.csv", None),
    ]
    with Home(home.home.parent / "right", CONFIG).open() as right:
        _spoiled(right)
        assert _state(home) == _state(right)


def test_a_file_that_is_gone_is_said_and_nothing_is_touched(home: Home) -> None:
    home.put("r_2026-01-05.csv", GOOD + "b,o,2026-01-05,x,EUR\n")
    home.load("refunds")
    (home.settings.landing / "r_2026-01-05.csv").unlink()
    before = home.rows("from ops.deliveries")
    with pytest.raises(QuarantineError, match=r"refunds:r_2026-01-05.csv is no longer in the landing folder"):
        quarantine.retake(home.settings)
    assert home.rows("from ops.deliveries") == before
    assert [(row.line, row.status) for row in quarantine.rows(home.settings)] == [(82, "quarantined")], "it can still be seen"
