"""Weak sources: their estimated accuracy, and their combined votes, on which models are trained.

A weak source is a rule, a heading, a language model or another tool. `resolve` collects its votes.
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
from paratopic.labels.source_accuracy import UNKNOWN, Accuracy, Votes, combine, estimate_accuracy
from paratopic.project.topics import Topics


class CombinedVotes(NamedTuple):
    """Combined votes of weak sources on n paragraphs, for k topics and r questions.

    Attributes
    ----------
    targets
        (n, k) mask of the most probable topics.
    ratio
        (n, K) likelihood ratio of each of the K outcomes of all questions (`Consensus.ratio`).
    weights
        (n, r) certainty of each question: 0 if no vote counts, up to 1 as for a hand label.
    """

    targets: npt.NDArray[np.bool_]
    ratio: npt.NDArray[np.float64]
    weights: npt.NDArray[np.float64]


@dataclass(frozen=True)
class Reliability:
    """Estimated accuracy of a source's votes for a topic, as in prepare.json.

    Parameters
    ----------
    answers, compared, right
        Number of votes; of those on paragraphs with a hand label; and of right ones among these.
    trust, low, high
        Probability that a vote is right, and its interval.
    counts
        Whether models are trained on the votes.
    instead
        Topic → number of hand labels where the votes are wrong.
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
    """The weak sources, and their estimated accuracies, one for each question (`Topics.labels`)."""

    names: tuple[str, ...]
    topics: Topics
    accuracies: tuple[Accuracy, ...]

    def reliabilities(self) -> Iterator[Reliability]:
        """Yield the accuracy of each source's votes for each topic, source by source.

        It is the probability that a vote for the topic is right. Topics for which a source never
        votes are left out. In mode single, "none of the topics" is the last topic of a source.
        """
        labels = self.topics.labels
        questions = list(zip(labels.questions(self.topics.names), self.accuracies, strict=True))
        for (number, name), (outcomes, accuracy) in product(enumerate(self.names), questions):
            for topic in outcomes[labels.named_outcomes]:
                at = number, outcomes.index(topic)
                n_votes = int(accuracy.n_votes[at])
                if not n_votes:
                    continue
                n_hand = dict(zip(outcomes, accuracy.table[at].astype(int).tolist(), strict=True))
                right = n_hand.pop(topic)
                numbers = n_votes, right + sum(n_hand.values()), right
                mean, low, high = accuracy.mean[at], accuracy.low[at], accuracy.high[at]
                estimate = float(mean), float(low), float(high)
                counts = not accuracy.uninformative[at]
                instead = {other: n for other, n in n_hand.items() if n}
                yield Reliability(name, topic, *numbers, *estimate, counts, instead)


def estimate_sources(
    rows: pd.DataFrame, votes: pd.DataFrame, topics: Topics, confidence: float = 0.95
) -> WeakSources:
    """Estimate the accuracy of each weak source for each topic from the rows with a hand label.

    `rows` are of the paragraph table with their labels; votes on rows without a hand label show how
    frequent topics are. `votes` has a row for each vote of weak sources, as in data/votes.parquet;
    those on other rows are left out. `confidence` is the level of the intervals.
    """
    weak = weak_votes_on(rows, votes)
    names = tuple(sorted(set(weak["source"])))
    accuracies = tuple(
        estimate_accuracy(truth, question_votes, len(names), kinds, confidence)
        for truth, question_votes, kinds in _questions(rows, weak, topics, names)
    )
    return WeakSources(names, topics, accuracies)


def combine_votes(rows: pd.DataFrame, votes: pd.DataFrame, sources: WeakSources) -> CombinedVotes:
    """Combine the votes of weak sources on n rows of the paragraph table, by their accuracies.

    A question is, in mode multi, whether a topic is true and, in mode single, which topic or none
    is. It has one weight for each row, 0 where no vote counts. A topic is a target if it is the
    most probable outcome of its question, and the weight above 0. Votes of a source that is not in
    `sources` would count as those of its last source, without an error.
    """
    topics, none = sources.topics, sources.topics.labels.none_outcome
    questions = _questions(rows, weak_votes_on(rows, votes), topics, sources.names)
    targets, ratios, weights = [], [], []
    for (_, question_votes, _), accuracy in zip(questions, sources.accuracies, strict=True):
        truth, weight, ratio = combine(question_votes, accuracy, len(rows))
        likeliest = np.eye(truth.shape[1], dtype=bool)[truth.argmax(axis=1)]
        targets.append(np.delete(likeliest, none, axis=1))
        ratios.append(ratio)
        weights.append(weight[:, None])
    weight_table = np.hstack(weights)
    return CombinedVotes(np.hstack(targets) & (weight_table > 0), np.hstack(ratios), weight_table)


def _questions(
    rows: pd.DataFrame, weak: pd.DataFrame, topics: Topics, names: Sequence[str]
) -> Iterator[tuple[npt.NDArray[np.int64], Votes, npt.NDArray[np.int64]]]:
    """For each question: the outcomes of hand labels, the weak votes, and the kinds of outcomes.

    Outcomes are numbers, (n,), `UNKNOWN` without a hand label. Kinds, (K,), are 1 for the outcome
    that no topic is true, and 0 for the others. `weak` is from `weak_votes_on`.
    """
    by_hand, none = has_hand_label(rows).to_numpy(), topics.labels.none_outcome
    row, confidence = weak["row"].to_numpy(np.int64), weak["confidence"].to_numpy(np.float64)
    source = pd.Index(names).get_indexer(pd.Index(weak["source"]))
    hand_labels = [topics.counted(label or ()) for label in rows["label"].where(by_hand, None)]
    weak_labels = [topics.counted(label or ()) for label in weak["given"]]
    for outcomes in topics.labels.questions(topics.names):
        true = _outcome_numbers(hand_labels, outcomes, none)
        votes = Votes(row, source, _outcome_numbers(weak_labels, outcomes, none), confidence)
        kinds = np.eye(len(outcomes), dtype=np.int64)[none]
        yield np.where(by_hand, true, UNKNOWN), votes, kinds


def _outcome_numbers(
    labels: Sequence[Sequence[str]], outcomes: Sequence[str], none: int
) -> npt.NDArray[np.int64]:
    """(n,) number of the first outcome that a label names; `none` where it names no outcome."""
    named = targets_of(labels, outcomes)
    named[:, none] = ~np.delete(named, none, axis=1).any(axis=1)
    numbers: npt.NDArray[np.int64] = named.argmax(axis=1)
    return numbers
