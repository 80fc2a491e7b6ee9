"""The one typed reader of the environment: where state lives, which environment this is, what `cx.toml` says.

Belongs here: paths, environment variables, the schema of `cx.toml`. Does not: anything that touches the warehouse.
"""

from __future__ import annotations

import codecs
import difflib
import os
import re
import tomllib
from datetime import date, datetime, timedelta
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo, available_timezones

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

PROJECT_ROOT = Path(__file__).resolve().parent.parent
DBT_PROJECT_DIR = Path(os.environ.get("CX_DBT_PROJECT") or PROJECT_ROOT / "dbt_project").resolve()
_USUAL = {"delimiter": ";", "quote": '"'}
ENVIRONMENTS = ("local", "ci", "production")
DAGSTER_INSTANCE = """\
telemetry:
  enabled: false
# The question for an e-mail address that stands before the first page of the UI.
nux:
  enabled: false
event_log_storage:
  module: orchestration.lib.event_log
  class: KeptOpenSqliteEventLogStorage
# No step prints anything. Dagster would start four processes a step to copy what it prints, which answer Ctrl-C with tracebacks.
compute_logs:
  module: dagster._core.storage.noop_compute_log_manager
  class: NoOpComputeLogManager
"""
_EVENT_BATCH_SIZE = 1000


@cache
def _timezones() -> set[str]:
    # It reads the header of every zone's file.
    return available_timezones()


class ConfigError(Exception):
    """`cx.toml` or the environment says something cxmarts cannot act on; the message says what to write instead."""


