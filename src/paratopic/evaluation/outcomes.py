"""Out-of-fold scores and answers of a model beside the truth, as all figures and lists read them.

Scores are calibrated already; nothing is measured here. An answer is what `predict` gives; none of
the topics is an answer too. A mistake is an answer that differs from its label. Repeats of
cross-validation make one answer, that of the mean probabilities, so that a paragraph counts once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product

import numpy as np
import pandas as pd

from paratopic.corpus.folds import ALWAYS_TRAIN
from paratopic.corpus.labelled import Labelled, is_random
from paratopic.corpus.table import with_columns
from paratopic.inference.modes import Array, Integers, Mode, Targets, mode_of, ratio, topical
from paratopic.project.errors import MOST_NAMED, in_short, plural
from paratopic.project.topics import NONE, Topics

# A topic with fewer labels is named beside macro-F1, and with fewer labels of all topics than the
# second number, probabilities are called uncertain.
FEW_OF_A_TOPIC, FEW = 5, 300
# Where half of the topics have fewer labels, intervals of macro-F1 hold too rarely.
FEWEST_OF_MOST = 3


@dataclass(frozen=True)
class Outcomes:
    """A model's out-of-fold scores and predictions beside the truth.

    There are n rows, k topics and r repeats of cross-validation.

    Parameters
    ----------
    mode
        Mode of the topics. In mode single each row has exactly one topic, and one is predicted.
    true
        (n, k) whether each row has each topic.
    groups
        (n,) group numbers, from 0.
    scores
        (r, n, k) probabilities as `Mode.conditional` has them: in mode single, given that the row
        has a topic.
    predicted
        (r, n, k) whether each topic is predicted.
    train_share
        Share of the labelled rows that each fold's model learnt from, on average; 1 for a model
        that is used as it is.
    topic_shares
        (k,) share of each topic's labelled rows that the models of its held-out rows learnt from,
        on average: a topic with two rows has one half. None, the default, if each has
        `train_share`.
    weights
        (n,) how much of the corpus each row stands for, in any unit; None, the default, if all
        rows count the same.
    """

    mode: Mode
    true: Targets
    groups: Integers
    scores: Array
    predicted: Targets
    train_share: float = 1.0
    topic_shares: Array | None = None
    weights: Array | None = None

    @cached_property
    def counts(self) -> Array:
        """How much each row counts, (n,)."""
        return np.ones(len(self.true)) if self.weights is None else self.weights

    @cached_property
    def group_sizes(self) -> Integers:
        """Number of rows that count in each group that has one, (g,)."""
        return np.unique(self.groups[self.counts > 0], return_counts=True)[1]

    @cached_property
    def candidates(self) -> Targets:
        """Which topics might be predicted, whatever their thresholds are, (r, n, k)."""
        return self.mode.candidates(self.scores)

    @property
    def present(self) -> Targets:
        """Whether each topic has a true example that counts, (k,)."""
        return topical(self.true[self.counts > 0].T)

    @property
    def too_few(self) -> str:
        """Why there is no interval of macro-F1; "" where labels are enough."""
        n_labels = self.true[self.counts > 0].sum(axis=0)
        if n_none := int((n_labels == 0).sum()):
            return f"{plural(n_none, 'topic')} cannot be measured yet"
        few = f"half of the topics have fewer than {FEWEST_OF_MOST} labels"
        return few if np.median(n_labels) < FEWEST_OF_MOST else ""


def outcomes(data: Labelled, scores: pd.DataFrame) -> Outcomes:
    """Join labels, folds and out-of-fold scores, to see how well a model tells topics apart.

    Rows with hand labels are evaluated, those with weak labels never. In mode single, rows with
    none of the topics are left out, and the topic that is most probable for its threshold is
    predicted, whatever the probability of none. In mode multi, the topics that reach their
    thresholds are predicted.

    Parameters
    ----------
    scores
        Columns id, repeat, and a score and a threshold for each topic, as
        `training.calibration.calibrate_rows` gives them.
    """
    topics, mode = data.topics, mode_of(data.topics.mode)
    part = data.measured(scores)
    part = part.of(mode.informative(part.targets))
    probabilities = mode.conditional(_stack(part, scores, topics.scores))
    predicted = mode.predicted(probabilities, _stack(part, scores, topics.thresholds))
    return _joined_outcomes(data, part, part.targets, data.targets, probabilities, predicted)


def answer_outcomes(data: Labelled, scores: pd.DataFrame) -> Outcomes:
    """Join labels, folds and out-of-fold scores, to see how good a model's answers are.

    An answer is what `predict` gives. In mode single it may be none of the topics, which is the
    last of the k + 1 classes, and rows with none of the topics are there too. In mode multi these
    are the outcomes that the function `outcomes` gives. Parameters as there.
    """
    topics, mode = data.topics, mode_of(data.topics.mode)
    part = data.measured(scores)
    probabilities = _stack(part, scores, topics.scores)
    predicted = mode.predicted(probabilities, _stack(part, scores, topics.thresholds))
    true, of_all = (mode.outcomes(each.targets) for each in (part, data))
    complete = np.stack([mode.complete(repeat) for repeat in probabilities])
    answers = np.stack([mode.outcomes(repeat) for repeat in predicted])
    return _joined_outcomes(data, part, true, of_all, complete, answers)


def _joined_outcomes(
    data: Labelled,
    part: Labelled,
    true: Targets,
    of_all: Targets,
    scores: Array,
    predicted: Targets,
) -> Outcomes:
    """Outcomes of a part; `true` is its targets, and `of_all` those of all labelled rows.

    Where none of the rows of a topic was drawn, they weigh nothing: rows that somebody looked for
    do not measure it.
    """
    weights = part.weights
    if weights is not None:
        has, drawn = part.outcomes, is_random(part.rows)
        weights = np.where(has.loc[:, ~has[drawn].any()].any(axis=1), 0.0, weights)
    held_out = data.folds[data.folds["fold"] != ALWAYS_TRAIN].groupby(["repeat", "fold"]).size()
    # Models that are used as they are hold nothing out.
    share = held_out.mean() / data.folds["id"].nunique() if len(held_out) else 0.0
    return Outcomes(
        mode_of(data.topics.mode),
        true,
        pd.factorize(part.groups)[0].astype(np.int64),
        scores,
        predicted,
        float(1 - share),
        train_shares(of_all, data.folds, list(data.rows["id"])),
        weights,
    )


def train_shares(targets: Targets, folds: pd.DataFrame, ids: Sequence[str]) -> Array:
    """Share of each topic's rows that models learnt from when its rows were held out, (k,).

    Means over the held-out rows of each topic; 1 for a topic that is never held out. `targets` are
    those of all labelled rows, (n, k).
    """
    held_out = folds[folds["fold"] != ALWAYS_TRAIN]
    part = held_out.groupby(["repeat", "fold"]).ngroup().to_numpy()
    counts = np.zeros((part.max(initial=-1) + 1, targets.shape[1]))
    np.add.at(counts, part, targets[pd.Index(ids).get_indexer(pd.Index(held_out["id"]))])
    possible = counts.sum(axis=0) * targets.sum(axis=0)
    return 1 - ratio((counts**2).sum(axis=0), possible)


def cautions(outcomes: Outcomes, names: Sequence[str]) -> list[str]:
    """What readers of the figures have to know where labels are few."""
    counts, messages = outcomes.true.sum(axis=0), []
    few = [name for name, n in zip(names, counts, strict=True) if 0 < n < FEW_OF_A_TOPIC]
    if few:
        part = "its part" if len(few) == 1 else "their parts"
        messages.append(
            f"{in_short(few, MOST_NAMED)}: fewer than {FEW_OF_A_TOPIC} labels, so {part} of "
            "macro-F1 may be far off"
        )
    if outcomes.too_few:
        messages.append(f"macro-F1 has no interval: {outcomes.too_few}")
    n = int(topical(outcomes.true).sum())
    if n < FEW:
        messages.append(
            f"only {plural(n, 'label names', 'labels name')} a topic: do not rely on probabilities "
            f"until about {FEW} name one"
        )
    return messages


def mean_over_repeats(scores: pd.DataFrame, topics: Topics) -> pd.DataFrame:
    """One repeat with the mean scores and thresholds of all, so that a paragraph is there once."""
    mean = scores.groupby("id")[[*topics.scores, *topics.thresholds]].mean()
    return mean.assign(repeat=0).reset_index()


def _stack(part: Labelled, scores: pd.DataFrame, columns: list[str]) -> Array:
    """Columns of the scores of n paragraphs in each repeat, (r, n, columns)."""
    repeats = [table.set_index("id") for _, table in scores.groupby("repeat")]
    tables = [table.reindex(part.rows["id"])[columns] for table in repeats]
    return np.stack([table.to_numpy(dtype=np.float64) for table in tables])


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

    Scores have at least one row, and are otherwise as in `outcomes`.
    """
    topics, k = data.topics, len(data.topics.names)
    outcomes = answer_outcomes(data, mean_over_repeats(scores, topics))
    rows = data.measured(scores).rows
    probabilities = outcomes.scores[0][:, :k]
    true, given = outcomes.true[:, :k], outcomes.predicted[0][:, :k]
    table = rows[["id", "article", "heading", "text"]].assign(
        answer=topics.write(given),
        label=topics.write(true),
        right=(true == given).all(axis=1),
        most_probable=np.array(topics.names, dtype=object)[probabilities.argmax(axis=1)],
        confidence=probabilities.max(axis=1),
        certainty=outcomes.mode.certainty(probabilities, given),
    )
    table = with_columns(table, topics.scores, probabilities)
    return Answered(table.reset_index(drop=True), outcomes)


