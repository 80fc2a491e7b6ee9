"""`cx publish`: arguments and a line. What it does is in `orchestration.lib.postgres`."""

from __future__ import annotations

from typing import Annotated

import typer

from orchestration.settings import Settings

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Copy the current release to where else it is read.")


@app.callback()
def publish() -> None:
    """Copy the current release to where else it is read."""


@app.command()
def postgres(
    whole: Annotated[bool, typer.Option("--whole", help="Write every row, and not only the months that changed.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print machine-readable JSON instead of a line.")] = False,
) -> None:
    """Copy the current release to the schema of [postgres] in cx.toml, in one transaction; nights do it by themselves."""
    from orchestration.cli import _print_json, out
    from orchestration.lib.postgres import publish
    from orchestration.lib.run_lock import run_lock

    settings = Settings()
    settings.open_home()
    with run_lock(settings, "cx publish postgres"):
        copied = publish(settings, whole=whole)
    if as_json:
        _print_json(vars(copied))
    else:
        wrote = f"{copied.parts} parts with {copied.rows} rows written" if copied.parts else "it had all of it"
        out.print(
            f"release {copied.release} is in the schema {copied.schema}: {copied.tables} tables, {wrote}; {copied.seconds} s"
        )
