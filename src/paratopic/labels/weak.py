"""Weak sources: what they answer, how far they are trusted, and what models learn from them.

A weak source is a rule, a heading, a language model or another tool. What it says is in the table
of votes. From those on paragraphs that people labelled too, `trust` learns what they are
worth.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from paratopic.corpus.labelled import weak_votes_on
from paratopic.corpus.table import has_hand_label, targets_of
from paratopic.labels.answers import current
from paratopic.labels.log import Label
from paratopic.labels.trust import UNKNOWN, Answers, Array, Trust, combine, learn_trust
from paratopic.project.errors import UserError
from paratopic.project.passages import section_heading
from paratopic.project.topics import NO_TOPIC, Topics

# Names of the sources that are in the codebook.
HEADINGS, RULES = "headings", "rules"


def votes_of_weak_sources(
    frame: pd.DataFrame, lines: Sequence[Label], topics: Topics, judged: Collection[str]
) -> Iterator[dict[str, Any]]:
    """Collect what weak sources say of paragraphs, as rows of votes.

    A heading stands for the paragraphs of an article that nobody has looked at yet. Beside these it
    answers for paragraphs with a hand label alone, so that it can be compared. A rule answers for
    each topic whose pattern it finds; in mode multi the topics together are its answer.

    Parameters
    ----------
    frame
        Paragraph table with the labels of people and tables.
    lines
        Lines of weak sources, in the order of labels.csv.
    topics
        The codebook, with the patterns of rules and headings.
    judged
        Ids of the paragraphs that people have answers on in labels.csv.

    Raises
    ------
    UserError
        A pattern takes too long, or a line has an unknown topic or no number as its confidence.
    """
    answers: dict[str, list[dict[str, Any]]] = {}
    for line in current(lines, topics):
        names = list(topics.check(line.names, line.where))
        row = {"source": line.annotator, "kind": "model", "given": names}
        answers.setdefault(line.paragraph, []).append(row | {"confidence": confidence_of(line)})
    by_hand = has_hand_label(frame)
    seen = set(frame["article"][frame["id"].isin(list(judged))])
    columns = [frame[name] for name in ("id", "article", "heading", "title", "text")]
    for is_hand, id_, article, heading, title, text in zip(by_hand, *columns, strict=True):
        # Of a paragraph without a label that people are divided on, nothing is learnt.
        if not is_hand and id_ in judged:
            continue
        rows = [*answers.get(id_, ())]
        if is_hand or article not in seen:
            named = next(topics.matching("heading", section_heading(heading, title)), None)
            rows += [{"source": HEADINGS, "kind": "heading", "given": [named]}] if named else []
        names = list(topics.matching("pattern", text))
        each = (names[start : start + topics.most] for start in range(0, len(names), topics.most))
        rows += [{"source": RULES, "kind": "rule", "given": given} for given in each]
        yield from ({"paragraph": id_} | row for row in rows)


def confidence_of(line: Label) -> float | None:
    """How certain a weak source is of its answer, 0 to 1; None where it does not say.

    Raises
    ------
    UserError
        The cell of the column confidence is no such number.
    """
    cell = dict(line.more).get("confidence", "").strip()
    if not cell:
        return None
    confidence = math.nan
    with suppress(ValueError):
        confidence = float(cell)
    if not 0 <= confidence <= 1:
        raise UserError(
            f'{line.where}: "{cell}" in the column confidence is not a number from 0 to 1; '
            "correct it, or leave it empty"
        )
    return confidence


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
                at = number, outcome
                if answers := int(trust.answered[at]):
                    labels = dict(zip(outcomes, trust.table[at].astype(int).tolist(), strict=True))
                    right = labels.pop(topic)
                    compared = right + sum(labels.values())
                    trusted = [float(each[at]) for each in (trust.mean, trust.low, trust.high)]
                    instead = {other: n for other, n in labels.items() if n}
                    counts = not trust.worthless[at]
                    rows.append([name, topic, answers, compared, right, *trusted, counts, instead])
        return pd.DataFrame(rows, columns=_COLUMNS)

    def _given(self) -> Iterator[tuple[str, Trust, int, Sequence[str]]]:
        """What sources can give: a topic, the trust that it is in, and the outcomes there."""
        names = (*self.topics.names, NO_TOPIC)
        if self.topics.most == 1:
            for outcome, name in enumerate(names):
                yield name, self.trusts[0], outcome, names
        else:
            for name, trust in zip(self.topics.names, self.trusts, strict=True):
                yield name, trust, 1, (f"not {name}", name)


_COLUMNS = "source topic answers compared right trust low high counts instead".split()


def learn_sources(
    rows: pd.DataFrame, votes: pd.DataFrame, topics: Topics, confidence: float = 0.95
) -> Sources:
    """Learn how far to trust each weak source, from the rows that people labelled.

    Parameters
    ----------
    rows
        Rows of the paragraph table with their labels. The hand labels of others teach nothing.
    votes
        Votes of weak sources.
    confidence
        Confidence of the intervals; 0.95 by default.
    """
    weak = weak_votes_on(rows, votes)
    names = tuple(sorted(set(weak["source"])))
    return Sources(
        names,
        topics,
        tuple(
            learn_trust(truth, given, len(names), kinds, confidence)
            for truth, given, kinds in _questions(rows, weak, topics, names)
        ),
    )


def teach(rows: pd.DataFrame, votes: pd.DataFrame, sources: Sources) -> Lesson:
    """Combine the votes of weak sources on n rows, as far as they are trusted."""
    topics = sources.topics
    questions = _questions(rows, weak_votes_on(rows, votes), topics, sources.names)
    of_questions = [
        combine(given, trust, len(rows))
        for (_, given, _), trust in zip(questions, sources.trusts, strict=True)
    ]
    weights = np.column_stack([each.weight for each in of_questions])
    if topics.most == 1:
        targets = of_questions[0].truth.argmax(axis=1)[:, None] == np.arange(len(topics.names))
        ratio = of_questions[0].ratio
    else:
        targets = np.column_stack([each.truth[:, 1] > 1 / 2 for each in of_questions])
        ratio = np.column_stack([each.ratio[:, 1] / each.ratio[:, 0] for each in of_questions])
    return Lesson(targets & (weights > 0), ratio, weights)


def _questions(
    rows: pd.DataFrame, weak: pd.DataFrame, topics: Topics, names: Sequence[str]
) -> Iterator[tuple[npt.NDArray[np.int64], Answers, npt.NDArray[np.int64]]]:
    """Of each question, the truth as people gave it, the answers, and the kinds of the outcomes."""
    k, by_hand = len(topics.names), has_hand_label(rows).to_numpy()
    row, confidence = weak["row"].to_numpy(np.int64), weak["confidence"].to_numpy(np.float64)
    source = pd.Index(names).get_indexer(pd.Index(weak["source"]))
    labels = rows["label"].where(by_hand, None)
    of_people, of_sources = (
        targets_of([topics.counted(label or ()) for label in column], topics.names)
        for column in (labels, weak["given"])
    )
    if topics.most == 1:
        truth, outcome = (
            np.where(has.any(axis=1), has.argmax(axis=1), k) for has in (of_people, of_sources)
        )
        kinds = (np.arange(k + 1) == k).astype(np.int64)
        yield np.where(by_hand, truth, UNKNOWN), Answers(row, source, outcome, confidence), kinds
        return
    for truth, outcome in zip(of_people.T, of_sources.T, strict=True):
        given = Answers(row, source, outcome.astype(np.int64), confidence)
        yield np.where(by_hand, truth, UNKNOWN), given, np.arange(2)
