"""Which paragraphs are worth a label: neither structure, nor references, nor fragments, nor copies.

Suggestions begin with these; a random draw leaves nothing out (`sampling`). The rules see words
alone and are made for precision: what they miss is suggested as any paragraph is. This module does
not decide what is a paragraph (`reading` does), and asks no model.
"""

from __future__ import annotations

import re

import numpy as np
import numpy.typing as npt
import pandas as pd

from paratopic.corpus.duplicates import article_groups, near_duplicates

# A text in this many articles that are no copies of each other is part of their structure, such as
# an agency's note or the closing formula of a law.
RECURRING = 4
# Fewer words than this, beside the speaker's name, are too few to judge.
FEWEST_WORDS = 6
# A text that breaks off is too short to judge if it has at most as many words as a heading.
MOST_WORDS_BROKEN = 12
# A text without a full stop that ends in a date is a reference if it has at most so many words.
MOST_WORDS_DATED = 16

_DIGITS = re.compile(r"\d")
_SPEAKER = re.compile(r"(?:Q\b|[^:.?!]{1,40}:)\W*")  # 'Q: Do you…', 'Q Do you…', 'THE PRESIDENT: I'
_WORD = re.compile(r"[^\s—–]*\w[^\s—–]*")
_BREAKS_OFF = re.compile(r"(?:[—–…,-]|\.\.\.)$")
_SENTENCE_END = re.compile(r"[.!?…。！？][\"'’”»)\]]*$")


def worth_labelling(frame: pd.DataFrame, left: pd.DataFrame) -> npt.NDArray[np.bool_]:
    """Say which paragraphs are worth a label.

    Parameters
    ----------
    left
        The m rows of `frame` that are left to label, from `sampling.unlabelled`.

    Returns
    -------
    (m,) whether each is worth a label. Of those that differ in few words or in numbers alone, the
    first is, unless one has a label. What a row of a table says is not judged: somebody chose
    it.
    """
    texts = [_DIGITS.sub("0", text) for text in frame["text"]]
    numbers = near_duplicates(texts)
    articles = pd.Series(article_groups(pd.factorize(frame["article"])[0], numbers))
    n_articles = articles.groupby(numbers).nunique()
    kinds = pd.Series(numbers, frame.index)
    kind = kinds[left.index]
    unfit = left["text"].map(_is_reference) | left["text"].map(_is_fragment)
    worth = ~(left["ordered"] & unfit) & (kind.map(n_articles) < RECURRING)
    labelled = kinds[~frame["text"].isin(left["text"])]
    worth &= ~kind.isin(labelled)
    worth[worth] = ~kind[worth].duplicated()
    return worth.to_numpy(dtype=np.bool_)


def _is_reference(text: str) -> bool:
    """Whether a text names something and says nothing of it: a code, a citation, a source.

    'Billing code 3295-F1-P', '(a) section 103 (8 U.S.C. 1152);', '"Talks open", May 5, 2008'
    """
    # Letters of scripts without capitals count as small ones.
    n_small = sum(char.isalpha() and not char.isupper() for char in text)
    if 3 * n_small < len("".join(text.split())):
        return not text.isupper()
    words = _WORD.findall(text)
    has_number = [bool(_DIGITS.search(word)) for word in words]
    is_dated = len(words) <= MOST_WORDS_DATED and has_number[-1]
    return (is_dated or 4 * sum(has_number) >= len(words)) and not _SENTENCE_END.search(text)


def _is_fragment(text: str) -> bool:
    """Whether a text is too short to judge: 'Q: Go on, please.', 'THE PRESIDENT: But they —'."""
    n_words = len(_WORD.findall(_SPEAKER.sub("", text, count=1)))
    return n_words < FEWEST_WORDS or (
        n_words <= MOST_WORDS_BROKEN and bool(_BREAKS_OFF.search(text))
    )
