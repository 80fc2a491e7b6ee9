"""`cx report`, and how a report looks in a terminal. What it says comes from `orchestration.lib.report`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchestration.settings import ConfigError, Settings

if TYPE_CHECKING:
    from pathlib import Path

_NAMED = 3
"""As many feeds are named whose deliveries a run took."""


def report(
    run: Annotated[str | None, typer.Argument(help="A run, by its id or the beginning of it; default: the newest.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report itself as JSON.")] = False,
) -> None:
    """Print the path of a run's report, one HTML page: deliveries, gates, samples, durations, and what to do next."""
    from orchestration.cli import _print_json, out
    from orchestration.lib import report as reports

    settings = Settings()
    folder = reports.find(settings, run)
    if folder is None:
        there = ", ".join(path.name for path in reports.kept(settings)[-5:]) or "none yet: run cx nightly or cx backfill"
        raise ConfigError(f"no report of {'a run' if run is None else run} in {settings.reports}; there are: {there}")
    if as_json:
        _print_json(reports.load(settings, run))
    else:
        out.print(str(folder / reports.PAGE))


def show(made: dict[str, Any], page: Path | None) -> None:
    """Print a report: what was taken, what is not as it should be, what readers see, what to do."""
    from orchestration.cli import _print_table, err, out
    from orchestration.lib.report import sentences

    taken, rows, bad = (sum(row[name] for row in made["deliveries"]) for name in ("deliveries", "rows_read", "rows_quarantined"))
    feeds = [row["feed"] for row in made["deliveries"]]
    # Who corrected one file wants to see that no other was read again.
    of = f", all of {', '.join(feeds)}" if len(feeds) <= _NAMED else ""
    news = f"{taken} {'delivery' if taken == 1 else 'deliveries'}, {rows} rows, {bad} in quarantine{of}"
    news = news if taken else "nothing new was delivered"
    out.print(f"{made['what']}: {news}; {made['gates_passed']} gates passed; {made['seconds']} s")
    samples = {gate["sentence"]: gate["sample"] for gate in made["gates"] if gate["state"] == "failed" and gate["sample"]}
    for sentence in sentences(made):
        if sentence.startswith("error: "):
            err.print(sentence)
            continue
        out.print(f"  {sentence}")
        if sentence in samples:
            _print_table(None, list(samples[sentence][0]), samples[sentence])
    for warning in made["warnings"]:
        err.print(f"warning: {warning}")
    for step in made["next"]:
        out.print(f"  next: {step['do']}: {step['command']}")
    if made["published"]:
        out.print(f"published {made['published']}")
    else:
        err.print(f"not published; readers see {made['current'] or 'no release yet'}. Run {made['run']}: cx ui shows its log.")
    if page is not None:
        out.print(f"report {page}")
