"""The two ways to label: a text has one topic at most (`Single`), or any number (`Multi`).

Scores are the probabilities of n texts' topics, (n, k), in codebook order. Targets say which topics
each text has, (n, k). Their types, and functions on them that need no mode, come first.

A mode knows what logits, probabilities and thresholds mean, and what labels do (`project.topics`).
Each has all methods, which `Single` describes, and `Multi` where it differs. How heads and encoders
are fitted in each mode is for `training` and `transformer`.
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

# Smaller probabilities count as this one in log losses, which are thus at most 34.5.
SMALLEST = 1e-15
# Probability from which on a topic is more likely there than not.
HALF = 0.5
# Probabilities of the topics that sum to 1 leave no more than this to none of them.
ROUNDING = 1e-12
# Threshold that no probability reaches: no prediction is called sure.
NEVER = 2.0
# Largest number in a calibration: with more, logits could overflow.
LARGEST = 1e9


def softmax(logits: Floats) -> Scores:
    """Probabilities (n, k) that sum to 1 in each row, from logits (n, k)."""
    exponents = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(exponents / exponents.sum(axis=1, keepdims=True))


def sigmoid(logits: Floats) -> Scores:
    """Probabilities from logits of any shape, each by itself."""
    with np.errstate(over="ignore"):  # very negative logits give 1 / inf, which is 0
        return np.asarray(1 / (1 + np.exp(-logits.astype(np.float64))))


def conditional(scores: Array) -> Array:
    """Probabilities (..., k) given that a text has a topic: scores scaled to rows that sum to 1.

    Where all scores are 0, the topics are equally probable.
    """
    total = scores.sum(axis=-1, keepdims=True)
    alike = np.full(scores.shape, 1 / scores.shape[-1])
    return np.asarray(np.divide(scores, total, out=alike, where=total > 0))


def ratio(part: Array, whole: Array) -> Array:
    """`part / whole`, and 0 where `whole` is 0."""
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)


def topical(targets: Targets) -> Targets:
    """Whether each row has any topic, (n,)."""
    return np.asarray(targets.any(axis=-1))


def classes(targets: Targets) -> Integers:
    """Class number of each row, (n,): its first topic, or -1 for none."""
    return np.where(topical(targets), targets.argmax(axis=1), -1)


def one_hot(numbers: Integers, k: int) -> Targets:
    """Targets (..., k) from class numbers (...); -1 gives a row without topics.

    >>> one_hot(np.array([1, -1]), 2).astype(int).tolist()
    [[0, 1], [0, 0]]
    """
    return np.asarray(numbers[..., None] == np.arange(k))


def log_losses(true: Integers, scores: Array) -> Array:
    """Minus the log of the probability, in (n, k), of the true class, in (n,); (n,)."""
    right = np.take_along_axis(scores, true[:, None], axis=1)[:, 0]
    return -np.log(np.maximum(right, SMALLEST))


def binary_log_losses(targets: Targets, scores: Array) -> Array:
    """Log loss of having each topic or not, averaged over the topics of each row, (n,)."""
    right = np.where(targets, scores, 1 - scores)
    return np.asarray(-np.log(np.maximum(right, SMALLEST)).mean(axis=1))


def squared_distances(targets: Targets, scores: Array) -> Array:
    """Squared distance of each row of scores from its targets, (n,).

    It is 0 to 2 for a text with one topic (Brier 1950).
    """
    return np.asarray(((scores - targets) ** 2).sum(axis=1))


class Single(SingleLabels):
    """A text has one topic at most.

    There is a logit for each topic and a last one for none of them. Softmax turns them into as many
    probabilities.
    """

    # Whether each text has exactly one of the outcomes.
    exclusive: Final = True

    def n_logits(self, k: int) -> int:
        """Number of logits of a text for k topics."""
        return k + 1

    def probabilities(self, logits: Floats) -> Scores:
        """Probabilities of logits, both (n, `n_logits`)."""
        return softmax(logits)

    def scores(self, logits: Floats) -> Scores:
        """Probabilities of the topics alone, (n, k), from logits (n, `n_logits`)."""
        return self.probabilities(logits)[:, :-1]

    def complete(self, scores: Scores) -> Scores:
        """Probabilities (n, `n_logits`) from those of the topics (n, k)."""
        none = 1 - scores.sum(axis=1)
        return np.column_stack([scores, np.where(none > ROUNDING, none, 0)])

    def logits(self, probabilities: Scores) -> Scores:
        """Logits that give these probabilities, both (n, `n_logits`); inverts `probabilities`.

        They are the logs of the probabilities, one of many choices that softmax inverts.

        >>> Single().logits(np.array([[0.5, 0.25, 0.25]])).round(2).tolist()
        [[-0.69, -1.39, -1.39]]
        """
        with np.errstate(divide="ignore"):  # an outcome without an example has probability 0
            return np.log(probabilities)

    def centred(self, logits: Array) -> Array:
        """Logits (n, r) less their mean, because softmax sees differences alone."""
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
        """Logits of texts (n texts, `n_logits`): means of their windows', weighted by length.

        `logits` are those of n windows, (n, `n_logits`), and `owner` numbers their texts, (n,).
        """
        weight = np.asarray(lengths, dtype=np.float64)
        weight /= np.bincount(owner, weights=weight, minlength=n_texts)[owner]
        mean = np.zeros((n_texts, logits.shape[1]))
        np.add.at(mean, owner, logits * weight[:, None])
        return mean

    def outcomes(self, targets: Targets) -> Targets:
        """Which of all that can be true of a text holds, (n, `n_logits`), from its topics.

        It is one of the topics or, in the last column, none of them.
        """
        return np.column_stack([targets, ~topical(targets)])

    def candidates(self, scores: Scores, thresholds: Array | Sequence[float] = (1.0,)) -> Targets:
        """Which topics (..., k) might be predicted: the most probable one for its threshold."""
        relative = scores / np.maximum(thresholds, SMALLEST)
        return one_hot(np.asarray(relative.argmax(axis=-1)), scores.shape[-1])

    def predicted(self, scores: Scores, thresholds: Array | Sequence[float]) -> Targets:
        """Which topics are predicted, (..., k).

        It is the topic whose probability is largest in proportion to its threshold, if it is at
        least its threshold times as probable as none of the topics. Of `conditional` scores it
        always is.
        """
        none = np.maximum(1 - scores.sum(axis=-1, keepdims=True), 0)
        likely = scores >= np.asarray(thresholds) * none
        return np.asarray(self.candidates(scores, thresholds) & likely)

    def named_from(self, scores: Scores, thresholds: Array | Sequence[float]) -> Array:
        """Probability from which on each topic would be predicted, (n, k), from scores (n, k).

        What a topic gains is taken from none of the topics; other topics keep their probabilities.

        >>> Single().named_from(np.array([[0.5, 0.1]]), (1.5, 0.25)).round(2).tolist()
        [[0.54, 0.1]]
        """
        ratios = np.asarray(thresholds)
        either = scores + np.maximum(1 - scores.sum(axis=1, keepdims=True), 0)
        return np.asarray(either * ratios / (1 + ratios))

    def cautious(self, thresholds: Array, caution: float) -> Array:
        """Thresholds (k,) at which naming a topic takes so many times the odds."""
        return thresholds * caution

    def certainty(self, scores: Scores, predicted: Targets) -> Array:
        """Probability that each answer is right, (n,), from scores and predicted topics (n, k)."""
        return np.asarray((self.complete(scores) * self.outcomes(predicted)).sum(axis=1))

    def expected_thresholds(self, scores: Scores) -> Array:
        """Thresholds (k,) for scores (n, k) that rank rows, but do not tell how many have a topic.

        The most probable outcome is predicted, as it is without any label.
        """
        return np.ones(scores.shape[1])

    def cell(self, topics: Sequence[str]) -> str | None:
        """Cell of a table for the predicted topics, of which the most probable comes first."""
        return topics[0] if topics else None

    def informative(self, targets: Targets) -> Targets:
        """Which rows tell the topics apart, (n,)."""
        return topical(targets)

    def conditional(self, scores: Scores) -> Scores:
        """Scores (..., k) given that a row is `informative`."""
        return conditional(scores)

    def losses(self, targets: Targets, scores: Scores) -> Array:
        """Log loss of rows with one class each, (n,), from targets and probabilities (n, classes).

        Classes are the topics of `informative` rows with `conditional` scores, or the `outcomes`.
        """
        return log_losses(classes(targets), scores)

    def likeliest_mistake(self, targets: Targets, scores: Scores) -> Targets:
        """The most probable of the targets that `informative` rows do not have, (n, k)."""
        return self.candidates(np.where(targets, -np.inf, scores))

    def judge(self, scores: Scores, targets: Targets, thresholds: Array) -> tuple[Array, Targets]:
        """Doubt about labels, (n,), and which contradict scores: they lack the likeliest topic."""
        doubt = np.where(topical(targets), 1 - (scores * targets).sum(axis=1), scores.max(axis=1))
        return doubt, ~topical(targets & self.candidates(scores))

    def doubt(self, scores: Scores) -> Array:
        """How unsure a model is about each row of scores, (n,): 0 for sure, 1 for a tie.

        It is one minus the margin between the two most probable outcomes; none is an outcome too.
        """
        highest = np.sort(self.complete(scores), axis=1)
        return np.asarray(1 - (highest[:, -1] - highest[:, -2]))


class Multi(MultiLabels):
    """A text has any number of topics, each with a logit and a probability of its own."""

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
        with np.errstate(divide="ignore"):  # a topic without an example has probability 0
            return np.asarray(np.log(probabilities) - np.log1p(-probabilities))

    def centred(self, logits: Array) -> Array:
        """The logits as they are: each tells by itself."""
        return logits

    def sharpen(self, probabilities: Scores, power: float) -> Scores:
        """Raise each topic's probability of being there, and of not being there, to a power."""
        raised, other = probabilities**power, (1 - probabilities) ** power
        return np.asarray(raised / (raised + other))

    def combine_windows(
        self, logits: Floats, lengths: Sequence[int], owner: Integers, n_texts: int
    ) -> Scores:
        """Highest logit of each topic: a text has the topics that any of its windows has."""
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

    def cautious(self, thresholds: Array, caution: float) -> Array:
        return thresholds * caution / (1 + thresholds * (caution - 1))

    def certainty(self, scores: Scores, predicted: Targets) -> Array:
        """That all topics of an answer are right, as if they were independent."""
        return np.asarray(np.where(predicted, scores, 1 - scores).prod(axis=1))

    def expected_thresholds(self, scores: Scores) -> Array:
        """Each topic is predicted where it is most probable, as if rows had one on average."""
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
        """One topic is mistaken, whose probability is nearest to one half."""
        doubtful = np.abs(scores - HALF).argmin(axis=1)
        return np.asarray(targets ^ one_hot(doubtful, targets.shape[1]))

    def judge(self, scores: Scores, targets: Targets, thresholds: Array) -> tuple[Array, Targets]:
        """They contradict if a topic is predicted and missing, or present and not predicted.

        Between a topic's threshold and one half, neither contradicts the label.
        """
        doubt = np.where(targets, 1 - scores, scores).max(axis=1)
        superfluous = targets & (scores < np.minimum(thresholds, HALF))
        missing = ~targets & (scores >= np.maximum(thresholds, HALF))
        return doubt, topical(superfluous | missing)

    def doubt(self, scores: Scores) -> Array:
        """Doubt about the topic whose probability is nearest to one half."""
        return np.asarray(1 - np.abs(2 * scores - 1).min(axis=1))


