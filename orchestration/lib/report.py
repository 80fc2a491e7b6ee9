"""The report of a run: one structure that the terminal, `--json`, the page, `cx status` and alerts all show.

Belongs here: collecting it (`collect`), its sentences, keeping it in CX_HOME/reports, the page (`report.html.j2`). Does not:
asking Dagster about the run (`orchestration.run_outcome`), sending messages (`alerts`), printing (`commands.report`).

A run always has a report, also one that was refused or died: what cannot be found out is left empty and said.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
from collections import defaultdict
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from data_quality.acceptance import ACCEPTABLE, all_rows, latest
from data_quality.contract import load_contracts
from data_quality.rules import ident, literal
from data_quality.verdict import Verdict, of_run
from orchestration.lib import disk, postgres, release, warehouse
from orchestration.lib.ingest import text_expression
from orchestration.settings import ConfigError

if TYPE_CHECKING:
    from orchestration.settings import Settings

FORMAT = 1
"""Number of the shape of report.json: it grows when a field goes or changes its meaning, not when one is added."""
_NAMED = 5
"""Late feeds that the next step names; the others are counted."""
OK, ERROR, GATE, STALE = 0, 1, 2, 3
OUTCOMES = {OK: "published", ERROR: "failed", GATE: "not_published", STALE: "published_stale"}
INTERRUPTED = "interrupted. What it had taken and loaded is kept: run it again, and it goes on from there"
LATEST, PAGE, DATA = "latest", "report.html", "report.json"
PHASES = {
    "deliveries": "taking deliveries",
    "raw": "loading",
    "dbt_build": "building",
    "gates": "judging",
    "release": "publishing",
}
"""What a step does, by how its name begins."""
_LISTED = 50
_REASONS_A_FEED = 20
_SLOWEST = 10
_LONG = 32
_HIDDEN = "(personal)"


@dataclass(frozen=True)
class Ran:
    """What is known of a run besides what it left in CX_HOME."""

    run_id: str
    kind: str
    first_day: date | None = None
    last_day: date | None = None
    began: datetime = field(default_factory=lambda: datetime.now(UTC))
    ended: datetime = field(default_factory=lambda: datetime.now(UTC))
    problems: tuple[str, ...] = ()
    """What went wrong, a sentence each; none where nothing did."""
    steps: tuple[tuple[str, float], ...] = ()
    """Name and seconds of each step."""
    models: dict[str, float] = field(default_factory=dict)
    """Seconds by dbt model built."""
    was_refused: bool = False
    """It never began: another run was at work, or cx.toml is wrong."""

    @property
    def what(self) -> str:
        """The run as people call it."""
        days = "" if self.first_day is None else str(self.first_day)
        return " ".join(filter(None, (self.kind, days if self.first_day == self.last_day else f"{days} .. {self.last_day}")))


def collect(settings: Settings, ran: Ran) -> dict[str, Any]:
    """The report of a run that has ended, from the ledger; decides its exit code. Raises nothing that a broken home causes."""
    found = _Found()
    problems = list(ran.problems)
    if problems and (full := disk.full(settings, problems)):
        problems = [full]
    if not ran.was_refused:
        try:
            with warehouse.connect(settings, read_only=True) as con:
                found = _find(con, settings, ran.run_id)
        except (duckdb.Error, OSError) as error:  # another run holds the file, or there is none yet: `problems` says so
            problems = problems or [str(error)]
    readers, restated, published = _readers(settings, ran.run_id)
    standing = [v for v in found.verdicts if v.stands_in_the_way]
    stale = {state["feed"]: state for state in found.states if state["is_stale"]}
    stale |= {
        v.subject: {"feed": v.subject, "reason": v.message} for v in standing if v.severity == "hold" and v.subject not in stale
    }
    copy = None
    if published:
        copy = postgres.state(settings)
        code = STALE if stale or (copy and copy["is_behind"]) else OK
    else:
        is_gate = any(v.severity == "block" for v in standing) or any("not published" in problem for problem in problems)
        code = GATE if is_gate else ERROR
    shown = {verdict.sentence() for verdict in standing}
    report: dict[str, Any] = {
        "format": FORMAT,
        "run": ran.run_id,
        "kind": ran.kind,
        "what": ran.what,
        "began": ran.began.astimezone(UTC).isoformat(timespec="seconds"),
        "ended": ran.ended.astimezone(UTC).isoformat(timespec="seconds"),
        "seconds": round((ran.ended - ran.began).total_seconds(), 1),
        "exit_code": code,
        "outcome": OUTCOMES[code],
        "was_refused": ran.was_refused,
        "headline": "",
        "published": readers["release"] if published else None,
        "current": readers["release"],
        "readers": readers,
        "stale_feeds": sorted(stale),
        "stale": [stale[feed] for feed in sorted(stale)],
        "postgres": copy,
        "next": [],
        # A problem that only repeats a verdict is told by the verdict.
        "problems": []
        if published
        else [p for p in dict.fromkeys(problems) if p not in shown and not any(s in p for s in shown)],
        "warnings": found.warnings + (readers["not_made"] if published else []),
        "deliveries": found.deliveries,
        "not_taken": found.not_taken,
        "refused_standing": found.refused_standing,
        "gates_passed": sum(v.passed for v in found.verdicts),
        "gates": [_gate(v) for v in sorted(found.verdicts, key=_failed_first)],
        "quarantined": found.quarantined,
        "restatements": _by_cause(restated) if published else [],
        "fits": found.fits,
        "acceptances": found.acceptances,
        "phases": _phases(ran),
        "slowest": [
            {"model": name, "seconds": round(seconds, 2)}
            for name, seconds in sorted(ran.models.items(), key=lambda item: -item[1])[:_SLOWEST]
        ],
    }
    report["headline"] = _headline(report)
    report["next"] = _next(settings, ran, report, found.first_refused_day)
    return _plain(report)


@dataclass
class _Found:
    """What the warehouse says of a run."""

    verdicts: list[Verdict] = field(default_factory=list)
    states: list[dict[str, Any]] = field(default_factory=list)
    deliveries: list[dict[str, Any]] = field(default_factory=list)
    not_taken: list[dict[str, Any]] = field(default_factory=list)
    refused_standing: list[dict[str, Any]] = field(default_factory=list)
    first_refused_day: date | None = None
    quarantined: list[dict[str, Any]] = field(default_factory=list)
    acceptances: list[dict[str, Any]] = field(default_factory=list)
    fits: list[dict[str, Any]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def _find(con: duckdb.DuckDBPyConnection, settings: Settings, run_id: str) -> _Found:
    found = _Found(verdicts=of_run(con, run_id), states=release.feed_states(con))
    of_run_now = "from ops.deliveries where run_id = $1 and status not in ('pending', 'replaced')"
    found.deliveries = _rows(
        con,
        f"""
        select
            feed, count(*) as deliveries, count(*) filter (where status = 'accepted') as accepted,
            count(*) filter (where status = 'refused') as refused, count(*) filter (where status = 'repeated') as repeated,
            coalesce(sum(rows_read), 0)::bigint as rows_read, coalesce(sum(rows_accepted), 0)::bigint as rows_accepted,
            coalesce(sum(rows_quarantined), 0)::bigint as rows_quarantined,
            coalesce(sum(rows_read) filter (where status = 'refused'), 0)::bigint as rows_refused
        {of_run_now} group by feed order by feed
        """,
        run_id,
    )
    columns = "select feed, delivery_day as day, file, status, reason"
    found.not_taken = _rows(
        con, f"{columns} {of_run_now} and status <> 'accepted' order by status, feed, delivery_day, file limit {_LISTED}", run_id
    )
    found.refused_standing = _rows(
        con, f"{columns}, gate from ops.deliveries where status = 'refused' order by feed, delivery_day, file limit {_LISTED}"
    )
    found.first_refused_day = con.execute("select min(delivery_day) from ops.deliveries where status = 'refused'").fetchone()[0]
    try:
        found.quarantined = _quarantined(con, settings, run_id)
    except duckdb.Error as error:
        found.warnings.append(f"the bad rows of this run could not be read back: {_one_line(str(error))}")
    found.acceptances = _acceptances(con, settings.today())
    found.fits = _fits(con, run_id)
    return found


def _fits(con: duckdb.DuckDBPyConnection, run_id: str) -> list[dict[str, Any]]:
    """Models of customer lifetime value that the run fitted, with how each would have forecast the last days."""
    return _rows(
        con,
        """
        select
            f.segment, f.model, f.customers, f.is_used as scores, f.message as why_not,
            'the ' || t.holdout_days || ' days after ' || t.calibrated_on as held_out, t.purchases,
            round(t.expected_purchases, 1) as forecast,
            round(t.expected_low)::bigint || ' to ' || round(t.expected_high)::bigint as interval,
            round(100 * t.bias, 1) as bias_percent, round(t.mae, 3) as mae, round(t.auc, 3) as auc
        from ops.clv_fits f left join ops.clv_backtests t on f.fit_id = t.fit_id and f.model = t.model
        where f.run_id = $1 order by f.segment <> 'all', f.segment, f.model
        """,
        run_id,
    )


def _quarantined(con: duckdb.DuckDBPyConnection, settings: Settings, run_id: str) -> list[dict[str, Any]]:
    """Bad rows of a run by file and reason, with the first of each and its values; also those of refused deliveries.

    They are counted in the readable copies in CX_HOME/quarantine, the one place where rows of refused deliveries are.
    """
    found: list[dict[str, Any]] = []
    for path in sorted(settings.quarantine.glob(f"{run_id}.*.ndjson")):
        feed = path.name.removeprefix(f"{run_id}.").removesuffix(".ndjson")
        groups = con.execute(
            f"""
            with bad as (
                select file, line, raw, unnest(reasons) as reason
                from read_json({literal(str(path))}, format = 'newline_delimited', ignore_errors = true, columns = {{
                    file: 'varchar', line: 'bigint', reasons: 'varchar[]', raw: 'varchar'
                }})
                where line is not null
            ),
            by_reason as (
                select file, coalesce(nullif(regexp_extract(reason, '^([a-z][a-z0-9_]*): ', 1), ''), reason) as name,
                    count(*) as rows, min(line) as line, arg_min(reason, line) as reason, arg_min(raw, line) as raw
                from bad group by all
            )
            select file, name, rows, line, reason, raw, count(*) over () as groups from by_reason
            order by rows desc, file, line, name limit {_REASONS_A_FEED}
            """
        ).fetchall()
        for file, name, rows, line, reason, raw, of in groups:
            values = _public_values(settings, feed, name, raw)
            told = _public_reason(feed, name, reason)
            found.append(
                {"feed": feed, "file": file, "line": line, "rows": rows, "reason": told, "values": values, "of_groups": of}
            )
    return found


def _public_reason(feed: str, name: str, reason: str) -> str:
    """The reason without the value it quotes where the column is personal."""
    contract = load_contracts().get(feed)
    is_personal = contract is None or any(c.name == name and c.classification != "public" for c in contract.properties)
    return re.sub(r'^([a-z0-9_]+: )".*" ', rf"\1{_HIDDEN} ", reason, flags=re.DOTALL) if is_personal else reason


def _public_values(settings: Settings, feed: str, name: str, raw: str | None) -> dict[str, str]:
    """Values of the columns of the contract that a reason is about, before they were cast; only of columns that are public."""
    contract = load_contracts().get(feed)
    try:
        record = json.loads(raw or "")
    except ValueError:  # a record that has no row: nobody knows which part of it is which column
        return {}
    if contract is None or not isinstance(record, dict):
        return {}
    rule = next((rule.query for rule in contract.quality if rule.name == name), "")
    concerned = [c for c in contract.properties if c.name == name or re.search(rf"\b{c.name}\b", rule)]
    shown = {}
    for column in concerned:
        if column.classification == "public" and (value := _value(settings, feed, column.name, raw or "", record)) is not None:
            shown[column.name] = value[:80]
    return shown


def _value(settings: Settings, feed: str, column: str, raw: str, record: dict[str, Any]) -> str | None:
    """The text of a canonical column in a row as delivered, by the same SQL that read it; None where nothing can say it."""
    for source in settings.config.sources_of({feed}):
        header = None if source.format == "ndjson" else tuple(record)
        text = text_expression(source, column, header)
        if text is None:
            continue
        texts = [json.dumps(value) if isinstance(value, dict | list) else value for value in record.values()]
        values = [None if value is None else str(value) for value in texts]
        columns = ", ".join(f"cast(${n} as varchar) as {ident(name)}" for n, name in enumerate(record, start=2))
        columns = f"cast($1 as json) as _json, {columns}" if columns else "cast($1 as json) as _json"
        try:
            with duckdb.connect() as con:
                found = con.execute(
                    f"select cast({text} as varchar) from (select {columns}, '' as _file, 0 as _line)", [raw, *values]
                )
                return (found.fetchone() or (None,))[0] or ""
        except duckdb.Error:  # a row of another source of the feed
            continue
    return None


def _acceptances(con: duckdb.DuckDBPyConnection, today: date) -> list[dict[str, Any]]:
    """Who answers for which failed gate, newest first."""
    rows = [row for row in latest(all_rows(con)) if row.lets_through(today)][: -_LISTED - 1 : -1]
    shown = [{"id": row.id, **asdict(row), "accepted_by": row.who} for row in rows]
    return [{name: value for name, value in row.items() if value is not None and name not in ("who", "used_at")} for row in shown]


def _rows(con: duckdb.DuckDBPyConnection, query: str, *values: Any) -> list[dict[str, Any]]:
    return warehouse.records(con.execute(query, list(values)))


def _readers(settings: Settings, run_id: str) -> tuple[dict[str, Any], list[dict[str, Any]], bool]:
    """What readers see now, what that release restated, and whether it is what the run published."""
    seen: dict[str, Any] = {"release": None, "data_through": None, "published_at": None, "stale_feeds": [], "not_made": []}
    try:
        name = release.current(settings)
        if name is None:
            return seen, [], False
        manifest = release.manifest_of(settings, name)
    except (release.ReleaseError, OSError, ValueError):
        return seen, [], False
    seen = {
        "release": name,
        "data_through": manifest["data_through"],
        "published_at": manifest["published_at"],
        "stale_feeds": [
            {"feed": state["feed"], "data_through": state["data_through"]} for state in manifest["feeds"] if state["is_stale"]
        ],
        "not_made": manifest.get("not_made", []),
    }
    return seen, manifest["restated"], manifest["run_id"] == run_id


def _by_cause(counts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One row a kind and cause of values that changed: how many, of which metrics, on which days; final ones first."""
    found = []
    for kind, cause in sorted({(row["kind"], row["cause"]) for row in counts}, key=lambda pair: (pair[0] != "restatement", pair)):
        rows = [row for row in counts if (row["kind"], row["cause"]) == (kind, cause)]
        first, last = min(row["first_day"] for row in rows), max(row["last_day"] for row in rows)
        metrics = sorted({row["metric"] for row in rows})
        days = first if first == last else f"{first} .. {last}"
        cells = sum(row["cells"] for row in rows)
        plural = "" if cells == 1 else "s"
        values = f"final value{plural}" if kind == "restatement" else f"value{plural} ({kind.replace('_', ' ')})"
        sentence = f"restated by {cause}: {cells} {values} on {days} ({', '.join(metrics)})"
        found.append(
            {"kind": kind, "cause": cause, "cells": cells, "first_day": first, "last_day": last, "metrics": metrics,
             "sentence": sentence}
        )  # fmt: skip
    return found


