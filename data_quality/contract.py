"""Contracts: one YAML file a feed, in the field names of the Open Data Contract Standard where it has them.

Belongs here: the schema of that YAML and its loading. Does not: where in a file something is wrong (`places.py`),
SQL (`rules.py`) or judging (`suites/`).
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic_core import PydanticCustomError

from data_quality.places import Source, SourceError, nearest, told

CONTRACTS_DIR = Path(__file__).resolve().parent / "contracts"
DOMAINS = ("crm", "contact_center", "ecommerce", "context")
LogicalType = Literal["string", "integer", "number", "boolean", "date", "timestamp"]


class ContractError(Exception):
    """A contract file is wrong; the message names the file, the place and what is expected."""


class Relationship(BaseModel):
    """A column whose values are ids of rows of another feed. An id without a row there is counted, not refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    to: str = Field(pattern=r"^[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*$")
    """The other feed and its column, as `persons.person_id`."""
    type: Literal["foreignKey"] = "foreignKey"

    @property
    def feed(self) -> str:
        """The feed that has the rows."""
        return self.to.split(".")[0]

    @property
    def column(self) -> str:
        """Its column."""
        return self.to.split(".")[1]


class Property(BaseModel):
    """One column of a feed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    logicalType: LogicalType
    description: str
    required: bool = False
    primaryKey: bool = False
    classification: Literal["public", "personal"] = "public"
    normalize: Literal["email", "phone"] | None = None
    """Adds the raw column `<name>_key`: what the text means, however it was typed (`normalise.py`)."""
    physicalType: Literal["DECIMAL(18, 10)"] | None = None
    """Where a number needs more than four decimals."""
    relationships: tuple[Relationship, ...] = ()


class RowRule(BaseModel):
    """A condition every row meets. A row for which it is false goes to quarantine with the rule's name, where it is an error;
    of a warning it stays and is counted in a verdict."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    type: Literal["sql"]
    query: str
    severity: Literal["error", "warning"]
    description: str


class Exclusion(BaseModel):
    """Rows that are right but not counted by any metric, under a reason that is published."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    when: str
    description: str


class Limits(BaseModel):
    """What a whole delivery may look like. Only the first can refuse one."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    quarantineShare: float = Field(0.05, ge=0, le=1, description="Share of bad rows above which a delivery is refused.")
    volumeRatio: tuple[float, float] = Field((0.5, 2.0), description="Of the median of the last 8 same weekdays.")
    repeatedKeyShare: float = Field(0.0, ge=0, le=1, description="Share of keys that one file tells in two ways.")
    orphanShare: float = Field(0.05, ge=0, le=1, description="Share of ids that the related feed does not have.")
    freshnessDays: int | None = Field(
        None, ge=0, le=3650, description="Days between the newest event and the delivery day; not judged where it is not set."
    )

    @field_validator("volumeRatio")
    @classmethod
    def _low_before_high(cls, value: tuple[float, float]) -> tuple[float, float]:
        if not 0 <= value[0] <= 1 <= value[1]:
            raise ValueError(f"{list(value)} is not [low, high] with low <= 1 <= high; write one like [0.5, 2.0]")
        return value


