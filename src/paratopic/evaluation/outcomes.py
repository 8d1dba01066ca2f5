"""Out-of-fold scores and predictions of a model, joined with the labels.

Scores are calibrated already, and `metrics` and `intervals` measure them. A prediction is the
result of `predict`, which may be none of the topics. A mistake is a prediction that differs from
the label. In lists and confusions, the repeats of cross-validation give one prediction, that of the
mean probabilities, so that each paragraph counts once.
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
from paratopic.inference.modes import Array, Integers, Mode, Targets, has_topic, mode_of, ratio
from paratopic.project.errors import MOST_NAMED, plural, shortened_list
from paratopic.project.topics import NO_TOPIC_SHORT, Topics

# Reports warn of topics with fewer labels than the first number, and of uncertain probabilities if
# fewer labels than the second name a topic.
FEW_TOPIC_LABELS, FEW_LABELS = 5, 300
# Macro-F1 has no interval if half of the topics have fewer labels, because it would hold the true
# value too rarely.
LEAST_MEDIAN_LABELS = 3


@dataclass(frozen=True)
class Outcomes:
    """A model's out-of-fold scores and predictions, with the labels.

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
        (r, n, k) probabilities from `Mode.conditional`: in mode single, given that the row has a
        topic.
    predicted
        (r, n, k) whether each topic is predicted.
    train_share
        Mean share of the labelled rows that the model of a fold was trained on; 1, the default, for
        a model that was trained on none of them.
    topic_shares
        (k,) mean share of each topic's labelled rows that the models of its held-out rows were
        trained on: one half for a topic with two rows. None, the default, if each has
        `train_share`.
    weights
        (n,) part of the corpus that each row stands for, in any unit; None, the default, if all
        rows have the same weight.
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
        """Weight of each row, (n,); 1 if there are no weights."""
        return np.ones(len(self.true)) if self.weights is None else self.weights

    @cached_property
    def group_sizes(self) -> Integers:
        """Number of rows with a weight in each group that has one, (g,)."""
        return np.unique(self.groups[self.counts > 0], return_counts=True)[1]

    @cached_property
    def candidates(self) -> Targets:
        """Whether each topic would be predicted with a low enough threshold, (r, n, k)."""
        return self.mode.candidates(self.scores)

    @property
    def present(self) -> Targets:
        """Whether each topic has a true example with a weight, (k,)."""
        return has_topic(self.true[self.counts > 0].T)

    @property
    def too_few(self) -> str:
        """Reason why macro-F1 has no interval, without a full stop; "" if labels are enough."""
        n_labels = self.true[self.counts > 0].sum(axis=0)
        n_missing = int((n_labels == 0).sum())
        if n_missing:
            return f"{plural(n_missing, 'topic')} cannot be measured yet"
        few = f"half of the topics have fewer than {LEAST_MEDIAN_LABELS} labels"
        return few if np.median(n_labels) < LEAST_MEDIAN_LABELS else ""


def outcomes(data: Labelled, scores: pd.DataFrame) -> Outcomes:
    """Join labels, folds and out-of-fold scores, to measure how well a model separates the topics.

    Only hand labels are evaluated. Mode single leaves out rows with none of the topics, and each
    row gets the topic that is most probable relative to its threshold, whatever the probability of
    none. In mode multi, the topics that reach their thresholds are predicted.

    `scores` has the columns id, repeat, and a score and a threshold for each topic, from
    `training.calibration.calibrate_rows`.
    """
    topics, mode = data.topics, mode_of(data.topics.mode)
    part = data.measured(scores)
    part = part.select(mode.informative(part.targets))
    probabilities = mode.conditional(_stack(part, scores, topics.score_columns))
    predicted = mode.predicted(probabilities, _stack(part, scores, topics.threshold_columns))
    return _joined_outcomes(data, part, part.targets, data.targets, probabilities, predicted)


def prediction_outcomes(data: Labelled, scores: pd.DataFrame) -> Outcomes:
    """Join labels, folds and out-of-fold scores, to measure the predictions of a model.

    Only hand labels are evaluated. In mode single, the last of the k + 1 classes is none of the
    topics, and rows with none of them are included; scores are the probabilities of all classes. In
    mode multi, the result is that of `outcomes`. Parameters as for `outcomes`.
    """
    topics, mode = data.topics, mode_of(data.topics.mode)
    part = data.measured(scores)
    probabilities = _stack(part, scores, topics.score_columns)
    predicted = mode.predicted(probabilities, _stack(part, scores, topics.threshold_columns))
    complete = np.stack([mode.complete(repeat) for repeat in probabilities])
    predictions = np.stack([mode.outcomes(repeat) for repeat in predicted])
    true, all_targets = mode.outcomes(part.targets), mode.outcomes(data.targets)
    return _joined_outcomes(data, part, true, all_targets, complete, predictions)