def _failed_first(verdict: Verdict) -> tuple[float, str, str]:
    """Causes before what could not be judged for them."""
    order = {"block": 0.5 if verdict.is_consequence else 0, "hold": 1, "warn": 2}[verdict.severity]
    return (3 if verdict.passed else 2 if verdict.accepted else order), verdict.gate, verdict.subject


def _gate(verdict: Verdict) -> dict[str, Any]:
    state = {"block": "failed", "hold": "held", "warn": "warning"}[verdict.severity]
    return {
        "gate": verdict.gate,
        "subject": verdict.subject,
        "severity": verdict.severity,
        "passed": verdict.passed,
        "state": "passed" if verdict.passed else "accepted" if verdict.accepted else state,
        "figure": verdict.figure,
        "bound": verdict.bound,
        "message": verdict.message,
        "accepted": verdict.accepted,
        "is_consequence": verdict.is_consequence,
        "sentence": verdict.sentence(),
        "sample": [public_row(row) for row in verdict.sample],
    }


def public_row(row: dict[str, Any]) -> dict[str, Any]:
    """A sample row of a verdict; of whatever column a contract calls personal, only that there is a value."""
    personal = _personal_columns()
    return {name: _HIDDEN if value is not None and name in personal else value for name, value in row.items()}


@cache
def _personal_columns() -> set[str]:
    personal = {c.name for contract in load_contracts().values() for c in contract.properties if c.classification != "public"}
    return personal | {f"{name}_key" for name in personal}


