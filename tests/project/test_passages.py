"""A text with what stands around it: what may be missing, and what is no text."""

from __future__ import annotations

from typing import Any

import pytest

from paratopic.project.passages import REACH, Passage, article_passages
from paratopic.project.texts import as_passage, plain


def test_everything_but_the_text_may_be_missing_and_one_neighbour_may_be_a_str() -> None:
    assert as_passage("A.") == Passage("A.") == Passage("A.", (), (), "", "")
    one = Passage("B.", "A.", ["C."])
    assert (one.before, one.after) == (("A.",), ("C.",))
    assert as_passage(one) is one and hash(one) == hash(Passage("B.", ["A."], "C."))
    assert plain([one, "A."]) == ["B.", "A."]


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


def test_paragraphs_of_an_article_have_those_within_reach_around_them() -> None:
    texts = [str(number) for number in range(10)]
    headings = [f"H{text}" for text in texts]
    passages = article_passages(texts, headings, "T")
    assert plain(passages) == texts
    assert passages[0] == Passage("0", (), texts[1 : 1 + REACH], "H0", "T")
    assert passages[5] == Passage("5", texts[5 - REACH : 5], texts[6 : 6 + REACH], "H5", "T")
    with pytest.raises(ValueError, match="9 headings for 10 paragraphs"):
        article_passages(texts, headings[1:])
