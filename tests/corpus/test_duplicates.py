"""Near-duplicates."""

from __future__ import annotations

from paratopic.corpus.duplicates import near_duplicates
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
