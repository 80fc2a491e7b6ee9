"""The demo company keeps its promises: same seed, same bytes; truth is what its own exports say."""

import csv
import gzip
import hashlib
import io
import json
import os
import subprocess
import sys
import tomllib
from datetime import date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import duckdb
import pandas as pd
import pytest
import yaml

from orchestration.lib.simulator import MART_KEYS, Company, simulate
from orchestration.lib.simulator.company import FEEDS, SPOILS, SurveyResponse
from orchestration.lib.simulator.exports import LAYOUTS
from orchestration.lib.simulator.truth import NO_FINALITY

ROOT = Path(__file__).resolve().parents[2]
ZONE = ZoneInfo("Europe/Amsterdam")
SMALL = {"customers": 250, "days": 75, "start": date(2025, 9, 20), "seed": 11}


@pytest.fixture(scope="module")
def company() -> Company:
    return simulate(customers=1500, days=75, start=date(2025, 9, 20), seed=3)


@pytest.fixture(scope="module")
def landing(company: Company, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("landing")
    company.write_exports(folder)
    return folder


@pytest.fixture(scope="module")
def marts(company: Company) -> dict[str, pd.DataFrame]:
    return company.truth()


def _hashes(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def _read(path: Path) -> list[dict[str, str | None]]:
    """The data rows of one export under the source's own names, everything as text."""
    if path.suffix == ".parquet":
        with duckdb.connect() as connection:
            cursor = connection.execute("select columns(*)::varchar from read_parquet(?)", [str(path)])
            names = [column[0] for column in cursor.description]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    text = data.decode("utf-8")
    if path.suffix == ".ndjson":
        return [json.loads(line) for line in text.split("\n")[:-1]]
    return list(csv.DictReader(io.StringIO(text, newline=""), delimiter=LAYOUTS[path.parent.name].delimiter))


def _feed(company: Company, landing: Path, feed: str) -> pd.DataFrame:
    """All deliveries of a feed, mapped by the company's cx.toml to canonical text columns."""
    entry = next(entry for entry in tomllib.loads(company.config())["feed"] if entry["feed"] == feed)
    rows = []
    for day in range(75):
        delivered = date(2025, 9, 20) + timedelta(days=day)
        path = landing / entry["pattern"].replace("{day}", delivered.isoformat())
        rows += [{**row, "_delivery": delivered} for row in _read(path)]
    source = pd.DataFrame(rows, dtype=object)
    source = source.where(~source.isin(entry.get("missing", [""])), None)
    mapping = entry.get("columns", {})
    mapped = {name: source[column] for name, column in mapping.items() if isinstance(column, str)}
    with duckdb.connect() as connection:
        connection.register("source", source)
        for name, column in mapping.items():
            if isinstance(column, dict):
                mapped[name] = connection.execute(f"select {column['expr']} as x from source").df()["x"]
    for name in source.columns:
        mapped.setdefault(name, source[name])
    for name, value in entry.get("constants", {}).items():
        mapped[name] = pd.Series(value, index=source.index)
    return pd.DataFrame(mapped)


def _newest(frame: pd.DataFrame, keys: list[str], version: str | None = None) -> pd.DataFrame:
    """One row per key: the newest version, of equal ones the last delivered."""
    if version:
        frame = frame.sort_values([version, "_delivery"], kind="stable")
    return frame.drop_duplicates(keys, keep="last")


def _tests(company: Company, landing: Path, through: date) -> set[str]:
    """Ids of test persons and of those of test accounts, as far as the exports said by then."""
    persons, accounts = (_feed(company, landing, feed) for feed in ("persons", "accounts"))
    persons = _newest(persons[persons["_delivery"] <= through], ["person_id"], "updated_at")
    accounts = _newest(accounts[accounts["_delivery"] <= through], ["account_id"], "updated_at")
    internal = set(accounts[accounts.is_test == "true"].account_id)
    return set(persons[(persons.is_test == "true") | persons.account_id.isin(internal)].person_id)


def _days(column: pd.Series) -> pd.Series:
    """Local days of ISO texts with an offset."""
    return pd.to_datetime(column, utc=True, format="ISO8601").dt.tz_convert(ZONE).dt.date


def test_same_arguments_give_the_same_bytes(tmp_path: Path) -> None:
    simulate(**SMALL).write_exports(tmp_path / "here")
    code = (
        "import sys; from datetime import date; from pathlib import Path; "
        "from orchestration.lib.simulator import simulate; "
        "simulate(customers=250, days=75, start=date(2025, 9, 20), seed=11).write_exports(Path(sys.argv[1]))"
    )
    # Another process with another hash seed: no set or dict order may reach a file.
    subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "there")],
        check=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": "4711", "PYTHONPATH": str(ROOT), "TZ": "Asia/Tokyo"},
    )
    here = _hashes(tmp_path / "here")
    assert here == _hashes(tmp_path / "there")
    assert len(here) == len(FEEDS) * SMALL["days"]


