"""A release opened by the DuckDB versions that BI drivers have."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import duckdb_versions
from tests.company import Whole, release_of


@pytest.mark.minutes
def test_duckdb_1_4_1_5_and_2_0_say_the_same_of_a_release(whole: Whole, tmp_path: Path) -> None:
    try:
        said, problems = duckdb_versions.compare(release_of(whole.home).parent.resolve(), tmp_path)
    except duckdb_versions.NotInstalled as reason:
        pytest.skip(f"no index to install from: {reason}")
    assert [one["version"].rsplit(".", 1)[0] for one in said] == list(duckdb_versions.VERSIONS)
    assert problems == []
    first = said[0]["said"]
    assert first["marts.metric_daily"][0] > 1000 and first["marts.benchmark"][0] > 0 and first["parquet/sales_daily"][0] > 0
    assert all(first[asked][0] > 0 for asked in duckdb_versions.ASKED)
    assert not any("wrote" in one["said"] for one in said)


def test_a_difference_is_told() -> None:
    left = {"version": "1.4.5", "said": {"marts.a": [2, 1.0], "marts.b": [1]}}
    right = {"version": "2.0.0", "said": {"marts.a": [2, 1.0 + 1e-13], "marts.b": [2]}}
    assert duckdb_versions.differences(left, right) == ["marts.b: DuckDB 1.4.5 says [1], 2.0.0 [2]"]
    assert duckdb_versions.differences(left, {"version": "2.0.0", "said": {"marts.a": [2, 1.1]}})[0].startswith("marts.a")
