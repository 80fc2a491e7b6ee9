"""Contract -> SQL: raw table, casts, row rules with their reasons, exclusions.

Belongs here: text of SQL made from a contract. Does not: running it, reading files, or judging a delivery.
Identifiers and literals are quoted here and nowhere else; nothing that comes from a file enters the text.
"""

from __future__ import annotations

from dataclasses import dataclass

from data_quality.contract import Contract, Property

RAW_TYPES = {
    "string": "VARCHAR",
    "integer": "BIGINT",
    # Exact: prices of four decimals and amounts up to 10^14.
    "number": "DECIMAL(18, 4)",
    "boolean": "BOOLEAN",
    "date": "DATE",
    "timestamp": "TIMESTAMP",
}
# Every raw row remembers where it came from, in this order, after the contract's columns.
LINEAGE_COLUMNS = {
    "_key": "VARCHAR",
    "_version": "TIMESTAMP",
    "_exclusion": "VARCHAR",
    "_delivery": "VARCHAR",
    "_delivery_day": "DATE",
    "_file": "VARCHAR",
    "_line": "BIGINT",
    "_content_hash": "VARCHAR",
    "_ingested_at": "TIMESTAMP",
    # what the file has beside the columns that are read, as JSON
    "_extra": "VARCHAR",
}
_ISO_DAY = "[0-9]{4}[-/][0-9]{1,2}[-/][0-9]{1,2}"
_THOUSANDS = "[+-]?([0-9]+|[0-9]{1,3}([.][0-9]{3})+)"
KEY_SEPARATOR = 31  # ASCII unit separator, which `control_character` keeps out of keys
_TRUE, _FALSE = ("true", "t", "yes", "y", "1"), ("false", "f", "no", "n", "0")


def ident(name: str) -> str:
    """`name` as a quoted SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(value: str | int | float | bool) -> str:
    """`value` as a SQL literal."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    return "'" + value.replace("'", "''") + "'"


@dataclass(frozen=True)
class Dialect:
    """How a source writes values: zone of naive times, time format, decimal mark."""

    timezone: str
    datetime_format: str | None = None
    decimal: str = "."


def raw_type(column: Property) -> str:
    """The DuckDB type of a column of a raw table."""
    return column.physicalType or RAW_TYPES[column.logicalType]


def raw_table_ddl(contract: Contract) -> str:
    """`create table if not exists raw.<feed>` with the contract's columns, keys made of them, and the lineage columns."""
    columns = [f"{ident(column.name)} {raw_type(column)}" for column in contract.properties]
    columns += [f"{ident(name)} VARCHAR" for name in key_columns(contract)]
    columns += [f"{ident(name)} {kind}" for name, kind in LINEAGE_COLUMNS.items()]
    return f"create table if not exists raw.{ident(contract.id)} ({', '.join(columns)})"


def key_columns(contract: Contract) -> dict[str, str]:
    """Columns that are made of others, with the SQL that makes them; `normalise.register` knows its functions."""
    has_country = any(column.name == "country" for column in contract.properties)
    country = ident("country") if has_country else "cast(null as varchar)"
    made = {"email": "email_key({0})", "phone": "phone_key({0}, {1})"}
    return {f"{c.name}_key": made[c.normalize].format(ident(c.name), country) for c in contract.normalized if c.normalize}


def cast(column: Property, text: str, dialect: Dialect) -> str:
    """SQL that turns the text expression `text` into the column's type, or NULL where it cannot."""
    match column.logicalType:
        case "string":
            return text
        case "integer":
            # DuckDB rounds 1.5 to 2; 3.0 is how a float column writes 3.
            whole = r"[+-]?[0-9]+([.]0*)?" if dialect.decimal == "." else rf"{_THOUSANDS}(,0*)?"
            return f"case when regexp_full_match({text}, '{whole}') then try_cast({_point(text, dialect)} as bigint) end"
        case "number":
            number = f"try_cast({_point(text, dialect)} as {raw_type(column).lower()})"
            if dialect.decimal == ".":
                return number
            # 12.50 with a decimal comma would become 1250: dots only between groups of three.
            return f"case when regexp_full_match({text}, '{_THOUSANDS}(,[0-9]*)?') then {number} end"
        case "boolean":
            true, false = (", ".join(literal(word) for word in words) for words in (_TRUE, _FALSE))
            return f"case when lower({text}) in ({true}) then true when lower({text}) in ({false}) then false end"
        case "date":
            if dialect.datetime_format:
                return f"cast(try_strptime({text}, {literal(dialect.datetime_format)}) as date)"
            shape = f"{_ISO_DAY}([ T]00:00(:00([.]0*)?)?)?"
            return f"case when regexp_full_match({text}, '{shape}') then try_cast({text} as date) end"
        case "timestamp":
            return _timestamp(text, dialect)


def _point(text: str, dialect: Dialect) -> str:
    return text if dialect.decimal == "." else f"replace(replace({text}, '.', ''), ',', '.')"


