"""A full disk is one sentence; any other failure is not called one. Whole runs on full disks: `make disk-full`."""

from __future__ import annotations

import shutil
from collections import namedtuple
from pathlib import Path

import pytest

from orchestration.lib import disk
from orchestration.settings import Settings

Usage = namedtuple("Usage", "total used free")


def test_another_failure_is_not_called_a_full_disk(cx_home: Path) -> None:
    assert disk.full(Settings(cx_home), ["Conversion Error: no such date", "disk I/O error"]) is None


@pytest.mark.parametrize(
    "said",
    [
        "IO Error: Could not write file: No space left on device",
        "[Errno 27] File too large: 'x'",
        "(sqlite3.OperationalError) database or disk is full",
        "[Errno 122] Disk quota exceeded",
    ],
)
def test_each_library_has_its_own_words_for_it(cx_home: Path, said: str) -> None:
    sentence = disk.full(Settings(cx_home), ["something else", said])
    assert sentence is not None
    assert f"no space is left on the disk of {cx_home}" in sentence and "run this again" in sentence


def test_the_disk_is_asked_where_nobody_says_it(cx_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = shutil.disk_usage
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(9, 9, 5 << 20) if Path(path) == cx_home else real(path))
    sentence = disk.full(Settings(cx_home), ["disk I/O error"])
    assert sentence is not None and f"{cx_home} (5 MB free)" in sentence
