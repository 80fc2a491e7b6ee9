"""Alerts: one message per incident, by Apprise, to whatever channels an environment variable names.

Belongs here: what an incident is, whether it is news, the message; and that nothing of it fails a run. Does not: what a
report says (`report`).

An incident is the set of things that fail; CX_HOME/reports/incident.json remembers the one that is open. The same set the
next night is no news; another one is, and so is that nothing fails any more. URLs are secrets: they come from the
environment, and no log, error or report repeats them.
"""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestration.lib import report as reports
from orchestration.settings import Alerts, ConfigError

if TYPE_CHECKING:
    from orchestration.settings import Settings

_SHOWN = 8


def deliver(settings: Settings, report: dict[str, Any], is_news: bool = True, is_unattended: bool = False) -> dict[str, Any]:
    """Write a report, and tell who is to be told. What of that does not work is a warning in the report, and fails no run.

    Args:
        settings: whose reports and channels.
        report: of a run.
        is_news: not of a run that was killed long ago.
        is_unattended: a schedule asked for it, so nobody sees at a terminal that another run was at work.
    """
    if not settings.home.is_dir():
        return report
    try:
        path = reports.write(settings, report)
        warnings = tell(settings, report, path, is_unattended) if is_news else []
        if warnings:
            report["warnings"] += warnings
            reports.write(settings, report)
    except Exception as error:  # the disk may be full: the terminal still shows the report
        report["warnings"].append(f"the report could not be kept: {' '.join(str(error).split())}")
    return report


def tell(settings: Settings, report: dict[str, Any], page: Path, is_unattended: bool = False) -> list[str]:
    """Send what is news of a run; return warnings about channels that did not work. Never raises what a channel raises.

    A night that is skipped because another run is at work is told by itself: it is no incident that the other run ends.
    """
    try:
        config = settings.config.alerts
    except ConfigError:
        config = Alerts() if os.environ.get(Alerts().urls_env) else None  # cx.toml is what is wrong
    # Whoever interrupts a run, or is refused because another one is at work, knows; the other run tells its own outcome.
    if config is None or reports.INTERRUPTED in report["problems"]:
        return []
    if _is_locked_out(report):
        return _send(config, "skipped", report, page)[0] if is_unattended and "failed" in config.on else []
    path = settings.reports / "incident.json"
    before = _read(path)
    failing = failing_set(report)
    kind = "held" if report["outcome"] == "published_stale" else "failed" if failing else "recovered"
    if not (failing or before["failing"]) or (failing == before["failing"] and before["is_told"]):
        return []
    is_due = kind in config.on and (bool(failing) or before["is_known"])
    warnings, took = _send(config, kind, report, page) if is_due else ([], 0)
    if failing:
        # What nobody took is told again the next night, and news that it is over go to those only who know of it.
        is_known = took > 0 or before["is_known"]
        _write(path, {"failing": failing, "is_told": took > 0, "is_known": is_known, "run": report["run"]})
    elif took or not is_due:
        path.unlink(missing_ok=True)
    return warnings


def failing_set(report: dict[str, Any]) -> list[str]:
    """What makes an incident the same one the next night: gates and what they are about, files, feeds; no figures, no days."""
    if report["outcome"] == "published":
        return []
    found = {f"{gate['gate']} on {gate['subject']}" for gate in report["gates"] if gate["state"] == "failed"}
    found |= {f"{refused['feed']}: {refused['file']}" for refused in report["refused_standing"]}
    if reports.is_behind(report):
        found.add("PostgreSQL is behind")
    of_files = {refused["feed"] for refused in report["refused_standing"]}
    found |= {f"{feed} is stale" for feed in report["stale_feeds"] if feed not in of_files}
    if not found or report["outcome"] == "failed":
        found |= {re.sub(r"[0-9a-f]{8,}|[0-9]+", "#", problem) for problem in report["problems"]}
    return sorted(found or {report["outcome"]})


