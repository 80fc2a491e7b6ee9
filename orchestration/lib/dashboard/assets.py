"""Files that all pages share: styles, scripts, words, and Vega as one script.

Belongs here: making them, and keeping Vega's script for the next release. Does not: data.

Vega, Vega-Lite and vega-embed come as one bundle out of the package vl-convert-python, which takes a second and a half to
make it: it is kept in the environment (`sys.prefix`), by version, and made anew where that cannot be written.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from functools import cache
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path

import yaml

SCRIPTS = ("core", "data", "format", "charts", "blocks", "page")
"""Parts of dashboard.js, in the order in which they need one another."""
LANGUAGES = ("en", "nl", "de", "it", "zh")
_HERE = files("orchestration.lib.dashboard")


def _text(name: str) -> str:
    return _HERE.joinpath(name).read_text(encoding="utf-8")


@cache
def words() -> dict[str, dict[str, str]]:
    """{key: {language: text}} of everything the pages say themselves; names of metrics are the registry's."""
    return yaml.load(_text("words.yml"), getattr(yaml, "CSafeLoader", yaml.SafeLoader))


@cache
def shared() -> dict[str, str]:
    """Texts of the shared files by name, without Vega."""
    by_language = {language: {key: texts[language] for key, texts in words().items()} for language in LANGUAGES}
    told = json.dumps(by_language, ensure_ascii=False, separators=(",", ":"))
    scripts = "\n".join(_text(f"static/{name}.js") for name in SCRIPTS)
    return {
        "dashboard.css": _text("static/dashboard.css"),
        "dashboard.js": f'(function () {{\n"use strict";\nconst WORDS = {told};\n{scripts}\n}})();\n',
    }


def vega_name() -> str:
    """File name of Vega's script; another version is another file."""
    return f"vega-{version('vl-convert-python')}.js"


def vega() -> str:
    """Vega, Vega-Lite and vega-embed as one script for the browser, with their licences at its head."""
    kept = Path(sys.prefix) / "share" / "cxmarts" / vega_name()
    try:
        return kept.read_text(encoding="utf-8")
    except OSError:
        pass
    import vl_convert

    # A bundle is a module; its names must not leak into the pages.
    text = f"{_text('static/vega-licences.txt')}\n(function () {{\n{vl_convert.javascript_bundle()}\n}})();\n"
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        handle, beside = tempfile.mkstemp(dir=kept.parent)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(beside, kept)
    except OSError:  # an environment that only others may write
        pass
    return text
