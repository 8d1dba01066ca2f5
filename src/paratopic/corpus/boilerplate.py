"""Boilerplate: paragraphs of articles without content to label.

These are references, fragments, and texts that recur in many articles. The rules look only at words
and favour precision over recall; a paragraph that they miss is treated like any other. A row of a
table is never boilerplate, because somebody chose it. Bylines and other segments that are no
paragraphs were left out before (`reading.furniture`).
"""

from __future__ import annotations

import re
from collections.abc import Collection

import numpy as np
import numpy.typing as npt
import pandas as pd

from paratopic.corpus.duplicates import article_groups, near_duplicates
from paratopic.project.scripts import CJK, CLOSERS, QUESTIONS, STOPS, THAI, UNCASED

# A text in this many articles that are no copies of each other is part of their structure, such as
# an agency's note or the closing formula of a law.
RECURRING = 4
# A text with fewer words than this, without the speaker's name, is too short to label.
FEWEST_WORDS = 6
# A text that breaks off is too short to label if it has at most as many words as a heading.
MOST_WORDS_BROKEN = 12
# A text without a full stop that ends in a date is a reference if it has at most this many words.
MOST_WORDS_DATED = 16

_DIGIT = re.compile(r"\d")
# 'Q: Do you…', 'Q Do you…', 'THE PRESIDENT: I', but neither 'We agreed: I' nor 'Trade: it grew'.
_NAME = rf"[^\W\d_a-z{UNCASED}][^\s:]*"
_SPEAKER = re.compile(rf"(?:Q\b|{_NAME}(?: (?:and|for|of|the|{_NAME})){{0,5}}:(?!\s*[a-z]))\W*")
# In scripts without blanks between words, a word is about as many characters as words have.
_WORD = re.compile(
    rf"[{CJK}]{{1,2}}|[{THAI}]{{1,5}}|[^\s—–{CJK}{THAI}]*[^\W{CJK}{THAI}][^\s—–{CJK}{THAI}]*"
)
_BROKEN = re.compile(r"(?:[—–…,-]|\.\.\.)$")
_SENTENCE_END = re.compile(rf"[.!?…{STOPS}{QUESTIONS}][{CLOSERS}]*$")


def is_boilerplate(frame: pd.DataFrame, split: Collection[str]) -> npt.NDArray[np.bool_]:
    """Whether each of n rows of the paragraph table is boilerplate, (n,).

    `split` has the ids of the articles that were split into paragraphs; rows of other articles are
    never boilerplate. A row is boilerplate if its text is a reference or a fragment, or if it and
    its near-duplicates, with all digits alike, are in at least `RECURRING` articles of `split`, of
    which copies count as one.
    """
    is_split = frame["article"].isin(list(split)).to_numpy(dtype=bool)
    rows = frame[is_split]
    if rows.empty:
        return is_split
    numbers = near_duplicates([_DIGIT.sub("0", text) for text in rows["text"]])
    articles = pd.Series(article_groups(pd.factorize(rows["article"])[0], numbers))
    recurs = articles.groupby(numbers).transform("nunique").to_numpy() >= RECURRING
    is_short = [_is_reference(text) or _is_fragment(text) for text in rows["text"]]
    boilerplate = is_split.copy()
    boilerplate[is_split] = recurs | is_short
    return boilerplate


def _is_reference(text: str) -> bool:
    """Whether a text only names something: 'Billing code 3295-F1-P', '"Talks open", May 5, 2008'.

    If fewer than a third of its characters without blanks are small letters, it does unless it is
    all in capitals. Otherwise it does if it does not end like a sentence and has digits in a
    quarter of its words, or in the last of at most `MOST_WORDS_DATED`. It must not be blank.
    """
    # Letters of scripts without capitals count as lower case.
    n_small = sum(map(str.isalpha, text)) - sum(map(str.isupper, text))
    if 3 * n_small < len("".join(text.split())):
        return not text.isupper()
    words = _WORD.findall(text)
    has_number = [bool(_DIGIT.search(word)) for word in words]
    is_dated = len(words) <= MOST_WORDS_DATED and has_number[-1]
    return (is_dated or 4 * sum(has_number) >= len(words)) and not _SENTENCE_END.search(text)


def _is_fragment(text: str) -> bool:
    """Whether a text is too short to label: 'Q: Go on, please.', 'THE PRESIDENT: But they —'."""
    n_words = len(_WORD.findall(_SPEAKER.sub("", text, count=1)))
    return n_words < FEWEST_WORDS or (n_words <= MOST_WORDS_BROKEN and bool(_BROKEN.search(text)))
