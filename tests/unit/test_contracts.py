"""Contracts: a wrong file says where; every shipped rule is false for a bad row and not for a good one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml

from data_quality.contract import CONTRACTS_DIR, DOMAINS, ContractError, Limits, contracts_of, load_contracts
from data_quality.rules import RAW_TYPES, exclusion_expression, ident, literal, raw_table_ddl, rule_sql

GOOD: dict[str, Any] = {
    "id": "things", "kind": "DataContract", "version": "1.0.0", "status": "active", "domain": "crm", "description": "x",
    "delivery": "delta", "versionColumn": "at", "eventTime": "at",
    "properties": [
        {"name": "thing_id", "logicalType": "string", "description": "x", "primaryKey": True, "required": True},
        {"name": "at", "logicalType": "timestamp", "description": "x"},
    ],
    "limits": {"quarantineShare": 0.05, "volumeRatio": [0.5, 2.0]},
}  # fmt: skip
RULE = {"name": "r", "type": "sql", "query": "true", "severity": "error", "description": "x"}
THING, AT = GOOD["properties"]


def loaded(tmp_path: Path, text: str, name: str = "things.yml") -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    load_contracts.cache_clear()
    load_contracts(tmp_path)


def test_a_right_contract_is_loaded(tmp_path: Path) -> None:
    loaded(tmp_path, yaml.safe_dump(GOOD))
    assert load_contracts(tmp_path)["things"].key == ("thing_id",)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"delivery": "weekly"}, "delivery: is 'weekly'; write 'append', 'delta' or 'snapshot'"),
        ({"deliver": "delta"}, "deliver: there is no such key; did you mean 'delivery'? There are id, kind"),
        ({"domain": None}, "domain: "),
        ({"versionColumn": "changed_at"}, "versionColumn 'changed_at' is not a property"),
        ({"versionColumn": "thing_id"}, "versionColumn 'thing_id' must be a timestamp"),
        ({"eventTime": "when"}, "eventTime 'when' is not a property"),
        ({"properties": [THING, AT, AT]}, "a property is named twice"),
        ({"properties": [{**THING, "primaryKey": False}, AT]}, "no property has primaryKey: true"),
        ({"properties": [{**THING, "required": False}, AT]}, "a primaryKey property must be required: true"),
        ({"properties": [THING, {**AT, "logicalType": "datetime"}]}, "properties.1.logicalType: "),
        ({"properties": [THING, {**AT, "name": 'at"; drop'}]}, "properties.1.name: "),
        ({"properties": [THING, {**AT, "name": "_line"}]}, "properties.1.name: "),
        ({"quality": [{**RULE, "severity": "warnings"}]}, "write 'error' or 'warning'; did you mean 'warning'?"),
        ({"limits": {"quarantine": 0.1}}, "limits.quarantine: there is no such key; did you mean 'quarantineShare'?"),
        ({"limits": {"freshnessDays": 2}, "eventTime": None}, "freshnessDays needs an eventTime"),
        ({"properties": [THING, {**AT, "relationships": [{"to": "thing_id"}]}]}, "write feed and column, like persons.person_id"),
        ({"properties": [THING, {**AT, "relationships": [{"to": "thingz.at"}]}]}, "no feed 'thingz'; did you mean 'things'?"),
        ({"properties": [THING, {**AT, "relationships": [{"to": "things.att"}]}]}, "no property 'att'; did you mean 'at'?"),
        ({"properties": [THING, {**AT, "relationships": [{"to": "things.thing_id"}]}]}, "is of type string, and 'at' of type"),
        ({"quality": [RULE, RULE]}, "a rule is named twice"),
        ({"limits": {"quarantineShare": 5, "volumeRatio": [0.5, 2]}}, "limits.quarantineShare: "),
        ({"limits": {"quarantineShare": 0.1, "volumeRatio": [2, 0.5]}}, "limits.volumeRatio: "),
    ],
)
def test_a_wrong_contract_is_refused_with_its_file_and_place(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    with pytest.raises(ContractError) as error:
        loaded(tmp_path, yaml.safe_dump({**GOOD, **change}))
    assert str(error.value).startswith(f"{tmp_path / 'things.yml'}: ") and said in str(error.value)


BY_HAND = """\
id: things
kind: DataContract
version: 1.0.0
status: active
domain: crm
description: x
delivery: delta
versionColumn: at
eventTime: at
properties:
  - {name: thing_id, logicalType: string, description: x, primaryKey: true, required: true}
  - {name: at, logicalType: timestamp, description: x}
  - name: size
    logicalType: number
    description: x
