"""`cx suggest`: arguments and tables. What it does is in `orchestration.lib.churn_window`."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchestration.settings import Settings

if TYPE_CHECKING:
    from orchestration.lib.churn_window import FalseChurn

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="What your own data suggest for a configured value. Reads the current release, changes nothing.",
)


@app.callback()
def _group() -> None:
    """So that a group of one command stays a group."""


@app.command("churn-window")
def churn_window(
    false_churn: Annotated[
        float, typer.Option("--false-churn", min=0, max=1, help="Largest share of those called lost that may come back.")
    ] = 0.25,
    horizon: Annotated[int, typer.Option("--horizon", min=1, max=3650, help="Days after the window in which they may.")] = 365,
    as_json: Annotated[bool, typer.Option("--json", help="Print machine-readable JSON instead of tables.")] = False,
) -> None:
    """Suggest how many days without an order make somebody lost: churn_inactive_days, by the gaps between your purchases.

    Per entry channel, the smallest window of which at most a share comes back, and what the configured window costs.
    """
    from orchestration.cli import _print_json, _print_table, out
    from orchestration.commands.quarantine import _printable
    from orchestration.lib.churn_window import suggest

    found = suggest(Settings(), false_churn, horizon)
    if as_json:
        _print_json(asdict(found))
        return
    out.print(
        f"purchases through {found.as_of}; at most {false_churn:.1%} of those called lost may come back within {horizon} days"
    )
    rows: list[dict[str, Any]] = [
        {
            "segment": "all" if one.dimension == "all" else f"{one.dimension} {_printable(one.segment)}",
            "purchases": one.purchases,
            "watched_days": one.watched_days,
            "suggested_days": one.suggested and one.suggested.days,
            "silent": one.suggested and one.suggested.silent,
            "come_back": _share(one.suggested),
            "configured_days": found.configured_days,
            "configured_silent": one.configured and one.configured.silent,
            "configured_come_back": _share(one.configured),
        }
        for one in found.segments
    ]
    _print_table(None, list(rows[0]), rows)
    for row, one in zip(rows, found.segments, strict=True):
        if one.note:
            out.print(f"{row['segment']}: {one.note}")
    if found.line is None:
        out.print("nothing to write into cx.toml: see above")
    else:
        out.print("for cx.toml, one window for all segments (the next run then builds everything anew, and says so):")
        out.print(f"[business]\n{found.line}")


def _share(cost: FalseChurn | None) -> str | None:
    """A share with its interval, as people read it."""
    if cost is None:
        return None
    interval = "" if cost.low is None or cost.high is None else f" ({cost.low:.1%} to {cost.high:.1%})"
    return f"{cost.share:.1%}{interval}"
