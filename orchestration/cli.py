"""`cx`: a thin layer over the same Dagster jobs that the schedules and the UI run.

Belongs here: arguments, progress, tables, exit codes. Does not: any work; a command that works starts a job.
Exit codes: 0 fine, 1 error, 2 a gate stopped publishing, 3 published with a stale feed, or not to PostgreSQL.
Heavy imports (Dagster 1 s, dbt 1.5 s, Great Expectations 3 s) happen in the commands that need them.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from orchestration.commands import clv, publish, quarantine, suggest
from orchestration.commands import report as report_command
from orchestration.commands.accept import accept, print_acceptances
from orchestration.commands.init import init
from orchestration.partitions import Window
from orchestration.settings import PROJECT_ROOT, ConfigError, Settings

if TYPE_CHECKING:
    from orchestration.runs import RunPlan

OK, ERROR, GATE = 0, 1, 2

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Daily customer-experience marts from your exports. State lives in CX_HOME (default ./.cx), "
    "configuration in CX_CONFIG (default CX_HOME/landing/cx.toml).",
    epilog="Exit codes: 0 fine, 1 error, 2 a gate stopped publishing, 3 published with a stale feed, or not to PostgreSQL.",
)
# No markup: values and messages hold brackets. Piped tables are not folded at 80 columns.
out = Console(highlight=False, soft_wrap=True, markup=False, width=None if sys.stdout.isatty() else 240)
err = Console(stderr=True, highlight=False, soft_wrap=True, markup=False)

Json = Annotated[bool, typer.Option("--json", help="Print machine-readable JSON instead of tables.")]
app.command()(init)
app.command()(accept)
app.add_typer(quarantine.app, name="quarantine")
app.add_typer(clv.app, name="clv")
app.command()(report_command.report)
app.add_typer(suggest.app, name="suggest")
app.add_typer(publish.app, name="publish")
Day = Annotated[datetime | None, typer.Option("--day", formats=["%Y-%m-%d"], help="Take exactly this delivery day.")]


@app.command()
def nightly(day: Day = None, as_json: Json = False) -> None:
    """Take new deliveries, build what they touch, judge it, publish it.

    Without --day: every delivery not yet taken, up to yesterday in the business time zone.
    """
    raise typer.Exit(_run(Settings(), "nightly", Window.of_days(day.date(), day.date()) if day else None, as_json))


@app.command()
def backfill(
    start: Annotated[datetime, typer.Argument(formats=["%Y-%m-%d"], help="First delivery day.")],
    end: Annotated[datetime, typer.Argument(formats=["%Y-%m-%d"], help="Last delivery day, inclusive.")],
    as_json: Json = False,
) -> None:
    """Take every delivery of a range of days in one run. Deliveries that did not change are not loaded again."""
    if end < start:
        raise typer.BadParameter(f"END {end.date()} is before START {start.date()}")
    raise typer.Exit(_run(Settings(), "backfill", Window.of_days(start.date(), end.date()), as_json))


@app.command()
def rebuild(as_json: Json = False) -> None:
    """Load every delivery anew from the landing folder and build everything; the result equals the increments."""
    raise typer.Exit(_run(Settings(), "rebuild", None, as_json))


@app.command()
def verify(as_json: Json = False) -> None:
    """Rebuild everything beside the warehouse and compare row for row. Changes and publishes nothing.

    Exit codes: 0 equal, 2 different, 1 could not be compared.
    """
    from orchestration.lib import progress
    from orchestration.lib import verify as verifying

    began = time.perf_counter()
    with err.status("verify: starting") as shown:
        verified = verifying.verify(Settings(), _Ticker(shown, "verify", progress.LOG_EVERY))
    if as_json:
        _print_json({"equal": verified.equal, "notes": verified.notes, "tables": [vars(table) for table in verified.tables]})
    else:
        columns = ["table", "rows", "only_in_warehouse", "only_in_rebuild"]
        _print_table(None, columns, [vars(table) for table in verified.tables])
        for table in verified.tables:
            if table.sample:
                _print_table(f"{table.table}: rows of one side only", list(table.sample[0]), table.sample)
        for note in verified.notes:
            out.print(note)
        word = "equal" if verified.equal else "DIFFERENT: run `cx rebuild` to mend, and report this"
        out.print(f"warehouse and rebuild are {word}; {time.perf_counter() - began:.1f} s")
    raise typer.Exit(OK if verified.equal else GATE)


@app.command()
def status(as_json: Json = False) -> None:
    """Show the current release, the feeds behind it, and what is waiting."""
    from orchestration.lib import acceptances, postgres, release
    from orchestration.lib import report as reports
    from orchestration.lib.run_lock import holder

    settings = Settings()
    name, last = release.current(settings), reports.load(settings)
    manifest = release.manifest_of(settings, name) if name else None
    on_disk = release.releases(settings)
    state: dict[str, Any] = {
        "home": str(settings.home),
        "release": name,
        "is_rolled_back": bool(name) and name != on_disk[-1],
        "data_through": manifest and manifest["data_through"],
        "published_at": manifest and manifest["published_at"],
        "releases": on_disk,
        "postgres": postgres.state(settings),
        "marts": manifest["marts"] if manifest else {},
        "marts_off": manifest["marts_off"] if manifest else {},
        "feeds": manifest["feeds"] if manifest else [],
        "gates_not_passed": manifest["gates"]["not_passed"] if manifest else [],
        "acceptances": [row for row in acceptances.listed(settings) if row["state"] not in ("expired", "revoked")],
        "running": holder(settings),
        "last_run": last and {key: last[key] for key in ("run", "what", "ended", "exit_code", "headline", "next")},
        "last_run_not_published": last["problems"] + _not_passed(last) if last and not last["published"] else [],
        "report": str(settings.reports / reports.LATEST / reports.PAGE) if last else None,
        "died": reports.unreported(settings),
    }
    if as_json:
        _print_json(state)
        return
    out.print(f"home      {settings.home}")
    first = "cx backfill" if settings.config_path.exists() else f"put exports into {settings.landing}, then cx init"
    out.print(f"release   {name or f'none yet: {first}'}")
    if state["is_rolled_back"]:
        out.print(f"          readers see an older one by cx rollback, until the next run publishes; the newest is {on_disk[-1]}")
    if manifest:
        out.print(f"through   {manifest['data_through']} (published {manifest['published_at']})")
        _print_table(
            "feeds",
            ["feed", "data_through", "is_stale", "refused_deliveries", "missing_days", "last_missing_day", "reason"],
            manifest["feeds"],
        )
        _print_table("marts", ["mart", "rows"], [{"mart": k, **v} for k, v in manifest["marts"].items()])
        if off := manifest["marts_off"]:
            feeds = sorted({feed for named in off.values() for feed in named})
            out.print(f"off       {len(off)} marts, of feeds that cx.toml has not ({', '.join(feeds)}); --json names them")
        for sentence in manifest["gates"]["not_passed"]:
            out.print(sentence)
    if copy := state["postgres"]:
        of = "up to date" if not copy["is_behind"] else f"has {copy['release'] or 'no release yet'}: run cx publish postgres"
        out.print(f"postgres  {of}" + (f" ({copy['problem']})" if copy["problem"] else ""))
    if state["acceptances"]:
        print_acceptances(state["acceptances"])
    if last:
        out.print(f"last run  {last['what']}, exit code {last['exit_code']}: {last['headline']}")
        for sentence in state["last_run_not_published"]:
            out.print(f"  {sentence}")
        for step in last["next"]:
            out.print(f"  next: {step['do']}: {step['command']}")
        out.print(f"report    {state['report']}")
    if state["died"]:
        out.print(f"died      run {state['died']} ended before it published: run it again; cx ui shows its log")
    if state["running"]:
        out.print(f"running   {state['running']}")


@app.command()
def query(sql: Annotated[str, typer.Argument(help="One SQL query.")], as_json: Json = False) -> None:
    """Query the current release, read-only."""
    import duckdb

    settings = Settings()
    path = settings.current_release / "cx.duckdb"
    if not path.exists():
        raise ConfigError(f"no release at {settings.current_release}: run cx nightly or cx backfill first")
    with duckdb.connect(str(path), read_only=True, config={"enable_external_access": False}) as con:
        con.execute("set schema = 'marts'")
        if not sql.strip():
            raise typer.BadParameter("the query is empty")
        cursor = con.execute(sql)
        columns = [column[0] for column in cursor.description or []]
        rows = [dict(zip(columns, row, strict=True)) for row in cursor.fetchall()]
    if as_json:
        _print_json(rows)
    else:
        _print_table(None, columns, rows)


@app.command()
def explain(
    metric: Annotated[str, typer.Argument(help="A metric; an unknown one lists them all.")],
    day: Annotated[datetime, typer.Argument(formats=["%Y-%m-%d"], metavar="DATE", help="The day, or any day of the month.")],
    by: Annotated[list[str] | None, typer.Option("--by", help="A dimension's value, as in --by channel=phone.")] = None,
    limit: Annotated[int, typer.Option(min=0, help="Rows of each kind to name; counts and sums are of all.")] = 20,
    as_json: Json = False,
) -> None:
    """Say why a number is what it is: parts, definition, run, deliveries, source rows, and what was left out."""
    from orchestration.lib.explain import explain as answer

    if wrong := [pair for pair in by or [] if "=" not in pair]:
        raise typer.BadParameter(f"--by {wrong[0]}: write DIMENSION=VALUE")
    chosen = [pair.split("=", 1) for pair in by or []]
    if twice := [name for n, (name, _) in enumerate(chosen) if name in [other for other, _ in chosen[:n]]]:
        raise typer.BadParameter(f"--by {twice[0]} is there twice: a cell has one {twice[0]}")
    found = answer(Settings(), metric, day.date(), dict(chosen), limit)
    if as_json:
        _print_json(found)
    else:
        _print_explanation(found)


@app.command()
def rollback(
    release: Annotated[str | None, typer.Argument(help="Name of a release; default: the newest older one of other data.")] = None,
) -> None:
    """Point readers at an older release. The next run that publishes replaces it.

    Without a name: the newest older release that was made of other deliveries, definitions or configuration.
    """
    from orchestration.lib import postgres
    from orchestration.lib.release import manifest_of, roll_back
    from orchestration.lib.run_lock import run_lock

    settings = Settings()
    settings.open_home()
    with run_lock(settings, "cx rollback"):
        name = roll_back(settings, release)
    through = manifest_of(settings, name)["data_through"]
    out.print(f"current release is now {name} (through {through}), until the next run publishes")
    if (copy := postgres.state(settings)) and copy["is_behind"]:
        out.print("PostgreSQL has the other one: run cx publish postgres")


@app.command()
def ui(port: Annotated[int, typer.Option(help="Port on 127.0.0.1.")] = 3000) -> None:
    """Start Dagster's UI on loopback, with the runs made by cx in it."""
    settings = Settings()
    settings.make_folders()
    environment = {**os.environ, **settings.environment}
    arguments = ["dagster", "dev", "--host", "127.0.0.1", "--port", str(port), "-m", "orchestration.definitions"]
    err.print(f"Dagster on http://127.0.0.1:{port} (stop with Ctrl-C)")
    os.chdir(PROJECT_ROOT)
    os.execve(Path(sys.executable).parent / "dagster", arguments, environment)


