"""One home of a simulated company with every feed, for all tests that only read it: building it costs more than they do."""

from __future__ import annotations

import pytest

from tests.company import Whole, whole_company


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Whole:
    """Built once for all workers."""
    return whole_company(tmp_path_factory.getbasetemp().parent / "whole")
