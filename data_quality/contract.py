"""Contracts: one YAML file a feed, in the field names of the Open Data Contract Standard where it has them.

Belongs here: the schema of that YAML and its loading. Does not: SQL (`rules.py`) or judging (`suites/`).
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

CONTRACTS_DIR = Path(__file__).resolve().parent / "contracts"
DOMAINS = ("crm", "contact_center", "ecommerce", "context")
LogicalType = Literal["string", "integer", "number", "boolean", "date", "timestamp"]


class ContractError(Exception):
    """A contract file is wrong; the message names the file, the place and what is expected."""


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


class RowRule(BaseModel):
    """A condition every row meets; a row for which it is false goes to quarantine with the rule's name."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    type: Literal["sql"]
    query: str
    severity: Literal["error"]
    description: str


class Exclusion(BaseModel):
    """Rows that are right but not counted by any metric, under a reason that is published."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    when: str
    description: str


class Limits(BaseModel):
    """What a whole delivery may look like."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    quarantineShare: float = Field(ge=0, le=1)
    volumeRatio: tuple[float, float]

    @field_validator("volumeRatio")
    @classmethod
    def _low_before_high(cls, value: tuple[float, float]) -> tuple[float, float]:
        if not 0 <= value[0] <= 1 <= value[1]:
            raise ValueError(f"{list(value)} is not [low, high] with low <= 1 <= high")
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
    limits: Limits

    @model_validator(mode="after")
    def _names_exist(self) -> Contract:
        names = [column.name for column in self.properties]
        if len(set(names)) != len(names):
            raise ValueError("a property is named twice")
        for field in ("versionColumn", "eventTime"):
            value = getattr(self, field)
            if value is not None and value not in names:
                raise ValueError(f"{field} '{value}' is not a property")
        if not self.key:
            raise ValueError("no property has primaryKey: true")
        if any(not column.required for column in self.properties if column.primaryKey):
            raise ValueError("a primaryKey property must be required: true")
        rules = [rule.name for rule in (*self.quality, *self.exclusions)]
        if len(set(rules)) != len(rules):
            raise ValueError("a rule is named twice")
        types = {column.name: column.logicalType for column in self.properties}
        if self.versionColumn and types[self.versionColumn] != "timestamp":
            raise ValueError(f"versionColumn '{self.versionColumn}' must be a timestamp")
        for column in self.normalized:
            if column.logicalType != "string" or f"{column.name}_key" in names:
                raise ValueError(f"'{column.name}' has normalize: it must be a string, and nothing else be '{column.name}_key'")
        return self

    @property
    def key(self) -> tuple[str, ...]:
        """Names of the key columns, in order."""
        return tuple(column.name for column in self.properties if column.primaryKey)

    @property
    def normalized(self) -> tuple[Property, ...]:
        """The columns beside which a key stands: `<name>_key`, after the last property."""
        return tuple(column for column in self.properties if column.normalize)


@cache
def load_contracts(folder: Path = CONTRACTS_DIR) -> dict[str, Contract]:
    """All contracts by feed id, sorted by domain and id.

    Raises:
        ContractError: naming the file and what is wrong in it.
    """
    contracts: dict[str, Contract] = {}
    for path in sorted(folder.glob("*.yml")):
        try:
            contract = Contract.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise ContractError(f"{path}: {error}") from None
        except ValidationError as error:
            problems = "; ".join(f"{'.'.join(str(part) for part in issue['loc'])}: {issue['msg']}" for issue in error.errors())
            raise ContractError(f"{path}: {problems}") from None
        if contract.id != path.stem:
            raise ContractError(f"{path}: id is '{contract.id}', expected '{path.stem}' as in the file's name")
        contracts[contract.id] = contract
    return dict(sorted(contracts.items(), key=lambda item: (DOMAINS.index(item[1].domain), item[0])))


def contracts_of(domain: str) -> dict[str, Contract]:
    """The contracts of one domain."""
    return {feed: contract for feed, contract in load_contracts().items() if contract.domain == domain}