def _phases(ran: Ran) -> list[dict[str, Any]]:
    """Seconds by what the run did; starting is what Dagster and imports cost, not a step."""
    sums: dict[str, float] = defaultdict(float)
    for step, seconds in ran.steps:
        sums[next((text for prefix, text in PHASES.items() if step.startswith(prefix)), step)] += seconds
    rest = (ran.ended - ran.began).total_seconds() - sum(sums.values())
    if sums and rest > 0:
        sums["starting and between steps"] = rest
    return [{"phase": phase, "seconds": round(seconds, 2)} for phase, seconds in sums.items()]


def _headline(report: dict[str, Any]) -> str:
    """The outcome in one sentence."""
    readers = report["readers"]
    keep = (
        f"readers keep {readers['release']}, through {readers['data_through']}"
        if readers["release"]
        else "there is no release yet"
    )
    failed = _causes(report)
    match report["outcome"]:
        case "published":
            silent = [gate["subject"] for gate in report["gates"] if (gate["gate"], gate["state"]) == ("arrival", "warning")]
            if silent:
                named = ", ".join(silent[:_NAMED]) + (f" and {len(silent) - _NAMED} more" if len(silent) > _NAMED else "")
                return f"Published through {readers['data_through']}, but nothing has come for long of {named}."
            return f"Published: every feed is up to date, through {readers['data_through']}."
        case "published_stale":
            feeds = ", ".join(_stale_text(state) for state in report["stale"])
            through = f"Published through {readers['data_through']}" + (f", but for {feeds}" if feeds else "")
            return through + (f", but not to PostgreSQL: {report['postgres']['problem']}." if is_behind(report) else ".")
        case "not_published":
            first = f"{failed[0]['gate']} failed on {failed[0]['subject']}" if failed else "a gate was not judged"
            more = f", and so did {_count(len(failed) - 1, 'more gate')}" if len(failed) > 1 else ""
            return f"Not published: {first}{more}; {keep}."
        case _:
            cause = (report["problems"] or ["the run ended before it published"])[0].rstrip(".")
            return f"{'Not begun' if report['was_refused'] else 'Failed'}: {cause}; {keep}."


