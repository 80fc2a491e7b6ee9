"""Fixtures: one CX_HOME a test, and the real data where it is present."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

os.environ["CX_ENV"] = "ci"
REAL_DATA = Path(__file__).parents[2] / "shared" / "data"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The first module that asks for the whole company comes first, and makes it; its other readers last: none waits for it."""
    readers = [item.path for item in items if "whole" in item.fixturenames]
    first, others = readers[:1], set(readers)
    items.sort(key=lambda item: 0 if item.path in first else 2 if item.path in others else 1)


@pytest.fixture
def real_data() -> Path:
    """Folder of the real data sets; the test is skipped where it is absent."""
    if not REAL_DATA.is_dir():
        pytest.skip(f"no real data at {REAL_DATA}")
    return REAL_DATA


@pytest.fixture
def cx_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty CX_HOME that is also the environment's."""
    home = tmp_path / "cx"
    home.mkdir()
    monkeypatch.setenv("CX_HOME", str(home))
    monkeypatch.delenv("CX_CONFIG", raising=False)
    return home
