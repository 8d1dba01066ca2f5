"""Boilerplate is recognised, and ordinary paragraphs are not mistaken for it."""

from __future__ import annotations

import pytest

from paratopic.corpus.boilerplate import RECURRING, is_boilerplate
from tests.samples import paragraph_table

UNFIT = [
    "Billing code 3295-F1-P",
    "Trump.EPS THE WHITE HOUSE, May 28, 2020. [FR Doc. 2020-12030 Filed 6-1-20; 11:15 am]",
    "*Filed by the Office of the Federal Register on May 28, 2020*",
    "(a) section 103 of the Immigration Act of 1990 (8 U.S.C. 1152 note);",
    '"Document found on street not secret" — The Canadian Press, August 15, 2008',
    "THE PRESIDENT: Well, they can decide, but —",
    "Q:...of course, like China and South Korea, but now recently...",
    "President Trump: Go ahead, please. Right here.",
    *("谈判破裂……", "2026年3月3日", "本报记者王小明"),
]
ORDINARY = [
    "The Dow rose 1.2% to 34,000, the S&P 500 rose 1% to 4,300.",
    "Apple sued Google on Monday in San Jose.",
    "Q: Twenty million people now are unemployed, sir.",
    "On May 5, 2008, the talks on tariffs opened in Madrid, and they went on until June 6, 2008",
    "THE TALKS ON TARIFFS WENT ON UNTIL MAY.",
    "关税上升了。 中国 和 美国 的 谈判 仍在 继续。",
    "工业界预计损失高达12亿欧元，这约占国内生产总值的0.3%。",
    "「われわれはあきらめない」と首相は述べた。",
    "สหภาพแรงงานเรียกร้องให้คุ้มครองคนงานให้ดีขึ้น",
    "በ2025 ዓመት 7.4 ሚሊዮን ቶን ብረት ተመርቷል። ባለፈው ዓመት 7.1 ሚሊዮን ነበር።",
    "وقال وزير التجارة إن المفاوضات ستستمر. وأضاف: لن نستسلم.",
    "It proposes as the first test for a nation: the quality of its people.",
    "Together, we made a commitment to balance the budget: now, let's keep it.",
    "The Challenge of Trade: costs for many.",
]
WORDS = "vote trial match strike march opera parade".split()


def boilerplate(texts: list[str], articles: list[str]) -> list[bool]:
    frame = paragraph_table(text=texts, article=articles)
    return list(map(bool, is_boilerplate(frame, articles)))


@pytest.mark.parametrize(("texts", "expected"), [(UNFIT, True), (ORDINARY, False)])
def test_references_and_fragments_are_boilerplate(texts: list[str], expected: bool) -> None:
    assert boilerplate(texts, ["a"] * len(texts)) == [expected] * len(texts)


def test_texts_that_recur_in_many_articles_are_boilerplate() -> None:
    texts = [
        text
        for day, word in enumerate(WORDS[:RECURRING])
        for text in (
            f"Our desk in Lima wrote this story on day {day} of May.",
            f"The {word} went on in the {word} hall, as ever.",
        )
    ]
    articles = [str(n // 2) for n in range(2 * RECURRING)]
    assert boilerplate(texts, articles) == [True, False] * RECURRING
    assert not any(boilerplate(texts[:-2], articles[:-2]))
    copies = texts[:2] * RECURRING  # in copies of one article, texts do not recur
    assert not any(boilerplate(copies, articles))
