"""What a mistake is: an out-of-fold answer that differs from its label. Every list counts these.

An answer is what `predict` gives; none of the topics is an answer too. Repeats of cross-validation
make one answer, that of the mean probabilities, so that a paragraph counts once. Metrics are for
`intervals`, and whether mistakes are more frequent somewhere is for `slices`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import pandas as pd

from paratopic.corpus.labelled import Labelled
from paratopic.evaluation.outcomes import Outcomes, answer_outcomes, mean_over_repeats
from paratopic.inference.scores import Array, Targets, topical
from paratopic.project.topics import NONE, Topics


@dataclass(frozen=True)
class Answered:
    """Answers for n paragraphs that are evaluated.

    Parameters
    ----------
    table
        A row for each paragraph: id, article, heading, text, answer and label (cells of topics, ""
        for none of them), right (whether the answer is the label), most_probable (a topic, whether
        or not it is the answer), confidence (its probability), certainty (probability that the
        answer is right), and `score TOPIC` (probability of each topic).
    outcomes
        The same, as outcomes in one repeat.
    """

    table: pd.DataFrame
    outcomes: Outcomes

    @property
    def right(self) -> Array:
        """1 for each answer that is right, else 0, (n,)."""
        return self.table["right"].to_numpy(dtype=np.float64)

    @property
    def mistakes(self) -> pd.DataFrame:
        """The rows of the table whose answer is wrong, the most certain first."""
        wrong = self.table[~self.table["right"]]
        return wrong.sort_values("certainty", ascending=False, kind="stable", ignore_index=True)


def answered(data: Labelled, scores: pd.DataFrame) -> Answered:
    """Answers of a model for the paragraphs that are evaluated, beside their labels.

    Parameters
    ----------
    scores
        Calibrated out-of-fold scores: columns id, repeat, and a score and a threshold for each
        topic; at least one row.
    """
    topics, k = data.topics, len(data.topics.names)
    outcomes = answer_outcomes(data, mean_over_repeats(scores, topics))
    probabilities = outcomes.scores[0][:, :k]
    true, given = outcomes.true[:, :k], outcomes.predicted[0][:, :k]
    table = (
        data.measured(scores)
        .rows[["id", "article", "heading", "text"]]
        .assign(
            answer=topics.write(given),
            label=topics.write(true),
            right=(true == given).all(axis=1),
            most_probable=np.array(topics.names, dtype=object)[probabilities.argmax(axis=1)],
            confidence=probabilities.max(axis=1),
            certainty=outcomes.mode.certainty(probabilities, given),
            **dict(zip(topics.scores, probabilities.T, strict=True)),
        )
    )
    return Answered(table.reset_index(drop=True), outcomes)


def confusion(answers: Answered, topics: Topics) -> pd.DataFrame:
    """How often each label got each answer.

    Returns
    -------
    Columns label, answer and count (of paragraphs): a row for each pair, also those that never
    occur, in the order of the codebook, with `NONE` last. Where there are several topics, they are
    paired as in `confusion_pairs`.
    """
    classes = (*topics.names, NONE)
    true, given = (
        np.column_stack([targets, ~topical(targets)])
        for targets in (
            each[:, : len(topics.names)]
            for each in (answers.outcomes.true, answers.outcomes.predicted[0])
        )
    )
    counts = Counter(confusion_pairs(true, given, classes))
    rows = [(label, answer, counts[label, answer]) for label, answer in product(classes, classes)]
    return pd.DataFrame(rows, columns=["label", "answer", "count"])


def confusion_pairs(
    true: Targets, predicted: Targets, names: Sequence[str]
) -> Iterator[tuple[str, str]]:
    """Pairs of a true and a predicted topic, from n texts' topics (n, k).

    A topic that is predicted right is paired with itself. Each topic that was missed is paired with
    each wrong one, or with NONE (Heydarian, Doyle & Samavi 2022,
    https://doi.org/10.1109/ACCESS.2022.3151048), so that trade and security, predicted as trade and
    technology, give (trade, trade) and (security, technology).
    """
    for has, given in zip(true, predicted, strict=True):
        hit, missed, wrong = (
            [name for name, chosen in zip(names, row, strict=True) if chosen]
            for row in (has & given, has & ~given, given & ~has)
        )
        yield from zip(hit, hit, strict=True)
        if missed or wrong:
            yield from product(missed or [NONE], wrong or [NONE])


def confusions(answers: Answered, topics: Topics) -> list[str]:
    """What is mistaken for what, in words, the most frequent first.

    Returns
    -------
    In mode single such as "security mistaken for trade: 7 of 31 labelled security"; in mode multi
    how often each topic is missed, and how often it is wrongly predicted.
    """
    find = _taken if topics.mode == "single" else _missed
    return [text for text, count in sorted(find(answers, topics), key=lambda kind: -kind[1])]


def _taken(answers: Answered, topics: Topics) -> Iterator[tuple[str, int]]:
    """Each pair of a label and another answer, and how often there is one."""
    counts = confusion(answers, topics)
    n_labelled = counts.groupby("label")["count"].sum()
    for label, answer, count in counts.itertuples(index=False, name=None):
        if label != answer and count:
            what = "missed (no topic predicted)" if answer == NONE else f"mistaken for {answer}"
            yield f"{label} {what}: {count} of {n_labelled[label]} labelled {label}", count


def _missed(answers: Answered, topics: Topics) -> Iterator[tuple[str, int]]:
    """What is missed and what is wrongly given of each topic, and how often."""
    true, predicted = answers.outcomes.true, answers.outcomes.predicted[0]
    for name, has, given in zip(topics.names, true.T, predicted.T, strict=True):
        if missed := int((has & ~given).sum()):
            yield f"{name} missed: {missed} of {has.sum()} labelled {name}", missed
        if wrong := int((given & ~has).sum()):
            yield f"{name} wrongly predicted: {wrong} of {given.sum()} predicted", wrong