class Contract(BaseModel):
    """One feed: its columns, key, version column, delivery kind, row rules, exclusions and limits."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    kind: Literal["DataContract"]
    version: str
    status: Literal["active", "deprecated"]
    domain: Literal["crm", "contact_center", "ecommerce", "context"]
    description: str
    delivery: Literal["append", "delta", "snapshot"]
    versionColumn: str | None
    eventTime: str | None
    properties: tuple[Property, ...]
    quality: tuple[RowRule, ...] = ()
    exclusions: tuple[Exclusion, ...] = ()
    limits: Limits = Limits()

    @model_validator(mode="after")
    def _names_exist(self) -> Contract:
        names = [column.name for column in self.properties]
        for place, found in (
            ("properties", names),
            ("quality", [rule.name for rule in self.quality]),
            ("exclusions", [rule.name for rule in self.exclusions]),
        ):
            for n, name in enumerate(found):
                if name in found[:n]:
                    what = "a property" if place == "properties" else "a rule"
                    raise _wrong((place, n, "name"), f"{what} is named twice: '{name}'")
        for n, rule in enumerate(self.exclusions):
            if rule.name in {rule.name for rule in self.quality}:
                raise _wrong(("exclusions", n, "name"), f"a rule is named twice: '{rule.name}' is in quality, too")
        for field in ("versionColumn", "eventTime"):
            value = getattr(self, field)
            if value is not None and value not in names:
                raise _wrong((field,), f"{field} '{value}' is not a property{nearest(value, names)}")
        if not self.key:
            raise _wrong(("properties",), "no property has primaryKey: true")
        for n, column in enumerate(self.properties):
            if column.primaryKey and not column.required:
                raise _wrong(("properties", n), f"a primaryKey property must be required: true; '{column.name}' is not")
            if column.normalize and (column.logicalType != "string" or f"{column.name}_key" in names):
                said = f"'{column.name}' has normalize: it must be a string, and nothing else be '{column.name}_key'"
                raise _wrong(("properties", n, "normalize"), said)
        types = {column.name: column.logicalType for column in self.properties}
        if self.versionColumn and types[self.versionColumn] != "timestamp":
            raise _wrong(("versionColumn",), f"versionColumn '{self.versionColumn}' must be a timestamp")
        if self.eventTime and types[self.eventTime] not in ("timestamp", "date"):
            raise _wrong(("eventTime",), f"eventTime '{self.eventTime}' must be a timestamp or a date")
        if self.limits.freshnessDays is not None and self.eventTime is None:
            raise _wrong(("limits", "freshnessDays"), "freshnessDays needs an eventTime: name the column that says when it was")
        return self

    @property
    def key(self) -> tuple[str, ...]:
        """Names of the key columns, in order."""
        return tuple(column.name for column in self.properties if column.primaryKey)

    @property
    def normalized(self) -> tuple[Property, ...]:
        """The columns beside which a key stands: `<name>_key`, after the last property."""
        return tuple(column for column in self.properties if column.normalize)


def _wrong(place: tuple[str | int, ...], message: str) -> PydanticCustomError:
    """An error of the whole contract that is known to stand at `place`."""
    return PydanticCustomError("contract", "{message}", {"message": message, "place": place})


@cache
def load_contracts(folder: Path = CONTRACTS_DIR) -> dict[str, Contract]:
    """All contracts by feed id, sorted by domain and id.

    Raises:
        ContractError: naming the file, the line, the place in it, what is wrong and what to write.
    """
    contracts: dict[str, Contract] = {}
    sources: dict[str, Source] = {}
    for path in sorted(folder.glob("*.yml")):
        try:
            source = Source(path)
        except SourceError as error:
            raise ContractError(str(error)) from None
        try:
            contract = Contract.model_validate(source.content)
        except ValidationError as error:
            problems = [told(source, dict(issue), Contract) for issue in error.errors()]
            raise ContractError("\n".join(problems)) from None
        if contract.id != path.stem:
            raise ContractError(source.at(("id",), f"id is '{contract.id}', expected '{path.stem}' as in the file's name"))
        contracts[contract.id], sources[contract.id] = contract, source
    for feed, contract in contracts.items():
        _check_relationships(contract, contracts, sources[feed])
    return dict(sorted(contracts.items(), key=lambda item: (DOMAINS.index(item[1].domain), item[0])))


def _check_relationships(contract: Contract, contracts: dict[str, Contract], source: Source) -> None:
    for n, column in enumerate(contract.properties):
        for m, relationship in enumerate(column.relationships):
            place, said = ("properties", n, "relationships", m, "to"), f"'{relationship.to}'"
            if relationship.feed not in contracts:
                hint = nearest(relationship.feed, list(contracts))
                raise ContractError(source.at(place, f"{said}: there is no feed '{relationship.feed}'{hint}"))
            others = {other.name: other.logicalType for other in contracts[relationship.feed].properties}
            if relationship.column not in others:
                hint = nearest(relationship.column, list(others))
                raise ContractError(
                    source.at(place, f"{said}: the feed '{relationship.feed}' has no property '{relationship.column}'{hint}")
                )
            if others[relationship.column] != column.logicalType:
                kind = others[relationship.column]
                raise ContractError(
                    source.at(place, f"{said} is of type {kind}, and '{column.name}' of type {column.logicalType}")
                )


def contracts_of(domain: str) -> dict[str, Contract]:
    """The contracts of one domain."""
    return {feed: contract for feed, contract in load_contracts().items() if contract.domain == domain}
