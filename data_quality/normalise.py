"""Texts that people type in many ways -> one key per thing meant: e-mail addresses and telephone numbers.

Belongs here: what a usable value is and its key, and both as functions of a DuckDB connection. Does not: which columns have
keys (contracts say `normalize`), and what equal keys mean (the crosswalk of persons in dbt).

Nothing is looked up on a network. A value that is not usable has no key; that is no reason to refuse its row.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import duckdb

LIBRARIES = {"email": "email-validator", "phone": "phonenumbers"}


def email_key(address: str | None) -> str | None:
    """The mailbox an address means: lower case, without a `+tag`; None where it is no address.

    Addresses differ in case by the letter of RFC 5321 only, and a tag is an alias that its owner made up. Dots stay: what
    they mean differs from provider to provider.
    """
    from email_validator import EmailNotValidError, validate_email

    if address is None:
        return None
    try:
        # Domains like mail.test are of a test environment as right as any.
        checked = validate_email(address, check_deliverability=False, test_environment=True)
    except EmailNotValidError:
        return None
    local = checked.local_part.partition("+")[0] or checked.local_part
    return f"{local}@{checked.domain}".lower()


def phone_key(number: str | None, country: str | None) -> str | None:
    """The number as ITU E.164 writes it, and its extension; None where nobody could dial it.

    A number without +, that of another country's writing, is read as one of `country` (ISO 3166, two letters).
    """
    import phonenumbers

    if number is None:
        return None
    region = country.strip().upper() if country else None
    try:
        parsed = phonenumbers.parse(number, region)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_valid_number(parsed):
        return None
    extension = f"x{parsed.extension}" if parsed.extension else ""
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164) + extension


def library_version(kind: str) -> str:
    """Which library, in which version, makes keys of this kind: another one may make other keys."""
    return f"{LIBRARIES[kind]} {version(LIBRARIES[kind])}"


def register(con: duckdb.DuckDBPyConnection) -> None:
    """Make `email_key(text)` and `phone_key(text, country)` known to SQL on this connection."""
    import pyarrow as pa

    known = con.execute("select count(*) from duckdb_functions() where function_name = 'email_key'").fetchone()
    if known and known[0]:
        return

    # DuckDB looks annotations up when it takes the function, so they name nothing of this scope.
    def email_keys(addresses: Any) -> Any:
        return pa.array([email_key(address) for address in addresses.to_pylist()], pa.string())

    def phone_keys(numbers: Any, countries: Any) -> Any:
        pairs = zip(numbers.to_pylist(), countries.to_pylist(), strict=True)
        return pa.array([phone_key(number, country) for number, country in pairs], pa.string())

    text = "VARCHAR"
    con.create_function("email_key", email_keys, [text], text, type="arrow", null_handling="special")
    con.create_function("phone_key", phone_keys, [text, text], text, type="arrow", null_handling="special")