class Business(BaseModel):
    """The `[business]` table: every configurable value of a metric definition, with the defaults of the definitions."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    timezone: str = "UTC"
    """IANA zone of the business: which day a metric lands on, and what times without an offset mean whose feed names no
    zone.
    """
    reporting_currency: str = "EUR"
    """ISO 4217 code of the currency that amounts are added up in; others count at the rate of their day (feed fx_rates)."""
    churn_inactive_days: int = Field(180, ge=1, le=3650)
    """Days without activity after which a customer without a contract is lost, dated the last activity plus these."""
    contract_grace_days: int = Field(7, ge=0, le=365)
    """Days after a contract's end within which the next one continues it, and nobody was lost."""
    reopen_window_days: int = Field(7, ge=0, le=365)
    """Days in which a resolved case may come back: until they are over, a resolution is provisional."""
    fcr_window_days: int = Field(7, ge=1, le=90)
    """Days without a further contact on the topic that make a first contact a resolution; an issue that comes later is a new
    one.
    """
    cart_timeout_hours: int = Field(24, ge=1, le=720)
    """Hours after a cart's last event without an order, from which it is abandoned."""
    cart_gap_minutes: int = Field(30, ge=1, le=1440)
    """Events of a visitor with smaller gaps are one cart, in exports without cart ids."""
    cart_recovery_days: int = Field(7, ge=1, le=90)
    """Days after its last event in which an order recovers an abandoned cart."""
    containment_window_days: int = Field(7, ge=1, le=90)
    """Days without a contact on the topic that a resolved session with a machine needs to count as resolved."""
    service_to_sales_hours: int = Field(24, ge=1, le=720)
    """Hours after a resolved service contact in which an order counts as sold by it (the short window)."""
    service_to_sales_days: int = Field(7, ge=1, le=90)
    """Days after a resolved service contact in which an order counts as sold by it (the long window)."""
    order_contact_days: int = Field(30, ge=1, le=365)
    """Days after an order in which a contact of the customer counts as one about it."""
    journey_rest_days: int = Field(30, ge=0, le=365)
    """Days without a touch after which a customer's journey is over, and its emotion final."""
    short_abandon_seconds: int = Field(5, ge=0, le=600)
    """Callers who hang up within so many seconds are counted apart from those who waited."""
    messaging_channels: str = Field("chat,messaging,sms,whatsapp", pattern=r"^[^,\s]+(,[^,\s]+)*$")
    """Channels, with commas between, whose handle time is kept apart: agents serve several at once."""
    quality_window_days: int = Field(14, ge=0, le=365)
    """Days in which a contact may still be evaluated: until they are over, its quality is provisional."""
    quality_good_percent: int = Field(80, ge=1, le=100)
    """An evaluation of at least so many percent of the points agrees with a satisfied customer."""
    agent_min_n: int = Field(10, ge=1, le=1000)
    """An agent who handled fewer legs than this on a day is a small sample: neither rank nor badge."""
    late_allowance_days: int = Field(3, ge=0, le=90)
    """Days that every value stays provisional besides its own window, for rows that come late."""
    returns_are_activity: bool = False
    """Whether a return keeps a customer active as an order does."""
    margin_share: float = Field(1.0, gt=0, le=1)
    """Share of net revenue that is margin, in values of a customer that are estimated."""
    max_lifespan_years: float = Field(5.0, gt=0)
    """The longest life of a customer that the simple value multiplies by."""
    min_history_days: int = Field(365, ge=0)
    """Days of history below which the simple value is not given."""
    max_persons_per_key: int = Field(3, ge=1)
    """An e-mail address, telephone number or external id of more records than this links nobody: a shared one."""
    max_persons_per_component: int = Field(10, ge=1)
    """Links that would make one person of more records than this are not followed."""
    action_open_case_days: int = Field(3, ge=0)
    """customer_360: an open case this old is the next action."""
    action_detractor_days: int = Field(90, ge=1)
    """customer_360: a detractor's answer is the next action for so many days."""
    action_ahead_days: int = Field(30, ge=0)
    """customer_360: a contract's end or a lapse is the next action so many days ahead."""
    engaged_session_seconds: int = Field(10, ge=1, le=3600)
    """A session this long is engaged."""
    engaged_session_pages: int = Field(2, ge=1, le=100)
    """A session of so many pages is engaged."""
    engagement_settling_days: int = Field(3, ge=0, le=30)
    """Days in which analytics tools still correct a day's sessions: until they are over, it is provisional."""
    fx_max_age_days: int = Field(7, ge=0, le=60)
    """The oldest rate that stands for a day without one (weekends, holidays); older ones hold the amount back."""
    initiative_days: int = Field(90, ge=1, le=730)
    """Days that sales since an initiative are followed, at most."""
    nps_trailing_days: int = Field(90, ge=1, le=3650)
    """Days in which the last answer of a person counts in the trailing NPS."""
    response_window_days: int = Field(30, ge=1, le=365)
    """Days after an invitation in which an answer is a response to it."""
    survey_pressure_days: int = Field(30, ge=1, le=365)
    """Days that invitations of a person are counted over."""
    survey_pressure_limit: int = Field(3, ge=1, le=100)
    """More invitations than this in those days are too many."""
    min_group_answers: int = Field(5, ge=1, le=1000)
    """Employee satisfaction of groups with fewer answers is not published."""
    association_min_persons: int = Field(30, ge=4, le=10_000)
    """Associations of fewer persons have no coefficient."""
    clv_segment: Literal["entry_channel", "first_product_category", "none"] = "entry_channel"
    """What customers are told apart by in fits of their predicted value."""
    clv_models: str = "mbg_nbd,bg_nbd"
    """Purchase models to fit and compare, with commas between. The first one scores, unless the other one of mbg_nbd and
    bg_nbd does better; pareto_nbd is only compared.
    """
    clv_unit_days: int = Field(7, ge=1, le=365)
    """Days in the models' unit of time."""
    clv_fit_days: int = Field(7, ge=1, le=365)
    """Days between two fits."""
    clv_min_repeat_customers: int = Field(200, ge=10)
    """A segment with fewer customers who bought on two days has no fit of its own; without as many altogether there is none."""
    clv_holdout_days: int = Field(180, ge=7, le=730)
    """The last days of the history, which each model forecasts in its back-test."""
    clv_discount_rate: float = Field(0.1, ge=0, le=1)
    """Of a year: what value a year from now is less worth."""

    @field_validator("timezone")
    @classmethod
    def _known_timezone(cls, value: str) -> str:
        if value not in _timezones():
            raise ValueError(f"'{value}' is not an IANA time zone; write one like 'Europe/Amsterdam'")
        return value

    @field_validator("clv_models")
    @classmethod
    def _models_that_score(cls, value: str) -> str:
        names = value.split(",")
        if set(names) - {"mbg_nbd", "bg_nbd", "pareto_nbd"}:
            raise ValueError(f"'{value}' names an unknown model; write some of mbg_nbd,bg_nbd,pareto_nbd with commas between")
        if set(names) == {"pareto_nbd"}:
            raise ValueError("pareto_nbd can be compared, not score: add mbg_nbd or bg_nbd")
        return value

    @field_validator("reporting_currency")
    @classmethod
    def _currency_code(cls, value: str) -> str:
        if not (len(value) == 3 and value.isascii() and value.isalpha() and value.isupper()):
            raise ValueError(f"'{value}' is not an ISO 4217 code; write one like 'EUR'")
        return value


