"""The two ways to label: a text has one topic at most (`Single`), or any number (`Multi`).

A mode knows what logits, probabilities and thresholds mean. `topics.mode` in params.yaml names one,
and `mode_of` gives the object. Everything here is arithmetic on arrays; how heads and encoders are
fitted in each mode is for `training` and `transformer`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from paratopic.inference.scores import (
    Array,
    Floats,
    Integers,
    Scores,
    Targets,
    binary_log_losses,
    classes,
    conditional,
    log_losses,
    one_hot,
    sigmoid,
    softmax,
    topical,
)
from paratopic.project.topics import SEPARATOR, ModeName

# Probability from which on an answer is more likely right than wrong.
HALF = 0.5
# Name of the logit of having a topic at all.
ANY_TOPIC = "(any topic)"


class Mode(ABC):
    """Meaning of a model's numbers.

    Unless stated otherwise, arrays have one row for each text and one column for each topic in
    codebook order, (n, k).

    Attributes
    ----------
    name
        Value of `topics.mode` in params.yaml.
    answer_column
        Name of a table's column for the predicted topics.
    """

    name: ClassVar[ModeName]
    answer_column: ClassVar[str]

    @abstractmethod
    def n_logits(self, k: int) -> int:
        """Number of logits of a text for k topics."""

    @abstractmethod
    def probabilities(self, logits: Floats) -> Scores:
        """Probabilities of logits, both (n, `n_logits`)."""

    @abstractmethod
    def logits(self, probabilities: Scores) -> Scores:
        """Logits that give these probabilities, both (n, `n_logits`); inverts `probabilities`."""

    @abstractmethod
    def surer(self, probabilities: Scores, power: float) -> Scores:
        """Raise probabilities (n, `n_logits`) to a power, so that what is probable gains."""

    @abstractmethod
    def complete(self, scores: Scores) -> Scores:
        """Probabilities (n, `n_logits`) from the scores of the topics (n, k)."""

    @abstractmethod
    def outcomes(self, targets: Targets) -> Targets:
        """Which of all that can be true of a text holds, (n, `n_logits`), from its topics."""

    @abstractmethod
    def topics(self, probabilities: Scores) -> Scores:
        """Scores of the topics (n, k) from probabilities (n, `n_logits`); inverts `complete`."""

    @abstractmethod
    def combine_windows(
        self, logits: Floats, lengths: Sequence[int], owner: Integers, n_texts: int
    ) -> Scores:
        """Logits of texts (n texts, `n_logits`) from the logits of their windows.

        Parameters
        ----------
        logits
            (n windows, `n_logits`) logits of the windows.
        lengths
            Number of tokens of each window.
        owner
            (n windows,) number of the text that each window belongs to.
        n_texts
            Number of texts.
        """

    @abstractmethod
    def window_weights(self, logits: Floats, lengths: Sequence[int]) -> Array:
        """Weights of the windows of one text in its logits, both (n windows, `n_logits`).

        Sums of weighted logits are those of `combine_windows`.
        """

    @abstractmethod
    def logit_names(self, topics: Sequence[str]) -> tuple[str, ...]:
        """Names of the `n_logits` logits of topics."""

    @abstractmethod
    def relative(self, values: Array, known: Targets) -> Array:
        """Logits, or parts of them, (..., `n_logits`), in a form in which they tell by themselves.

        Parameters
        ----------
        values
            (..., `n_logits`) logits, or parts of them.
        known
            (`n_logits`,) which logits are finite.
        """

    @abstractmethod
    def answers(self, scores: Scores) -> Targets:
        """Which topics (..., k) a model would predict if there were no thresholds."""

    @abstractmethod
    def predicted(self, scores: Scores, thresholds: Array | Sequence[float]) -> Targets:
        """Which topics are predicted, (..., k)."""

    @abstractmethod
    def certainty(self, scores: Scores, thresholds: Array | Sequence[float]) -> Array:
        """Probability that each answer is right, (n,), from scores (n, k)."""

    @abstractmethod
    def sure_from(self, thresholds: Sequence[float]) -> float:
        """Lowest probability of a prediction that is sure."""

    @abstractmethod
    def forced(self, scores: Scores, thresholds: Array) -> Targets:
        """Which topics are predicted, (..., k), where a model may not withhold its answer."""

    @abstractmethod
    def cell(self, topics: Sequence[str]) -> str | None:
        """Cell of a table for the predicted topics, of which the most probable comes first."""

    @abstractmethod
    def informative(self, targets: Targets) -> Targets:
        """Which rows tell the topics apart, (n,)."""

    @abstractmethod
    def comparable(self, scores: Scores) -> Scores:
        """Scores (..., k) of `informative` rows in the form that `losses` takes."""

    @abstractmethod
    def losses(self, targets: Targets, scores: Scores) -> Array:
        """Log loss of each `informative` row, (n,), from `comparable` scores (n, k)."""

    @abstractmethod
    def mistaken(self, targets: Targets, scores: Scores) -> Targets:
        """The most probable of the targets that `informative` rows do not have, (n, k)."""

    @abstractmethod
    def doubt(self, scores: Scores) -> Array:
        """How unsure a model is about each row of scores, (n,): 0 for sure, 1 for a tie."""

    def scores(self, logits: Floats) -> Scores:
        """Scores of the topics (n, k) from logits (n, `n_logits`)."""
        return self.topics(self.probabilities(logits))


class Single(Mode):
    """A text has one topic at most.

    There is a logit for each topic, as for softmax, and a last one for having any topic at all.
    There is a probability for each topic, and a last one for none of them; they sum to 1.
    """

    name = "single"
    answer_column = "topic"

    def n_logits(self, k: int) -> int:
        return k + 1

    def probabilities(self, logits: Floats) -> Scores:
        any_topic = logits[:, -1:]
        return np.hstack([softmax(logits[:, :-1]) * sigmoid(any_topic), sigmoid(-any_topic)])

    def logits(self, probabilities: Scores) -> Scores:
        """Logits that give these probabilities, both (n, k + 1); inverts `probabilities`.

        The topics' logits are the logs of their probabilities given that there is one of them, one
        of many choices that softmax inverts.

        Examples
        --------
        >>> Single().logits(np.array([[0.5, 0.25, 0.25]])).round(2).tolist()
        [[-0.41, -1.1, 1.1]]
        """
        topics, none = probabilities[:, :-1], probabilities[:, -1]
        with np.errstate(divide="ignore"):  # a topic without an example has probability 0
            any_topic = np.log(topics.sum(axis=1)) - np.log(none)
            logits: Scores = np.column_stack([np.log(conditional(topics)), any_topic])
        return logits

    def surer(self, probabilities: Scores, power: float) -> Scores:
        """Raise probabilities (n, k + 1) to a power, and scale rows to sum to 1.

        Examples
        --------
        >>> Single().surer(np.array([[0.6, 0.3, 0.1]]), 2).round(2).tolist()
        [[0.78, 0.2, 0.02]]
        """
        raised = probabilities**power
        return np.asarray(raised / raised.sum(axis=1, keepdims=True))

    def complete(self, scores: Scores) -> Scores:
        return np.column_stack([scores, np.maximum(1 - scores.sum(axis=1), 0)])

    def outcomes(self, targets: Targets) -> Targets:
        """Each topic, and in the last column none of them."""
        return np.column_stack([targets, ~topical(targets)])

    def topics(self, probabilities: Scores) -> Scores:
        return probabilities[:, :-1]

    def combine_windows(
        self, logits: Floats, lengths: Sequence[int], owner: Integers, n_texts: int
    ) -> Scores:
        """Mean of the windows' logits, weighted by the windows' lengths."""
        weight = np.asarray(lengths, dtype=np.float64)
        weight /= np.bincount(owner, weights=weight, minlength=n_texts)[owner]
        mean = np.zeros((n_texts, logits.shape[1]))
        np.add.at(mean, owner, logits * weight[:, None])
        return mean

    def window_weights(self, logits: Floats, lengths: Sequence[int]) -> Array:
        share = np.asarray(lengths, dtype=np.float64) / sum(lengths)
        return np.repeat(share[:, None], logits.shape[1], axis=1)

    def logit_names(self, topics: Sequence[str]) -> tuple[str, ...]:
        return (*topics, ANY_TOPIC)

    def relative(self, values: Array, known: Targets) -> Array:
        """Topics' logits less their mean, because softmax sees differences alone."""
        of_topics = np.append(known[:-1], False)
        less = values.copy()
        less[..., of_topics] -= values[..., of_topics].mean(axis=-1, keepdims=True)
        return less

    def answers(self, scores: Scores) -> Targets:
        return one_hot(np.asarray(scores.argmax(axis=-1)), scores.shape[-1])

    def predicted(self, scores: Scores, thresholds: Array | Sequence[float]) -> Targets:
        """The most probable topic, where it is more likely right than wrong."""
        return np.asarray(self.answers(scores) & (scores >= HALF))

    def certainty(self, scores: Scores, thresholds: Array | Sequence[float]) -> Array:
        complete = self.complete(scores)
        predicted = self.outcomes(self.predicted(scores, thresholds))
        return np.asarray((complete * predicted).sum(axis=1))

    def sure_from(self, thresholds: Sequence[float]) -> float:
        return thresholds[0]

    def forced(self, scores: Scores, thresholds: Array) -> Targets:
        return self.answers(scores)

    def cell(self, topics: Sequence[str]) -> str | None:
        return topics[0] if topics else None

    def informative(self, targets: Targets) -> Targets:
        return topical(targets)

    def comparable(self, scores: Scores) -> Scores:
        return conditional(scores)

    def losses(self, targets: Targets, scores: Scores) -> Array:
        return log_losses(classes(targets), scores)

    def mistaken(self, targets: Targets, scores: Scores) -> Targets:
        return self.answers(np.where(targets, -np.inf, scores))

    def doubt(self, scores: Scores) -> Array:
        """One minus the margin between the two most probable outcomes; none is an outcome too."""
        highest = np.sort(self.complete(scores), axis=1)
        return np.asarray(1 - (highest[:, -1] - highest[:, -2]))