@app.command()
def demo(
    customers: Annotated[int, typer.Option(min=50, help="Customers of the simulated company.")] = 2000,
    days: Annotated[int, typer.Option(min=2, help="Days of its history.")] = 120,
    seed: Annotated[int, typer.Option(help="Another seed is another company.")] = 7,
) -> None:
    """Simulate a company, backfill all but its last day, run the last day as a night, print headline metrics."""
    from orchestration.lib.simulator import simulate

    settings = Settings()
    if settings.landing.exists() and any(settings.landing.iterdir()) and not (settings.landing / ".demo").exists():
        raise ConfigError(f"{settings.landing} holds exports that are not the demo's; set CX_HOME to an empty folder")
    settings.make_folders()
    (settings.landing / ".demo").touch()
    err.print(f"simulating {customers} customers over {days} days")
    company = simulate(customers=customers, days=days, seed=seed)
    files = company.write_exports(settings.landing)
    settings.config_path.write_text(company.config(), encoding="utf-8")
    last = company.start + timedelta(days=days - 1)
    err.print(f"wrote {len(files)} export files to {settings.landing}")
    for kind, window in (
        ("backfill", Window.of_days(company.start, last - timedelta(days=1))),
        ("nightly", Window.of_days(last, last)),
    ):
        code = _run(Settings(), kind, window, as_json=False)
        if code in (ERROR, GATE):
            raise typer.Exit(code)
    _print_headlines(settings, last)
    raise typer.Exit(code)


