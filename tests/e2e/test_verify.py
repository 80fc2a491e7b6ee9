"""`cx verify` finds what a rebuild would change, in whatever table it is; and changes nothing itself."""

from __future__ import annotations

import json
import shutil
from collections import namedtuple
from datetime import timedelta
from pathlib import Path

import duckdb
import pytest

from orchestration import cli
from orchestration.lib import rereading, verify
from orchestration.lib.run_lock import RunLocked, run_lock
from orchestration.lib.simulator import Company, simulate
from orchestration.settings import Settings
from tests.company import release_of, run, write_company

DAYS = 12


@pytest.fixture(scope="module")
def company() -> Company:
    return simulate(customers=120, days=DAYS, seed=5)


@pytest.fixture(scope="module")
def published(company: Company, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a backfill and a night in it, a bad row among them, and the last day's files not yet taken."""
    home = tmp_path_factory.mktemp("published")
    write_company(company, home)
    orders = home / "landing" / "ecommerce" / "orders" / f"orders_{company.start}.csv"
    orders.write_text(orders.read_text() + orders.read_text().splitlines()[1].replace("EUR", "no currency") + "\n")
    assert run(home, "backfill", company.start, company.start + timedelta(days=DAYS - 3)) == 0
    assert run(home, "nightly", company.start + timedelta(days=DAYS - 2)) == 0
    return home


@pytest.fixture
def home(published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of that home to spoil."""
    copy = Path(shutil.copytree(published, tmp_path / "home", symlinks=True))
    monkeypatch.setenv("CX_HOME", str(copy))
    return copy


def _files(home: Path) -> dict[str, tuple[int, int]]:
    """Size and time of all that `cx verify` must leave alone."""
    kept = [path for part in ("landing", "warehouse", "releases", "quarantine") for path in (home / part).rglob("*")]
    return {str(path): (path.stat().st_size, path.stat().st_mtime_ns) for path in kept}


def test_what_nobody_touched_is_equal_and_left_as_it_is(home: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    (home / "verify").mkdir()  # of one that was killed
    before = _files(home)
    monkeypatch.setattr("sys.argv", ["cx", "verify", "--json"])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert end.value.code == 0
    told = json.loads(capsys.readouterr().out)
    tables = {table["table"]: table for table in told["tables"]}
    assert told["equal"] and all(t["only_in_warehouse"] == t["only_in_rebuild"] == 0 for t in tables.values())
    for table in ("raw.orders", "staging.stg_orders", "intermediate.int_orders", "marts.sales_daily", "ops.quarantine",
                  "ops.deliveries", "release: marts.sales_daily"):  # fmt: skip
        assert tables[table]["rows"] > 0
    waiting = len(list((home / "landing").rglob("*2025-09-12*")))
    assert told["notes"] == [
        f"not part of the comparison: {waiting} files that no run has taken yet (first: crm/persons/persons_2025-09-12.parquet)"
    ]
    assert _files(home) == before and not (home / "verify").exists()


TAMPERED = {
    "raw.orders": "update raw.orders set order_id = order_id || 'x' where rowid = 0",
    "staging.stg_contacts": "delete from staging.stg_contacts where rowid = 0",
    "intermediate.int_carts": "insert into intermediate.int_carts select * from intermediate.int_carts where rowid = 0",
    "marts.sales_daily": "update marts.sales_daily set orders = orders + 1 where rowid < 7",
    "ops.quarantine": "update ops.quarantine set line = line + 1",
    "ops.deliveries": "update ops.deliveries set rows_accepted = rows_accepted - 1 where rowid = 3",
}


def test_a_difference_is_found_in_every_schema_and_shown(home: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    with duckdb.connect(str(home / "warehouse" / "cx.duckdb")) as con:
        for statement in TAMPERED.values():
            con.execute(statement)
    release = release_of(home).resolve()
    release.chmod(0o644)
    with duckdb.connect(str(release)) as con:
        con.execute("delete from marts.clv_daily where rowid = 0")
    verified = verify.verify(Settings(home))
    assert not verified.equal
    different = {t.table: (t.only_in_warehouse, t.only_in_rebuild) for t in verified.tables if not t.equal}
    assert different == {
        "raw.orders": (1, 1),
        "staging.stg_contacts": (0, 1),
        "intermediate.int_carts": (1, 0),
        "marts.sales_daily": (7, 7),
        "ops.quarantine": (1, 1),
        "ops.deliveries": (1, 1),
        # The release has what was built, the warehouse what was done to it.
        "release: marts.sales_daily": (7, 7),
        "release: marts.clv_daily": (1, 0),
    }
    (sales,) = [t for t in verified.tables if t.table == "marts.sales_daily"]
    assert [row["side"] for row in sales.sample] == ["warehouse"] * 5 + ["rebuild"] * 5
    monkeypatch.setattr(verify, "verify", lambda *_: verified)
    monkeypatch.setattr("sys.argv", ["cx", "verify"])
    with pytest.raises(SystemExit) as end:
        cli.main()
    said = capsys.readouterr().out
    assert end.value.code == 2 and "warehouse and rebuild are DIFFERENT" in said
    assert "marts.sales_daily: rows of one side only" in said


def _refused(home: Path, why: str) -> None:
    before = _files(home)
    with pytest.raises(verify.VerifyError, match=why):
        verify.verify(Settings(home))
    assert _files(home) == before and not (home / "verify").exists()


def test_a_file_that_changed_since_is_no_difference_but_an_error(home: Path, company: Company) -> None:
    path = home / "landing" / "ecommerce" / "orders" / f"orders_{company.start}.csv"
    path.write_text(path.read_text().replace("EUR", "USD"), encoding="utf-8")
    _refused(home, rf"1 files are not what they were .*{path.name}.*cx nightly --day {company.start}")
    path.unlink()
    with pytest.raises(rereading.FilesGone, match="put the files back"):
        verify.verify(Settings(home))


def test_what_a_run_left_unpublished_cannot_be_compared(home: Path) -> None:
    with duckdb.connect(str(home / "warehouse" / "cx.duckdb")) as con:
        con.execute("insert into ops.affected values ('sales_daily', date '2025-09-01')")
    _refused(home, "the last run was not published.*cx nightly")


def test_another_configuration_than_the_last_runs_cannot_be_compared(home: Path) -> None:
    config = home / "landing" / "cx.toml"
    text = config.read_text()
    config.write_text(text.replace("[business]", "[business]\nfcr_window_days = 9"))
    assert config.read_text() != text
    _refused(home, r"cx.toml, a contract or a model changed")


def test_too_small_a_disk_is_said_before_anything_is_written(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")(10, 5, 5 << 20)
    monkeypatch.setattr(verify.shutil, "disk_usage", lambda _: usage)
    _refused(home, r"needs \d+ MB and 5 MB are free: make room")


def test_without_a_warehouse_or_beside_a_run_there_is_nothing_to_compare(home: Path, tmp_path: Path) -> None:
    (tmp_path / "new" / "landing").mkdir(parents=True)
    with pytest.raises(verify.VerifyError, match="there is no warehouse at"):
        verify.verify(Settings(tmp_path / "new"))
    with run_lock(Settings(home), "a night"), pytest.raises(RunLocked, match="a night"):
        verify.verify(Settings(home))


def test_readers_of_an_older_release_are_told_of(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from orchestration.lib import release

    monkeypatch.setattr(verify, "_rebuild", lambda beside, progress: None)
    assert verify.verify(Settings(home)).notes[1:] == []
    release.roll_back(Settings(home))
    verified = verify.verify(Settings(home))
    assert verified.equal and "readers see none, or an older one" in verified.notes[1]
