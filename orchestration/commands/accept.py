"""`cx accept`: arguments and tables. What it does is in `orchestration.lib.acceptances`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from data_quality.acceptance import ACCEPTABLE
from orchestration.settings import Settings


def accept(
    gate: Annotated[str | None, typer.Argument(help=f"The gate that failed: {', '.join(ACCEPTABLE)}.")] = None,
    delivery: Annotated[
        str | None,
        typer.Option("--delivery", help="A delivery or its file; for arrival a day; for mart_moved and metric_moved a mart."),
    ] = None,
    feed: Annotated[str | None, typer.Option("--feed", help="The feed, where the file or day alone does not say it.")] = None,
    reason: Annotated[str | None, typer.Option("--reason", help="Why. It stands in every manifest and report.")] = None,
    days: Annotated[int, typer.Option("--days", min=1, max=365, help="How many days it lets this through.")] = 30,
    revoke: Annotated[
        str | None, typer.Option("--revoke", metavar="ID", help="Take an acceptance back, with --reason; --list shows its ID.")
    ] = None,
    show: Annotated[bool, typer.Option("--list", help="Show every acceptance there is, newest first.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print machine-readable JSON instead of tables.")] = False,
) -> None:
    """Answer for a failed gate on one delivery: the next run lets exactly this content through, and says who accepted it.

    With --revoke ID: it lets nothing more through. What it let through before stays.

    A file that cannot be read, lost rows, and marts that break their contract or a test can never be accepted.
    """
    from orchestration.cli import _print_json, out
    from orchestration.lib import acceptances

    settings = Settings()
    if show:
        rows = acceptances.listed(settings)
        if as_json:
            _print_json(rows)
        else:
            print_acceptances(rows)
        return
    if revoke is not None:
        if not reason or gate is not None or delivery is not None:
            raise typer.BadParameter("cx accept --revoke ID --reason WHY, and nothing else")
        row = acceptances.revoke(settings, revoke, reason)
        if as_json:
            _print_json({"id": row.id, **row.__dict__})
            return
        out.print(f"{row.id}, {row.gate} on {row.delivery} of {row.day}: revoked by {row.revoked_by}: {row.revoked_because}")
        out.print(
            f"It had let something through since {row.used_at:%Y-%m-%d %H:%M} UTC, which stays: put a corrected file under the "
            "name to replace it."
            if row.used_at
            else "It had let nothing through: the gate holds again, as if nobody had accepted it."
        )
        return
    missing = [name for name, value in (("GATE", gate), ("--delivery", delivery), ("--reason", reason)) if not value]
    if missing or gate is None or delivery is None or reason is None:
        raise typer.BadParameter(f"{', '.join(missing)}: cx accept GATE --delivery FILE --reason WHY, or cx accept --list")
    row = acceptances.accept(settings, gate, delivery, feed, reason, days)
    if as_json:
        _print_json({"id": row.id, **row.__dict__})
        return
    bound = f", content {row.content_hash[:12]}" if row.content_hash and not row.content_hash.startswith("figure") else ""
    out.print(f"{row.gate} on {row.delivery} of {row.day}{bound}: {row.sentence()}")
    out.print(f"That means: {ACCEPTABLE[row.gate]}. Run `cx nightly` now, or leave it to the next night.")
    out.print(f"Until then `cx accept --revoke {row.id} --reason WHY` takes it back.")


def print_acceptances(rows: list[dict[str, Any]]) -> None:
    """A table of acceptances; a sentence where there are none."""
    from orchestration.cli import _print_table, out

    if not rows:
        out.print("nothing was ever accepted")
        return
    columns = ["id", "gate", "subject", "delivery", "day", "state", "who", "accepted_at", "expires_on", "reason"]
    _print_table("acceptances", columns, rows)