Mode: TypeAlias = Single | Multi

_MODES: dict[ModeName, Mode] = {mode.name: mode for mode in (Single(), Multi())}


def mode_of(name: ModeName) -> Mode:
    """Get the mode with this name, ``"single"`` or ``"multi"``."""
    return _MODES[name]


@dataclass(frozen=True)
class Calibration:
    """Corrections of a model's probabilities and thresholds of its predictions.

    Parameters
    ----------
    scale
        Positive factors that the logits (see `modes.Mode.logits`) are multiplied by: one for each
        logit, or one for all.
    shift
        Numbers added to the scaled logits: one for each, or one for all.
    thresholds
        One for each topic, or one for all. In mode single, how many times as probable as none of
        the topics a topic has to be to be predicted; in mode multi, how probable.
    sure
        Lowest probability at which a prediction is sure; `NEVER`, the default, where none is.
    shares
        Share of the labels with each outcome (see `modes.Mode.outcomes`); empty, the default, where
        it is not known.
    alone
        Calibration of texts of which nothing is read but themselves; None, the default, where it is
        this one.
    """

    scale: tuple[float, ...] = (1.0,)
    shift: tuple[float, ...] = (0.0,)
    thresholds: tuple[float, ...] = (1.0,)
    sure: float = NEVER
    shares: tuple[float, ...] = ()
    alone: Calibration | None = None

    def apply(self, logits: Array) -> Array:
        """Calibrated logits (..., r) of logits (..., r)."""
        return logits * self.scale + self.shift

    def check(self, k: int, n: int) -> None:
        """Raise a ValueError unless it, and `alone`, fit a model of k topics with n logits."""
        sizes = {"scale": (1, n), "shift": (1, n), "thresholds": (1, k), "shares": (0, n)}
        for name, allowed in sizes.items():
            if len(getattr(self, name)) not in allowed:
                raise ValueError(f"calibration has {len(getattr(self, name))} numbers as {name}")
        every = *self.scale, *self.shift, *self.thresholds, *self.shares, self.sure
        if not (np.abs(every) <= LARGEST).all():
            raise ValueError("calibration: a number is not finite, or too large")
        if not all(factor > 0 for factor in self.scale):
            raise ValueError("calibration: a scale is not positive")
        if not all(0 <= share <= 1 for share in self.shares):
            raise ValueError("calibration: a share is not from 0 to 1")
        if self.alone is not None:
            self.alone.check(k, n)


def read_calibration(values: Mapping[str, Any]) -> Calibration:
    """Rebuild a calibration from `dataclasses.asdict` of it, also after a detour through JSON.

    >>> read_calibration({"scale": [2.0], "shift": [0.0], "thresholds": [0.5]}).thresholds
    (0.5,)
    """
    parts: dict[str, Any] = {
        name: tuple(part) if isinstance(part, list) else part for name, part in values.items()
    }
    if parts.get("alone") is not None:
        parts["alone"] = read_calibration(parts["alone"])
    return Calibration(**parts)