def is_behind(report: dict[str, Any]) -> bool:
    """Whether PostgreSQL was to have what this run published, and has another release."""
    return bool(report.get("postgres") and report["postgres"]["is_behind"])


def _causes(report: dict[str, Any]) -> list[dict[str, Any]]:
    """Gates that block, without those that only could not be judged for another one; these where there is no other."""
    failed = [gate for gate in report["gates"] if gate["state"] == "failed"]
    return [gate for gate in failed if not gate["is_consequence"]] or failed


def _count(n: int, what: str) -> str:
    return f"{n} {what}" if n == 1 else f"{n} {what}s"


def _stale_text(state: dict[str, Any]) -> str:
    through = state.get("data_through")
    return f"{state['feed']}, which stays at its last good state" + (f" (newest delivery {through})" if through else "")


def _next(settings: Settings, ran: Ran, report: dict[str, Any], first_refused: date | None) -> list[dict[str, str]]:
    """What to do, in order: a sentence and the exact command."""
    if report["outcome"] == "published":
        return []
    again = _again(settings, ran, first_refused)
    steps: list[dict[str, str]] = []
    late: list[str] = []

    def step(do: str, command: str) -> None:
        if {"do": do, "command": command} not in steps:
            steps.append({"do": do, "command": command})

    for gate in [*_causes(report), *(gate for gate in report["gates"] if gate["state"] == "held")]:
        match gate["state"], gate["gate"]:
            case "failed", "row_accounting":
                step("rows were lost or counted twice: load and build everything anew, and report it", "cx rebuild")
            case "failed", _:
                step(f"correct the model or definition behind {gate['subject']} (sample rows show where); no day is lost", again)
            case "held", "row_rules":
                step(f"see which rows of {gate['subject']} are bad, and why", f"cx quarantine show --feed {gate['subject']}")
            case "held", "arrival":
                late.append(gate["subject"])
    for refused in report["refused_standing"]:
        step(f"deliver a corrected {refused['file']}, or correct cx.toml where it reads the file wrongly; then take it", again)
        if refused["gate"] in ACCEPTABLE:
            file = shlex.quote(refused["file"])
            step("or answer for it as it is, then take it", f'cx accept {refused["gate"]} --delivery {file} --reason "..."')
    if is_behind(report):
        step("do what PostgreSQL's message says, then copy the release there again", postgres.AGAIN)
    # A file that was refused is there; what is late comes last, in one line, so that it hides no cause.
    late = [feed for feed in dict.fromkeys(late) if feed not in {refused["feed"] for refused in report["refused_standing"]}]
    if late:
        more = f" and {len(late) - _NAMED} more" if len(late) > _NAMED else ""
        files = "file" if len(late) == 1 else "files"
        step(f"put the missing {files} of {', '.join(late[:_NAMED])}{more} into {settings.landing}, then take it", again)
    if not steps:
        if report["outcome"] == "published_stale" and report["stale_feeds"]:
            step(f"deliver what is missing of {', '.join(report['stale_feeds'])}, then take it", again)
        elif report["outcome"] == "not_published":
            step("a check did not run: see the log of the run", "cx ui")
            step("then run it again", again)
        else:
            step("do what the error says, then run it again: it goes on where this one was", again)
    return steps[:7] + steps[-1:] if len(steps) > 8 else steps