class Multi(Mode):
    """A text has any number of topics, each with a logit and a probability of its own."""

    name = "multi"
    answer_column = "topics"

    def n_logits(self, k: int) -> int:
        return k

    def probabilities(self, logits: Floats) -> Scores:
        return sigmoid(logits)

    def logits(self, probabilities: Scores) -> Scores:
        with np.errstate(divide="ignore"):  # a topic without an example has probability 0
            return np.asarray(np.log(probabilities) - np.log1p(-probabilities))

    def surer(self, probabilities: Scores, power: float) -> Scores:
        """Raise each topic's probability of being there, and of not being there, to a power."""
        raised, other = probabilities**power, (1 - probabilities) ** power
        return np.asarray(raised / (raised + other))

    def complete(self, scores: Scores) -> Scores:
        return scores

    def outcomes(self, targets: Targets) -> Targets:
        return targets

    def topics(self, probabilities: Scores) -> Scores:
        return probabilities

    def combine_windows(
        self, logits: Floats, lengths: Sequence[int], owner: Integers, n_texts: int
    ) -> Scores:
        """Highest logit of each topic: a text has the topics that any of its windows has."""
        highest = np.full((n_texts, logits.shape[1]), -np.inf)
        np.maximum.at(highest, owner, logits)
        return highest

    def window_weights(self, logits: Floats, lengths: Sequence[int]) -> Array:
        return one_hot(np.asarray(logits.argmax(axis=0)), len(logits)).T.astype(np.float64)

    def logit_names(self, topics: Sequence[str]) -> tuple[str, ...]:
        return tuple(topics)

    def relative(self, values: Array, known: Targets) -> Array:
        return values

    def answers(self, scores: Scores) -> Targets:
        return np.ones(scores.shape, dtype=bool)

    def predicted(self, scores: Scores, thresholds: Array | Sequence[float]) -> Targets:
        return np.asarray(scores >= np.asarray(thresholds))

    def certainty(self, scores: Scores, thresholds: Array | Sequence[float]) -> Array:
        """That all topics of an answer are right, as if they were independent."""
        predicted = self.predicted(scores, thresholds)
        return np.asarray(np.where(predicted, scores, 1 - scores).prod(axis=1))

    def sure_from(self, thresholds: Sequence[float]) -> float:
        return np.inf

    def forced(self, scores: Scores, thresholds: Array) -> Targets:
        return self.predicted(scores, thresholds)

    def cell(self, topics: Sequence[str]) -> str | None:
        return SEPARATOR.join(topics)

    def informative(self, targets: Targets) -> Targets:
        return np.ones(len(targets), dtype=bool)

    def comparable(self, scores: Scores) -> Scores:
        return scores

    def losses(self, targets: Targets, scores: Scores) -> Array:
        return binary_log_losses(targets, scores)

    def mistaken(self, targets: Targets, scores: Scores) -> Targets:
        """One topic is mistaken, whose probability is nearest to one half."""
        doubtful = np.abs(scores - HALF).argmin(axis=1)
        return np.asarray(targets ^ one_hot(doubtful, targets.shape[1]))

    def doubt(self, scores: Scores) -> Array:
        """Doubt about the topic whose probability is nearest to one half."""
        return np.asarray(1 - np.abs(2 * scores - 1).min(axis=1))


_MODES: dict[str, Mode] = {mode.name: mode for mode in (Single(), Multi())}


def mode_of(name: ModeName) -> Mode:
    """Get the mode with this name, ``"single"`` or ``"multi"``."""
    return _MODES[name]