def _print_explanation(found: dict[str, Any]) -> None:
    parts = list(found["parts"])

    def figure(value: dict[str, Any]) -> str:
        listed = ", ".join(f"{part} {_number(value['parts'][part])}" for part in parts)
        return f"{_number(value['value'])} ({listed})"

    where = "".join(f" {name}={value}" for name, value in found["by"].items())
    out.print(f"{found['metric']} of {found['date']}{where}: {figure(found) if found['cells'] else 'nothing was observed'}")
    if found["cells"] > 1:
        out.print(f"of {found['cells']} cells of {found['definition']['mart']}, added up")
    if found["final_on"]:
        out.print(f"{'final since' if found['is_final'] else 'provisional until'} {found['final_on']}")
    published = found["published"]
    if published is None:
        out.print("published   not yet: this is the warehouse's figure")
    else:
        out.print(f"published   {published['release']} at {published['published_at']} by run {published['run_id']}")
        if not found["warehouse"]["is_published"]:
            rows = "" if found["rows_not_listed"] else ", and that is what the rows below add up to"
            out.print(f"            the warehouse says {figure(found['warehouse'])}{rows}")
    definition = found["definition"]
    out.print(f"definition  {definition['description']}")
    for column, about in definition["columns"].items():
        out.print(f"            {column}: {about}")
    out.print(f"            {definition['sql']}, version {definition['version']}")
    if published and published["definition"] != definition["version"]:
        out.print(f"            the published figure was made by version {published['definition']}: run cx nightly")
    if found["rows_not_listed"]:
        out.print(f"rows        {found['rows_not_listed']}")
    elif not found["rows_add_up"]:
        out.print("warning     the source rows do not add up to the warehouse's parts: run cx rebuild, and report it")
    restated = [
        {key: row[key] for key in ("published_at", "kind", "cause", "dimensions", "old_parts", "new_parts", "deliveries")}
        for row in (published or {}).get("restatements", [])
    ]
    _print_some("what earlier releases said", restated, len(restated), found["limit"])
    _print_some(
        "deliveries for the day" if found["rows_not_listed"] else "deliveries behind it",
        found["deliveries"],
        len(found["deliveries"]),
        found["limit"],
    )
    _print_some("source rows", found["rows"], found["rows_total"], found["limit"])
    _print_some("left out", found["left_out"], len(found["left_out"]), len(found["left_out"]))
    _print_some("older versions of these rows", found["superseded"], found["superseded_total"], found["limit"])
    for title, key in (
        ("in quarantine, of these deliveries and of the day's", "quarantined"),
        ("deliveries that gave no rows", "not_taken"),
    ):
        _print_some(title, found[key], len(found[key]), len(found[key]))


