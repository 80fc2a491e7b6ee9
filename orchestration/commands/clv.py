"""`cx clv`: arguments and tables. What it does is in `orchestration.lib.clv_fit` and `orchestration.lib.clv_as_of`."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from orchestration.settings import Settings

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Predicted customer lifetime value: fit it now, have the scores of a past day, take parameters of another library.",
)
Json = Annotated[bool, typer.Option("--json", help="Print machine-readable JSON instead of tables.")]


@app.command()
def fit(as_json: Json = False) -> None:
    """Fit anew as of the last complete day, score with the result, and publish: a night that waits for nothing."""
    from orchestration.cli import _run
    from orchestration.cli import out as console
    from orchestration.lib import clv_as_of
    from orchestration.partitions import Window

    settings = Settings()
    through = clv_as_of.data_through(settings)
    code = _run(settings, "nightly", Window.of_days(through, through), as_json, with_fit=True)
    if not as_json and not clv_as_of.is_fitted(settings, through):
        least = settings.config.business.clv_min_repeat_customers
        console.print(f"nothing was fitted: fewer than {least} customers (clv_min_repeat_customers) bought on two days")
    raise typer.Exit(code)


@app.command("as-of")
def as_of(
    day: Annotated[datetime, typer.Argument(formats=["%Y-%m-%d"], help="A day up to the last complete one.")],
    out: Annotated[Path, typer.Option("--out", help="File to write: .parquet or .csv.")],
) -> None:
    """Write the scores of everybody as of a past day, by what is known of it now and the fit that was newest then."""
    from orchestration.cli import out as console
    from orchestration.lib import clv_as_of

    persons, fitted_on = clv_as_of.write(Settings(), day.date(), out)
    hindsight = " That is hindsight: they were estimated from what came later, too." if fitted_on > day.date() else ""
    console.print(f"{out}: {persons} persons as of {day.date()}, parameters of {fitted_on}.{hindsight}")


@app.command("import")
def import_(
    file: Annotated[
        Path, typer.Argument(help="CSV with columns segment, as_of_date, model and its parameters; header in line 1.")
    ],
    source: Annotated[str, typer.Option("--source", help="Who estimated them, as in clv_params.source.")],
) -> None:
    """Take parameters that another library has estimated. The next run scores with them from their day on."""
    from orchestration.cli import out as console
    from orchestration.lib import clv_as_of

    taken, unknown = clv_as_of.take(Settings(), file, source)
    for segment in unknown:
        console.print(f"warning: nobody is in segment {segment!r} (clv_segment in cx.toml), so that fit scores nobody yet")
    fits = "1 fit" if taken == 1 else f"{taken} fits"
    console.print(f"{fits} of {source} taken. Run `cx nightly` now, or leave it to the next night.")
