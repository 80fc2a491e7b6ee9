"""What needs no server: types, what a URL may be, and that no message holds its secret."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from orchestration.lib import interface, postgres
from orchestration.settings import ConfigError, Settings


@pytest.mark.parametrize(
    ("kind", "value", "there", "given"),
    [
        ("DECIMAL(18,4)", "1.2500", "numeric(18,4)", "1.2500"),
        ("HUGEINT", "170141183460469231731687303715884105", "numeric(38,0)", "170141183460469231731687303715884105"),
        ("UBIGINT", "18446744073709551615", "numeric(38,0)", "18446744073709551615"),
        ("UINTEGER", "4294967295", "bigint", "4294967295"),
        ("STRUCT(a INTEGER, b VARCHAR)", "{'a': 1, 'b': 'x'}", "text", '{"a":1,"b":"x"}'),
        ("VARCHAR[]", "['a', NULL]", "text[]", "[a, NULL]"),
        ("UTINYINT[]", "[1, 255]", "smallint[]", "[1, 255]"),
        ("TIMESTAMP", "2026-01-31 23:59:59.123456", "timestamp without time zone", "2026-01-31 23:59:59.123456"),
    ],
)
def test_a_type_keeps_its_values(kind: str, value: str, there: str, given: str) -> None:
    name, cast = postgres.kind_of(kind)
    assert name == there
    text = value.replace("'", "''")
    said = duckdb.sql(f"select cast({cast.format(f'cast(v as {kind})')} as varchar) from (select '{text}' as v)").fetchone()
    assert said == (given,)


def test_what_does_not_fit_is_an_error_and_not_another_number() -> None:
    _, cast = postgres.kind_of("HUGEINT")
    with pytest.raises(duckdb.ConversionException):
        duckdb.sql(f"select {cast.format('170141183460469231731687303715884105727::hugeint')}").fetchall()
    with pytest.raises(postgres.PostgresError, match=r"sales_daily\.x has the type INTERVAL"):
        postgres.kind_of("INTERVAL", "sales_daily.x")


def test_functions_return_the_columns_of_the_macros() -> None:
    relations = interface.promised().relations
    for macro in ("metric(metric_name, period)", "metric_between(metric_name, first_day, last_day)"):
        assert [(c, postgres.kind_of(k)[0]) for c, k in relations[macro].items()] == list(postgres.ANSWER.items())


SECRET = "hunter22"


@pytest.mark.parametrize(
    "url",
    [
        "",
        SECRET,
        f"mysql://cx:{SECRET}@localhost/x",
        f"postgresql://cx:p@{SECRET}@localhost/x",
        f"postgresql://cx:p/{SECRET}@localhost/x",
        f"postgresql://cx:p?{SECRET}@localhost/x",
        f"postgresql://cx:p#{SECRET}@localhost/x",
        f"postgresql://cx:{SECRET}@localhost:1/x",
        "postgresql://cx:%68unter22@localhost:1/x",
        f"postgresql://localhost:1/x?user=cx&password={SECRET}",
        f"postgresql://localhost:1/x?{SECRET}",
    ],
)
def test_no_message_holds_a_secret(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is wrong with the URL, or with the server behind it."""
    monkeypatch.setenv("CX_POSTGRES_URL", url)
    from orchestration.settings import Postgres

    with pytest.raises(postgres.PostgresError) as told, postgres._connected(Postgres()):
        pass
    assert SECRET not in str(told.value) and "p@" not in str(told.value)
    assert "CX_POSTGRES_URL" in str(told.value) or "Connection refused" in str(told.value)
    assert (told.value.__cause__ is None and told.value.__suppress_context__) or url == "" or "is no URL" in str(told.value)


def test_a_message_is_the_servers_sentence_without_rows_and_secrets() -> None:
    error = RuntimeError(
        "IO: [libpq] Failed to execute COPY: ERROR:  invalid byte sequence hunter22\nCONTEXT:  COPY customer_360, line 3, column "
        'name: "Ann"\nDETAIL: Key (name)=(Ann) exists'
    )
    assert postgres._told(error, [SECRET]) == "PostgreSQL: invalid byte sequence ***"
    assert postgres._told(RuntimeError("segments of a row: Ann"), []) == "PostgreSQL: the server did not answer as expected"


@pytest.mark.parametrize(
    ("table", "told"),
    [
        (f'url_env = "postgresql://cx:{SECRET}@h/x"', "it is the name of an environment variable"),
        ('schema = "Marts; drop"', "'Marts; drop' is no name"),
        ('reader = "pg_monitor"', "neither pg_ nor public"),
        ('shema = "marts"', "unknown key 'shema'; write one of url_env, schema, reader"),
    ],
)
def test_a_wrong_table_is_told(table: str, told: str, tmp_path: Path) -> None:
    file = tmp_path / "cx.toml"
    file.write_text(f"[postgres]\n{table}\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=told) as said:
        _ = Settings(tmp_path, config_path=file).config
    assert SECRET not in str(said.value)
