"""Fixtures: one CX_HOME a test, and the real data where it is present."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

os.environ["CX_ENV"] = "ci"
REAL_DATA = Path(__file__).parents[2] / "shared" / "data"


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
