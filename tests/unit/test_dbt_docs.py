"""dbt's page of the project in every release: whole, self-contained, made once; exposures name what is read."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

from orchestration.lib import dbt_docs, dbt_manifest
from orchestration.lib.dbt_manifest import definitions_fingerprint, manifest_json, marts, metrics, project_fingerprint
from orchestration.settings import PROJECT_ROOT


def test_the_page_holds_the_project_and_asks_nobody_outside() -> None:
    path = dbt_docs.page()
    text = path.read_text(encoding="utf-8")
    start = text.index('{"metadata":')  # of the manifest, and then of the catalog
    manifest, end = json.JSONDecoder().raw_decode(text, start)
    catalog, _ = json.JSONDecoder().raw_decode(text, text.index('{"metadata":', end))
    assert {f"model.cxmarts.{mart}" for mart in marts()} <= manifest["nodes"].keys() & catalog["nodes"].keys()
    assert {f"metric.cxmarts.{metric}" for metric in metrics()} <= manifest["metrics"].keys()
    assert catalog["nodes"]["model.cxmarts.fcr_daily"]["columns"]["fcr_rate"]["type"] == "double"
    assert manifest["exposures"].keys() >= {"exposure.cxmarts.bi_release", "exposure.cxmarts.dashboard"}
    assert manifest["metadata"]["send_anonymous_usage_stats"] is False  # what dbt's page asks before it tells anybody
    assert re.search(
        r"<head><meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none';[^\"]*connect-src 'none'", text
    )
    assert not re.search(r"""<(script|link|img|iframe)[^>]*(src|href)=["']?(https?:)?//""", text)
    assert path.stat().st_size < 5_000_000


def test_the_page_is_made_once_and_a_release_links_that_of_the_last(tmp_path: Path) -> None:
    made = dbt_docs.page().stat()
    assert dbt_docs.page().stat().st_mtime_ns == made.st_mtime_ns
    first, second, third = (tmp_path / name for name in ("first", "second", "third"))
    assert dbt_docs.put(first, None) == ["docs/index.html"]
    dbt_docs.put(second, first)
    assert (second / dbt_docs.PAGE).samefile(first / dbt_docs.PAGE)
    (first / dbt_docs.PAGE).unlink()
    (first / dbt_docs.PAGE).write_text("another page")
    dbt_docs.put(third, first)
    assert (third / dbt_docs.PAGE).read_bytes() == dbt_docs.page().read_bytes()


def test_readers_outside_are_told_of_every_mart() -> None:
    of_release = manifest_json()["exposures"]["exposure.cxmarts.bi_release"]
    told = {name.split(".")[-1] for name in of_release["depends_on"]["nodes"]}
    wrong = sorted(told ^ marts().keys())
    assert not wrong, f"correct the exposure `bi_release` of dbt_project/models/exposures.yml: {wrong}"
    for exposure in manifest_json()["exposures"].values():
        assert exposure["owner"]["name"] and exposure["maturity"] and exposure["description"], exposure["name"]


def test_another_reader_rebuilds_nothing(tmp_path: Path, monkeypatch) -> None:
    shutil.copytree(dbt_manifest.DBT_PROJECT_DIR / "models", tmp_path / "models")
    monkeypatch.setattr(dbt_manifest, "DBT_PROJECT_DIR", tmp_path)
    before = definitions_fingerprint(), project_fingerprint()
    with (tmp_path / "models" / "exposures.yml").open("a", encoding="utf-8") as file:
        file.write("# another word\n")
    assert definitions_fingerprint() == before[0] and project_fingerprint() != before[1]


def test_the_dashboard_is_told_of_what_it_reads() -> None:
    code = "".join(
        path.read_text(encoding="utf-8") for path in (PROJECT_ROOT / "orchestration" / "lib" / "dashboard").rglob("*.py")
    )
    read = {*re.findall(r"\bmarts\.(\w+)", code)} & marts().keys()
    told = {name.split(".")[-1] for name in manifest_json()["exposures"]["exposure.cxmarts.dashboard"]["depends_on"]["nodes"]}
    assert read <= told, f"list {sorted(read - told)} in the exposure `dashboard` of dbt_project/models/exposures.yml"
