"""`cx quarantine`: arguments and tables. What it does is in `orchestration.lib.quarantine`."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Annotated

import typer

from orchestration.settings import Settings

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Bad rows and refused deliveries: count them, see them, take them out, have them judged again.",
)
Feed = Annotated[str | None, typer.Option("--feed", help="Only of this feed.")]
Delivery = Annotated[str | None, typer.Option("--delivery", help="Only of this delivery; the name of its file will do.")]
Json = Annotated[bool, typer.Option("--json", help="Print machine-readable JSON instead of tables.")]


@app.command("list")
def list_(feed: Feed = None, delivery: Delivery = None, as_json: Json = False) -> None:
    """Count what is in quarantine, by feed, delivery and reason. A row with two reasons counts for both."""
    from orchestration.cli import _print_json, _print_table, out
    from orchestration.lib import quarantine

    found = quarantine.counts(Settings(), feed, delivery)
    if as_json:
        _print_json(found)
    elif not found:
        out.print("nothing is in quarantine")
    else:
        _print_table(None, ["feed", "delivery_day", "file", "status", "rows", "reason"], found)
        bad = sum(row.line is not None for row in quarantine.rows(Settings(), feed, delivery))
        several = sum(line["rows"] or 0 for line in found) > bad
        out.print(
            f"bad rows: {bad}"
            + ("; one with several reasons is counted for each of them" if several else "")
            + ("; where rows is empty, the reason is of the whole file" if any(line["rows"] is None for line in found) else "")
        )


@app.command()
def show(
    feed: Feed = None,
    delivery: Delivery = None,
    limit: Annotated[int, typer.Option(min=1, help="Rows to show.")] = 20,
    as_json: Json = False,
) -> None:
    """Show rows with file, line, every reason and the text as delivered, which may be personal data."""
    from orchestration.cli import _print_json, _print_table, out
    from orchestration.lib import quarantine

    every = list(quarantine.rows(Settings(), feed, delivery))
    shown = [vars(row) for row in islice(every, limit)]
    if as_json:
        _print_json(shown)
        return
    if not every:
        out.print("nothing is in quarantine")
        return
    for row in shown:
        row["line"] = "" if row["line"] is None else f":{row['line']}"
        place = f"{row['file']}{row['line']}"
        # What came from a file must not steer the terminal.
        texts = [place, "; ".join(row["reasons"]), row["raw"] or ""]
        row |= dict(zip(("place", "reasons", "raw"), map(_printable, texts), strict=True))
    _print_table(None, ["feed", "place", "status", "reasons", "raw"], shown)
    if len(every) > limit:
        out.print(f"{limit} of {len(every)} rows; --limit shows more, cx quarantine export all")


@app.command()
def export(
    out_file: Annotated[Path, typer.Option("--out", help="File to write, which ends in .csv, .ndjson or .jsonl.")],
    feed: Feed = None,
    delivery: Delivery = None,
) -> None:
    """Write every row with its reasons to a file. It holds the text as delivered: treat it as personal data."""
    from orchestration.cli import out
    from orchestration.lib import quarantine

    n = quarantine.export(Settings(), out_file, feed, delivery)
    out.print(f"{n} rows in {out_file}")


@app.command()
def retry(feed: Feed = None, delivery: Delivery = None, as_json: Json = False) -> None:
    """Take the deliveries again that have bad rows or were refused, as a night would, and publish what came of it.

    After a file, a mapping or a rule was corrected. Exit codes are those of `cx nightly`.
    """
    from orchestration.cli import _run, err
    from orchestration.lib import quarantine

    settings = Settings()
    settings.open_home()
    window, deliveries = quarantine.retake(settings, feed, delivery)
    err.print(f"taking again: {', '.join(deliveries[:5])}{f' and {len(deliveries) - 5} more' if len(deliveries) > 5 else ''}")
    raise typer.Exit(_run(settings, "retry", window, as_json))


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
