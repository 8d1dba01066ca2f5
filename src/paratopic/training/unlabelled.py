"""Answers for texts that nobody labelled, to learn from: a head's own, and those of neighbours.

Texts that lie close together mostly have the same topic. So each answer of a head that knows the
labels alone is averaged with its neighbours', as in label propagation (Zhu & Ghahramani 2002), and
sharpened, as in entropy minimisation (Grandvalet & Bengio 2004). A head is then fitted to labels
and answers (`head.with_answers`). Where each topic has enough labels, this head answers the texts
once more; a topic with few has lost some of its texts to others by then, and would lose more.

Which texts these are is for `corpus.labelled`.
"""

from __future__ import annotations

import numpy as np

from paratopic.inference.modes import Mode
from paratopic.inference.scores import Array, Scores, Targets

# Number of the nearest other texts that are a text's neighbours.
NEIGHBOURS = 20
# Share of the neighbours' answers in the average; the rest is the text's own.
OF_NEIGHBOURS = 0.5
# The average is raised to this power.
POWER = 3.0
# Number of labels that each topic needs, by their weight, for texts to be answered twice.
ENOUGH = 4.0
# Texts that are compared with all others at a time: bounds the memory.
_STEP = 500


def n_rounds(weights: Array, targets: Targets, described: bool) -> int:
    """How often texts are answered and learnt from: twice, or once if a topic has few labels.

    Parameters
    ----------
    weights, targets
        (n,) weights of the labelled texts (`examples.evidence`), and (n, k) their topics.
    described
        Whether topics have descriptions: without, one that has no label is not predicted, and does
        not count.
    """
    of_topic = weights @ targets
    return 2 if (of_topic[described | targets.any(axis=0)] >= ENOUGH).all() else 1


def smooth_answers(embeddings: Array, probabilities: Scores, mode: Mode) -> Scores:
    """Average each text's probabilities with its neighbours', and sharpen them.

    Embeddings, (m, d), are of unit length. Probabilities of the outcomes, (m, `Mode.n_logits`), are
    those by a head that knows the labels.
    """
    n_neighbours = min(NEIGHBOURS, len(embeddings) - 1)
    if n_neighbours < 1:
        return probabilities
    average = np.empty_like(probabilities)
    for start in range(0, len(embeddings), _STEP):
        rows = np.arange(start, min(start + _STEP, len(embeddings)))
        distance = -embeddings[rows] @ embeddings.T
        distance[np.arange(len(rows)), rows] = np.inf  # a text is no neighbour of its own
        nearest = np.argpartition(distance, n_neighbours - 1, axis=1)[:, :n_neighbours]
        average[rows] = probabilities[nearest].mean(axis=1)
    average = OF_NEIGHBOURS * average + (1 - OF_NEIGHBOURS) * probabilities
    return mode.sharpen(average, POWER)
