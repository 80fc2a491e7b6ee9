"""Whatever a company delivers and in whatever order: every publication equals a full rebuild and the books.

A few random histories for `make test`; `make soak` runs hundreds (`tests.soak`). What it found stays in
`test_history_examples.py`.
"""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.histories import History, make_history
from tests.soak import run

histories = st.randoms(use_true_random=False).map(lambda rng: make_history(rng, nights=(2, 3)))


@settings(max_examples=2, derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck))
@given(history=histories)
def test_every_publication_equals_a_rebuild_and_the_books(history: History) -> None:
    _, found = run(history, None)
    assert not found, f"{found}\n{history.script()}"


@pytest.mark.parametrize("seed", range(3))
def test_a_history_is_made_of_its_seed_alone(seed: int) -> None:
    assert make_history(Random(seed)) == make_history(Random(seed))
