"""dbt's documentation of the project as one page, `docs/index.html` of every release: models, columns, lineage, metrics.

Belongs here: making that page once a version of the project, and putting it into a release. Does not: the site of `docs/`
(mkdocs.yml), or any data: the page holds definitions only.

It is what `dbt docs generate --static` writes, made of the manifest that is there anyway: in a tenth of a second, without
dbt's import and without a warehouse. Types of columns come from the contracts of the models, where dbt would ask the database.
"""

from __future__ import annotations

import filecmp
import hashlib
import importlib.util
import json
import os
import shutil
from pathlib import Path
from typing import Any

from orchestration.lib.dbt_manifest import TARGET, manifest_json, project_fingerprint

PAGE = "docs/index.html"
_MADE = TARGET / "docs" / "index.html"
_STAMP = TARGET / "docs" / "fingerprint"
# dbt's page asks nothing of anybody while usage statistics are off (they are); the browser is told so all the same.
_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; img-src data:; font-src data:; "
    "connect-src 'none'; form-action 'none'"
)
_UNREAD = ("build_path", "checksum", "compiled_path", "created_at", "doc_blocks", "root_path", "unrendered_config")
"""Fields of a node that the page shows nowhere."""


class DocsError(Exception):
    """This dbt's page has another shape than the one known here."""


def page() -> Path:
    """The page of this version of the project, made where it is missing or old.

    Raises:
        DocsError: dbt's page has no place for the manifest.
    """
    template = _template()
    fingerprint = hashlib.sha256(
        (project_fingerprint() + str(template.stat().st_size)).encode() + Path(__file__).read_bytes()
    ).hexdigest()
    if not (_MADE.exists() and _STAMP.exists() and _STAMP.read_text(encoding="utf-8") == fingerprint):
        text = template.read_text(encoding="utf-8")
        for name, data in (("MANIFEST", _manifest()), ("CATALOG", _catalog())):
            place = f'"{name}.JSON INLINE DATA"'
            if text.count(place) != 1:
                raise DocsError(f"dbt's page has no {place}: this dbt makes another one; see orchestration/lib/dbt_docs.py")
            # In a script of the page nothing may look like its end.
            text = text.replace(place, json.dumps(data, separators=(",", ":"), ensure_ascii=False).replace("</", "<\\/"))
        text = text.replace("<head>", f'<head><meta http-equiv="Content-Security-Policy" content="{_POLICY}">', 1)
        _MADE.parent.mkdir(parents=True, exist_ok=True)
        _STAMP.unlink(missing_ok=True)
        new = _MADE.with_suffix(f".{os.getpid()}")
        new.write_text(text, encoding="utf-8")
        os.replace(new, _MADE)
        _STAMP.write_text(fingerprint, encoding="utf-8")
    return _MADE


def put(building: Path, last: Path | None) -> list[str]:
    """Put the page into a release that is being written; where the last one has the same, its file is linked and not copied.

    Args:
        building: folder of the release.
        last: folder of the last one that is still there.

    Returns:
        The file written, relative to the folder of the release.
    """
    made, target = page(), building / PAGE
    target.parent.mkdir(parents=True)
    old = last / PAGE if last else None
    if old is not None and old.exists() and filecmp.cmp(old, made, shallow=False):
        os.link(old, target)
    else:
        shutil.copyfile(made, target)
    return [PAGE]


def _template() -> Path:
    spec = importlib.util.find_spec("dbt")  # a namespace package: finding it imports nothing
    for folder in spec.submodule_search_locations if spec and spec.submodule_search_locations else ():
        path = Path(folder) / "task" / "docs" / "index.html"
        if path.exists():
            return path
    raise DocsError("dbt is installed without the page of its documentation: run make setup")


def _manifest() -> dict[str, Any]:
    """The manifest without what the page never shows."""
    manifest = {**manifest_json()}
    for kind in ("nodes", "sources", "metrics", "exposures", "semantic_models", "saved_queries"):
        manifest[kind] = {
            name: {field: value for field, value in node.items() if field not in _UNREAD} for name, node in manifest[kind].items()
        }
    manifest["macros"] = {name: node for name, node in manifest["macros"].items() if node["package_name"] == "cxmarts"}
    manifest["unit_tests"] = {}  # made-up rows, and a tenth of the page
    manifest["metadata"] = {**manifest["metadata"], "send_anonymous_usage_stats": False}
    return manifest


def _catalog() -> dict[str, Any]:
    """What dbt would read from the database, from the contracts of the models: columns and their types."""
    nodes = {
        name: {
            "unique_id": name,
            "metadata": {"type": "table", "schema": node["schema"], "name": node["name"], "database": node["database"],
                         "comment": None, "owner": None},
            "columns": {
                column: {"name": column, "index": n, "type": about["data_type"] or "", "comment": None}
                for n, (column, about) in enumerate(node["columns"].items(), start=1)
            },
            "stats": {},
        }
        for name, node in manifest_json()["nodes"].items() if node["resource_type"] == "model"
    }  # fmt: skip
    return {"metadata": {}, "nodes": nodes, "sources": {}, "errors": None}


if __name__ == "__main__":
    print(page())