def _print_some(title: str, rows: list[dict[str, Any]], total: int, limit: int) -> None:
    """A table of some of the rows there are, with places as file:line; nothing where there are none."""
    if not total:
        return
    shown = [dict(row) for row in rows[:limit]]
    for row in shown:
        for file, line in (("file", "line"), ("newer_file", "newer_line")):
            if line in row:
                row[file] = f"{row[file]}:{row.pop(line)}"
        row |= {name: ", ".join(value) for name, value in row.items() if isinstance(value, list)}
        row |= {name: round(value, 4) for name, value in row.items() if isinstance(value, float)}
    more = f" ({len(shown)} of {total})" if len(shown) < total else ""
    out.print()
    _print_table(f"{title}{more}", list(shown[0]) if shown else [], shown)


def _number(value: Any) -> str:
    """As people read it: at most four decimals, none where they are zeros."""
    return "nothing" if value is None else f"{value:.4f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)


_LAST_30_DAYS, _LAST_DAY = "metric_date > $day - 30", "metric_date = $day"
HEADLINES = {
    "net sales, last 30 days": ("sales_daily", "round(sum(net_amount), 2)", _LAST_30_DAYS),
    "orders, last 30 days": ("sales_daily", "sum(orders)", _LAST_30_DAYS),
    "cart abandonment rate, last 30 days": (
        "cart_abandonment_daily",
        "round(sum(abandoned) / nullif(sum(abandoned + converted), 0), 4)",
        _LAST_30_DAYS,
    ),
    "contacts, last 30 days": ("contact_volume_daily", "sum(inbound)", _LAST_30_DAYS),
    "first contact resolution, last 30 days": (
        "fcr_daily",
        "round(sum(resolved_first_contact) / nullif(sum(issues), 0), 4)",
        _LAST_30_DAYS,
    ),
    "hours to resolution, last 30 days": (
        "resolution_daily",
        "round(sum(resolution_minutes) / nullif(sum(cases_resolved), 0) / 60, 2)",
        _LAST_30_DAYS,
    ),
    "subscriber churn, trailing 30 days": (
        "churn_daily",
        "round(sum(lost) / nullif(sum(active_at_start), 0), 4)",
        f"{_LAST_DAY} and basis = 'contractual' and period = 'trailing_30d' and plan = 'all'",
    ),
    "customers who order again the month after": (
        "retention_cohorts",
        "round(sum(active) / nullif(sum(customers), 0), 4)",
        "months_since = 1 and is_final",
    ),
    "customers to date": ("clv_daily", "sum(customers_to_date)", _LAST_DAY),
    "net revenue of a customer to date": ("clv_daily", "round(sum(clv_historic_mean), 2)", _LAST_DAY),
}
"""Metrics the demo prints: mart, figure from its parts, days."""