class Expression(BaseModel):
    """A column computed by DuckDB SQL over the text columns of the source, `_file` (name) and `_line` (number).

    Columns of NDJSON are the top-level keys, spelled as in the file; `_json` is the whole line, for what lies deeper
    (`_json->>'$.via.channel'`).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    expr: str


class FeedSource(BaseModel):
    """One `[[feed]]` table: which files are deliveries of which canonical feed, and how they are written."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    feed: str
    pattern: str
    format: Literal["csv", "ndjson", "parquet"]
    delimiter: str = Field(",", min_length=1, max_length=1)
    quote: str = Field('"', min_length=1, max_length=1)
    encoding: str = "utf-8"
    max_text_mb: int = Field(1024, ge=1, le=1_000_000)
    """What a .gz file may hold decompressed: a few kilobytes can be made to hold terabytes."""
    decimal: Literal[".", ","] = "."
    timezone: str | None = None
    datetime_format: str | None = None
    missing: tuple[str, ...] = ("",)
    delivery: Literal["append", "delta", "snapshot"] | None = None
    expected: Literal["daily", "weekdays", "irregular"] | None = None
    """Days on which a delivery is missed; "irregular": none, and a long silence is no news either."""
    due: str | None = Field(None, pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")
    """Time of the day after the delivery day, in the business time zone, by which an expected delivery is there."""
    columns: dict[str, str | Expression] = Field(default_factory=dict)
    constants: dict[str, str | int | float | bool] = Field(default_factory=dict)

    @field_validator("pattern")
    @classmethod
    def _inside_landing(cls, value: str) -> str:
        if value.startswith("/") or ".." in Path(value).parts:
            raise ValueError(f"'{value}' leaves the landing folder; write a pattern relative to it")
        if not Path(value).name:
            raise ValueError(f"'{value}' names no file; write one like 'shop/{{day}}.csv'")
        placeholders = set(re.findall(r"\{[^{}]*\}", value)) - {"{day}"}
        if placeholders:
            raise ValueError(f"'{value}' has {placeholders.pop()}; the only placeholder is {{day}}, a date like 2026-01-31")
        if "**" in value:
            raise ValueError(f"'{value}' has **; write one * for each folder, as in '*/*/orders.csv'")
        return value

    @field_validator("timezone")
    @classmethod
    def _known_timezone(cls, value: str | None) -> str | None:
        return None if value is None else Business._known_timezone(value)

    @field_validator("encoding")
    @classmethod
    def _known_encoding(cls, value: str) -> str:
        try:
            "".encode(value)
            return codecs.lookup(value).name
        except (LookupError, UnicodeError, ValueError):
            raise ValueError(f"'{value}' is not an encoding Python knows; write one like 'cp1252'") from None

    @model_validator(mode="after")
    def _structure_is_clear(self) -> FeedSource:
        for name in ("delimiter", "quote"):
            if getattr(self, name) in "\r\n\0 " and (name, self.delimiter) != ("delimiter", " "):
                raise ValueError(f"{name} cannot be {getattr(self, name)!r}; write a character like {name} = '{_USUAL[name]}'")
        if self.due is not None and not self.has_due_days:
            raise ValueError(
                f'due = "{self.due}" says by when a delivery is expected; write expected = "daily" or "weekdays", too'
            )
        if self.delimiter == self.quote:
            raise ValueError(f"delimiter and quote are both {self.quote!r}; write two different characters")
        return self

    @property
    def has_due_days(self) -> bool:
        """Whether there are days on which a delivery is missed."""
        return self.expected in ("daily", "weekdays")

    def due_through(self, now: datetime) -> date | None:
        """The last delivery day that is due at `now` (in the business time zone); None where every day that is over is."""
        if self.due is None:
            return None
        return now.date() - timedelta(days=1 if f"{now:%H:%M}" >= self.due else 2)


class Reports(BaseModel):
    """The `[reports]` table: how many reports of runs are kept."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    keep: int = Field(60, ge=1, le=100_000)


def _name_of_a_secret(value: str) -> str:
    if not re.fullmatch(r"[A-Z][A-Z0-9_]*", value):
        # Without the value: somebody may have written the secret itself.
        raise ValueError(
            "it is the name of an environment variable, like 'CX_SECRET_URL'; what is secret stands in that variable only"
        )
    return value


class Alerts(BaseModel):
    """The `[alerts]` table: which outcomes are told, and where the channels' URLs are. They are secrets: never in a file here."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    urls_env: str = "CX_ALERT_URLS"
    on: tuple[Literal["failed", "held", "recovered"], ...] = ("failed", "held", "recovered")

    _a_name = field_validator("urls_env")(_name_of_a_secret)


class Postgres(BaseModel):
    """The `[postgres]` table: a schema of a PostgreSQL server that each release is copied to. The URL is a secret: never here."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url_env: str = "CX_POSTGRES_URL"
    schema_name: str = Field("marts", alias="schema")
    reader: str | None = None
    """A role that may read it; it must exist."""

    _a_name = field_validator("url_env")(_name_of_a_secret)

    @field_validator("schema_name", "reader")
    @classmethod
    def _an_identifier(cls, value: str | None) -> str | None:
        if value is not None and (
            not re.fullmatch(r"[a-z_][a-z0-9_]{0,62}", value)
            or value.startswith("pg_")
            or value in ("information_schema", "public")
        ):
            raise ValueError(
                f"'{value}' is no name for it; write lower case letters, digits and _, like 'marts', and neither pg_ nor public"
            )
        return value


class Dashboard(BaseModel):
    """The `[dashboard]` table: what the pages of a release may show."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    personal_data: bool = False
    """Whether there is a page on which one person can be looked up. Everybody who opens the release can read it."""


class CxConfig(BaseModel):
    """The whole of `cx.toml`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    business: Business = Business()
    feed: tuple[FeedSource, ...] = ()
    reports: Reports = Reports()
    alerts: Alerts | None = None
    dashboard: Dashboard = Dashboard()
    postgres: Postgres | None = None

    @model_validator(mode="after")
    def _one_source_a_feed_and_pattern(self) -> CxConfig:
        seen: set[tuple[str, str]] = set()
        for source in self.feed:
            if (source.feed, source.pattern) in seen:
                raise ValueError(f"feed '{source.feed}' has the pattern '{source.pattern}' twice")
            seen.add((source.feed, source.pattern))
        for source in self.feed:
            if source.delivery == "snapshot" and sum(other.feed == source.feed for other in self.feed) > 1:
                raise ValueError(
                    f"feed '{source.feed}' has a snapshot and another source: the newest file of one would delete the rows of "
                    "the other. Deliver one file for both, or declare both as delta"
                )
        return self

    def sources_of(self, feeds: set[str]) -> list[FeedSource]:
        """The sources of the feeds named, in the order of the file."""
        return [source for source in self.feed if source.feed in feeds]


def _problem(issue: dict[str, Any]) -> str:
    """What a person is told of a value that does not fit: the place in cx.toml, what is wrong, the keys there are."""
    *parents, key = issue["loc"] or ("",)
    place = ".".join(str(part) for part in issue["loc"])
    if issue["type"] != "extra_forbidden":
        return f"{place}: {issue['msg'].removeprefix('Value error, ')}"
    tables = {
        (): CxConfig, ("business",): Business, ("feed",): FeedSource, ("reports",): Reports, ("alerts",): Alerts,
        ("dashboard",): Dashboard,
        ("postgres",): Postgres,
    }  # fmt: skip
    table = tables.get(tuple(part for part in parents if not isinstance(part, int)), Expression)
    known = [about.alias or name for name, about in table.model_fields.items()]
    return f"{place}: unknown key '{key}'; write one of {', '.join(known)}"


def _unknown_columns(source: FeedSource) -> list[str]:
    """What is mapped to no column of the contract, most likely over a slip of the pen: it would be ignored."""
    from data_quality.contract import load_contracts

    contract = load_contracts().get(source.feed)
    names = [column.name for column in contract.properties] if contract else []
    said = []
    for table, mapped in (("columns", source.columns), ("constants", source.constants)):
        for name in mapped if contract else ():
            if name not in names:
                # `qty` is 0.55 like `quantity`
                close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
                hint = f"did you mean '{close[0]}'? It has" if close else "write one of"
                said.append(
                    f"[feed.{table}] of '{source.pattern}': {source.feed} has no column '{name}'; {hint} {', '.join(names)}"
                )
    return said


class Settings:
    """Paths and configuration of one `CX_HOME`. Cheap to make; reads `cx.toml` once, when asked."""

    def __init__(self, home: Path | None = None, config_path: Path | None = None, env: str | None = None) -> None:
        self.home = (home or Path(os.environ.get("CX_HOME", ".cx"))).expanduser().resolve()
        self._config_path = config_path or (Path(os.environ["CX_CONFIG"]) if os.environ.get("CX_CONFIG") else None)
        self.env = env or os.environ.get("CX_ENV", "local")
        if self.env not in ENVIRONMENTS:
            raise ConfigError(f"CX_ENV is '{self.env}'; write one of {', '.join(ENVIRONMENTS)}")

    landing = property(lambda self: self.home / "landing")
    warehouse = property(lambda self: self.home / "warehouse" / "cx.duckdb")
    releases = property(lambda self: self.home / "releases")
    quarantine = property(lambda self: self.home / "quarantine")
    reports = property(lambda self: self.home / "reports")
    dagster_home = property(lambda self: self.home / "dagster")
    run_lock = property(lambda self: self.home / "run.lock")

    @property
    def current_release(self) -> Path:
        """The symbolic link that readers follow; may not exist yet."""
        return self.releases / "current"

    @property
    def config_path(self) -> Path:
        """`CX_CONFIG`, else `cx.toml` in the landing folder."""
        return self._config_path.expanduser().resolve() if self._config_path else self.landing / "cx.toml"

    @cached_property
    def config(self) -> CxConfig:
        """`cx.toml`, checked.

        Raises:
            ConfigError: naming the file, the place in it and what to write.
        """
        path = self.config_path
        try:
            raw = tomllib.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise ConfigError(
                f"no configuration at {path}: put exports into {self.landing} and run cx init, which drafts one, or set CX_CONFIG"
            ) from None
        except tomllib.TOMLDecodeError as error:
            raise ConfigError(f"{path}: {error}") from None
        except UnicodeDecodeError as error:
            raise ConfigError(f"{path}: byte {error.start} is not UTF-8; save the file as UTF-8") from None
        except OSError as error:
            raise ConfigError(f"{path}: {error.strerror}; CX_CONFIG is the path of a readable cx.toml") from None
        try:
            config = CxConfig.model_validate(raw)
        except ValidationError as error:
            raise ConfigError(f"{path}: " + "; ".join(_problem(dict(issue)) for issue in error.errors())) from None
        if wrong := [problem for source in config.feed for problem in _unknown_columns(source)]:
            raise ConfigError(f"{path}: " + "; ".join(wrong))
        return config

    def now(self) -> datetime:
        """Now in the business time zone."""
        return datetime.now(ZoneInfo(self.config.business.timezone))

    def today(self) -> date:
        """Today in the business time zone."""
        return self.now().date()

    def yesterday(self) -> date:
        """The last complete day in the business time zone."""
        return self.today() - timedelta(days=1)

    @property
    def environment(self) -> dict[str, str]:
        """What Dagster's processes need in their environment; events of one asset over many days are stored in batches."""
        return {
            "CX_HOME": str(self.home),
            "DAGSTER_HOME": str(self.dagster_home),
            "DAGSTER_EVENT_BATCH_SIZE": str(_EVENT_BATCH_SIZE),
        }

    def open_home(self) -> None:
        """As `make_folders`, for what works on a home that is there: a mistyped CX_HOME gets no folders.

        Raises:
            ConfigError: there is none.
        """
        if not self.home.is_dir():
            raise ConfigError(f"there is no folder {self.home}: correct CX_HOME, or begin with cx init")
        self.make_folders()

    def make_folders(self) -> None:
        """Create the folders of `CX_HOME` and the Dagster instance's configuration, where missing."""
        for folder in (self.landing, self.warehouse.parent, self.releases, self.quarantine, self.dagster_home):
            folder.mkdir(parents=True, exist_ok=True)
        instance = self.dagster_home / "dagster.yaml"
        if not instance.exists():
            instance.write_text(DAGSTER_INSTANCE, encoding="utf-8")