def confusion(answers: Answered, topics: Topics) -> pd.DataFrame:
    """How often each label got each answer: columns label, answer and count (of paragraphs).

    There is a row for each pair, also those that never occur, in the order of the codebook, with
    `NONE` last. Where there are several topics, they are paired as in `confusion_pairs`.
    """
    classes = (*topics.names, NONE)
    both = (answers.outcomes.true, answers.outcomes.predicted[0])
    true, given = (mode_of("single").outcomes(each[:, : len(topics.names)]) for each in both)
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

    In mode single such as "security mistaken for trade: 7 of 31 labelled security"; in mode multi
    how often each topic is missed, and how often it is wrongly predicted.
    """
    find = _taken if topics.most == 1 else _missed
    return [text for text, count in sorted(find(answers, topics), key=lambda kind: -kind[1])]


def _taken(answers: Answered, topics: Topics) -> Iterator[tuple[str, int]]:
    """Each pair of a label and another answer, and how often there is one."""
    counts = confusion(answers, topics)
    n_labelled = counts.groupby("label")["count"].sum()
    for label, answer, count in counts.itertuples(index=False, name=None):
        if label != answer and count:
            what = f"{label} mistaken for {answer}"
            if answer == NONE:
                what = f"{label} missed (no topic predicted)"
            if label == NONE:
                what = f"{answer} predicted where there is no topic"
            yield f"{what}: {count} of {n_labelled[label]} labelled {label}", count


def _missed(answers: Answered, topics: Topics) -> Iterator[tuple[str, int]]:
    """What is missed and what is wrongly given of each topic, and how often."""
    true, predicted = answers.outcomes.true, answers.outcomes.predicted[0]
    for name, has, given in zip(topics.names, true.T, predicted.T, strict=True):
        if missed := int((has & ~given).sum()):
            yield f"{name} missed: {missed} of {has.sum()} labelled {name}", missed
        if wrong := int((given & ~has).sum()):
            yield f"{name} wrongly predicted: {wrong} of {given.sum()} predicted", wrong