def _print_headlines(settings: Settings, last: date) -> None:
    import duckdb

    from orchestration.lib import dashboard, release

    name = release.current(settings)
    assert name is not None
    manifest = release.manifest_of(settings, name)
    with duckdb.connect(str(settings.current_release / "cx.duckdb"), read_only=True) as con:
        rows = []
        for label, (mart, figure, days) in HEADLINES.items():
            used = {"day": last} if "$day" in days else {}
            value = con.execute(f"select {figure} from marts.{mart} where {days}", used).fetchone()
            rows.append({"metric": label, "value": value and value[0], "mart": mart})
    _print_table(f"headline metrics through {last}", ["metric", "value", "mart"], rows)
    gates = manifest["gates"]
    out.print(f"gates passed: {gates['passed']}, not passed: {len(gates['not_passed'])}")
    for sentence in gates["not_passed"]:
        out.print(f"  {sentence}")
    out.print(f"release: {settings.current_release / 'cx.duckdb'}")
    out.print(f"dashboard, to open in a browser: {settings.current_release / dashboard.FOLDER / 'index.html'}")


def _run(settings: Settings, kind: str, window: Window | None, as_json: bool, with_fit: bool = False) -> int:
    """Execute a run in this process and show its report; return the exit code. A night without a window takes what waits."""
    began = time.time()
    run_id = str(uuid.uuid4())
    try:
        # A wrong cx.toml is said before anything heavy is imported.
        _ = settings.config
        settings.make_folders()
        os.environ.update(settings.environment)
        with err.status(f"{kind}: starting"):
            from orchestration.lib import disk
            from orchestration.runs import nightly_window, plan

            window = nightly_window(settings) if kind == "nightly" and window is None else window
            run = plan(settings, kind, window, with_fit)
    except Exception as error:
        _report_stop(settings, run_id, kind, window, error, was_refused=True)
        raise
    from orchestration import run_outcome
    from orchestration.lib import alerts
    from orchestration.lib import report as reports

    run.tags[run_outcome.BEGAN_TAG] = str(began)
    problems: list[str] = []
    try:
        with _own_streams():
            problems = _execute(run, run_id, f"{kind} {window}" if window else kind, began)
    except Exception as error:
        # Where the disk is full, Dagster cannot even write down that the run failed.
        full = disk.full(settings, [str(error)])
        if full is None:
            _report_stop(settings, run_id, kind, window, error, was_refused=False)
            raise
        problems = [full]
    made = reports.load(settings, run_id)
    if made is None:  # the run had no word in the end, or no place to write it
        what = reports.Ran(run_id, kind, *_days(window), datetime.fromtimestamp(began, UTC), problems=tuple(problems))
        made = alerts.deliver(settings, reports.collect(settings, what))
    if as_json:
        _print_json(made)
    else:
        folder = reports.find(settings, run_id)
        report_command.show(made, folder / reports.PAGE if folder and (folder / reports.PAGE).exists() else None)
    return int(made["exit_code"])