def _timestamp(text: str, dialect: Dialect) -> str:
    """Instants as UTC. A text with an offset says its own zone; a naive one is in the source's declared zone.

    In the hour that a clock skips or repeats, a naive time is read with standard time (ICU's rule).
    """
    if dialect.datetime_format and ("%z" in dialect.datetime_format or "%Z" in dialect.datetime_format):
        return f"timezone('UTC', try_strptime({text}, {literal(dialect.datetime_format)}))"
    if dialect.datetime_format:
        naive = f"try_strptime({text}, {literal(dialect.datetime_format)})"
        return _to_utc(naive, dialect.timezone)
    # The shapes come first: DuckDB takes 03/04/26 for the year 3, knows 'infinity', and drops a trailing UTC.
    naive = _to_utc(f"try_cast({text} as timestamp)", dialect.timezone)
    # The session's zone is UTC, so a cast to timestamptz reads the offset and nothing else; it knows no blank before it.
    aware = f"timezone('UTC', try_cast(regexp_replace(upper({text}), ' ([+-][0-9:]+)$', '\\1') as timestamptz))"
    shape = rf"{_ISO_DAY}[ T]+[0-9:.]+ ?(Z|UTC|GMT|[+-][0-9]{{2}}(:?[0-9]{{2}})?)"
    # What nearly every export writes; the general case costs four times as much, and gives the same.
    usual = "[0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9]{2}:[0-9]{2}:[0-9]{2}(Z|[+-][0-9]{2}:[0-9]{2})"
    return (
        f"case when regexp_full_match({text}, '{usual}') then timezone('UTC', try_cast({text} as timestamptz)) "
        f"when regexp_full_match({text}, '{_ISO_DAY}([ T]+[0-9:.]+)?') then {naive} "
        f"when regexp_full_match({text}, '{shape}', 'i') then {aware} end"
    )


def _to_utc(naive: str, zone: str) -> str:
    return naive if zone == "UTC" else f"timezone('UTC', timezone({literal(zone)}, {naive}))"


def cast_hint(column: Property, dialect: Dialect) -> str:
    """What a reader of a quarantined row is told about a value that did not cast."""
    match column.logicalType:
        case "integer":
            return "is not a whole number"
        case "number":
            return f"is not a number with decimal mark '{dialect.decimal}' (set decimal in cx.toml)"
        case "boolean":
            return "is not true or false"
        case _:
            wanted = f"in the format {dialect.datetime_format}" if dialect.datetime_format else "in ISO 8601"
            example = "'%d/%m/%Y'" if column.logicalType == "date" else "'%d/%m/%Y %H:%M'"
            return f"is not a {column.logicalType} {wanted} (set datetime_format in cx.toml, for example {example})"


def key_expression(contract: Contract) -> str:
    """One text per key: the key itself, or its parts joined by the unit separator."""
    parts = [ident(name) for name in contract.key]
    return parts[0] if len(parts) == 1 else f" || chr({KEY_SEPARATOR}) || ".join(parts)


def rule_sql(query: str, parameters: dict[str, str]) -> str:
    """The rule's condition with its `{parameters}` filled in as literals."""
    return query.format(**{name: literal(value) for name, value in parameters.items()})


def reasons_expression(contract: Contract, dialect: Dialect, parameters: dict[str, str]) -> str:
    """SQL: NULL for a good row, else the list of all its reasons.

    Expects columns `<name>` (cast) and `_text_<name>` (as delivered, for columns that are not text). The list is only
    built for rows on which one of the conditions holds: a list per row costs five times the conditions alone.
    """
    failures: list[tuple[str, str]] = []
    for column in contract.properties:
        name = ident(column.name)
        if column.logicalType != "string":
            text = ident(f"_text_{column.name}")
            failures.append(
                (
                    f"({name} is null and {text} is not null)",
                    f"{literal(column.name + ': ')} || '\"' || left({text}, 80) || '\" ' || "
                    + literal(cast_hint(column, dialect)),
                )
            )
            if column.required:
                failures.append((f"({text} is null)", literal(f"{column.name}: is missing")))
        elif column.required:
            failures.append((f"({name} is null)", literal(f"{column.name}: is missing")))
        if column.primaryKey and column.logicalType == "string":
            failures.append(
                (f"coalesce(contains({name}, chr({KEY_SEPARATOR})), false)", literal(f"{column.name}: control character"))
            )
    for rule in contract.quality:
        if rule.severity == "warning":
            continue  # the row stays
        condition = rule_sql(rule.query, parameters)
        failures.append((f"not coalesce(({condition}), true)", literal(f"{rule.name}: {rule.description}")))
    anything = " or ".join(condition for condition, _ in failures)
    listed = ", ".join(f"case when {condition} then {reason} end" for condition, reason in failures)
    return f"case when {anything} then list_filter([{listed}], lambda r: r is not null) end"


def version_expression(contract: Contract) -> str:
    """SQL: the instant that orders versions of one key; NULL where only the delivery does."""
    return ident(contract.versionColumn) if contract.versionColumn else "cast(null as timestamp)"


def exclusion_expression(contract: Contract) -> str:
    """SQL: the name of the first exclusion that holds for a raw row, else NULL."""
    if not contract.exclusions:
        return "cast(null as varchar)"
    cases = " ".join(f"when coalesce(({rule.when}), false) then {literal(rule.name)}" for rule in contract.exclusions)
    return f"case {cases} end"
