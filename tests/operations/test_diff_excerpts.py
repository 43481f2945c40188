"""What is shown of long texts: a part of each, from a little before they first differ."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from databackup import Collection, Schema, diff
from databackup.operations.samples import LONGEST, excerpts
from tests.support.club import memory

TEXTS = st.text("ab", max_size=60)


@given(common=TEXTS, one=TEXTS, other=TEXTS, limit=st.integers(6, 40))
def test_excerpts(common: str, one: str, other: str, limit: int) -> None:
    """Short texts come whole; of long ones a part of the limit's length that shows where they part.

    An ellipsis stands where something was left out, and only there.
    """
    texts = common + one, common + other
    shown = excerpts(*texts, limit)
    if max(map(len, texts)) <= limit:
        assert texts == shown
        return
    assert (texts[0] == texts[1]) is (shown[0] == shown[1])
    for text, part in zip(texts, shown, strict=True):
        bare = part.strip("…")
        assert bare in text
        assert text.startswith(bare) or part.startswith("…")
        assert len(bare) == limit if part.endswith("…") else text.endswith(bare)
        assert len(bare) < len(text) or bare == part


def test_excerpts_at_their_limits() -> None:
    """A text of just the limit's length is whole; where its part ends it, no ellipsis follows."""
    assert ("x" * 10, "y") == excerpts("x" * 10, "y", 10)
    assert ("…aabccc", "…aadccc…") == excerpts("a" * 8 + "bccc", "a" * 8 + "dccce", 6)


@pytest.mark.parametrize("length", [LONGEST - 1, LONGEST, LONGEST + 1])
def test_longest_value(length: int) -> None:
    """A value of up to a thousand characters of JSON is given as it is."""
    value = "x" * (length - 2)  # and the quotes
    schema = Schema(collections=[Collection("t", fields={"v": str})])
    (record,) = diff(memory({}, schema), memory({"t": [(value,)]}, schema)).collections["t"].sample
    assert record.new == {"v": value if length <= LONGEST else {"$shortened": f'"{value}…'}}
