"""Weak answers in the paragraph table, and what models learn from them.

A weak source is a rule, a heading, a language model or another tool. Its answers are in the column
`corpus.answers.WEAK`. From those on paragraphs that people labelled too, `trust` learns what they
are worth. Which sources there are and what they answer is for `weak`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypedDict

import numpy as np
import numpy.typing as npt
import pandas as pd

from paratopic.corpus.answers import WEAK
from paratopic.corpus.table import has_hand_label
from paratopic.labels.trust import UNKNOWN, Answers, Array, Trust, combine, learn_trust
from paratopic.project.topics import NO_TOPIC, Topics


class WeakAnswer(TypedDict):
    """What one source says of one paragraph.

    Attributes
    ----------
    source
        Name of the source.
    topics
        The topics that it gives, the dominant one first; empty for none of the topics.
    certainty
        How certain it is, 0 to 1; None where it does not say.
    """

    source: str
    topics: list[str]
    certainty: float | None


class Lesson(NamedTuple):
    """What the weak answers on n paragraphs teach.

    Attributes
    ----------
    targets
        (n, k) the topics that are most probable.
    ratio
        (n, K) how many times as probable they make each outcome: in mode single each of the k
        topics and none. In mode multi the odds of having each of k topics.
    weights
        (n, r) how much is known, compared with a label by hand: 0, where no answer counts, to 1. In
        mode single r is 1, in mode multi k.
    """

    targets: npt.NDArray[np.bool_]
    ratio: Array
    weights: Array


@dataclass(frozen=True)
class Sources:
    """The weak sources, and how far each is trusted.

    Parameters
    ----------
    names
        Their names, sorted.
    trusts
        Trust in them for each question: which topic a paragraph has, or in mode multi for each
        topic whether it has it.
    """

    names: tuple[str, ...]
    topics: Topics
    trusts: tuple[Trust, ...]

    def table(self) -> pd.DataFrame:
        """List what each source is worth, topic by topic; a last one of each is none of the topics.

        Returns
        -------
        Columns source, topic, answers (number of them), compared (of those that people labelled
        too), right (of these), trust (the probability of being right), low and high (its interval),
        counts (whether models learn from them) and instead (topic → number of labels by hand where
        they are wrong). Topics that a source never gives are left out.
        """
        rows = []
        for number, name in enumerate(self.names):
            for topic, trust, outcome, outcomes in self._given():
                if answers := int(trust.answered[number, outcome]):
                    labels = dict(zip(outcomes, trust.table[number, outcome].tolist(), strict=True))
                    right = labels.pop(topic)
                    row = {"source": name, "topic": topic, "answers": answers}
                    row |= {"compared": int(right + sum(labels.values())), "right": int(right)}
                    row |= {"trust": float(trust.mean[number, outcome])}
                    row |= {"low": float(trust.low[number, outcome])}
                    row |= {"high": float(trust.high[number, outcome])}
                    row["counts"] = not trust.worthless[number, outcome]
                    row["instead"] = {other: int(n) for other, n in labels.items() if n}
                    rows.append(row)
        return pd.DataFrame(rows, columns=_COLUMNS)

    def _given(self) -> Iterator[tuple[str, Trust, int, Sequence[str]]]:
        """What sources can give: a topic, the trust that it is in, and the outcomes there."""
        names = (*self.topics.names, NO_TOPIC)
        if self.topics.mode == "single":
            for outcome, name in enumerate(names):
                yield name, self.trusts[0], outcome, names
        else:
            for name, trust in zip(self.topics.names, self.trusts, strict=True):
                yield name, trust, 1, (f"not {name}", name)


_COLUMNS = "source topic answers compared right trust low high counts instead".split()


def learn_sources(rows: pd.DataFrame, topics: Topics, confidence: float = 0.95) -> Sources:
    """Learn how far to trust each weak source, from the rows that people labelled.

    Parameters
    ----------
    rows
        Rows of the paragraph table. The hand labels of others teach nothing.
    confidence
        Confidence of the intervals; 0.95 by default.
    """
    names = tuple(sorted({answer["source"] for _, answer in answers_on(rows)}))
    return Sources(
        names,
        topics,
        tuple(
            learn_trust(truth, answers, len(names), kinds, confidence)
            for truth, answers, kinds in _questions(rows, topics, names)
        ),
    )


def teach(rows: pd.DataFrame, sources: Sources) -> Lesson:
    """Combine the weak answers on n rows of the paragraph table, as far as they are trusted."""
    topics = sources.topics
    of_questions = [
        combine(answers, trust, len(rows))
        for (_, answers, _), trust in zip(
            _questions(rows, topics, sources.names), sources.trusts, strict=True
        )
    ]
    weights = np.column_stack([each.weight for each in of_questions])
    if topics.mode == "single":
        targets = of_questions[0].truth.argmax(axis=1)[:, None] == np.arange(len(topics.names))
        ratio = of_questions[0].ratio
    else:
        targets = np.column_stack([each.truth[:, 1] > 1 / 2 for each in of_questions])
        ratio = np.column_stack([each.ratio[:, 1] / each.ratio[:, 0] for each in of_questions])
    return Lesson(targets & (weights > 0), ratio, weights)


def gain_of_labels(frame: pd.DataFrame, topics: Topics) -> tuple[Array, npt.NDArray[np.bool_]]:
    """How much a label by hand would tell of the weak answers on each of n rows.

    Returns
    -------
    (n,) 1 where sources give different answers, else the widest interval of the trust in an answer,
    0 without one; and (n,) where they give different answers.
    """
    worth = learn_sources(frame, topics).table()
    width = dict(
        zip(
            zip(worth["source"], worth["topic"], strict=True),
            worth["high"] - worth["low"],
            strict=True,
        )
    )
    gains, given = np.zeros(len(frame)), [set[tuple[str, ...]]() for _ in range(len(frame))]
    for row, answer in answers_on(frame):
        names = topics.counted(answer["topics"])
        given[row].add(tuple(sorted(names)))
        for name in names or (NO_TOPIC,):
            gains[row] = max(gains[row], width.get((answer["source"], name), 0.0))
    disputed = np.array([len(each) > 1 for each in given], dtype=np.bool_)
    return np.where(disputed, 1.0, gains), disputed


def answers_on(rows: pd.DataFrame) -> Iterator[tuple[int, WeakAnswer]]:
    """Number of a row of the paragraph table → each weak answer on it."""
    if WEAK not in rows:
        return
    for row, answers in enumerate(rows[WEAK]):
        for answer in answers if isinstance(answers, list) else ():
            yield row, answer


def _questions(
    rows: pd.DataFrame, topics: Topics, names: Sequence[str]
) -> Iterator[tuple[npt.NDArray[np.int64], Answers, npt.NDArray[np.int64]]]:
    """Of each question, the truth as people gave it, the answers, and the kinds of the outcomes."""
    k = len(topics.names)
    place = {name: number for number, name in enumerate(topics.names)}
    number_of = {name: number for number, name in enumerate(names)}
    row, given, answered = [], [], []
    for number, answer in answers_on(rows):
        row.append(number)
        given.append((number_of[answer["source"]], answer["certainty"]))
        answered.append([place[name] for name in topics.counted(answer["topics"])])
    by_hand = has_hand_label(rows).to_numpy()
    labels = [
        [place[name] for name in topics.counted(label)] if is_hand else []
        for label, is_hand in zip(rows["topics"], by_hand, strict=True)
    ]
    source = np.array([each for each, _ in given], dtype=np.int64)
    certainty = np.array([each for _, each in given], dtype=np.float64)
    where = np.array(row, dtype=np.int64)
    if topics.mode == "single":
        truth = np.array([label[0] if label else k for label in labels], dtype=np.int64)
        outcome = np.array([each[0] if each else k for each in answered], dtype=np.int64)
        kinds = (np.arange(k + 1) == k).astype(np.int64)
        yield (
            np.where(by_hand, truth, UNKNOWN),
            Answers(where, source, outcome, certainty),
            kinds,
        )
        return
    for topic in range(k):
        truth = np.array([topic in label for label in labels], dtype=np.int64)
        outcome = np.array([topic in each for each in answered], dtype=np.int64)
        yield (
            np.where(by_hand, truth, UNKNOWN),
            Answers(where, source, outcome, certainty),
            np.arange(2),
        )