def _again(settings: Settings, ran: Ran, first_refused: date | None) -> str:
    """The command that takes what this run took, and refused deliveries before it, once more."""
    if ran.kind == "retry":
        return "cx quarantine retry"
    if ran.kind not in ("nightly", "backfill") or ran.first_day is None or ran.last_day is None:
        return f"cx {ran.kind}"
    try:
        yesterday = settings.yesterday()
    except ConfigError:
        yesterday = ran.last_day
    if ran.kind == "nightly" and ran.last_day == yesterday:
        return "cx nightly"
    first = min(ran.first_day, first_refused or ran.first_day)
    return f"cx nightly --day {first}" if first == ran.last_day else f"cx backfill {first} {ran.last_day}"


def sentences(report: dict[str, Any]) -> list[str]:
    """What is not as it should be, a line each: gates that failed first, stale feeds, restated final values, problems."""
    blocking = _causes(report)
    said = [
        gate["sentence"] for gate in report["gates"] if not gate["passed"] and (gate in blocking or not gate["is_consequence"])
    ]
    if unjudged := [gate for gate in report["gates"] if gate["is_consequence"] and gate not in blocking]:
        subjects = ", ".join(sorted({gate["subject"] for gate in unjudged}))
        said.append(f"not judged, because what they need failed: {_count(len(unjudged), 'gate')} on {subjects}")
    said += [f"stale: {feed} stays at its last good state; see cx status" for feed in report["stale_feeds"]]
    if is_behind(report):
        had = report["postgres"]["release"] or "no release yet"
        said.append(f"not in PostgreSQL, which has {had}: {report['postgres']['problem']}")
    said += [row["sentence"] for row in report["restatements"] if row["kind"] == "restatement"]
    return said + [f"error: {problem}" for problem in report["problems"]]