def test_another_seed_gives_another_company() -> None:
    assert simulate(customers=30, days=5, seed=1).deliveries != simulate(customers=30, days=5, seed=2).deliveries


@pytest.mark.parametrize(("customers", "days"), [(1, 1), (3, 2), (40, 40)])
def test_small_companies_work(customers: int, days: int, tmp_path: Path) -> None:
    small = simulate(customers=customers, days=days)
    assert len(small.write_exports(tmp_path)) == len(FEEDS) * days
    for day in range(days):
        assert set(small.truth(small.start + timedelta(days=day))) == set(MART_KEYS)


def test_every_row_is_counted(company: Company, landing: Path) -> None:
    counted = {feed: sum(len(_read(path)) for path in landing.glob(f"*/{feed}/*")) for feed in FEEDS}
    assert counted == company.delivered_rows
    assert all(counted.values())


def test_an_empty_day_still_has_a_file(landing: Path) -> None:
    first = landing / "ecommerce/refunds/refunds_2025-09-20.csv"
    assert first.read_text() == "refund_id,order_id,refunded_at,amount,reason,currency\n"


def test_bad_rows_stand_where_they_are_said_to(company: Company, landing: Path) -> None:
    assert len({bad.file for bad in company.bad_rows}) == len(company.bad_rows) > 10
    assert {"orders", "order_lines", "cart_events"} <= {bad.feed for bad in company.bad_rows}
    for bad in company.bad_rows:
        path = landing / bad.file
        rows = _read(path)
        assert len(rows) > 40, "a bad row would be 5 % of the file or nearly"
        marks = {text for _, text, reason in SPOILS[bad.feed] if reason == bad.reason}
        if path.suffix == ".parquet":
            assert marks == {None} and None in rows[bad.line - 1].values()
            continue
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        line = data.decode().split("\n")[bad.line - 1]
        if "missing" in bad.reason:
            values = json.loads(line).values() if path.suffix == ".ndjson" else line.split(LAYOUTS[bad.feed].delimiter)
            assert {None, ""} & set(values), (bad, line)
        else:
            assert any(str(mark) in line for mark in marks), (bad, line)


def test_product_names_break_lines(landing: Path) -> None:
    text = "".join(path.read_text() for path in landing.glob("ecommerce/order_lines/*"))
    assert '"Candle set ""Nordic""\n3 pieces"' in text


def test_layouts_cover_the_contracts(company: Company, landing: Path) -> None:
    for entry in tomllib.loads(company.config())["feed"]:
        contract = yaml.safe_load((ROOT / f"data_quality/contracts/{entry['feed']}.yml").read_text())
        columns = {column["name"]: column for column in contract["properties"]}
        given = set(_feed(company, landing, entry["feed"]).columns) | set(entry.get("constants", {}))
        assert set(entry.get("columns", {})) <= set(columns)
        assert {name for name, column in columns.items() if column.get("required")} <= given


