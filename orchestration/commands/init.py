"""`cx init`: arguments and tables. What it does is in `orchestration.lib.draft`."""

from __future__ import annotations

from typing import Annotated

import typer

from orchestration.settings import ConfigError, Settings


def init(
    add: Annotated[bool, typer.Option("--add", help="Print the tables to add to the cx.toml that is there.")] = False,
) -> None:
    """Draft a cx.toml from the exports in the landing folder. Overwrites nothing.

    It recognises names of columns, delimiter, encoding, decimal mark and times, and marks what is for you to decide.
    """
    from orchestration.cli import _print_table, err, out
    from orchestration.lib.draft import draft, spreadsheets

    settings = Settings()
    settings.make_folders()
    path = settings.config_path
    if path.exists() and path.parent == settings.landing and (settings.landing / ".demo").exists():
        raise ConfigError(
            f'{path} is the demo\'s: give your exports a folder of their own (export CX_HOME="$HOME/cx"), put them into its '
            "landing/ and run cx init again"
        )
    if add:
        text, kinds = draft(settings, settings.config)
        err.print(f"{path} reads every file that is a feed's" if not kinds else f"to add to {path}, read through:")
        typer.echo(text.removeprefix("\n"), nl=False)
        return
    if path.exists():
        raise ConfigError(
            f"{path} is there already: change it (cx init --add prints the tables of files that it does not read), or move it "
            "away and run cx init again"
        )
    text, kinds = draft(settings)
    for name in spreadsheets(settings):
        out.print(f"skipped {name}: a workbook; save its sheet as CSV (in Excel: CSV UTF-8)")
    if not kinds:
        raise ConfigError(
            f"no CSV, NDJSON or Parquet file is in {settings.landing}: put your exports there, in any folders, named by day "
            "(orders_2026-01-31.csv), and run cx init again"
        )
    if not any(kind.header for kind in kinds):
        found = "; ".join(f"{kind.pattern}: {', '.join(kind.doubts) or 'empty'}" for kind in kinds[:5])
        raise ConfigError(
            f"no file in {settings.landing} has columns ({found}): put exports with a header line there and run cx init again"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    rows = [
        {
            "pattern": kind.pattern,
            "files": len(kind.files),
            "feed": kind.feed or "not recognised",
            "columns_matched": f"{len(kind.columns)} of {len(kind.header)}",
            "yours_to_fill_in": ", ".join(kind.missing),
        }
        for kind in kinds
    ]
    _print_table(None, list(rows[0]), rows)
    for kind in kinds:
        for doubt in kind.doubts:
            out.print(f"check {kind.pattern}: {doubt}")
    # What is not recognised is in no delivery, and the day a file was written says nothing of what it holds.
    days = sorted({day for kind in kinds if kind.feed for day in kind.days})
    out.print(f"wrote {path}")
    if days:
        out.print(f"next: read it through (search for CHECK and REQUIRED), then: cx backfill {days[0]} {days[-1]}")
    elif any(kind.feed for kind in kinds):
        out.print("next: name your files by day, like orders_2026-01-31.csv, move cx.toml away and run cx init again")
    else:
        out.print("next: complete it for those of your files that are a feed; docs/contracts.md says which there are")
