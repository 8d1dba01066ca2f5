"""Out-of-fold answers that differ from their labels, one by one and counted in words.

An answer is what `predict` gives, from mean scores over repeats; none of the topics is an answer
too. Whether mistakes are more frequent somewhere is for `slices`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from paratopic.corpus.labelled import Labelled
from paratopic.corpus.table import evaluated
from paratopic.evaluation.outcomes import Outcomes, answer_outcomes
from paratopic.inference.scores import Array
from paratopic.project.topics import Topics

# How labels and answers with none of the topics are named.
NONE = "none"


@dataclass(frozen=True)
class Answered:
    """Answers for n paragraphs that are evaluated.

    Parameters
    ----------
    table
        A row for each paragraph: id, text, label and answer (cells of topics, `NONE` for none of
        them), confidence (probability that the answer is right), suggestion (the most probable
        topic), probability (that of the suggestion), and right (the answer is the label).
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
        """The rows of the table whose answer is wrong, the most confident first."""
        wrong = self.table[~self.table["right"]]
        return wrong.sort_values("confidence", ascending=False, kind="stable", ignore_index=True)


def answered(data: Labelled, scores: pd.DataFrame) -> Answered:
    """Answers of a model for the paragraphs that are evaluated, beside their labels.

    Parameters
    ----------
    data
        Labelled paragraphs and their folds.
    scores
        Calibrated out-of-fold scores: columns id, repeat, and a score and a threshold for each
        topic; at least one row.
    """
    topics, k = data.topics, len(data.topics.names)
    mean = scores.groupby("id")[[*topics.names, *topics.thresholds]].mean()
    outcomes = answer_outcomes(data, mean.assign(repeat=0).reset_index())
    rows = data.rows[data.rows["id"].isin(mean.index) & evaluated(data.rows)]
    probabilities = outcomes.scores[0][:, :k]
    true, given = outcomes.true[:, :k], outcomes.predicted[0][:, :k]
    table = pd.DataFrame(
        {
            "id": rows["id"],
            "text": rows["text"],
            "label": [cell or NONE for cell in topics.write(true)],
            "answer": [cell or NONE for cell in topics.write(given)],
            "confidence": outcomes.mode.certainty(probabilities, given),
            "suggestion": np.array(topics.names, dtype=object)[probabilities.argmax(axis=1)],
            "probability": probabilities.max(axis=1),
            "right": (true == given).all(axis=1),
        }
    )
    return Answered(table.reset_index(drop=True), outcomes)


def confusions(answers: Answered, topics: Topics) -> list[str]:
    """What is mistaken for what, in words, the most frequent first.

    Parameters
    ----------
    answers
        From `answered`.
    topics
        The codebook.

    Returns
    -------
    In mode single such as "security taken for diplomacy: 7 of 31 labelled security"; in mode multi
    what is missed and what is wrongly given, for each topic.
    """
    find = _taken if topics.mode == "single" else _missed
    return [text for text, count in sorted(find(answers, topics), key=lambda kind: -kind[1])]


def _taken(answers: Answered, topics: Topics) -> Iterator[tuple[str, int]]:
    """Each pair of a label and another answer, and how often there is one."""
    labels, given = answers.table["label"], answers.table["answer"]
    pairs, n_labelled = Counter(zip(labels, given, strict=True)), Counter(labels)
    classes = (*topics.names, NONE)
    for label in classes:
        for answer in classes:
            if label != answer and (count := pairs[label, answer]):
                what = "not seen (no answer)" if answer == NONE else f"taken for {answer}"
                yield f"{label} {what}: {count} of {n_labelled[label]} labelled {label}", count


def _missed(answers: Answered, topics: Topics) -> Iterator[tuple[str, int]]:
    """What is missed and what is wrongly given of each topic, and how often."""
    true, given = answers.outcomes.true, answers.outcomes.predicted[0]
    for name, has, answered_with in zip(topics.names, true.T, given.T, strict=True):
        if missed := int((has & ~answered_with).sum()):
            yield f"{name} missed: {missed} of {has.sum()} labelled {name}", missed
        if wrong := int((answered_with & ~has).sum()):
            yield f"{name} wrongly given: {wrong} of {answered_with.sum()} answered {name}", wrong
