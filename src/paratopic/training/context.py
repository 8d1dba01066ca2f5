"""Choose how much a model reads of what stands around a text.

With few labels the weights are those that were best on speeches which others had labelled. Labels
of enough articles can tell that other weights are better, or that nothing should be read.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from paratopic.corpus.folds import deal
from paratopic.inference.context import ContextWeights
from paratopic.inference.modes import Mode
from paratopic.inference.scores import Array, Features, Integers, Scores
from paratopic.project.passages import Passage
from paratopic.training.calibration import KnownScores, apply_calibration, fit_calibration
from paratopic.training.examples import Examples

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
# Standard errors by which texts have to be more like their neighbours than like others', and number
# of texts that are compared at most.
COHERENT, MOST_TO_COMPARE = 2.0, 300

# Probabilities (m, k) of held-out examples, by a head that reads so much and was fitted to others:
# of weights, and of the numbers of examples to learn from and to answer.
Score = Callable[[ContextWeights, Integers, Integers], Scores]

# Features of texts alone, (m, d).
Embed = Callable[[Sequence[str]], Features]


def choose_context(
    examples: Examples, mode: Mode, seed: int, score: Score, embed: Embed
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
    coherent = _are_coherent(examples, seed, embed)
    prior, *others = (_of_parts(each, examples, coherent) for each in (PRIOR, *OTHERS))
    candidates = list(dict.fromkeys([prior, *others]))
    rows = np.arange(len(examples.texts))
    if len(rows) > MOST_TO_CHOOSE:
        drawn = np.random.default_rng(seed).choice(len(rows), MOST_TO_CHOOSE, replace=False)
        rows = np.sort(drawn)
    # At least one topic has to be in as many rows as there are folds.
    n_articles = len(np.unique(examples.articles[rows]))
    most = int(examples.targets[rows].sum(axis=0).max(initial=0))
    if len(candidates) == 1 or min(n_articles, most) < LEAST_ARTICLES:
        return prior
    fold = deal(examples.targets[rows], examples.articles[rows], LEAST_ARTICLES, seed)
    losses = np.array([_losses(examples, rows, fold, mode, score, each) for each in candidates])
    best = int(losses.mean(axis=1).argmin())
    worse = losses[0] - losses[best]
    chance = ERRORS * worse.std() / np.sqrt(len(worse))
    return candidates[0] if worse.mean() <= chance else candidates[best]


def _are_coherent(examples: Examples, seed: int, embed: Embed) -> bool:
    """Whether texts are more like their neighbours than like those of other texts.

    It has to be by more than chance explains; of fewer than two texts with neighbours, nothing is
    known, and they are taken to be. Without any neighbours it is false.
    """
    pairs = [(text.text, _next_to(text)) for text in examples.texts if isinstance(text, Passage)]
    pairs = [pair for pair in pairs if pair[1]]
    if len(pairs) < 2:
        return bool(pairs)
    if len(pairs) > MOST_TO_COMPARE:
        drawn = np.random.default_rng(seed).choice(len(pairs), MOST_TO_COMPARE, replace=False)
        pairs = [pairs[number] for number in sorted(drawn.tolist())]
    own, near = (embed(list(texts)) for texts in zip(*pairs, strict=True))
    products = own @ near.T
    similarity = products if isinstance(products, np.ndarray) else products.toarray()
    n = len(pairs)
    of_own = np.diag(similarity)
    lead = of_own - (similarity.sum(axis=1) - of_own) / (n - 1)
    return bool(lead.mean() > COHERENT * lead.std(ddof=1) / np.sqrt(n))


def _next_to(passage: Passage) -> str:
    """The text after a passage or, without one, that before it; "" for none."""
    beside = (*passage.after[:1], *passage.before[-1:])
    return next((text for text in beside if text.strip()), "")


def _of_parts(weights: ContextWeights, examples: Examples, coherent: bool) -> ContextWeights:
    """The weights of parts that some example has, if they are worth reading; 0 for the others."""
    passages = [text for text in examples.texts if isinstance(text, Passage)]
    return replace(
        weights,
        neighbours=weights.neighbours * coherent,
        heading=weights.heading * any(bool(p.heading) for p in passages),
        title=weights.title * any(bool(p.title) for p in passages),
    )


def _losses(
    examples: Examples,
    rows: Integers,
    fold: Integers,
    mode: Mode,
    score: Score,
    weights: ContextWeights,
) -> Array:
    """Log loss of each row, after calibration, with a model that reads so much."""
    targets = examples.targets[rows]
    scores = np.zeros(targets.shape)
    for held_out in np.unique(fold):
        test = fold == held_out
        scores[test] = score(weights, rows[~test], rows[test])
    calibration = fit_calibration(KnownScores(targets, scores, np.ones(len(rows))), mode)
    scores = apply_calibration(scores, calibration, mode)
    return mode.losses(mode.outcomes(targets), mode.complete(scores))
