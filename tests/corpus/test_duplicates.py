"""Near-duplicates, and articles that are copies."""

from __future__ import annotations

import re
from collections import Counter
from itertools import chain

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paratopic.corpus import duplicates
from paratopic.corpus.duplicates import NEAR_DUPLICATE, article_groups, components, near_duplicates
from tests.samples import WORDS


def test_near_duplicates_share_a_number_and_other_texts_do_not() -> None:
    words = [word for topic in WORDS.values() for word in topic]
    text = " ".join(words)
    texts = [
        text,
        "something else entirely that nobody wrote before",
        text.upper() + "!",  # case and punctuation are ignored
        text.replace("missile", "rocket"),  # one word of 24
        " ".join(words[::-1]),  # the same words in another order
        "",
        "Yes.",
        "yes",
    ]
    assert near_duplicates(texts).tolist() == [0, 1, 0, 0, 2, 3, 4, 4]
    # Repetitions of a text have the number of the first one.
    texts = ["Tariffs rose today.", "tariffs rose TODAY", "It rained.", "Tariffs rose today.", "!"]
    assert near_duplicates(texts).tolist() == [0, 0, 1, 0, 2]


def test_texts_without_blanks_between_words_are_compared_by_characters() -> None:
    texts = [
        "政府周二强烈批评欧盟对钢铁征收的新关税，总理称这是严重的错误。",
        "政府周三强烈批评欧盟对钢铁征收的新关税，总理称这是严重的错误！",
        "工会要求更好地保护工人，他们说可能会举行罢工，政府对此没有评论。",
        "รัฐบาลวิพากษ์วิจารณ์ภาษีเหล็กใหม่ของยุโรปอย่างรุนแรงเมื่อวันอังคาร",
        "รัฐบาลวิพากษ์วิจารณ์ภาษีเหล็กใหม่ของยุโรปอย่างรุนแรงเมื่อวันพุธ",
        "สหภาพแรงงานเรียกร้องให้คุ้มครองคนงานให้ดีขึ้น และกล่าวว่าอาจมีการนัดหยุดงาน",
    ]
    assert near_duplicates(texts).tolist() == [0, 0, 1, 2, 2, 3]


def groups_by_all_pairs(texts: list[str]) -> list[int]:
    """The expected result of `near_duplicates`, from all pairs of texts."""

    def shingles(text: str) -> set[tuple[str, ...]]:
        words = re.findall(r"\w+", text.lower()) or [text]
        return {tuple(words[i : i + 3]) for i in range(max(1, len(words) - 2))}

    sets = [shingles(text) for text in texts]
    pairs = [
        (i, j)
        for i, one in enumerate(sets)
        for j, other in enumerate(sets)
        if len(one & other) >= NEAR_DUPLICATE * len(one | other)
    ]
    row, column = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    return [int(number) for number in components(row, column, len(texts))]


few_words = st.lists(st.sampled_from("abcd"), max_size=12).map(" ".join)
# These texts differ in two words only. Many are near-duplicates, in chains.
framed = st.tuples(st.sampled_from("xyz"), st.sampled_from("uvw")).map(
    lambda pair: "one two three {} four five six {} seven eight nine ten".format(*pair)
)


@settings(max_examples=300)
@given(st.lists(st.one_of(few_words, framed), max_size=30))
def test_the_groups_are_those_of_comparing_all_pairs(texts: list[str]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(duplicates, "_STEP", 20)
        assert near_duplicates(texts).tolist() == groups_by_all_pairs(texts)


@given(st.lists(st.lists(st.integers(0, 12), min_size=1, max_size=8), min_size=1, max_size=12))
def test_the_articles_are_those_of_comparing_all_pairs(articles: list[list[int]]) -> None:
    sets = [set(article) for article in articles]
    n_articles = Counter(chain.from_iterable({frozenset(s): s for s in sets}.values()))
    recurs = {paragraph for paragraph, n in n_articles.items() if n > 3}
    pairs = [
        (i, j)
        for i, one in enumerate(sets)
        for j, other in enumerate(sets)
        if one == other or 2 * len((one & other) - recurs) > max(len(one), len(other))
    ]
    row, column = np.array(pairs, dtype=np.int64).T
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(duplicates, "RECURRING", 3)
        patch.setattr(duplicates, "_STEP", 5)
        article = np.repeat(np.arange(len(articles)), list(map(len, articles)))
        groups = article_groups(article, np.concatenate(articles))
    np.testing.assert_array_equal(groups, components(row, column, len(articles))[article])
