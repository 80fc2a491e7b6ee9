"""Asset checks: every verdict is on exactly one check of its asset, and numbers are numbers."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from data_quality.verdict import Verdict
from orchestration.defs.quality.gates import _metadata
from orchestration.lib import check_groups, gates
from tests.landing import Home

CONFIG = '[business]\n[[feed]]\nfeed = "refunds"\npattern = "refunds_{day}.csv"\nformat = "csv"\n'


def test_every_gate_that_must_be_judged_has_a_check_of_its_asset() -> None:
    feeds = {name for schema, name in check_groups.checks_of() if schema == "raw"}
    seen = set()
    for gate, subject in gates.expected(feeds, with_arrival=True):
        verdict = Verdict(gate, subject, "block", True)
        schema = "raw" if subject in feeds else "marts"
        check = check_groups.check_of(verdict)
        assert check in check_groups.checks_of()[schema, subject], (gate, subject)
        seen.add((schema, subject, check))
    reconciled = {place for place in check_groups.checks_of().items() if "reconciled" in place[1]}
    assert reconciled and {("marts", name, "reconciled") for ((_, name), _) in reconciled} <= seen


def test_a_gate_nobody_listed_is_shown_all_the_same() -> None:
    assert check_groups.check_of(Verdict("quite_new", "orders", "hold", False)) == "delivery"
    assert check_groups.check_of(Verdict("quite_new", "sales_daily", "block", False)) == "contract"


@pytest.mark.parametrize(
    ("figure", "bound", "numbers"),
    [
        ("0.4444", "0.05", {"g": 0.4444, "g_bound": 0.05}),
        ("7", "0", {"g": 7, "g_bound": 0}),
        ("3 rows", "0 rows", {"g_rows": 3}),
        ("9 delivered, 2 quarantined, 7 raw; of 7 raw: 6 staged", "",
         {"g_delivered": 9, "g_quarantined": 2, "g_raw": 7, "g_staged": 6}),
        ("refunds.csv: line 2: not UTF-8", "a file its contract can be read from", {}),
        ("", "", {}),
    ],
)  # fmt: skip
def test_figures_are_numbers_under_names_that_stay(figure: str, bound: str, numbers: dict[str, float]) -> None:
    assert check_groups.figures(Verdict("g", "orders", "warn", False, figure, bound)) == numbers


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    with Home(tmp_path / "home", CONFIG).open() as opened:
        yield opened


def test_the_numbers_of_a_check_are_those_of_the_run(home: Home) -> None:
    header = "refund_id,order_id,amount,currency,kind,refunded_at\n"
    rows = "".join(f"R{n},O{n},{n or 'nought'},EUR,goods,2026-01-05T10:00:00Z\n" for n in range(4))
    home.put("refunds_2026-01-05.csv", header + rows)
    home.load("refunds")
    home.con.execute("create schema marts")
    home.con.execute("create table marts.sales_daily as from range(3)")
    counts = check_groups.counts(home.con, "run1", {"refunds", "sales_daily", "nps_daily"})
    assert counts["refunds", "volume"] == {"rows_read": 4}
    assert counts["refunds", "delivery"] == {"deliveries": 1, "refused": 0, "bad_share": 0.25}
    amounts = {"R6": "nought", "R7": "nought", "R8": "8", "R9": "9"}  # one bad row alone refuses nothing
    lines = "".join(f"{key},O,{amount},EUR,goods,2026-01-06T10:00:00Z\n" for key, amount in amounts.items())
    home.put("refunds_2026-01-06.csv", header + lines)
    home.load("refunds")
    refused = check_groups.counts(home.con, "run2", set())["refunds", "delivery"]
    assert refused == {"deliveries": 1, "refused": 1, "bad_share": 0.5}, "the night whose plot somebody looks at"
    assert counts["sales_daily", "contract"] == {"rows": 3}


def test_dagster_plots_numbers_and_shows_sample_rows_without_what_is_personal() -> None:
    sample = [{"order_id": "O1", "email": "a@example.org"}, {"order_id": "O2", "more": 2}]
    shown = _metadata([Verdict("g", "orders", "hold", False, "7", "0.5", "bad", sample)], {"rows_read": 9})
    assert (shown["g"], shown["g_bound"]) == (dg.MetadataValue.int(7), dg.MetadataValue.float(0.5))
    assert (shown["failed"], shown["rows_read"]) == (dg.MetadataValue.int(1), dg.MetadataValue.int(9))
    (told,) = [record.data for record in shown["ledger"].records]
    assert told == {"gate": "g", "passed": False, "figure": "7", "bound": "0.5", "message": "bad"}, "without empty columns"
    rows = [record.data for record in shown["g_sample"].records]
    assert rows == [{"order_id": "O1", "email": "(personal)", "more": ""}, {"order_id": "O2", "email": "", "more": "2"}]
