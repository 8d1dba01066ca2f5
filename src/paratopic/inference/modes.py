"""The two modes: a text has at most one topic (`Single`), or any number of topics (`Multi`).

Scores are the probabilities of k topics for n texts, (n, k), in codebook order. Targets are boolean
arrays of the same shape: which topics each text has. The module begins with their types and with
functions that do not depend on the mode.

A mode defines the meaning of logits, probabilities and thresholds; its base class in
`project.topics` defines the meaning of labels. Both classes have the same methods. `Single`
documents all of them, `Multi` only those that differ.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from paratopic.project.topics import ModeName, MultiLabels, SingleLabels, join_cell

if TYPE_CHECKING:
    from scipy import sparse

Array = npt.NDArray[np.float64]
Floats = npt.NDArray[np.floating[Any]]
Integers = npt.NDArray[np.int64]
Scores = npt.NDArray[np.float64]
Targets = npt.NDArray[np.bool_]
# Features of n texts, (n, d).
Features: TypeAlias = "Array | sparse.csr_matrix"

# Log losses replace smaller probabilities by this one, which limits a loss to 34.5.
SMALLEST = 1e-15
# At this probability, presence and absence of a topic are equally likely.
HALF = 0.5
# If the scores of a text sum to 1, rounding leaves at most this probability for no topic.
ROUNDING = 1e-12
# No probability reaches this threshold, so no prediction is sure.
NEVER = 2.0
# Numbers in a calibration are at most this large, because logits could overflow otherwise.
LARGEST = 1e9


def softmax(logits: Floats) -> Scores:
    """Convert logits (n, k) to probabilities (n, k) that sum to 1 in each row."""
    exponents = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(exponents / exponents.sum(axis=1, keepdims=True))


def sigmoid(logits: Floats) -> Scores:
    """Convert logits of any shape to probabilities, element by element."""
    with np.errstate(over="ignore"):  # very negative logits give 1 / inf, which is 0
        return np.asarray(1 / (1 + np.exp(-logits.astype(np.float64))))


def conditional(scores: Array) -> Array:
    """Probabilities (..., k) given a topic: scores scaled to sum to 1 in a row, zeros to 1 / k."""
    total = scores.sum(axis=-1, keepdims=True)
    uniform = np.full(scores.shape, 1 / scores.shape[-1])
    return np.asarray(np.divide(scores, total, out=uniform, where=total > 0))


def ratio(part: Array, total: Array) -> Array:
    """Divide `part` by `total`; the ratio is 0 where `total` is 0."""
    return np.divide(part, total, out=np.zeros_like(part), where=total > 0)


def has_topic(targets: Targets) -> Targets:
    """Whether each row has any topic, (n,)."""
    return np.asarray(targets.any(axis=-1))


def class_numbers(targets: Targets) -> Integers:
    """Number of the first topic of each row, (n,); -1 without a topic."""
    return np.where(has_topic(targets), targets.argmax(axis=1), -1)


def one_hot(numbers: Integers, k: int) -> Targets:
    """Convert class numbers (...) to targets (..., k); -1 gives a row without topics.

    >>> one_hot(np.array([1, -1]), 2).astype(int).tolist()
    [[0, 1], [0, 0]]
    """
    return np.asarray(numbers[..., None] == np.arange(k))


def log_losses(true: Integers, scores: Array) -> Array:
    """Log loss of each row, (n,), from its true class, (n,), and the probabilities, (n, k)."""
    probability = np.take_along_axis(scores, true[:, None], axis=1)[:, 0]
    return -np.log(np.maximum(probability, SMALLEST))


def binary_log_losses(targets: Targets, scores: Array) -> Array:
    """Binary log loss of each row, averaged over the topics, (n,)."""
    probability = np.where(targets, scores, 1 - scores)
    return np.asarray(-np.log(np.maximum(probability, SMALLEST)).mean(axis=1))


def squared_distances(targets: Targets, scores: Array) -> Array:
    """Brier score of each row, (n,): squared distance between scores and targets (Brier 1950)."""
    return np.asarray(((scores - targets) ** 2).sum(axis=1))


class Single(SingleLabels):
    """Mode in which a text has at most one topic.

    Logits have a column for each topic and a last one for texts without a topic. Softmax converts
    them to probabilities.
    """

    # Whether exactly one outcome is true of each text.
    exclusive: Final = True

    def n_logits(self, k: int) -> int:
        """Number of logits of a text for k topics."""
        return k + 1

    def probabilities(self, logits: Floats) -> Scores:
        """Convert logits to probabilities, both (n, `n_logits`)."""
        return softmax(logits)

    def scores(self, logits: Floats) -> Scores:
        """Convert logits (n, `n_logits`) to the probabilities of the topics, (n, k)."""
        return self.probabilities(logits)[:, :-1]

    def complete(self, scores: Scores) -> Scores:
        """Probabilities of all outcomes, (n, `n_logits`), from those of the topics, (n, k)."""
        none = 1 - scores.sum(axis=1)
        return np.column_stack([scores, np.where(none > ROUNDING, none, 0)])

    def logits(self, probabilities: Scores) -> Scores:
        """Convert probabilities to their logs, both (n, `n_logits`); `probabilities` inverts it.

        >>> Single().logits(np.array([[0.5, 0.25, 0.25]])).round(2).tolist()
        [[-0.69, -1.39, -1.39]]
        """
        with np.errstate(divide="ignore"):  # an outcome without examples has probability 0
            return np.log(probabilities)

    def centred(self, logits: Array) -> Array:
        """Subtract the mean of each row from logits (n, r): softmax depends on differences only."""
        return np.asarray(logits - logits.mean(axis=1, keepdims=True))

    def sharpen(self, probabilities: Scores, power: float) -> Scores:
        """Raise probabilities (n, `n_logits`) to a power, and scale rows to sum to 1.

        >>> Single().sharpen(np.array([[0.6, 0.3, 0.1]]), 2).round(2).tolist()
        [[0.78, 0.2, 0.02]]
        """
        raised = probabilities**power
        return np.asarray(raised / raised.sum(axis=1, keepdims=True))

    def combine_windows(
        self, logits: Floats, lengths: Sequence[int], owner: Integers, n_texts: int
    ) -> Scores:
        """Average the logits of each text's windows, weighted by length, (n texts, `n_logits`).

        `logits` are (n windows, `n_logits`), `lengths` in tokens, and `owner` the number of each
        window's text, from 0 on. The results are logits, too, 0 for a text without a window.
        """
        weight = np.asarray(lengths, dtype=np.float64)
        weight /= np.bincount(owner, weights=weight, minlength=n_texts)[owner]
        mean = np.zeros((n_texts, logits.shape[1]))
        np.add.at(mean, owner, logits * weight[:, None])
        return mean

    def outcomes(self, targets: Targets) -> Targets:
        """Which outcome is true of each text, (n, k + 1), from targets (n, k); last, no topic."""
        return np.column_stack([targets, ~has_topic(targets)])

    def candidates(self, scores: Scores, thresholds: Array | Sequence[float] = (1.0,)) -> Targets:
        """Which topic has the largest ratio of score to threshold (ties: the first), (..., k)."""
        relative = scores / np.maximum(thresholds, SMALLEST)
        return one_hot(np.asarray(relative.argmax(axis=-1)), scores.shape[-1])

    def predicted(self, scores: Scores, thresholds: Array | Sequence[float]) -> Targets:
        """Which topics are predicted, (..., k).

        The topic that exceeds its threshold most (`candidates`) is predicted if its score is at
        least its threshold times the probability of no topic, which is 1 minus the sum of scores.
        """
        none = np.maximum(1 - scores.sum(axis=-1, keepdims=True), 0)
        likely = scores >= np.asarray(thresholds) * none
        return np.asarray(self.candidates(scores, thresholds) & likely)

    def named_from(self, scores: Scores, thresholds: Array | Sequence[float]) -> Array:
        """Lowest probability at which each topic would be predicted, (n, k), from scores (n, k).

        The probability of no topic changes accordingly; other topics keep their probabilities.

        >>> Single().named_from(np.array([[0.5, 0.1]]), (1.5, 0.25)).round(2).tolist()
        [[0.54, 0.1]]
        """
        ratios = np.asarray(thresholds)
        either = scores + np.maximum(1 - scores.sum(axis=1, keepdims=True), 0)
        return np.asarray(either * ratios / (1 + ratios))

    def stricter_thresholds(self, thresholds: Array, caution: float) -> Array:
        """Thresholds (k,) at which the odds of a predicted topic are `caution` times as high."""
        return thresholds * caution

    def certainty(self, scores: Scores, predicted: Targets) -> Array:
        """Probability that each prediction is right, (n,), from scores and predictions (n, k)."""
        return np.asarray((self.complete(scores) * self.outcomes(predicted)).sum(axis=1))

    def expected_thresholds(self, scores: Scores) -> Array:
        """Thresholds (k,) for uncalibrated scores: the most probable outcome is predicted."""
        return np.ones(scores.shape[1])

    def cell(self, topics: Sequence[str]) -> str | None:
        """Table cell of the predicted topics, which are in order of decreasing probability."""
        return topics[0] if topics else None

    def informative(self, targets: Targets) -> Targets:
        """Which rows inform about differences between topics, (n,)."""
        return has_topic(targets)

    def conditional(self, scores: Scores) -> Scores:
        """Scores (..., k) on the condition that the row is `informative`."""
        return conditional(scores)

    def losses(self, targets: Targets, scores: Scores) -> Array:
        """Log loss of each row, (n,), from targets and probabilities (n, classes).

        Each row has one class: an outcome, or a topic if rows are `informative`.
        """
        return log_losses(class_numbers(targets), scores)

    def likeliest_mistake(self, targets: Targets, scores: Scores) -> Targets:
        """The most probable wrong targets of `informative` rows, (n, k)."""
        return self.candidates(np.where(targets, -np.inf, scores))

    def label_doubt(
        self, scores: Scores, targets: Targets, thresholds: Array
    ) -> tuple[Array, Targets]:
        """Probability that each label is wrong, (n,), and which labels contradict the scores, (n,).

        The first is 1 minus the score of the label's topic or, without one, the highest score. A
        label that lacks the most probable topic, as an empty one does, contradicts the scores.
        `thresholds` have no effect.
        """
        doubt = np.where(has_topic(targets), 1 - (scores * targets).sum(axis=1), scores.max(axis=1))
        return doubt, ~has_topic(targets & self.candidates(scores))

    def uncertainty(self, scores: Scores) -> Array:
        """Uncertainty (n,): 1 minus the margin of the two likeliest outcomes, no topic included."""
        highest = np.sort(self.complete(scores), axis=1)
        return np.asarray(1 - (highest[:, -1] - highest[:, -2]))


class Multi(MultiLabels):
    """Mode in which a text has any number of topics, each with its own logit and probability."""

    exclusive: Final = False

    def n_logits(self, k: int) -> int:
        return k

    def probabilities(self, logits: Floats) -> Scores:
        return sigmoid(logits)

    def scores(self, logits: Floats) -> Scores:
        return self.probabilities(logits)

    def complete(self, scores: Scores) -> Scores:
        return scores

    def logits(self, probabilities: Scores) -> Scores:
        with np.errstate(divide="ignore"):  # a topic without examples has probability 0
            return np.asarray(np.log(probabilities) - np.log1p(-probabilities))

    def centred(self, logits: Array) -> Array:
        """Return the logits unchanged, because the topics are independent."""
        return logits

    def sharpen(self, probabilities: Scores, power: float) -> Scores:
        """Raise the probabilities of presence and absence of each topic to a power, and rescale."""
        present, absent = probabilities**power, (1 - probabilities) ** power
        return np.asarray(present / (present + absent))

    def combine_windows(
        self, logits: Floats, lengths: Sequence[int], owner: Integers, n_texts: int
    ) -> Scores:
        """Highest logit of each topic, because a text has the topics of all of its windows."""
        highest = np.full((n_texts, logits.shape[1]), -np.inf)
        np.maximum.at(highest, owner, logits)
        return highest

    def outcomes(self, targets: Targets) -> Targets:
        return targets

    def candidates(self, scores: Scores, thresholds: Array | Sequence[float] = (1.0,)) -> Targets:
        return np.ones(scores.shape, dtype=bool)

    def predicted(self, scores: Scores, thresholds: Array | Sequence[float]) -> Targets:
        """Which topics reach their thresholds, (..., k)."""
        return np.asarray(scores >= np.asarray(thresholds))

    def named_from(self, scores: Scores, thresholds: Array | Sequence[float]) -> Array:
        return np.broadcast_to(thresholds, scores.shape)

    def stricter_thresholds(self, thresholds: Array, caution: float) -> Array:
        return thresholds * caution / (1 + thresholds * (caution - 1))

    def certainty(self, scores: Scores, predicted: Targets) -> Array:
        """Probability that all topics of a prediction are right, if topics are independent."""
        return np.asarray(np.where(predicted, scores, 1 - scores).prod(axis=1))

    def expected_thresholds(self, scores: Scores) -> Array:
        """Thresholds at which each topic is predicted in 1 / k of the rows."""
        return np.asarray(np.quantile(scores, 1 - 1 / scores.shape[1], axis=0))

    def cell(self, topics: Sequence[str]) -> str | None:
        return join_cell(topics)

    def informative(self, targets: Targets) -> Targets:
        return np.ones(len(targets), dtype=bool)

    def conditional(self, scores: Scores) -> Scores:
        return scores

    def losses(self, targets: Targets, scores: Scores) -> Array:
        return binary_log_losses(targets, scores)

    def likeliest_mistake(self, targets: Targets, scores: Scores) -> Targets:
        """Targets with one wrong topic: the one whose probability is nearest to one half."""
        doubtful = np.abs(scores - HALF).argmin(axis=1)
        return np.asarray(targets ^ one_hot(doubtful, targets.shape[1]))

    def label_doubt(
        self, scores: Scores, targets: Targets, thresholds: Array
    ) -> tuple[Array, Targets]:
        """Highest probability, over topics, that each label is wrong on the topic, (n,).

        The second array, (n,), is True where a label contradicts the scores: it lacks a predicted
        topic, or has one that is not predicted. Scores between a topic's threshold and one half are
        too uncertain to contradict a label.
        """
        doubt = np.where(targets, 1 - scores, scores).max(axis=1)
        superfluous = targets & (scores < np.minimum(thresholds, HALF))
        missing = ~targets & (scores >= np.maximum(thresholds, HALF))
        return doubt, has_topic(superfluous | missing)

    def uncertainty(self, scores: Scores) -> Array:
        """Uncertainty about the topic whose probability is nearest to one half."""
        return np.asarray(1 - np.abs(2 * scores - 1).min(axis=1))


Mode: TypeAlias = Single | Multi

_MODES: dict[ModeName, Mode] = {mode.name: mode for mode in (Single(), Multi())}


def mode_of(name: ModeName) -> Mode:
    """Get the mode with this name, ``"single"`` or ``"multi"``."""
    return _MODES[name]


@dataclass(frozen=True)
class Calibration:
    """Scales and shifts of a model's logits, and thresholds of its predictions.

    Parameters
    ----------
    scale
        Positive factors of the logits (`modes.Mode.logits`): one for each logit, or one for all.
    shift
        Terms added to the scaled logits: one for each logit, or one for all.
    thresholds
        One for each topic, or one for all: lowest probability of a predicted topic; in mode single,
        lowest ratio of its probability to that of no topic.
    sure
        Lowest probability of a sure prediction; `NEVER`, the default, if no prediction is sure.
    shares
        Share of the labels with each outcome (`modes.Mode.outcomes`); empty, the default, if
        unknown.
    without_context
        Calibration of texts without context; None, the default, if it is the same one.
    """

    scale: tuple[float, ...] = (1.0,)
    shift: tuple[float, ...] = (0.0,)
    thresholds: tuple[float, ...] = (1.0,)
    sure: float = NEVER
    shares: tuple[float, ...] = ()
    without_context: Calibration | None = None

    def apply(self, logits: Array) -> Array:
        """Calibrate logits (..., r)."""
        return logits * self.scale + self.shift

    def check(self, k: int, n: int) -> None:
        """Raise a ValueError if a field is impossible for k topics and n logits.

        There are 1 or n scales, 1 or n shifts, 1 or k thresholds, and 0 or n shares. All numbers
        are finite and at most `LARGEST` in size, scales above 0 and shares from 0 to 1. All of this
        holds for `without_context`, too.
        """
        sizes = {"scale": (1, n), "shift": (1, n), "thresholds": (1, k), "shares": (0, n)}
        for name, allowed in sizes.items():
            if len(getattr(self, name)) not in allowed:
                raise ValueError(f"calibration has {len(getattr(self, name))} numbers as {name}")
        numbers = *self.scale, *self.shift, *self.thresholds, *self.shares, self.sure
        if not (np.abs(numbers) <= LARGEST).all():
            raise ValueError("calibration: a number is not finite, or too large")
        if not all(factor > 0 for factor in self.scale):
            raise ValueError("calibration: a scale is not positive")
        if not all(0 <= share <= 1 for share in self.shares):
            raise ValueError("calibration: a share is not from 0 to 1")
        if self.without_context is not None:
            self.without_context.check(k, n)


def read_calibration(values: Mapping[str, Any]) -> Calibration:
    """Rebuild a calibration from `dataclasses.asdict` of it, or JSON of that, without checking it.

    >>> read_calibration({"scale": [2.0], "shift": [0.0], "thresholds": [0.5]}).thresholds
    (0.5,)
    """
    fields: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in values.items()
    }
    if fields.get("without_context") is not None:
        fields["without_context"] = read_calibration(fields["without_context"])
    return Calibration(**fields)