def write(settings: Settings, report: dict[str, Any]) -> Path:
    """Keep the report: report.json and report.html in a folder of its own; `latest` points to it. Returns the page's path."""
    began = datetime.fromisoformat(report["began"])
    folder = settings.reports / f"{began:%Y%m%dT%H%M%SZ}-{report['run']}"
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in ((DATA, json.dumps(report, indent=1) + "\n"), (PAGE, page(report))):
        fresh = folder / f".{name}"
        fresh.write_text(text, encoding="utf-8")
        os.replace(fresh, folder / name)
    fresh = settings.reports / f".{LATEST}-{os.getpid()}"
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(folder.name)
    os.replace(fresh, settings.reports / LATEST)
    try:
        keep = settings.config.reports.keep
    except ConfigError:
        keep = None
    for old in kept(settings)[:-keep] if keep else ():
        shutil.rmtree(old)
    return folder / PAGE


def kept(settings: Settings) -> list[Path]:
    """Folders of the reports there are, oldest first. Names sort by time."""
    if not settings.reports.is_dir():
        return []
    return sorted(path for path in settings.reports.iterdir() if path.is_dir() and not path.is_symlink() and path.name[0] != ".")


def find(settings: Settings, run: str | None = None) -> Path | None:
    """Folder of a run's report, by its id or the first letters of it; of the newest where no run is named."""
    if run is None:
        latest = settings.reports / LATEST
        return latest.resolve() if latest.exists() else None
    return next((path for path in reversed(kept(settings)) if path.name.partition("-")[2].startswith(run)), None)


