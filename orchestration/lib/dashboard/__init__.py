"""The dashboard of a release: pages that open from disk, written into the release before its manifest.

Belongs here: putting pages together and writing them. Does not: what they show (`pages`), their data (`data`), what all of
them share (`assets`), or how they look and act (`static/`).

A page holds its data and loads three files beside it, by relative classic scripts and a style sheet: nothing is fetched,
nothing listens, and it works from a mailed or copied folder. Page and data swap together, because both are the release.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import jinja2

from orchestration.lib.dashboard import assets, data
from orchestration.lib.dashboard.pages import PAGES, Block

if TYPE_CHECKING:
    from orchestration.settings import Settings

FOLDER = "dashboard"
MAX_PAGE_BYTES = 5_000_000
_NOT_DRAWN = (
    '<!doctype html><html lang="en"><meta charset="utf-8"><title>Not drawn</title><p>The dashboard of this release could not be '
    "drawn; the report of its run says why. The numbers are in the release: <code>cx query</code>, cx.duckdb, parquet/.</p>\n"
)


def write(building: Path, database: str, manifest: Mapping[str, Any], settings: Settings) -> list[str]:
    """Write the dashboard into the folder of a release that is being built.

    Args:
        building: that folder; its database is complete and closed.
        database: name of the database in it.
        manifest: what the release says of itself: feeds, gates, acceptances.
        settings: whether pages of persons are allowed, and the reporting currency.

    Returns:
        The files written, relative to the folder of the release.
    """
    folder = building / FOLDER
    (folder / "assets").mkdir(parents=True)
    written = []
    with duckdb.connect(str(building / database), read_only=True) as con:
        pages = _pages(con, manifest, settings)
    for name, text in pages.items():
        (folder / name).write_text(text, encoding="utf-8")
        written.append(f"{FOLDER}/{name}")
    for name, text in {**assets.shared(), assets.vega_name(): assets.vega()}.items():
        (folder / "assets" / name).write_text(text, encoding="utf-8")
        written.append(f"{FOLDER}/assets/{name}")
    return written


def write_not_drawn(building: Path) -> list[str]:
    """Write the one page that says why there are no others; return the files written."""
    folder = building / FOLDER
    folder.mkdir()
    (folder / PAGES[0].file).write_text(_NOT_DRAWN, encoding="utf-8")
    return [f"{FOLDER}/{PAGES[0].file}"]


def _pages(con: duckdb.DuckDBPyConnection, manifest: Mapping[str, Any], settings: Settings) -> dict[str, str]:
    """Text of every page by file name."""
    allows_persons = settings.config.dashboard.personal_data
    pages = [page for page in PAGES if allows_persons or not page.is_personal]
    tables = data.tables_of(con)
    told = data.definitions(con)
    held_against = data.targets(con, tables)
    for name, days in data.maturities(con).items():
        told[name]["final_days"] = days
    calendar = data.calendar(con, manifest["data_through"])
    answers: dict[Any, Any] = {}
    template = _template()
    common = {
        "release": manifest["release"],
        "publishedAt": manifest["published_at"],
        **calendar,
        "currency": settings.config.business.reporting_currency,
        "stale": [{key: state[key] for key in ("feed", "data_through")} for state in manifest["feeds"] if state["is_stale"]],
        "pages": [page.name for page in pages],
        "languages": list(assets.LANGUAGES),
        "personalData": allows_persons,
        "lateDays": settings.config.business.late_allowance_days,
        "lapse": data.first_lapse(con, settings.config.business.churn_inactive_days),
    }
    # One scan for all pages. What only one page draws finely, only that page's metrics are read for.
    fine = {(metric, name) for page in pages for name in page.fine for metric in page.metrics}
    drawn, left_out = data.series(con, set().union(*(page.metrics for page in pages)), calendar, fine)
    texts = {}
    for page in pages:
        names = sorted(page.metrics) if page.metrics else []
        head = {
            **common,
            "page": page.name,
            "blocks": [_block(con, block, tables, answers) for block in page.blocks],
            "metrics": {name: told[name] for name in names if name in told},
            "targets": {name: held_against[name] for name in names if name in held_against},
        }
        head |= page.told(manifest, told) if page.told else {}
        # metrics that are only named, in a table
        named = {name for block in head["blocks"] for name in data.named(block.get("rows"))} - set(head["metrics"])
        others = {name: {"labels": told[name]["labels"], "unit": told[name]["unit"]} for name in sorted(named & set(told))}
        head |= {"names": others} if others else {}
        head["leftOut"] = {name: left_out[name] for name in names if name in left_out}
        payload = _payload(head, {name: drawn.get(name, []) for name in names})
        if len(payload.encode()) > MAX_PAGE_BYTES * 0.9:
            thinned = {
                name: [one for one in drawn.get(name, ()) if one.grain != "W" or one.breakdown in _WHOLE] for name in names
            }
            payload = _payload({**head, "isThinned": True}, thinned)
        texts[page.file] = template.render(page=page, data=payload, vega=assets.vega_name(), words=_english)
    return texts


_WHOLE = ("total", "cell")
"""Breakdowns that are none. Of the others a page that would grow too big has the months only."""


def _payload(head: Mapping[str, Any], drawn: Mapping[str, list[data.Series]]) -> str:
    """What a page knows, as it stands in its script element."""
    listed = ",\n".join(f"{json.dumps(name)}:[{','.join(one.text for one in told)}]" for name, told in drawn.items())
    return _in_script(f'{_json(head)[:-1]},"series":{{{listed}}}}}')


def _block(con: duckdb.DuckDBPyConnection, block: Block, tables: set[str], answers: dict[Any, Any]) -> dict[str, Any]:
    """A block as its function in the browser takes it."""
    one: dict[str, Any] = {"kind": block.kind, "word": block.word, "picks": list(block.picks), "options": block.options}
    if missing := sorted(set(block.marts) - tables):
        one["missing"] = missing
    elif block.rows is not None:
        if block.rows not in answers:
            answers[block.rows] = block.rows(con)
        one["rows"] = answers[block.rows]
    return one


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, default=str, allow_nan=False)


def _in_script(text: str) -> str:
    """JSON that cannot end the script element it stands in: no `<` is left, and JSON allows its escape anywhere in a text."""
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _english(key: str) -> str:
    return assets.words()[key]["en"]


def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("orchestration.lib.dashboard"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page.html.j2")
