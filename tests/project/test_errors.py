"""Texts are cut to a width as by `textwrap.shorten`, except for texts without blanks."""

from __future__ import annotations

from textwrap import shorten

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paratopic.project.errors import shortened

WORDS = st.lists(st.text("ab-…é", min_size=1, max_size=8), max_size=20).map(" ".join)


@given(text=WORDS, width=st.integers(12, 60))
def test_words_are_not_cut(text: str, width: int) -> None:
    assert shortened(text, width) == shorten(text, width, placeholder=" …")


@pytest.mark.parametrize(
    "text", ["工业界预计损失高达12亿欧元。这约占国内生产总值的0.3%。", "AI " + "工" * 40]
)
def test_the_beginning_of_a_text_without_blanks_remains(text: str) -> None:
    assert shortened(text, 20) == f"{text[:18]} …"