def load(settings: Settings, run: str | None = None) -> dict[str, Any] | None:
    """The report of a run, or the newest; None where there is none."""
    folder = find(settings, run)
    try:
        return folder and json.loads((folder / DATA).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def unreported(settings: Settings) -> str | None:
    """The newest run that judged anything, where it was killed before it could be published or reported."""
    from orchestration.lib.run_lock import holder

    if not settings.warehouse.exists() or holder(settings):
        return None
    try:
        with warehouse.connect(settings, read_only=True) as con:
            row = con.execute("select max_by(run_id, judged_at) from ops.verdicts").fetchone()
            is_published = con.execute("from ops.releases where run_id = ?", list(row)).fetchone() is not None
    except duckdb.Error:  # a run has just begun
        return None
    return None if row[0] is None or is_published or find(settings, row[0]) else row[0]


def page(report: dict[str, Any]) -> str:
    """The report as one HTML page that needs nothing else: no script, no outside asset. Every value is escaped."""
    import jinja2

    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"number": lambda value: f"{value:,}", "adds": _adds, "kind": _kind, "moment": _moment}
    template = Path(__file__).with_name("report.html.j2").read_text(encoding="utf-8")
    return environment.from_string(template).render(report=report, hidden=_HIDDEN)


def _adds(gate: dict[str, Any]) -> bool:
    """Whether the sample rows of a gate say more than its figure, bound and message do."""
    told = [gate["figure"], gate["bound"], gate["subject"]]
    values = [value for row in gate["sample"] for value in row.values() if value is not None and str(value) not in told]
    return len(gate["sample"]) > 1 or any(not isinstance(value, str) or value not in gate["message"] for value in values)


def _kind(name: str, rows: list[dict[str, Any]]) -> str:
    """Class of a column on the page: `n` of numbers, `long` of what needs lines; the rest stays on one."""
    values = [row[name] for row in rows if row.get(name) is not None]
    if values and all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        return "n"
    return "long" if any(len(str(value)) > _LONG for value in values) else ""


def _moment(text: str) -> str:
    """A time of a report as people read it, to the minute."""
    return f"{datetime.fromisoformat(text).astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _one_line(text: str) -> str:
    return " ".join(text.split())


_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def _plain(value: Any) -> Any:
    """As JSON has it. What would command a terminal or turn text around is written out: file names may hold it."""
    if isinstance(value, dict):
        return {str(_plain(key)): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    text = str(value).encode("utf-8", "backslashreplace").decode()
    return _UNSEEN.sub(lambda match: match[0].encode("unicode_escape").decode(), text)