def test_awkward_rows_occur(company: Company) -> None:
    rows = {
        feed: [row for rows in files for row in rows if hasattr(row, "_fields") and type(row) is FEEDS[feed]]
        for feed, files in company.deliveries.items()
    }
    days = company.clock.index
    ids = [event.event_id for event in rows["cart_events"]]
    assert len(ids) > len(set(ids)), "delivered again"
    late = [
        delivered - days(event.occurred_at)
        for delivered, files in enumerate(company.deliveries["cart_events"])
        for event in files
        if type(event) is FEEDS["cart_events"]
    ]
    assert {0, 1, 2, 3} <= set(late) <= {0, 1, 2, 3, 4}  # late, or late and again a day after
    assert all(event.quantity is None or event.quantity > 0 for event in rows["cart_events"])
    assert {order.status for order in rows["orders"]} == {"paid", "pending", "cancelled"}
    assert len(rows["orders"]) > len({order.order_id for order in rows["orders"]})
    change = datetime(2025, 10, 26, 1, tzinfo=ZoneInfo("UTC"))
    doubled = [order for order in rows["orders"] if abs(order.ordered_at - change) < timedelta(hours=1)]
    assert doubled, "orders in the doubled hour"
    assert any(order.ordered_at.date() != order.ordered_at.astimezone(ZONE).date() for order in rows["orders"])
    assert any(order.person_id is None for order in rows["orders"]) and any(order.is_test for order in rows["orders"])
    assert any(line.is_return for line in rows["order_lines"]) and any(line.is_gift_card for line in rows["order_lines"])
    assert {event.event for event in rows["case_events"]} == {
        "opened",
        "replied",
        "assigned",
        "resolved",
        "reopened",
        "closed",
    }
    contacts = rows["contacts"]
    assert {contact.outcome for contact in contacts} == {"handled", "abandoned", "contained"}
    assert {contact.direction for contact in contacts} == {"inbound", "outbound"}
    assert any(contact.is_spam for contact in contacts) and any(contact.previous_contact_id for contact in contacts)
    answers: list[SurveyResponse] = rows["survey_responses"]
    assert {answer.metric_kind for answer in answers} >= {"nps", "csat", "ces"}


def test_nothing_is_delivered_before_it_happened(company: Company) -> None:
    for feed, name in (("orders", "updated_at"), ("cart_events", "occurred_at"), ("contacts", "started_at")):
        for delivered, rows in enumerate(company.deliveries[feed]):
            assert all(company.clock.index(getattr(getattr(row, "row", row), name)) <= delivered for row in rows)


def test_marts_have_their_keys(marts: dict[str, pd.DataFrame]) -> None:
    assert list(marts) == list(MART_KEYS)
    for mart, keys in MART_KEYS.items():
        frame = marts[mart]
        # What an answer is worth, and who lapsed, is known half a year later at the earliest.
        assert len(frame) > 0 or mart in ("experience_value_monthly", "false_churn_daily")
        assert not frame.duplicated(list(keys)).any()
        assert not frame[list(keys)].isna().any().any()


def test_invariants(marts: dict[str, pd.DataFrame], company: Company) -> None:
    sales = marts["sales_daily"]
    net = sales.gross_amount - sales.discount_amount - sales.refund_amount
    assert (net - sales.net_amount).abs().max() < 0.005
    carts = marts["cart_abandonment_daily"]
    assert (carts.abandoned + carts.converted + carts.open == carts.carts).all()
    assert (carts.recovered <= carts.abandoned).all() and (carts.checkout_abandoned <= carts.abandoned).all()
    assert carts[["recovered", "emptied", "open", "checkout_abandoned"]].sum().min() > 0
    retention, churn = marts["retention_daily"], marts["churn_daily"]
    keys = list(MART_KEYS["churn_daily"])
    both = retention.merge(churn, on=[*keys, "active_at_start"], validate="one_to_one")
    assert len(both) == len(retention) == len(churn)
    assert (both.retained + both.lost == both.active_at_start).all()
    plans = both[both.basis == "contractual"].assign(part=lambda frame: frame.plan != "all")
    sums = plans.groupby(["metric_date", "period", "part"])[["active_at_start", "lost", "reactivated"]].sum()
    assert (sums.xs(True, level="part") == sums.xs(False, level="part")).all().all()
    volume = marts["contact_volume_daily"]
    assert (volume.handled + volume.abandoned + volume.contained == volume.inbound).all()
    assert volume.hour.between(0, 23).all()
    fcr = marts["fcr_daily"]
    assert (fcr.resolved_first_contact <= fcr.issues).all() and (fcr.issues <= fcr.known_person_contacts).all()
    # contacts of tests are work, and in no person metric
    assert 0 <= volume.handled.sum() - fcr.eligible_contacts.sum() < 0.01 * volume.handled.sum()
    cohorts = marts["retention_cohorts"]
    assert (cohorts.active <= cohorts.customers).all()
    assert (cohorts[cohorts.months_since == 0].active == cohorts[cohorts.months_since == 0].customers).all()
    value, people = marts["clv_daily"].iloc[-1], marts["clv_customer"]
    assert value.metric_date == company.data_through
    assert value.customers_to_date == len(people) and value.orders_to_date == people.orders.sum()
    assert value.net_amount_to_date == pytest.approx(people.net_amount.sum())
    assert value.orders_trailing_365d == value.orders_to_date
    assert value.purchasers_trailing_365d == value.customers_to_date
    for mart in set(MART_KEYS) - NO_FINALITY:
        assert (marts[mart].is_final == (marts[mart].final_on <= company.data_through)).all()


