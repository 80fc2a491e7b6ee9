"""Which releases are kept; pages that cannot be made."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from orchestration.lib import dashboard, dbt_docs, release, report
from orchestration.lib.release import _worth_keeping
from orchestration.settings import Settings


@pytest.mark.parametrize(
    ("made_of", "kept"),
    [
        ("", ""),
        ("a", "0"),
        ("abcd", "123"),  # every night brought something: the newest three
        ("abccc", "01234"),  # three idle nights: and what was there before them, twice
        ("abcccccccc", "01789"),
        ("abbbccddd", "35678"),  # of each the last
        ("abcba", "234"),  # what came back is the same again
    ],
)
def test_three_of_different_inputs_and_the_three_newest(made_of: str, kept: str) -> None:
    """A letter is what a release was made of; its place in the word is its name."""
    assert "".join(sorted(_worth_keeping([(str(n), inputs) for n, inputs in enumerate(made_of)]))) == kept


def test_a_page_that_cannot_be_made_keeps_no_release_from_its_readers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What was begun of it is gone, a page says so, and the report of the run names the cause."""

    def dies_half_way(folder: str) -> None:
        (building / folder).mkdir()
        (building / folder / "half").touch()
        raise RuntimeError("no\nink")

    monkeypatch.setattr(dashboard, "write", lambda *_: dies_half_way("dashboard"))
    monkeypatch.setattr(dbt_docs, "put", lambda *_: dies_half_way("docs"))
    settings, building = Settings(tmp_path), tmp_path / "releases" / "r"
    building.mkdir(parents=True)
    made, told = release._write_pages(building, {"release": "r"}, settings, None)
    assert list(made) == ["dashboard/index.html"] and "no\nink" in caplog.text
    assert sorted(path.name for path in building.rglob("*")) == ["dashboard", "index.html"]
    assert "could not be drawn; the report of its run says why" in (building / "dashboard" / "index.html").read_text()
    assert told == [
        "the release has no docs/index.html: RuntimeError: no ink", "the dashboard could not be drawn: RuntimeError: no ink",
    ]  # fmt: skip
    manifest = {"data_through": "", "published_at": "", "feeds": [], "restated": [], "run_id": "n", "not_made": told}
    (building / release.MANIFEST).write_text(json.dumps(manifest))
    (tmp_path / "releases" / "current").symlink_to("r")
    assert report._readers(settings, "n")[0]["not_made"] == told
