"""Suggest unlabelled paragraphs to label next: uncertain ones that differ from each other.

Those that are not worth a label come last: structure, references, fragments and copies. The rules
for these see words alone and are made for precision: what they miss is suggested as any paragraph
is. A random draw leaves nothing out (`sampling`). This module does not read labels.csv, write files
or ask people.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.cluster import KMeans
from threadpoolctl import threadpool_limits

from paratopic.annotation.context import Suggestion, in_context, with_predictions
from paratopic.annotation.sampling import unlabelled
from paratopic.corpus.duplicates import article_groups, near_duplicates
from paratopic.corpus.table import passages
from paratopic.inference.model import Model
from paratopic.inference.modes import mode_of
from paratopic.inference.scores import Array, Features, Integers

# Number of candidates for each paragraph that is to be chosen.
CANDIDATES = 10
# Smallest weight of a row in the clustering: k-means needs weights above zero.
SMALLEST_WEIGHT = 1e-6
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


def suggest(
    frame: pd.DataFrame,
    judged: Collection[str],
    model: Model,
    n: int,
    seed: int,
    gains: Array | float = 0.0,
) -> list[Suggestion]:
    """Suggest the n unlabelled paragraphs that are most worth labelling.

    Parameters
    ----------
    model
        Model whose scores tell which paragraphs are uncertain, and whose embeddings tell which are
        alike.
    gains
        How much else a label of each row of `frame` would tell, 0 to 1, which is added to the
        model's doubt; nothing by default.

    Returns
    -------
    At most n suggestions, the most uncertain first. Paragraphs that are not worth a label
    (`worth_labelling`) come after all others.
    """
    rows = unlabelled(frame, judged)
    if rows.empty:
        return []
    places_of = frame.index.get_indexer(rows.index)
    texts, beside = passages(frame, places_of), np.broadcast_to(gains, len(frame))[places_of]
    predictions = model.predict(texts)
    scores = np.array([list(answer.scores.values()) for answer in predictions])

    chosen: list[int] = []
    worth = worth_labelling(frame, rows)
    for part in (np.flatnonzero(worth), np.flatnonzero(~worth)):
        if len(chosen) == n:
            break

        def embed_part(numbers: Integers, part: Integers = part) -> Features:
            return model.embed([texts[number] for number in part[numbers]])

        doubt = mode_of(model.mode).doubt(scores[part]) + beside[part]
        places = choose(doubt, embed_part, n - len(chosen), seed)
        chosen += part[places].tolist()
    suggestions = in_context(frame, dict.fromkeys(rows["id"].iloc[chosen], ""))
    return with_predictions(suggestions, [predictions[number] for number in chosen])


def choose(doubt: Array, embed: Callable[[Integers], Features], n: int, seed: int) -> Integers:
    """Choose the n rows that are most worth labelling.

    The 10 n rows with the highest doubt are clustered into n by k-means, each row weighted by its
    doubt. The row nearest to each centre is chosen (Zhdanov 2019,
    https://arxiv.org/abs/1901.05954).

    Parameters
    ----------
    doubt
        (m,) doubt about each row, from 0 on.
    embed
        Function from row numbers (r,) to the features of these rows, (r, d).

    Returns
    -------
    (min(n, m),) row numbers, the most uncertain row first.
    """
    order = np.argsort(-doubt, kind="stable")
    if n >= len(order):
        return order
    candidates = order[: CANDIDATES * n]
    return candidates[_central(embed(candidates), doubt[candidates], n, seed)]


def _central(features: Features, doubt: Array, n: int, seed: int) -> list[int]:
    """Numbers of n of the rows, in ascending order: the one nearest to the centre of each cluster.

    Equal rows can leave fewer than n clusters; the first of the remaining rows then fill up.
    """
    weights = np.maximum(doubt, SMALLEST_WEIGHT)
    with threadpool_limits(1):  # one order of summation, so that all machines choose the same
        means = KMeans(n, n_init=3, random_state=seed).fit(features, sample_weight=weights)
        distances = means.transform(features)
    nearest = set()
    for cluster in range(n):
        members = np.flatnonzero(means.labels_ == cluster)
        if len(members):
            nearest.add(int(members[distances[members, cluster].argmin()]))
    remaining = (row for row in range(len(doubt)) if row not in nearest)
    return sorted([*nearest, *(next(remaining) for _ in range(n - len(nearest)))])


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
