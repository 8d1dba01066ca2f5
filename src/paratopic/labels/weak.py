"""Weak sources: how far they are trusted, and what models learn from them.

A weak source is a rule, a heading, a language model or another tool. What it says is in the table
of votes (`resolve`). From those on paragraphs that people labelled too, `trust` learns what they
are worth.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from paratopic.corpus.labelled import weak_votes_on
from paratopic.corpus.table import has_hand_label, targets_of
from paratopic.labels.trust import UNKNOWN, Answers, Trust, combine, learn_trust
from paratopic.project.topics import Topics


class CombinedVotes(NamedTuple):
    """What the weak answers on n paragraphs teach.

    Attributes
    ----------
    targets
        (n, k) the topics that are most probable.
    ratio
        (n, K) how many times as probable they make each outcome of each question.
    weights
        (n, r) how much is known of each question: 0, where no answer counts, to 1 as by hand.
    """

    targets: npt.NDArray[np.bool_]
    ratio: npt.NDArray[np.float64]
    weights: npt.NDArray[np.float64]


@dataclass(frozen=True)
class Reliability:
    """What a source's answers with a topic are worth.

    Parameters
    ----------
    answers, compared, right
        Number of answers; of those on paragraphs that people labelled too; and of these, the right
        ones.
    trust, low, high
        Probability of being right, and its interval.
    counts
        Whether models learn from the answers.
    instead
        Topic → number of labels by hand where the answers are wrong.
    """

    source: str
    topic: str
    answers: int
    compared: int
    right: int
    trust: float
    low: float
    high: float
    counts: bool
    instead: dict[str, int]


@dataclass(frozen=True)
class WeakSources:
    """The weak sources, and how far each is trusted.

    Parameters
    ----------
    trusts
        Trust in them for each question (`Topics.labels`).
    """

    names: tuple[str, ...]
    topics: Topics
    trusts: tuple[Trust, ...]

    def reliabilities(self) -> Iterator[Reliability]:
        """List what each source is worth, topic by topic; a last one of each is none of the topics.

        Topics that a source never gives are left out.
        """
        labels = self.topics.labels
        questions = list(zip(labels.questions(self.topics.names), self.trusts, strict=True))
        for (number, name), (outcomes, trust) in product(enumerate(self.names), questions):
            for topic in outcomes[labels.answers]:
                at = number, outcomes.index(topic)
                if answers := int(trust.answered[at]):
                    true = dict(zip(outcomes, trust.table[at].astype(int).tolist(), strict=True))
                    right = true.pop(topic)
                    compared = right + sum(true.values())
                    mean, low, high = (float(x[at]) for x in (trust.mean, trust.low, trust.high))
                    instead = {other: n for other, n in true.items() if n}
                    numbers = answers, compared, right, mean, low, high
                    yield Reliability(name, topic, *numbers, not trust.uninformative[at], instead)


def learn_sources(
    rows: pd.DataFrame, votes: pd.DataFrame, topics: Topics, confidence: float = 0.95
) -> WeakSources:
    """Learn how far to trust each weak source, from the rows that people labelled.

    Parameters
    ----------
    rows
        Rows of the paragraph table with their labels. The hand labels of others teach nothing.
    confidence
        Confidence of the intervals; 0.95 by default.
    """
    weak = weak_votes_on(rows, votes)
    names = tuple(sorted(set(weak["source"])))
    return WeakSources(
        names,
        topics,
        tuple(
            learn_trust(truth, given, len(names), kinds, confidence)
            for truth, given, kinds in _questions(rows, weak, topics, names)
        ),
    )


def combine_votes(rows: pd.DataFrame, votes: pd.DataFrame, sources: WeakSources) -> CombinedVotes:
    """Combine the votes of weak sources on n rows, as far as they are trusted."""
    topics, none = sources.topics, sources.topics.labels.none
    questions = _questions(rows, weak_votes_on(rows, votes), topics, sources.names)
    parts = []
    for (_, given, _), trust in zip(questions, sources.trusts, strict=True):
        truth, weight, ratio = combine(given, trust, len(rows))
        likeliest = np.eye(truth.shape[1], dtype=bool)[truth.argmax(axis=1)]
        parts.append((np.delete(likeliest, none, axis=1), ratio, weight[:, None]))
    targets, ratios, weights = map(np.hstack, zip(*parts, strict=True))
    return CombinedVotes(targets & (weights > 0), ratios, weights)


def _questions(
    rows: pd.DataFrame, weak: pd.DataFrame, topics: Topics, names: Sequence[str]
) -> Iterator[tuple[npt.NDArray[np.int64], Answers, npt.NDArray[np.int64]]]:
    """Of each question, the truth as people gave it, the answers, and the kinds of the outcomes."""
    by_hand, none = has_hand_label(rows).to_numpy(), topics.labels.none
    row, confidence = weak["row"].to_numpy(np.int64), weak["confidence"].to_numpy(np.float64)
    source = pd.Index(names).get_indexer(pd.Index(weak["source"]))
    counted = [
        [topics.counted(label or ()) for label in column]
        for column in (rows["label"].where(by_hand, None), weak["given"])
    ]
    for outcomes in topics.labels.questions(topics.names):
        truth, given = (targets_of(labels, outcomes) for labels in counted)
        for has in (truth, given):
            has[:, none] = ~np.delete(has, none, axis=1).any(axis=1)
        answers = Answers(row, source, given.argmax(axis=1), confidence)
        kinds = np.eye(len(outcomes), dtype=np.int64)[none]
        yield np.where(by_hand, truth.argmax(axis=1), UNKNOWN), answers, kinds
