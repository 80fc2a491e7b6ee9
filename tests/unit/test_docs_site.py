"""docs/ builds as a site without a broken link and without anything from outside; the links of the other pages are right, too."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from orchestration.settings import PROJECT_ROOT

OUTSIDE = re.compile(
    r"""<(?:script|link|img|iframe|source)\b[^>]*?(?:src|href)=["']?(?:https?:)?//[^"'\s>]*|url\(["']?(?:https?:)?//[^)]*"""
)


def _build(config: Path, site: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(Path(sys.executable).with_name("mkdocs")), "build", "-f", str(config), "-d", str(site)],
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"}, capture_output=True, text=True,
    )  # fmt: skip


def test_the_site_builds_and_loads_nothing_from_outside(tmp_path: Path) -> None:
    done = _build(PROJECT_ROOT / "mkdocs.yml", tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    pages = {path.relative_to(tmp_path).with_suffix(".md").as_posix() for path in tmp_path.rglob("*.html")}
    docs = PROJECT_ROOT / "docs"
    assert pages - {"404.md"} == {path.relative_to(docs).as_posix() for path in docs.rglob("*.md")}
    for path in [*tmp_path.rglob("*.html"), *tmp_path.rglob("*.css")]:
        assert not (found := OUTSIDE.findall(path.read_text(encoding="utf-8"))), f"{path.name}: {found[:3]}"


def test_a_broken_link_is_an_error(tmp_path: Path) -> None:
    """Of a site of one page, with the settings of this one: to a page, to a heading, to a picture."""
    text = (PROJECT_ROOT / "mkdocs.yml").read_text(encoding="utf-8").split("\nnav:")[0]
    (tmp_path / "mkdocs.yml").write_text(text, encoding="utf-8")
    (tmp_path / "docs" / "javascripts").mkdir(parents=True)
    shutil.copy(PROJECT_ROOT / "docs" / "javascripts" / "iframe-worker.js", tmp_path / "docs" / "javascripts")
    broken = "[x](no-such-page.md) [x](#no-such-heading) ![x](images/none.png)"
    (tmp_path / "docs" / "index.md").write_text(f"# Home\n\n{broken}\n", encoding="utf-8")
    done = _build(tmp_path / "mkdocs.yml", tmp_path / "site")
    assert done.returncode == 1
    assert all(target in done.stderr for target in ("no-such-page.md", "#no-such-heading", "images/none.png"))


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_links_of_a_page_outside_the_site_are_right(page: str) -> None:
    text = (PROJECT_ROOT / page).read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
        assert (PROJECT_ROOT / target).exists(), f"{page}: there is no {target}"


@pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium is not installed")
def test_the_search_finds_without_a_server(tmp_path: Path) -> None:
    """From disk, where a browser starts no worker, and with every name of a host unknown."""
    assert _build(PROJECT_ROOT / "mkdocs.yml", tmp_path / "site").returncode == 0
    shown = subprocess.run(
        ["chromium", "--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}",
         "--host-resolver-rules=MAP * ~NOTFOUND", "--virtual-time-budget=10000", "--dump-dom",
         f"{(tmp_path / 'site' / 'index.html').as_uri()}?q=restatement"],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert re.search(r"\d+ matching documents", shown.stdout), shown.stdout[-500:] + shown.stderr[-500:]
