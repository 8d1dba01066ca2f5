"""Choose how much a model reads of what stands around a text.

With few labels the weights are those that were best on speeches which others had labelled. Labels
of enough articles can tell that other weights are better, or that nothing should be read.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict

import numpy as np

from paratopic.corpus.folds import deal
from paratopic.inference.context import ContextWeights
from paratopic.inference.scores import Array, Features, Integers, Scores, Targets
from paratopic.project.texts import NOTHING, Texts
from paratopic.project.topics import Topics
from paratopic.training.calibration import measure
from paratopic.training.examples import Examples, at_most

# Weights that are used unless labels tell that others are better.
PRIOR = ContextWeights(neighbours=0.6, heading=0.3)
# The other weights that are tried.
OTHERS = (
    ContextWeights(),
    ContextWeights(neighbours=0.3),
    ContextWeights(neighbours=0.6),
    ContextWeights(heading=0.3),
    ContextWeights(neighbours=0.6, heading=0.3, title=0.3),
)
# Labelled articles that it takes to choose, and number of folds: with fewer, held-out ones say
# little of others.
LEAST_ARTICLES = 4
# Standard errors by which other weights have to be better than the prior ones.
ERRORS = 0.5
# The choice is made on no more examples than this.
MOST_TO_CHOOSE = 1000
# Standard errors by which texts have to be more like their neighbours than like those of others,
# and number of texts that are compared at most. Nearly all articles are coherent, so that one error
# is enough: 25 paragraphs rarely show more.
COHERENT, MOST_TO_COMPARE = 1.0, 300

# Probabilities (m, k) of held-out examples, by a head that reads so much and was fitted to others:
# of weights, and of the numbers of examples to learn from and to answer.
Score = Callable[[ContextWeights, Integers, Integers], Scores]

# Features of texts alone, (m, d).
Embed = Callable[[Sequence[str]], Features]


def choose_context(
    examples: Examples, topics: Topics, seed: int, score: Score, embed: Embed
) -> ContextWeights:
    """Choose the weights by the log loss of examples that are held out, whole articles at a time.

    Neighbours are not read where they are no more like the texts than those of other texts are. No
    label is needed to see that.

    Returns
    -------
    `PRIOR`, unless other weights are better by more than chance explains. Parts that no example has
    weigh 0, unless there is no example at all.
    """
    if not len(examples.texts):
        return PRIOR
    is_read = {
        part: bool((examples.texts.beside(part) != NOTHING).any()) for part in ("heading", "title")
    }
    is_read["neighbours"] = _are_coherent(examples.texts, seed, embed)
    weights = (
        {part: weight for part, weight in asdict(each).items() if is_read[part]}
        for each in (PRIOR, *OTHERS)
    )
    prior, *others = dict.fromkeys(ContextWeights(**each) for each in weights)
    rows = at_most(MOST_TO_CHOOSE, len(examples.texts), seed)
    targets, articles = examples.targets[rows], examples.articles[rows]
    # At least one topic has to be in as many rows as there are folds.
    most = int(targets.sum(axis=0).max(initial=0))
    if not others or min(len(np.unique(articles)), most) < LEAST_ARTICLES:
        return prior
    fold = deal(targets, articles, LEAST_ARTICLES, seed)

    def losses(read: ContextWeights) -> Array:
        scores = np.zeros(targets.shape)
        for held_out in np.unique(fold):
            test = fold == held_out
            scores[test] = score(read, rows[~test], rows[test])
        return measure(targets, scores, topics)[0]

    of_each = np.array([losses(each) for each in (prior, *others)])
    best = int(of_each.mean(axis=1).argmin())
    worse = of_each[0] - of_each[best]
    chance = ERRORS * worse.std() / np.sqrt(len(worse))
    return prior if worse.mean() <= chance else others[best - 1]


def _are_coherent(texts: Texts, seed: int, embed: Embed) -> bool:
    """Whether texts are more like their neighbours than like those of other texts.

    The neighbour of a text is the text after it or, without one, that before it. Of fewer than two
    texts with neighbours, nothing is known, and they are taken to be. Without any neighbours it is
    false.
    """
    before, after = (texts.beside(part)[:, 0] for part in ("before", "after"))
    near = np.where(after == NOTHING, before, after)
    rows = np.flatnonzero(near != NOTHING)
    if len(rows) < 2:
        return bool(len(rows))
    rows = rows[at_most(MOST_TO_COMPARE, len(rows), seed)]
    own, others = (
        embed([texts.distinct[number] for number in numbers.tolist()])
        for numbers in (texts.own[rows], near[rows])
    )
    products = own @ others.T
    similarity = products if isinstance(products, np.ndarray) else products.toarray()
    return stand_out(similarity, np.eye(len(rows), dtype=bool), COHERENT)


def stand_out(similarity: Array, own: Targets, errors: float) -> bool:
    """Whether rows are more like their own column than like others, by more standard errors.

    Both are (n, m), and each row has one column of its own.
    """
    of_own = similarity[own]
    lead = of_own - (similarity.sum(axis=1) - of_own) / (similarity.shape[1] - 1)
    return bool(lead.mean() > errors * lead.std(ddof=1) / np.sqrt(len(lead)))