def _joined_outcomes(
    data: Labelled,
    part: Labelled,
    true: Targets,
    all_targets: Targets,
    scores: Array,
    predicted: Targets,
) -> Outcomes:
    """Outcomes of the rows of `part`, with their weights, groups and shares of labels in training.

    `true`, `scores` and `predicted` are of the part, `all_targets` of all rows of `data`. If the
    part has weights, the rows of an outcome get weight 0 if none of them was drawn at random,
    because rows that somebody looked for do not represent the outcome.
    """
    weights = part.weights
    if weights is not None:
        table, drawn = part.outcomes, is_random(part.rows)
        weights = np.where(table.loc[:, ~table[drawn].any()].any(axis=1), 0.0, weights)
    held_out = data.folds[data.folds["fold"] != ALWAYS_TRAIN].groupby(["repeat", "fold"]).size()
    # Nothing is held out from models that are not trained on these rows.
    share = held_out.mean() / data.folds["id"].nunique() if len(held_out) else 0.0
    mode, groups = mode_of(data.topics.mode), pd.factorize(part.groups)[0].astype(np.int64)
    topic_shares = train_shares(all_targets, data.folds, list(data.rows["id"]))
    return Outcomes(mode, true, groups, scores, predicted, float(1 - share), topic_shares, weights)


def train_shares(targets: Targets, folds: pd.DataFrame, ids: Sequence[str]) -> Array:
    """Share of each topic's rows that models were trained on when its rows were held out, (k,).

    The shares are means over the held-out rows of each topic; 1 for a topic that is never held out.
    `targets`, (n, k), are those of all labelled rows, with their `ids` in order; `folds` is the
    table of `Folds`.
    """
    held_out = folds[folds["fold"] != ALWAYS_TRAIN]
    part = held_out.groupby(["repeat", "fold"]).ngroup().to_numpy()
    counts = np.zeros((part.max(initial=-1) + 1, targets.shape[1]))
    np.add.at(counts, part, targets[pd.Index(ids).get_indexer(pd.Index(held_out["id"]))])
    possible = counts.sum(axis=0) * targets.sum(axis=0)
    return 1 - ratio((counts**2).sum(axis=0), possible)


def cautions(outcomes: Outcomes, names: Sequence[str]) -> list[str]:
    """Warnings about figures that are unreliable because labels are few; at most three.

    They are about topics with 1 to `FEW_TOPIC_LABELS` - 1 labels, about macro-F1 if it has no
    interval, and about probabilities if fewer labels than `FEW_LABELS` name a topic. `outcomes` is
    from the function of that name, not `prediction_outcomes`. No warning ends with a full stop.
    """
    counts, messages = outcomes.true.sum(axis=0), []
    few = [name for name, n in zip(names, counts, strict=True) if 0 < n < FEW_TOPIC_LABELS]
    if few:
        part = "its part" if len(few) == 1 else "their parts"
        messages.append(
            f"{shortened_list(few, MOST_NAMED)}: fewer than {FEW_TOPIC_LABELS} labels, so {part} "
            "of macro-F1 may be far off"
        )
    if outcomes.too_few:
        messages.append(f"macro-F1 has no interval: {outcomes.too_few}")
    n = int(has_topic(outcomes.true).sum())
    if n < FEW_LABELS:
        messages.append(
            f"only {plural(n, 'label names', 'labels name')} a topic: do not rely on probabilities "
            f"until about {FEW_LABELS} name one"
        )
    return messages


def mean_over_repeats(scores: pd.DataFrame, topics: Topics) -> pd.DataFrame:
    """Average the scores and thresholds of all repeats, which gives one row per paragraph."""
    mean = scores.groupby("id")[[*topics.score_columns, *topics.threshold_columns]].mean()
    return mean.assign(repeat=0).reset_index()


def _stack(part: Labelled, scores: pd.DataFrame, columns: list[str]) -> Array:
    """Columns of the scores of n paragraphs in each repeat, (r, n, columns)."""
    repeats = [table.set_index("id") for _, table in scores.groupby("repeat")]
    tables = [table.reindex(part.rows["id"])[columns] for table in repeats]
    return np.stack([table.to_numpy(dtype=np.float64) for table in tables])


@dataclass(frozen=True)
class EvaluatedPredictions:
    """Predictions for the n paragraphs that are evaluated, with their labels.

    `table` has a row for each paragraph: id, article, heading, text, answer (the prediction) and
    label (cells of topics, "" for none of them), right (whether the prediction is the label),
    most_probable (a topic, predicted or not), confidence (its probability), certainty (probability
    that the prediction is right), and `score TOPIC` (probability of each topic). `outcomes` are the
    same predictions, in one repeat.
    """

    table: pd.DataFrame
    outcomes: Outcomes

    @property
    def right(self) -> Array:
        """1 for each prediction that is right, else 0, (n,)."""
        return self.table["right"].to_numpy(dtype=np.float64)

    @property
    def mistakes(self) -> pd.DataFrame:
        """The rows of the table whose prediction is wrong, the most certain first."""
        wrong = self.table[~self.table["right"]]
        return wrong.sort_values("certainty", ascending=False, kind="stable", ignore_index=True)