def _days(window: Window | None) -> tuple[date | None, date | None]:
    return (window.start, window.last) if window else (None, None)


def _report_stop(settings: Settings, run_id: str, kind: str, window: Window | None, error: Exception, was_refused: bool) -> None:
    """A run that never begins has a report, too, and so has one that stumbles over itself: somebody may look for last night's."""
    from orchestration.lib import alerts
    from orchestration.lib.report import Ran, collect

    problem = " ".join(str(error).split())
    alerts.deliver(settings, collect(settings, Ran(run_id, kind, *_days(window), problems=(problem,), was_refused=was_refused)))


@contextmanager
def _own_streams() -> Iterator[None]:
    """Give standard output and error back: Dagster sends them to files of the step, and on a full disk leaves it at that."""
    kept = [(number, os.dup(number)) for number in (1, 2)]
    try:
        yield
    finally:
        for number, copy in kept:
            os.dup2(copy, number)
            os.close(copy)


def _execute(run: RunPlan, run_id: str, what: str, began: float) -> list[str]:
    """Execute the run's job in this process; what went wrong in it."""
    import dagster as dg

    from orchestration.definitions import defs
    from orchestration.lib import progress
    from orchestration.run_context import PID_TAG
    from orchestration.run_outcome import problems_of

    with err.status(f"{what}: starting"):
        job = defs().resolve_job_def(run.job)
    with (
        dg.DagsterInstance.get() as instance,
        err.status(f"{what}: ingest") as shown,
        progress.watched_by(_Ticker(shown, what, progress.LOG_EVERY)),
    ):
        instance.add_event_listener(run_id, lambda entry: _show_progress(shown, what, began, entry))
        result = job.execute_in_process(
            instance=instance,
            run_id=run_id,
            asset_selection=run.assets,
            tags={**run.tags, PID_TAG: str(os.getpid())},
            raise_on_error=False,
            # Everything is in the instance's event log, where `cx ui` shows it; the terminal gets the report.
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        )
    return [] if result.success else problems_of(result.all_events)


