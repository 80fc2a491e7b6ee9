"""Keys of e-mail addresses and telephone numbers: the examples of their libraries' own tests, and how people type."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from data_quality.contract import ContractError, load_contracts
from data_quality.normalise import email_key, phone_key, register
from data_quality.rules import key_columns
from tests.unit.test_contracts import AT, GOOD, THING, loaded, yaml


@pytest.mark.parametrize(
    ("address", "key"),
    [
        # email-validator's tests of valid addresses
        ("Abc@example.tld", "abc@example.tld"),
        ("Abc.123@test-example.com", "abc.123@test-example.com"),
        ("user+mailbox/department=shipping@example.tld", "user@example.tld"),
        ("!#$%&'*+-/=?^_`.{|}~@example.tld", "!#$%&'*@example.tld"),
        ("伊昭傑@郵件.商務", "伊昭傑@郵件.商務"),
        # two ways to write one domain
        ("jeff@臺網中心.tw", "jeff@臺網中心.tw"),
        ("jeff@xn--fiqq24b10vi0d.tw", "jeff@臺網中心.tw"),
        # and of what is none
        ("my@localhost.", None),
        ("my@.leadingdot.com", None),
        ("my@twodots..com", None),
        (".leadingdot@domain.com", None),
        ("twodots..here@domain.com", None),
        ("me@x!", None),
        ('"quoted word"@example.com', None),
        # how customers type
        ("ANNA.Jansen+Shop@Example.COM", "anna.jansen@example.com"),
        ("+only@example.com", "+only@example.com"),
        ("anna@example", None),
        ("n/a", None),
        (None, None),
    ],
)
def test_an_address_is_a_mailbox_or_none(address: str | None, key: str | None) -> None:
    assert email_key(address) == key


@pytest.mark.parametrize(
    ("number", "country", "key"),
    [
        # README of phonenumbers
        ("+442083661177", None, "+442083661177"),
        ("020 8366 1177", "GB", "+442083661177"),
        ("+120012301", None, None),
        ("02081234567", None, None),
        ("650 253 2222", "US", "+16502532222"),
        # one Dutch mobile
        ("06-1234 5678", "NL", "+31612345678"),
        ("06-1234 5678", "nl", "+31612345678"),
        ("0031 6 12345678", "BE", "+31612345678"),
        ("+31 (0)612345678", None, "+31612345678"),
        ("tel:+31-6-1234-5678", None, "+31612345678"),
        # not the number of the person, but of their desk
        ("030 1234567 ext. 12", "DE", "+49301234567x12"),
        ("06-1234 5678", None, None),
        ("06-1234 5678", "Nederland", None),
        ("0600000000", "NL", None),
        ("-", "NL", None),
        (None, "NL", None),
    ],
)
def test_a_number_can_be_dialled_or_is_none(number: str | None, country: str | None, key: str | None) -> None:
    assert phone_key(number, country) == key


def test_sql_knows_the_same_keys() -> None:
    """Over many rows at once, twice registered, with missing values among them."""
    made = key_columns(load_contracts()["persons"])
    assert set(made) == {"email_key", "phone_key"}
    with duckdb.connect() as con:
        register(con)
        register(con)
        rows = con.execute(
            "select email, phone, country, " + ", ".join(made.values()) + " from (select "
            "case when i % 3 > 0 then 'P' || i || '+x@Example.com' end as email, '06-1234 ' || (1000 + i) as phone, "
            "case when i % 2 > 0 then 'NL' end as country from range(5000) t(i))"
        ).fetchall()
    assert len(rows) == 5000
    assert all([email_key(email), phone_key(phone, country)] == keys for email, phone, country, *keys in rows)


@pytest.mark.parametrize(
    "properties",
    [
        [THING, {**AT, "normalize": "email"}],
        [THING, AT, {"name": "mail", "logicalType": "string", "description": "x", "normalize": "email"},
         {"name": "mail_key", "logicalType": "string", "description": "x"}],
    ],
)  # fmt: skip
def test_a_key_needs_a_text_and_a_name_of_its_own(tmp_path: Path, properties: list[dict]) -> None:
    with pytest.raises(ContractError, match="has normalize: it must be a string, and nothing else be"):
        loaded(tmp_path, yaml.safe_dump({**GOOD, "properties": properties}))
