"""One home of a simulated company with every feed, for all tests that only read it: building it costs more than they do."""

from __future__ import annotations

import os

import pytest

from tests.company import Whole, whole_company


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Whole:
    """Built once for all workers, in the folder of this run of the tests."""
    base = tmp_path_factory.getbasetemp()
    return whole_company((base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "whole")