def test_lapses_and_simple_value_in_a_long_run() -> None:
    long = simulate(customers=120, days=430, start=date(2024, 1, 15), seed=5).truth()
    churn = long["churn_daily"]
    lapsed = churn[(churn.basis == "inactivity") & (churn.period == "day")]
    assert lapsed.lost.sum() > 0 and lapsed.reactivated.sum() > 0
    assert lapsed[lapsed.metric_date < lapsed.metric_date.min() + timedelta(days=180)].lost.sum() == 0
    value = long["clv_daily"]
    has_value = value[value.clv_simple.notna()]
    assert len(has_value) > 0
    assert has_value.metric_date.min() >= value.metric_date.min() + timedelta(days=365)
    assert (has_value.purchasers_trailing_365d <= has_value.customers_to_date).all()


def test_truth_of_an_earlier_day_counts_what_was_delivered_by_then(company: Company) -> None:
    middle = date(2025, 11, 3)
    then, now = company.truth(middle), company.truth()
    assert then["sales_daily"].metric_date.max() == middle
    # Late orders and later cancellations: the same days look different afterwards.
    before = now["sales_daily"][now["sales_daily"].metric_date <= middle]
    assert before.orders.sum() != then["sales_daily"].orders.sum()
    assert then["cart_abandonment_daily"].open.sum() > 0
    with pytest.raises(ValueError, match="through must lie in"):
        company.truth(company.data_through + timedelta(days=1))


def test_truth_is_not_shared_between_callers(company: Company) -> None:
    mine = company.truth()["clv_daily"]
    mine["orders_to_date"] = -1
    assert (company.truth()["clv_daily"].orders_to_date >= 0).all()


@pytest.mark.parametrize("through", [date(2025, 10, 27), date(2025, 12, 3)])
def test_sales_recomputed_from_the_exports(company: Company, landing: Path, through: date) -> None:
    orders, lines = _feed(company, landing, "orders"), _feed(company, landing, "order_lines")
    refunds = _feed(company, landing, "refunds")
    orders, lines, refunds = (frame[frame["_delivery"] <= through] for frame in (orders, lines, refunds))
    orders = orders[orders.order_id.notna() & orders.status.isin(["paid", "pending", "cancelled"])].copy()
    for name in ("discount_amount", "tax_amount", "shipping_amount"):
        orders[name] = pd.to_numeric(orders[name], errors="coerce")
    orders = _newest(orders[orders.tax_amount.notna()], ["order_id"], "updated_at")
    orders = orders[(orders.is_test == "false") & (orders.status != "cancelled")]
    orders = orders[~orders.person_id.isin(_tests(company, landing, through))]
    orders = orders.assign(day=_days(orders.ordered_at)).fillna({"country": "unknown", "sales_channel": "unknown"})
    for name in ("quantity", "unit_price", "discount_amount"):
        lines[name] = pd.to_numeric(lines[name], errors="coerce")
    lines = _newest(lines[lines.order_id.notna() & lines.quantity.notna()], ["order_id", "line_id"], "updated_at")
    lines = lines.merge(orders[["order_id", "day", "country", "sales_channel"]], on="order_id")
    lines["value"] = lines.quantity * lines.unit_price
    goods = lines[(lines.is_return == "false") & (lines.is_gift_card == "false")]
    refunds = _newest(refunds, ["refund_id"]).merge(orders[["order_id", "country", "sales_channel"]], on="order_id")
    refunds["day"], refunds["value"] = _days(refunds.refunded_at), pd.to_numeric(refunds.amount)
    returned = lines[lines.is_return == "true"]

    keys = ["day", "country", "sales_channel"]
    by_hand = pd.DataFrame(
        {
            "orders": lines[lines.is_return == "false"].groupby(keys).order_id.nunique(),
            "units": goods.groupby(keys).quantity.sum(),
            "gross_amount": goods.groupby(keys).value.sum(),
            "discount_amount": lines.groupby(keys).discount_amount.sum().add(
                orders.groupby(keys).discount_amount.sum(), fill_value=0
            ),
            "refund_amount": refunds.groupby(keys).value.sum().sub(returned.groupby(keys).value.sum(), fill_value=0),
            "tax_amount": orders.groupby(keys).tax_amount.sum(),
            "shipping_amount": orders.groupby(keys).shipping_amount.sum(),
        }
    ).fillna(0)  # fmt: skip
    truth = company.truth(through)["sales_daily"].set_index(["metric_date", "country", "sales_channel"])
    truth.index.names = keys
    assert len(truth) == len(by_hand)
    difference = (truth[by_hand.columns] - by_hand).abs()
    assert not difference.isna().any().any()
    assert difference.max().max() < 0.005