def _not_passed(report: dict[str, Any]) -> list[str]:
    return [gate["sentence"] for gate in report["gates"] if gate["state"] in ("failed", "held")]


class _Ticker:
    """Shows progress within a step: on a terminal in place, elsewhere a line every `seconds`."""

    def __init__(self, shown: Any, what: str, seconds: float) -> None:
        self.shown, self.what, self.seconds = shown, what, seconds
        self.last = time.monotonic()

    def __call__(self, text: str) -> None:
        if self.shown.console.is_terminal:
            self.shown.update(f"{self.what}: {text}")
        elif time.monotonic() - self.last >= self.seconds:
            self.last = time.monotonic()
            err.print(f"{self.what}: {text}")


def _show_progress(shown: Any, what: str, began: float, entry: Any) -> None:
    """Say which step a run is in; on a terminal in place, elsewhere one line a step."""
    from orchestration.lib.report import PHASES

    event = entry.dagster_event
    if event is None:
        if entry.level == 20 and shown.console.is_terminal:  # what a step says of itself
            shown.update(f"{what}: {entry.user_message}")
        return
    if event.event_type_value == "STEP_START" and event.step_key:
        doing = next((text for prefix, text in PHASES.items() if event.step_key.startswith(prefix)), event.step_key)
        line = f"{what}: {doing} ({event.step_key}), {time.time() - began:.0f} s"
        if shown.console.is_terminal:
            shown.update(line)
        else:
            err.print(line)


def _print_table(title: str | None, columns: list[str], rows: list[dict[str, Any]]) -> None:
    table = Table(title=title, title_justify="left", show_edge=False, pad_edge=False)
    for column in columns:
        value = next((row[column] for row in rows if row.get(column) is not None), None)
        numeric = isinstance(value, int | float) and not isinstance(value, bool)
        table.add_column(column, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*("" if row.get(column) is None else str(row[column]) for column in columns))
    out.print(table)


def _print_json(value: Any) -> None:
    sys.stdout.write(json.dumps(value, indent=1, default=str) + "\n")


def main() -> None:
    """Entry point: known problems become one sentence and exit code 1."""
    import duckdb

    from data_quality.acceptance import NotAcceptable
    from orchestration.lib.clv_fit import ClvError
    from orchestration.lib.dbt_manifest import ManifestError
    from orchestration.lib.explain import ExplainError
    from orchestration.lib.ingest import NothingTaken
    from orchestration.lib.postgres import PostgresError
    from orchestration.lib.quarantine import QuarantineError
    from orchestration.lib.release import ReleaseError
    from orchestration.lib.rereading import FilesGone
    from orchestration.lib.run_lock import RunLocked
    from orchestration.lib.verify import VerifyError

    # Where the disk is full, a log file that cannot be written is no news of its own.
    logging.raiseExceptions = False
    known = (
        ClvError,
        ConfigError,
        ExplainError,
        FilesGone,
        ManifestError,
        NotAcceptable,
        NothingTaken,
        PostgresError,
        QuarantineError,
        ReleaseError,
        RunLocked,
        VerifyError,
        duckdb.Error,
    )
    # Typer brings its own click, or uses the installed one; BadParameter -> UsageError -> ClickException in both.
    click_exception = typer.BadParameter.__mro__[2]
    try:
        # Wrong usage is an error like any other: 2 is the word of a gate.
        sys.exit(app(standalone_mode=False) or OK)
    except click_exception as problem:
        problem.show()
    except known as problem:
        err.print(f"error: {problem}")
    except KeyboardInterrupt:
        from orchestration.lib.report import INTERRUPTED

        err.print(f"error: {INTERRUPTED}")
    sys.exit(ERROR)


if __name__ == "__main__":
    main()
