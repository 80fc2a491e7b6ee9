"""Which releases are kept."""

from __future__ import annotations

import pytest

from orchestration.lib.release import _worth_keeping


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
