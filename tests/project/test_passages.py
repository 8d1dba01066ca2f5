"""Passages: optional parts, and parts that are no text."""

from __future__ import annotations

from typing import Any

import pytest

from paratopic.project.passages import N_NEIGHBOURS, Passage, article_passages
from paratopic.project.texts import as_passage, plain_texts


def test_everything_but_the_text_may_be_missing_and_one_neighbour_may_be_a_str() -> None:
    assert as_passage("A.") == Passage("A.") == Passage("A.", (), (), "", "")
    one = Passage("B.", "A.", ["C."])
    assert (one.before, one.after) == (("A.",), ("C.",))
    assert as_passage(one) is one and hash(one) == hash(Passage("B.", ["A."], "C."))
    assert plain_texts([one, "A."]) == ["B.", "A."]


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"text": None}, "text is NoneType, not str"),
        ({"text": ["A."]}, "text is list, not str"),
        ({"text": "A.", "heading": ("H",)}, "heading is tuple, not str"),
        ({"text": "A.", "title": float("nan")}, "title is float, not str"),
        ({"text": "A.", "before": None}, "before is NoneType, not a sequence of str"),
        ({"text": "A.", "before": ["B.", None]}, "before is NoneType, not str"),
        ({"text": "A.", "after": [Passage("B.")]}, "after is Passage, not str"),
    ],
)
def test_a_part_that_is_no_text_is_refused(parts: dict[str, Any], message: str) -> None:
    with pytest.raises(TypeError, match=f"^{message}$"):
        Passage(**parts)


def test_paragraphs_of_an_article_have_neighbours_within_a_limit() -> None:
    texts = [str(number) for number in range(10)]
    headings = [f"H{text}" for text in texts]
    passages = article_passages(texts, headings, "T")
    assert plain_texts(passages) == texts
    assert passages[0] == Passage("0", (), texts[1 : 1 + N_NEIGHBOURS], "H0", "T")
    before, after = texts[5 - N_NEIGHBOURS : 5], texts[6 : 6 + N_NEIGHBOURS]
    assert passages[5] == Passage("5", before, after, "H5", "T")
    with pytest.raises(ValueError, match="9 headings for 10 paragraphs"):
        article_passages(texts, headings[1:])
