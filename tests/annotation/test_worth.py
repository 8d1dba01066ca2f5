"""Which paragraphs are worth a label, and that suggestions begin with them."""

from __future__ import annotations

from pathlib import Path

import pytest

from paratopic.annotation.sampling import unlabelled
from paratopic.annotation.suggestion import RECURRING, suggest, worth_labelling
from paratopic.inference.loading import load
from tests.samples import TARIFF, paragraph_table

UNFIT = [
    "Billing code 3295-F1-P",
    "Trump.EPS THE WHITE HOUSE, May 28, 2020. [FR Doc. 2020-12030 Filed 6-1-20; 11:15 am]",
    "*Filed by the Office of the Federal Register on May 28, 2020*",
    "(a) section 103 of the Immigration Act of 1990 (8 U.S.C. 1152 note);",
    '"Document found on street not secret" — The Canadian Press, August 15, 2008',
    "THE PRESIDENT: Well, they can decide, but —",
    "Q:...of course, like China and South Korea, but now recently...",
    "President Trump: Go ahead, please. Right here.",
]
ORDINARY = [
    "The Dow rose 1.2% to 34,000, the S&P 500 rose 1% to 4,300.",
    "Apple sued Google on Monday in San Jose.",
    "Q: Twenty million people now are unemployed, sir.",
    "On May 5, 2008, the talks on tariffs opened in Madrid, and they went on until June 6, 2008",
    "THE TALKS ON TARIFFS WENT ON UNTIL MAY.",
    "关税上升了。 中国 和 美国 的 谈判 仍在 继续。",
]
WORDS = "vote trial match strike march opera parade".split()


def worth(texts: list[str], articles: list[str], ordered: bool = True) -> list[bool]:
    frame = paragraph_table(text=texts, article=articles, ordered=[ordered] * len(texts))
    left = unlabelled(frame, set())
    return [bool(is_worth) for is_worth in worth_labelling(frame, left)]


@pytest.mark.parametrize(("texts", "expected"), [(UNFIT, False), (ORDINARY, True)])
def test_references_and_fragments_are_not_worth_a_label(texts: list[str], expected: bool) -> None:
    assert worth(texts, ["a"] * len(texts)) == [expected] * len(texts)
    assert all(worth(texts, ["a"] * len(texts), ordered=False))  # in a table they were chosen


def test_what_recurs_in_many_articles_is_structure() -> None:
    def texts(n_articles: int) -> list[str]:
        notes = [f"Our desk in Lima wrote this story on day {day} of May." for day in range(99)]
        own = [f"The {word} went on in the {word} hall, as ever." for word in WORDS]
        return [text for n in range(n_articles) for text in (notes[n], own[n])]

    def articles(n_articles: int) -> list[str]:
        return [str(n) for n in range(n_articles) for _ in range(2)]

    assert worth(texts(RECURRING), articles(RECURRING)) == [False, True] * RECURRING
    few = RECURRING - 1  # then the first is worth a label, and speaks for the others
    assert worth(texts(few), articles(few)) == [True, True] + [False, True] * (few - 1)
    copies = texts(1) * RECURRING  # of one article: nothing of it is structure
    assert worth(copies, articles(RECURRING)) == [True, True]


def test_what_is_like_a_labelled_text_comes_last(baseline_folder: Path) -> None:
    tariffs = [f"{TARIFF[:-1]} on day {day}." for day in (3, 4)]
    frame = paragraph_table(
        text=[tariffs[0], tariffs[1], "The army left the island at the border."],
        label_source=["hand", "none", "none"],
    )
    model = load(baseline_folder)
    (first,) = suggest(frame, set(), model, 1, 0)
    assert first.id == "002"
    assert [item.id for item in suggest(frame, set(), model, 5, 0)] == ["002", "001"]
