"""`cx verify`: a warehouse that is what its exports say, and one in which something was tampered with at every layer."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from orchestration.lib import verify
from orchestration.lib.simulator import simulate
from orchestration.lib.warehouse import connect
from orchestration.settings import Settings
from tests.company import run

DAYS = 12


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    company = simulate(customers=80, days=DAYS, seed=31)
    home = tmp_path_factory.mktemp("verify")
    (home / "landing").mkdir()
    company.write_exports(home / "landing")
    (home / "landing" / "cx.toml").write_text(company.config(), encoding="utf-8")
    last = company.start + timedelta(days=DAYS - 1)
    assert run(home, "backfill", company.start, last - timedelta(days=2)) == 0
    for n in (1, 0):
        assert run(home, "nightly", last - timedelta(days=n)) == 0
    return home


def _differing(home: Path) -> dict[str, tuple[int, int]]:
    found = verify.verify(Settings(home), "verify-test")
    assert not (home / verify.FOLDER).exists()
    assert len(found) > 30 and sum(compared.rows for compared in found) > 1000
    return {c.table: (c.only_in_warehouse, c.only_in_rebuild) for c in found if not c.is_equal}


def test_increments_and_release_equal_a_rebuild(home: Path) -> None:
    assert _differing(home) == {}


def test_whatever_was_tampered_with_is_found(home: Path, tmp_path: Path) -> None:
    with connect(Settings(home)) as con:
        con.execute("begin")
        con.execute("delete from raw.orders where rowid = 0")
        con.execute("update staging.stg_contacts set channel = 'fax' where rowid = 1")
        con.execute("insert into intermediate.int_order_spells from intermediate.int_order_spells limit 1")
        con.execute("update marts.sales_daily set units = units + 1 where rowid = 2")
        con.execute("update ops.quarantine set line = line + 1")
        con.execute("update ops.deliveries set rows_read = rows_read + 1 where rowid = 3")
        (bad,) = con.execute("select count(*) from ops.quarantine").fetchone()
        con.execute("commit")
    assert _differing(home) == {
        "raw.orders": (0, 1),
        "staging.stg_contacts": (1, 1),
        "intermediate.int_order_spells": (1, 0),
        "marts.sales_daily": (1, 1),
        "ops.quarantine": (bad, bad),
        "ops.deliveries": (1, 1),
    }


def test_what_cannot_be_compared_is_said(home: Path, tmp_path: Path) -> None:
    settings = Settings(home)
    with pytest.raises(verify.VerifyError, match="run cx nightly or cx backfill first"):
        verify.verify(Settings(tmp_path, settings.config_path), "verify-test")
    file = sorted((home / "landing" / "ecommerce" / "orders").iterdir())[-1]
    content = file.read_bytes()
    file.write_bytes(content + b"\n")
    with pytest.raises(verify.VerifyError, match=f"1 loaded files hold other content now .*{file.name}"):
        verify.verify(settings, "verify-test")
    file.write_bytes(content)
    with connect(settings) as con:
        con.execute("insert into ops.affected values ('sales_daily', null)")
    with pytest.raises(verify.VerifyError, match="was not published"):
        verify.verify(settings, "verify-test")