@pytest.mark.parametrize("through", [date(2025, 10, 27), date(2025, 12, 3)])
def test_contacts_recomputed_from_the_exports(company: Company, landing: Path, through: date) -> None:
    contacts = _feed(company, landing, "contacts")
    contacts = contacts[contacts["_delivery"] <= through]
    contacts = contacts[
        contacts.contact_id.notna()
        & contacts.outcome.isin(["handled", "abandoned", "contained"])
        & pd.to_numeric(contacts.wait_seconds, errors="coerce").notna()
    ].copy()
    for name in ("started_at", "updated_at"):
        contacts[name] = pd.to_datetime(contacts[name], format="%d/%m/%Y %H:%M:%S")
    contacts = _newest(contacts, ["contact_id"], "updated_at")
    is_leg = contacts.root_contact_id.notna() & (contacts.root_contact_id != contacts.contact_id)
    contacts = contacts[(contacts.direction == "inbound") & (contacts.is_spam == "false") & ~is_leg]
    contacts = contacts.fillna({"topic": "unknown", "queue": "unknown"})
    keys = ["metric_date", "hour", "channel", "topic", "queue"]
    contacts = contacts.assign(metric_date=contacts.started_at.dt.date, hour=contacts.started_at.dt.hour)
    by_hand = contacts.groupby([*keys, "outcome"]).size().unstack(fill_value=0)
    truth = company.truth(through)["contact_volume_daily"].set_index(keys)
    assert len(truth) == len(by_hand)
    for outcome in ("handled", "abandoned", "contained"):
        assert (truth[outcome] == by_hand[outcome].reindex(truth.index)).all()
    assert truth.inbound.sum() == len(contacts)


def test_carts_recomputed_from_the_exports(company: Company, landing: Path) -> None:
    events = _feed(company, landing, "cart_events")
    events = events[events.event_id.notna() & events.event.isin(["add", "remove", "empty", "checkout"])]
    events = _newest(events[~events.quantity.isin(["three"])], ["event_id"])
    tests = _tests(company, landing, company.data_through)
    events = events[~events.cart_id.isin(events[events.person_id.isin(tests)].cart_id)]
    events = events.assign(at=pd.to_datetime(events.occurred_at, utc=True, format="ISO8601")).sort_values("at")
    units = events.quantity.astype(float).fillna(1).where(events.event.isin(["add", "remove"]), 0)
    events["units"] = units.where(events.event != "remove", -units)
    emptied = events[events.event == "empty"].groupby("cart_id")["at"].max()
    counted = events[~(events["at"] <= events.cart_id.map(emptied))]
    left = counted.groupby("cart_id").units.sum().reindex(events.cart_id.unique(), fill_value=0)
    truth = company.truth()["cart_abandonment_daily"]
    assert truth.emptied.sum() == (left <= 0).sum()
    last = events.groupby("cart_id")["at"].max()[left[left > 0].index]
    assert truth.groupby("metric_date").carts.sum().loc[lambda n: n > 0].to_dict() == (
        last.dt.tz_convert(ZONE).dt.date.value_counts().to_dict()
    )