def evaluated_predictions(data: Labelled, scores: pd.DataFrame) -> EvaluatedPredictions:
    """Predict the evaluated paragraphs by their mean scores over the repeats, and join the labels.

    `scores` are as in `outcomes`, with a row for at least one paragraph with a hand label.
    """
    topics, k = data.topics, len(data.topics.names)
    outcomes = prediction_outcomes(data, mean_over_repeats(scores, topics))
    rows = data.measured(scores).rows
    probabilities = outcomes.scores[0][:, :k]
    true, predicted = outcomes.true[:, :k], outcomes.predicted[0][:, :k]
    table = rows[["id", "article", "heading", "text"]].assign(
        answer=topics.write_cells(predicted),
        label=topics.write_cells(true),
        right=(true == predicted).all(axis=1),
        most_probable=np.array(topics.names, dtype=object)[probabilities.argmax(axis=1)],
        confidence=probabilities.max(axis=1),
        certainty=outcomes.mode.certainty(probabilities, predicted),
    )
    table = with_columns(table, topics.score_columns, probabilities)
    return EvaluatedPredictions(table.reset_index(drop=True), outcomes)


def confusion(predictions: EvaluatedPredictions, topics: Topics) -> pd.DataFrame:
    """Confusion matrix in long format: columns label, answer (the prediction) and count.

    There is a row for each pair, also those that never occur, in the order of the codebook, with
    `NO_TOPIC_SHORT` last. Several topics of a paragraph are paired as in `confusion_pairs`.
    """
    classes, k, single = (*topics.names, NO_TOPIC_SHORT), len(topics.names), mode_of("single")
    true = single.outcomes(predictions.outcomes.true[:, :k])
    predicted = single.outcomes(predictions.outcomes.predicted[0][:, :k])
    counts = Counter(confusion_pairs(true, predicted, classes))
    rows = [(*pair, counts[pair]) for pair in product(classes, classes)]
    return pd.DataFrame(rows, columns=["label", "answer", "count"])


def confusion_pairs(
    true: Targets, predicted: Targets, names: Sequence[str]
) -> Iterator[tuple[str, str]]:
    """Yield pairs of a true and a predicted topic, text by text, from n texts' topics (n, k).

    A true positive is paired with itself. Each topic that was missed is paired with each wrong one;
    `NO_TOPIC_SHORT` replaces the missed or the wrong ones if there are none (Heydarian, Doyle &
    Samavi 2022, https://doi.org/10.1109/ACCESS.2022.3151048). A text with neither has no pair.

    >>> true, predicted = np.array([[1, 1, 0]], dtype=bool), np.array([[1, 0, 1]], dtype=bool)
    >>> list(confusion_pairs(true, predicted, ["trade", "security", "technology"]))
    [('trade', 'trade'), ('security', 'technology')]
    """
    for true_row, predicted_row in zip(true, predicted, strict=True):
        hit = _selected(names, true_row & predicted_row)
        missed = _selected(names, true_row & ~predicted_row)
        wrong = _selected(names, predicted_row & ~true_row)
        yield from zip(hit, hit, strict=True)
        if missed or wrong:
            yield from product(missed or [NO_TOPIC_SHORT], wrong or [NO_TOPIC_SHORT])


def _selected(names: Sequence[str], is_selected: Targets) -> list[str]:
    return [name for name, selected in zip(names, is_selected, strict=True) if selected]


def confusions(predictions: EvaluatedPredictions, topics: Topics) -> list[str]:
    """A sentence, without a full stop, about each kind of mistake, the most frequent first.

    In mode single, each is about a pair of topics, such as "security mistaken for trade: 7 of 31
    labelled security". In mode multi, each counts how often a topic is missed or wrongly predicted.
    """
    find = _mistaken_pairs if topics.max_topics == 1 else _topic_errors
    return [text for text, count in sorted(find(predictions, topics), key=lambda kind: -kind[1])]


def _mistaken_pairs(predictions: EvaluatedPredictions, topics: Topics) -> Iterator[tuple[str, int]]:
    """Yield words (see `confusions`) and a count for each label and other prediction that occur."""
    counts = confusion(predictions, topics)
    n_labelled = counts.groupby("label")["count"].sum()
    for label, predicted, count in counts.itertuples(index=False, name=None):
        if label != predicted and count:
            mistake = f"{label} mistaken for {predicted}"
            if predicted == NO_TOPIC_SHORT:
                mistake = f"{label} missed (no topic predicted)"
            if label == NO_TOPIC_SHORT:
                mistake = f"{predicted} predicted where there is no topic"
            yield f"{mistake}: {count} of {n_labelled[label]} labelled {label}", count


def _topic_errors(predictions: EvaluatedPredictions, topics: Topics) -> Iterator[tuple[str, int]]:
    """Yield words and a count for the misses of each topic, and its wrong predictions, if any."""
    all_true, all_predicted = predictions.outcomes.true.T, predictions.outcomes.predicted[0].T
    for name, true, predicted in zip(topics.names, all_true, all_predicted, strict=True):
        n_missed = int((true & ~predicted).sum())
        if n_missed:
            yield f"{name} missed: {n_missed} of {true.sum()} labelled {name}", n_missed
        n_wrong = int((predicted & ~true).sum())
        if n_wrong:
            yield f"{name} wrongly predicted: {n_wrong} of {predicted.sum()} predicted", n_wrong