def message(kind: str, report: dict[str, Any], page: Path) -> tuple[str, str]:
    """Title and text: what failed, what readers see now, the next command, where the report is."""
    held_up = [*report["stale_feeds"], *(["PostgreSQL"] if reports.is_behind(report) else [])]
    about = ", ".join(held_up) if kind == "held" else report["outcome"].replace("_", " ")
    about = "another run is at work" if kind == "skipped" else about
    title = f"cxmarts: {report['what']} {'recovered' if kind == 'recovered' else f'{kind}: {about}'}"
    lines = [report["headline"]]
    lines += [gate["sentence"] for gate in report["gates"] if gate["state"] in ("failed", "held")][:_SHOWN]
    lines += [f"{refused['file']}: {refused['reason']}" for refused in report["refused_standing"][:_SHOWN]]
    for bad in report["quarantined"][:_SHOWN] if kind != "recovered" else ():
        lines.append(f"{bad['file']}, line {bad['line']}: {bad['reason']} ({bad['rows']} rows)")
    lines += [problem for problem in report["problems"][:_SHOWN] if problem.rstrip(".") not in report["headline"]]
    readers = report["readers"]
    seen = f"release {readers['release']}, through {readers['data_through']}" if readers["release"] else "nothing yet"
    held = ", ".join(f"{feed['feed']} (through {feed['data_through']})" for feed in readers["stale_feeds"])
    lines.append(f"Readers see: {seen}" + (f"; stale: {held}" if held else ""))
    lines += [f"Next: {step['do']}: {step['command']}" for step in report["next"][:3]]
    lines.append(f"Report: {page}")
    return title, "\n".join(dict.fromkeys(lines))


def _is_locked_out(report: dict[str, Any]) -> bool:
    return report["was_refused"] and any(problem.startswith("another run holds") for problem in report["problems"])


def _send(config: Alerts, kind: str, report: dict[str, Any], page: Path) -> tuple[list[str], int]:
    """Send to every channel: warnings about those that did not take it, never by their URL; and how many did."""
    text = os.environ.get(config.urls_env, "")
    if not text.strip():
        return [f"no alert was sent: cx.toml has [alerts], and the environment variable {config.urls_env} is not set"], 0
    with _silent():
        import apprise
        from apprise.utils.parse import parse_urls

        kinds = {
            "failed": apprise.NotifyType.FAILURE,
            "held": apprise.NotifyType.WARNING,
            "skipped": apprise.NotifyType.WARNING,
            "recovered": apprise.NotifyType.SUCCESS,
        }
        title, body = message(kind, report, page)
        warnings, took = [], 0
        urls = parse_urls(text)
        for n, url in enumerate(urls, start=1):
            channel = apprise.Apprise()
            place = f"channel {n} of {len(urls)} in {config.urls_env}"
            try:
                if not channel.add(url):
                    warnings.append(f"{place} is not a URL that Apprise knows")
                elif not channel.notify(body=body, title=title, notify_type=kinds[kind], body_format=apprise.NotifyFormat.TEXT):
                    warnings.append(f"{place} did not take the alert")
                else:
                    took += 1
            except Exception as error:  # its message may hold the URL
                warnings.append(f"{place} did not take the alert ({type(error).__name__})")
    if not urls:
        warnings.append(f"no alert was sent: {config.urls_env} holds no URL")
    return warnings, took


@contextmanager
def _silent() -> Iterator[None]:
    """Apprise and urllib3 log URLs, and URLs hold passwords."""
    loggers = [logging.getLogger(name) for name in ("apprise", "urllib3", "requests")]
    before = [(logger, logger.level, logger.propagate) for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL + 1)
        logger.propagate = False
    try:
        yield
    finally:
        for logger, level, propagate in before:
            logger.setLevel(level)
            logger.propagate = propagate


def _read(path: Path) -> dict[str, Any]:
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
        return {"failing": list(known["failing"]), "is_told": bool(known["is_told"]), "is_known": bool(known["is_known"])}
    except (OSError, ValueError, KeyError, TypeError):
        return {"failing": [], "is_told": False, "is_known": False}


def _write(path: Path, incident: dict[str, Any]) -> None:
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps(incident, indent=1) + "\n", encoding="utf-8")
    os.replace(fresh, path)