limits:
  quarantineShare: 0.1
"""


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("delivery: delta", "delivery: deltas", "line 7: delivery: is 'deltas'; write 'append', 'delta' or 'snapshot'"),
        ("eventTime: at", "eventTime: when", "line 9: eventTime 'when' is not a property"),
        ("thing_id, logicalType", "thing_id, logicaltype", "line 11: properties.0.logicaltype: there"),
        ("thing_id, logicalType", "thing_id, logicaltype", "line 11: properties.0.logicalType: is missing"),
        ("logicalType: number", "logicalType: numeric", "line 14: properties.2.logicalType: is 'numeric'; write '"),
        ("- name: size", "- name: at", "line 13: properties.2.name: a property is named twice: 'at'"),
        ("quarantineShare: 0.1", "quarantineShare: many", "line 17: limits.quarantineShare: is 'many': "),
        ("status: active\n", "status: active\nstatus: active\n", "line 5: status: stands here twice, first on line 4"),
        ("id: things", "id: thing", "line 1: id is 'thing', expected 'things'"),
        ("domain: crm", "domain: [crm", "line 6: is no YAML: "),
    ],
)  # fmt: skip
def test_a_wrong_contract_is_refused_with_its_line(tmp_path: Path, old: str, new: str, said: str) -> None:
    loaded(tmp_path, BY_HAND)
    assert old in BY_HAND
    with pytest.raises(ContractError) as error:
        loaded(tmp_path, BY_HAND.replace(old, new))
    assert f"{tmp_path / 'things.yml'}: {said}" in str(error.value)


def test_limits_that_are_not_written_are_the_usual_ones(tmp_path: Path) -> None:
    loaded(tmp_path, yaml.safe_dump({key: value for key, value in GOOD.items() if key != "limits"}))
    assert load_contracts(tmp_path)["things"].limits == Limits()
    assert Limits().quarantineShare == 0.05 and Limits().freshnessDays is None


@pytest.mark.parametrize("text", ["", "- a\n- b\n", "id: [", "\tid: x"])
def test_what_is_no_mapping_is_refused_with_its_file(tmp_path: Path, text: str) -> None:
    with pytest.raises(ContractError, match=r"things\.yml"):
        loaded(tmp_path, text)


def test_the_id_is_the_name_of_the_file(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match="id is 'things', expected 'others'"):
        loaded(tmp_path, yaml.safe_dump(GOOD), "others.yml")


def test_every_shipped_contract_is_loaded_and_makes_a_table() -> None:
    contracts = load_contracts()
    assert set(contracts) == {path.stem for path in CONTRACTS_DIR.glob("*.yml")} and len(contracts) >= 10
    assert [contract.domain for contract in contracts.values()] == sorted(
        (contract.domain for contract in contracts.values()), key=DOMAINS.index
    )
    assert {feed for domain in DOMAINS for feed in contracts_of(domain)} == set(contracts)
    with duckdb.connect() as con:
        con.execute("create schema raw")
        for contract in contracts.values():
            con.execute(raw_table_ddl(contract))
            columns = [name for name, *_ in con.execute(f"describe raw.{contract.id}").fetchall()]
            assert columns[: len(contract.properties)] == [column.name for column in contract.properties]


# feed, rule -> the cells of a bad row, of a good one; cells not named are NULL
RULES: dict[tuple[str, str], tuple[dict[str, Any], dict[str, Any]]] = {
    ("cart_events", "known_event"): ({"event": "click"}, {"event": "checkout"}),
    ("cart_events", "cart_or_visitor"): ({"event": "add"}, {"event": "add", "visitor_id": "V1"}),
    ("cart_events", "quantity_positive"): ({"event": "remove", "quantity": 0}, {"event": "add", "quantity": 0.5}),
    ("case_events", "known_event"): ({"event": "Opened"}, {"event": "reopened"}),
    ("case_events", "known_actor"): ({"actor_type": "robot"}, {"actor_type": "bot"}),
    ("service_targets", "known_kind"): ({"kind": "solve"}, {"kind": "resolution"}),
    ("service_targets", "known_clock"): ({"kind": "answer", "clock": "business"}, {"kind": "resolution", "clock": "business"}),
    ("service_targets", "believable_target"): ({"target_seconds": -1}, {"target_seconds": 0}),
    ("cases", "resolved_after_opened"): (
        {"opened_at": "2026-01-02 10:00:01", "resolved_at": "2026-01-02 10:00:00"},
        {"opened_at": "2026-01-02 10:00:00", "resolved_at": "2026-01-02 10:00:00"},
    ),
    ("cases", "closed_after_opened"): (
        {"opened_at": "2026-01-02", "closed_at": "2026-01-01"}, {"opened_at": "2026-01-02", "closed_at": None},
    ),
    ("order_lines", "believable_amount"): ({"quantity": 2, "unit_price": 99999999999999}, {"quantity": -2, "unit_price": 999999}),
    ("order_lines", "return_takes_back"): ({"is_return": True, "quantity": 1}, {"is_return": True, "quantity": -1}),
    ("orders", "believable_amount"): ({"tax_amount": 10000000000}, {"tax_amount": 9999999999}),
    ("refunds", "believable_amount"): ({"amount": 10000000000}, {"amount": 9999999999}),
    ("cases", "counts_not_negative"): ({"reopen_count": -1, "reassignment_count": 3}, {"reopen_count": 0}),
    ("contacts", "known_direction"): ({"direction": "in"}, {"direction": "outbound"}),
    ("contacts", "known_outcome"): ({"outcome": "missed"}, {"outcome": "contained"}),
    ("contacts", "ends_after_start"): (
        {"started_at": "2026-01-01 10:00", "ended_at": "2026-01-01 09:59"}, {"started_at": "2026-01-01 10:00"},
    ),
    ("contacts", "durations_not_negative"): ({"talk_seconds": 100, "wrap_seconds": -1}, {"hold_seconds": 0, "talk_seconds": 5}),
    ("order_lines", "currency_code"): ({"currency": "US$"}, {"currency": "USD"}),
    ("order_lines", "discount_not_negative"): ({"discount_amount": -0.01}, {"discount_amount": 0}),
    ("orders", "known_status"): ({"status": "Paid"}, {"status": "paid"}),
    ("orders", "currency_code"): ({"currency": "eur"}, {"currency": "EUR"}),
    ("orders", "amounts_not_negative"): ({"tax_amount": -1, "discount_amount": 2}, {"shipping_amount": 4.95}),
    ("refunds", "amount_positive"): ({"amount": 0}, {"amount": 0.01}),
    ("marketing_spend", "reporting_currency"): ({"currency": "USD"}, {"currency": "EUR"}),
    ("subscriptions", "held_by_somebody"): ({"subscription_id": "S1"}, {"subscription_id": "S1", "account_id": "A1"}),
    ("fx_rates", "believable_rate"): ({"rate": 1000000}, {"rate": 999999}),
    ("fx_rates", "currency_code"): (
        {"currency": "US$", "to_currency": "EUR"}, {"currency": "USD", "to_currency": "EUR"},
    ),
    ("fx_rates", "two_currencies"): (
        {"currency": "EUR", "to_currency": "EUR"}, {"currency": "USD", "to_currency": "EUR"},
    ),
    ("refunds", "currency_code"): ({"currency": "£"}, {"currency": "GBP"}),
    ("subscriptions", "ends_after_start"): (
        {"started_at": "2026-01-02", "ended_at": "2026-01-01"}, {"started_at": "2026-01-02", "ended_at": "2026-01-02"},
    ),
    ("survey_responses", "score_within_scale"): (
        {"score": 11, "scale_min": 0, "scale_max": 10}, {"score": 10, "scale_min": 0, "scale_max": 10},
    ),
    ("survey_responses", "scale_has_length"): ({"scale_min": 5, "scale_max": 1}, {"scale_min": 1, "scale_max": 5}),
    ("survey_responses", "completed_has_answer"): ({"status": "completed"}, {"status": "completed", "answer": "buy"}),
    ("survey_responses", "known_status"): ({"status": "done"}, {"status": "partial"}),
    # accounts, campaigns, initiatives, marketing_spend, referrals
    ("campaigns", "ends_after_start"): (
        {"started_on": "2026-01-02", "ended_on": "2026-01-01"}, {"started_on": "2026-01-02", "ended_on": "2026-01-02"},
    ),
    ("initiatives", "ends_after_start"): (
        {"start_date": "2026-01-02", "end_date": "2026-01-01"}, {"start_date": "2026-01-02", "end_date": "2026-01-02"},
    ),
    ("marketing_spend", "known_cost_category"): ({"cost_category": "Media"}, {"cost_category": "salaries"}),
    ("marketing_spend", "amount_not_negative"): ({"amount": -0.01}, {"amount": 0}),
    ("referrals", "converted_after_shared"): (
        {"created_at": "2026-01-02 10:00:01", "converted_at": "2026-01-02 10:00:00"},
        {"created_at": "2026-01-02 10:00:00", "converted_at": "2026-01-02 10:00:00"},
    ),
    # surveys, survey_invitations
    ("survey_invitations", "known_status"): ({"status": "sent"}, {"status": "bounced"}),
    ("surveys", "known_direction"): ({"direction": "up"}, {"direction": "high_is_bad"}),
    ("surveys", "favourable_within_scale"): (
        {"favourable_from": 1, "scale_min": 1, "scale_max": 5}, {"favourable_from": 5, "scale_min": 1, "scale_max": 5},
    ),
    # agents, qa_evaluations, sentiment_segments, transfers, business_calendars
    ("business_calendars", "weekday_exists"): ({"weekday": 0}, {"weekday": 7}),
    ("business_calendars", "times_of_day"): ({"opens": "9:00", "closes": "17:30"}, {"opens": "09:00", "closes": "24:00"}),
    ("qa_evaluations", "points_within_possible"): (
        {"points_earned": 5.5, "points_possible": 5}, {"points_earned": 0, "points_possible": 5},
    ),
    ("qa_evaluations", "weight_positive"): ({"weight": 0}, {"weight": 0.5}),
    ("sentiment_segments", "known_sentiment"): ({"sentiment": "mixed"}, {"sentiment": "neutral"}),
    ("sentiment_segments", "known_speaker"): ({"speaker": "caller"}, {"speaker": "customer"}),
    ("sentiment_segments", "score_in_range"): ({"score": -1.01}, {"score": -1}),
    ("transfers", "known_kind"): ({"kind": "consult"}, {"kind": "ivr"}),
    # ivr_events, self_service_sessions
    ("ivr_events", "known_event"): ({"event": "Selection"}, {"event": "selection"}),
    ("ivr_events", "depth_positive"): ({"depth": 0}, {"depth": 1}),
    ("self_service_sessions", "known_channel"): ({"channel": "chatbot"}, {"channel": "bot"}),
    ("self_service_sessions", "known_outcome"): ({"outcome": "abandoned"}, {"outcome": "contained"}),
    ("self_service_sessions", "ends_after_start"): (
        {"started_at": "2026-01-01 10:00", "ended_at": "2026-01-01 09:59"},
        {"started_at": "2026-01-01 10:00", "ended_at": "2026-01-01 10:00"},
    ),
    ("self_service_sessions", "handed_off_has_outcome"): (
        {"handed_off_at": "2026-01-01 10:00", "outcome": "contained"}, {"handed_off_at": None, "outcome": "contained"},
    ),
    # page_events, web_sessions, shipments
    ("page_events", "known_event"): ({"event": "scroll"}, {"event": "key_event"}),
    ("page_events", "seconds_not_negative"): ({"engaged_seconds": -0.5}, {"engaged_seconds": 0}),
    ("shipments", "delivered_after_shipped"): (
        {"shipped_at": "2026-01-02 10:00", "delivered_at": "2026-01-02 09:59"},
        {"shipped_at": "2026-01-02 10:00", "delivered_at": "2026-01-02 10:00"},
    ),
    ("web_sessions", "counts_not_negative"): ({"engaged_seconds": 3, "clicks": -1}, {"engaged_seconds": 0, "page_views": 1}),
    # benchmarks, employee_surveys, fx_rates, social_mentions, stock_prices
    ("benchmarks", "known_kind"): ({"kind": "goal"}, {"kind": "target"}),
    ("benchmarks", "ends_after_start"): (
        {"valid_from": "2026-01-02", "valid_to": "2026-01-01"}, {"valid_from": "2026-01-02", "valid_to": "2026-01-02"},
    ),
    ("employee_surveys", "score_within_scale"): (
        {"score": 0, "scale_min": 1, "scale_max": 10}, {"score": 1, "scale_min": 1, "scale_max": 10},
    ),
    ("fx_rates", "rate_positive"): ({"rate": 0}, {"rate": 0.0001}),
    ("social_mentions", "known_sentiment"): ({"sentiment": "angry"}, {"sentiment": "negative"}),
    ("stock_prices", "price_positive"): ({"close": 12.5, "adjusted_close": 0}, {"close": 12.5, "adjusted_close": None}),
    ("surveys", "scale_has_length"): ({"scale_min": 1}, {"scale_min": 1, "scale_max": 7}),
    ("employee_surveys", "completed_has_score"): ({"status": "completed"}, {"status": "dismissed"}),
    ("employee_surveys", "known_metric_kind"): ({"metric_kind": "nps"}, {"metric_kind": "enps"}),
    ("employee_surveys", "known_status"): ({"status": "done"}, {"status": "test"}),
}  # fmt: skip
EXCLUSIONS: dict[tuple[str, str], tuple[dict[str, Any], dict[str, Any]]] = {
    ("persons", "test_account"): ({"is_test": True}, {"is_test": False}),
    ("persons", "deleted"): ({"is_deleted": True}, {}),
    ("cases", "spam"): ({"is_spam": True}, {"is_spam": False}),
    ("contacts", "transfer_leg"): (
        {"contact_id": "b", "root_contact_id": "a"}, {"contact_id": "a", "root_contact_id": "a"},
    ),
    ("contacts", "spam"): ({"is_spam": True}, {}),
    ("orders", "test_order"): ({"is_test": True, "status": "cancelled"}, {"is_test": False, "status": "paid"}),
    ("orders", "cancelled_before_payment"): ({"status": "cancelled"}, {"status": "pending"}),
    ("survey_responses", "preview"): ({"status": "preview"}, {"status": "completed"}),
    ("survey_responses", "test"): ({"status": "test"}, {"status": "completed"}),
    ("survey_responses", "not_completed"): ({"status": "dismissed"}, {"status": "completed"}),
    # accounts
    ("accounts", "test_account"): ({"is_test": True, "is_deleted": True}, {"is_test": False}),
    ("accounts", "deleted"): ({"is_deleted": True}, {"is_deleted": False}),
    # agents
    ("agents", "test_user"): ({"is_test": True}, {"is_test": False}),
    # self_service_sessions
    ("self_service_sessions", "test_session"): ({"is_test": True}, {"is_test": False}),
    # page_events, web_sessions
    ("page_events", "bot"): ({"is_bot": True}, {"is_bot": False}),
    ("web_sessions", "bot"): ({"is_bot": True}, {"is_bot": False}),
    # employee_surveys, social_mentions
    ("employee_surveys", "preview"): ({"status": "preview"}, {"status": "completed"}),
    ("employee_surveys", "not_completed"): ({"status": "partial"}, {"status": "completed"}),
    ("social_mentions", "spam"): ({"is_spam": True}, {"is_spam": False}),
    ("employee_surveys", "test"): ({"status": "test"}, {"status": "completed"}),
}  # fmt: skip


def on_row(feed: str, sql: str, cells: dict[str, Any]) -> Any:
    """The value of an expression on a typed row of the feed."""
    texts = {name: literal(value) for name, value in cells.items() if value is not None}
    columns = ", ".join(
        f"cast({texts.get(c.name, 'null')} as {RAW_TYPES[c.logicalType]}) as {ident(c.name)}"
        for c in load_contracts()[feed].properties
    )
    with duckdb.connect() as con:
        return con.execute(f"select {sql} from (select {columns})").fetchone()[0]


def test_every_shipped_rule_and_exclusion_has_its_example() -> None:
    contracts = load_contracts().values()
    assert set(RULES) == {(contract.id, rule.name) for contract in contracts for rule in contract.quality}
    assert set(EXCLUSIONS) == {(contract.id, rule.name) for contract in contracts for rule in contract.exclusions}


@pytest.mark.parametrize(("feed", "name"), list(RULES))
def test_a_shipped_rule_is_false_for_a_bad_row_only(feed: str, name: str) -> None:
    (rule,) = (rule for rule in load_contracts()[feed].quality if rule.name == name)
    bad, good = RULES[feed, name]
    sql = rule_sql(rule.query, {"reporting_currency": "EUR"})
    assert on_row(feed, sql, bad) is False
    assert on_row(feed, sql, good) in (True, None)
    assert on_row(feed, sql, {}) in (True, None), "a missing value is the business of `required`"


@pytest.mark.parametrize(("feed", "name"), list(EXCLUSIONS))
def test_a_shipped_exclusion_holds_for_its_row_only(feed: str, name: str) -> None:
    excluded, counted = EXCLUSIONS[feed, name]
    sql = exclusion_expression(load_contracts()[feed])
    assert on_row(feed, sql, excluded) == name
    assert on_row(feed, sql, counted) is None and on_row(feed, sql, {}) is None
