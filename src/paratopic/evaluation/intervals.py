"""Intervals of metrics, and paired tests of two models, from out-of-fold scores.

The unit of resampling is the group (an article, or a paragraph with its near-duplicates) with all
of its repeats at once, because repeats add no evidence. Intervals are for the quality of the final
model, which has all labels, although the models of the folds had fewer. No files are read here and
nothing is drawn.

The noise of a figure is taken from two sides: how much the figure varies when groups are drawn
anew, and how much a share of independent paragraphs would vary. Few paragraphs of a topic often
happen to be all right or all wrong, which the first takes for certainty; so where it is the smaller
one, the mean of both counts. The noise of a difference is found in the same way, from swapped
groups and from the paragraphs that the models differ in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
from scipy.special import betaincinv, ndtr, ndtri, stdtrit

from paratopic.evaluation import metrics
from paratopic.evaluation.outcomes import Outcomes
from paratopic.inference.scores import Array, Scores, Targets, squared_distances
from paratopic.project.metrics import metrics_in

# Name of a metric; with a class number, that topic's: "macro_f1", ("f1", 0).
Metric = str | tuple[str, int]

# Number of draws at a time: with ten thousand paragraphs they stay under 100 MB.
STEP = 250
# The tests of cross-validation share training paragraphs, and the final model is one of many that
# other labels would have given, so figures vary more than those of as many independent tests. The
# factor was chosen by simulation, benchmarks/interval_coverage.py.
DESIGN_EFFECT = 1.25
# The expected calibration error of fewer paragraphs is mostly chance.
LEAST_FOR_ECE = 200


@dataclass(frozen=True)
class Estimate:
    """A figure with its interval; `low` and `high` are None where a figure has none."""

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Difference:
    """Macro-F1 of one model minus that of another.

    Parameters
    ----------
    value, low, high
        The difference and its interval.
    p
        Two-sided p-value of no difference. It is below 1 minus the confidence where the interval
        excludes 0, and only there.
    beyond
        Probability that the difference is larger than people would notice.
    """

    value: float
    low: float
    high: float
    p: float
    beyond: float


@dataclass(frozen=True)
class Tally:
    """One repeat of the outcomes, counted with the weights of d draws.

    Parameters
    ----------
    outcomes
        The outcomes.
    repeat
        Number of the repeat.
    rows
        (d, n) weights of the rows.
    hit, predicted, true
        (d, k) counts of each topic, as in `metrics`.
    """

    outcomes: Outcomes
    repeat: int
    rows: Array
    hit: Array
    predicted: Array
    true: Array

    @classmethod
    def of(cls, outcomes: Outcomes, repeat: int, rows: Array) -> Tally:
        """Count a repeat."""
        true, predicted = outcomes.true, outcomes.predicted[repeat]
        hit, named, has = (
            rows @ targets.astype(np.float64) for targets in (predicted & true, predicted, true)
        )
        return cls(outcomes, repeat, rows, hit, named, has)

    @property
    def scores(self) -> Scores:
        """Scores of the repeat, (n, k)."""
        scores: Scores = self.outcomes.scores[self.repeat]
        return scores

    def mean(self, values: Array) -> Array:
        """Weighted mean, (d,), of a value for each row, (n,)."""
        mean: Array = self.rows @ values / self.rows.sum(axis=1)
        return mean

    def macro_f1(self) -> Array:
        """Macro-F1, (d,)."""
        return metrics.macro_f1(self.hit, self.predicted, self.true, self.outcomes.present)

    def micro_f1(self) -> Array:
        """Micro-F1, (d,)."""
        return metrics.micro_f1(self.hit, self.predicted, self.true)

    def accuracy(self) -> Array:
        """Share of the rows whose topics are all predicted, and no other, (d,)."""
        exact = (self.outcomes.predicted[self.repeat] == self.outcomes.true).all(axis=1)
        return self.mean(exact.astype(np.float64))

    def coverage(self) -> Array:
        """Share of the rows whose answer is not the last class, (d,)."""
        return self.mean(1.0 - self.outcomes.predicted[self.repeat][:, -1])

    def precision(self) -> Array:
        """Share of the answers that are right, (d,), of those that are not the last class."""
        hit, predicted = (part[:, :-1].sum(axis=1) for part in (self.hit, self.predicted))
        return metrics.ratio(hit, predicted)

    def mean_average_precision(self) -> Array:
        """Mean of the average precision of each topic, (d,)."""
        each = [
            metrics.average_precision(
                self.outcomes.true[:, topic], self.scores[:, topic], self.rows
            )
            for topic in np.flatnonzero(self.outcomes.present)
        ]
        return np.asarray(np.mean(each, axis=0))

    def calibration_error(self) -> Array:
        """Expected calibration error of the answers, (d,)."""
        answers = self.outcomes.mode.answers(self.scores)
        row, confidence = np.nonzero(answers)[0], self.scores[answers]
        row_and_bin = row * metrics.N_BINS + metrics.bins(confidence)
        size = len(answers) * metrics.N_BINS
        weight, sure, hit = (
            self.rows @ np.bincount(row_and_bin, values, size).reshape(-1, metrics.N_BINS)
            for values in (np.ones(len(row)), confidence, self.outcomes.true[answers])
        )
        return metrics.calibration_error(weight, sure, hit)


@dataclass(frozen=True)
class _Pair:
    """Two models' counts on the same rows, to be weighted and swapped.

    Parameters
    ----------
    true
        (n, k) whether each row has each topic.
    present
        (k,) whether each topic has a true example.
    repeats
        For each repeat, what each row adds to the counts of hits, and of predictions, of each
        topic: (n, 2k) for the first model, and for the second.
    """

    true: Targets
    present: Targets
    repeats: list[tuple[Array, Array]]

    @classmethod
    def of(cls, one: Outcomes, other: Outcomes) -> _Pair:
        counted = []
        for outcomes in (one, other):
            hits = outcomes.predicted & outcomes.true
            both = np.concatenate([hits, outcomes.predicted], axis=2)
            counted.append(both.astype(np.float64))
        return cls(one.true, one.present, list(zip(*counted, strict=True)))

    def lead(self, weights: Array, swapped: Array) -> Array:
        """Difference in macro-F1, mean over repeats, (d,), for d weightings and d swaps (d, n)."""
        total: Array = np.zeros(1)
        true = weights @ self.true
        for one, other in self.repeats:
            moved = other - one
            changed = np.flatnonzero(moved.any(axis=1))
            change = (weights * swapped)[:, changed] @ moved[changed]
            first, second = weights @ one + change, weights @ other - change
            for sign, (hit, predicted) in (1, np.split(first, 2, 1)), (-1, np.split(second, 2, 1)):
                total = total + sign * metrics.macro_f1(hit, predicted, true, self.present)
        return total / len(self.repeats)


class Proportion(NamedTuple):
    """A figure from 0 to 1.

    Attributes
    ----------
    figure
        Computes it, (d,), from the counts of d draws.
    size
        Number of independent paragraphs that it rests on; 0 where there is no such figure.
    learnt
        Share of the labels that the models learnt from, which the final model has all of. Its
        errors are at least this share of theirs; 1 where more labels make no figure better.
    """

    figure: Callable[[Tally], Array]
    size: Callable[[Outcomes], float]
    learnt: Callable[[Outcomes], float]


def train_share(outcomes: Outcomes) -> float:
    """Share of the labels that the models learnt from."""
    return outcomes.train_share


def learnt_of_topics(outcomes: Outcomes) -> float:
    """As `train_share`, mean over topics, in which each weighs as much as its F1 lacks.

    A rare topic loses more of its labels to the part that is held out than a frequent one.
    """
    tallies = _tallies(outcomes, outcomes.counts[None])
    f1 = np.mean([metrics.f1(t.hit, t.predicted, t.true)[0] for t in tallies], axis=0)
    lacking = (1 - f1) * outcomes.present
    if outcomes.topic_shares is None or not lacking.any():
        return outcomes.train_share
    return float(np.average(outcomes.topic_shares, weights=lacking))


def _all(outcomes: Outcomes) -> float:
    return 1.0


def n_rows(outcomes: Outcomes) -> float:
    """Number of rows of equal weight that tell as much."""
    return float(_equal_rows(outcomes.counts))


def n_predicted(outcomes: Outcomes) -> float:
    """As `n_rows`, of those whose answer is not the last class, mean over repeats."""
    return float(_equal_rows(outcomes.counts * ~outcomes.predicted[:, :, -1]).mean())


def _equal_rows(weights: Array) -> Array:
    """Number of rows of equal weight that tell as much, (...,), of weights (..., n) (Kish 1965)."""
    squared = (weights**2).sum(axis=-1)
    return metrics.ratio(np.asarray(weights.sum(axis=-1) ** 2), np.asarray(squared))


def size_of_mean(outcomes: Outcomes) -> float:
    """Number of rows that tell as much as a mean over topics does, of which rare ones tell little.

    Topics with 2 and 98 rows give 7.8.
    """
    support = _equal_rows((outcomes.counts[:, None] * outcomes.true[:, outcomes.present]).T)
    return float(len(support) ** 2 / (1 / support).sum())


# Key of a metric (see `project.metrics`) → how it is computed, of the topics and of the answers.
OF_TOPICS: Mapping[str, Proportion] = {
    "macro_f1": Proportion(Tally.macro_f1, size_of_mean, learnt_of_topics),
    "micro_f1": Proportion(Tally.micro_f1, n_rows, train_share),
    "map": Proportion(Tally.mean_average_precision, size_of_mean, learnt_of_topics),
    "accuracy": Proportion(Tally.accuracy, n_rows, train_share),
    "subset_accuracy": Proportion(Tally.accuracy, n_rows, train_share),
}
OF_ANSWERS: Mapping[str, Proportion] = {
    "answer_macro_f1": Proportion(Tally.macro_f1, size_of_mean, learnt_of_topics),
    "answer_accuracy": Proportion(Tally.accuracy, n_rows, train_share),
    "coverage": Proportion(Tally.coverage, n_rows, _all),
    "precision": Proportion(Tally.precision, n_predicted, train_share),
}


def shares_of(outcomes: Outcomes) -> dict[Metric, Proportion]:
    """Metrics of the topics, which in mode single are forced."""
    return _in_mode(OF_TOPICS, outcomes)


def shares_of_answers(answers: Outcomes) -> dict[Metric, Proportion]:
    """Metrics of the answers: those of the mode, and precision, recall and F1 of each class."""
    shares = _in_mode(OF_ANSWERS, answers)
    counts = answers.counts[:, None]
    support = np.maximum(_equal_rows((counts * answers.true).T), 1)
    of_repeats = _equal_rows((counts * answers.predicted).swapaxes(1, 2))
    predicted = np.maximum(of_repeats.mean(axis=0), 1)
    of_topics = answers.topic_shares
    for topic in range(answers.k):
        learnt = answers.train_share if of_topics is None else float(of_topics[topic])
        for name, figure, sizes in (
            ("precision", _precision, predicted),
            ("recall", _recall, support),
            ("f1", _f1, support),
        ):
            shares[name, topic] = Proportion(
                partial(figure, topic), partial(_known, sizes[topic]), partial(_known, learnt)
            )
    return shares


def _in_mode(shares: Mapping[str, Proportion], outcomes: Outcomes) -> dict[Metric, Proportion]:
    """The metrics that the outcomes' mode has, and that rest on something."""
    keys = metrics_in(outcomes.mode.name)
    return {key: share for key, share in shares.items() if key in keys and share.size(outcomes)}


def _known(number: float, outcomes: Outcomes) -> float:
    return float(number)


def _precision(topic: int, tally: Tally) -> Array:
    return metrics.precision(tally.hit, tally.predicted)[:, topic]


def _recall(topic: int, tally: Tally) -> Array:
    return metrics.recall(tally.hit, tally.true)[:, topic]


def _f1(topic: int, tally: Tally) -> Array:
    return metrics.f1(tally.hit, tally.predicted, tally.true)[:, topic]


def estimates(
    outcomes: Outcomes, confidence: float, n_draws: int, seed: int
) -> dict[Metric, Estimate]:
    """Every metric of the topics, with its interval.

    Parameters
    ----------
    outcomes
        Outcomes from the function `outcomes.outcomes`.
    confidence
        Confidence of the intervals, such as 0.95.
    n_draws
        Number of resamples.
    seed
        Seed of the random draws.

    Returns
    -------
    Means over repeats. Keys are macro_f1, brier and log_loss; in mode single also accuracy; in mode
    multi subset_accuracy (all of a row's topics are right), micro_f1 and map (mean average
    precision). From
    `LEAST_FOR_ECE` rows on there is also ece, without an interval, because chance adds to it.
    """
    measured = share_estimates(outcomes, shares_of(outcomes), confidence, n_draws, seed)
    measured |= _loss_estimates(outcomes, confidence, n_draws, seed)
    if len(outcomes.true) >= LEAST_FOR_ECE:
        measured["ece"] = Estimate(value_of(outcomes, Tally.calibration_error))
    return measured


def answer_estimates(
    answers: Outcomes, confidence: float, n_draws: int, seed: int
) -> dict[Metric, Estimate]:
    """Every metric of the answers, with its interval.

    Parameters
    ----------
    answers
        Outcomes from `outcomes.answer_outcomes`.
    confidence, n_draws, seed
        As for `estimates`.

    Returns
    -------
    Means over repeats. Keys are (precision, N), (recall, N) and (f1, N) for each class number N;
    in mode single also answer_macro_f1, answer_accuracy, coverage (share of rows whose answer is a
    topic) and precision (share of these answers that are right; missing if there are none). In mode
    multi the metrics of the topics are those of the answers, too.
    """
    return share_estimates(answers, shares_of_answers(answers), confidence, n_draws, seed)


def share_estimates(
    outcomes: Outcomes,
    shares: Mapping[Metric, Proportion],
    confidence: float,
    n_draws: int,
    seed: int,
) -> dict[Metric, Estimate]:
    """Figures from 0 to 1 with their intervals; parameters as for `estimates`.

    The interval is that of a binomial share with Jeffreys' prior, of as many paragraphs as have the
    figure's noise (Korn & Graubard 1998, Survey Methodology 24, 193-201).
    """
    sample = _tallies(outcomes, outcomes.counts[None])
    values = {name: float(_mean(sample, share.figure)[0]) for name, share in shares.items()}
    draws: dict[Metric, list[Array]] = {name: [] for name in shares}
    for rows in _draws(outcomes, n_draws, seed):
        tallies = _tallies(outcomes, rows)
        for name, share in shares.items():
            draws[name].append(_mean(tallies, share.figure))
    n_groups = _n_groups(outcomes)
    measured: dict[Metric, Estimate] = {}
    for name, share in shares.items():
        # Draws of G groups have (G - 1) / (G + 1) of the variance that samples of them have.
        seen = float(np.concatenate(draws[name]).var()) * (n_groups + 1) / max(n_groups - 1, 1)
        value = values[name]
        size = _equivalent_size(value, seen, share.size(outcomes), n_groups, confidence)
        low, high = interval(value, size, confidence)
        # The final model has more labels than those of the folds. Errors fall no faster than in
        # proportion.
        high = 1 - (1 - high) * share.learnt(outcomes)
        measured[name] = Estimate(value, low, high)
    return measured


def write_p(p: float) -> str:
    """Write a p-value in a sentence.

    >>> write_p(0.0412), write_p(0.00001)
    ('p = 0.041', 'p < 0.001')
    """
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def noise(seen: float, independent: float) -> float:
    """Variance of a figure, from that of draws and that of as many independent paragraphs."""
    return DESIGN_EFFECT * max(seen, (seen + independent) / 2)


def few_groups(outcomes: Outcomes, confidence: float) -> float:
    """How much wider intervals are because few groups say little of their noise, at least 1."""
    return _wider(_n_groups(outcomes) - 1, confidence)


def _n_groups(outcomes: Outcomes) -> int:
    """Number of groups that count."""
    return len(np.unique(outcomes.groups[outcomes.counts > 0]))


def _wider(freedom: float, confidence: float) -> float:
    """Quantile of Student's t distribution over that of the normal one."""
    quantile = (1 + confidence) / 2
    return float(stdtrit(max(freedom, 1), quantile) / ndtri(quantile))


def _equivalent_size(
    value: float, seen: float, rows: float, n_groups: int, confidence: float
) -> float:
    """Number of independent paragraphs with which a share would have its noise.

    That few groups say little of it counts for the part that is seen in them (Satterthwaite 1946).
    """
    spread = value * (1 - value)
    if not spread:
        return rows / DESIGN_EFFECT / _wider(n_groups - 1, confidence) ** 2
    independent = spread / rows
    variance = noise(seen, independent)
    from_groups = DESIGN_EFFECT * (seen if seen >= independent else seen / 2)
    freedom = (n_groups - 1) * (variance / from_groups) ** 2 if from_groups else np.inf
    return spread / variance / _wider(freedom, confidence) ** 2


def interval(value: float, size: float, confidence: float) -> tuple[float, float]:
    """Interval of a share of so many independent paragraphs; it holds the share itself."""
    hits, misses = value * size + 0.5, (1 - value) * size + 0.5
    low, high = (
        float(betaincinv(hits, misses, quantile))
        for quantile in ((1 - confidence) / 2, (1 + confidence) / 2)
    )
    return min(value, low), max(value, high)


def _loss_estimates(
    outcomes: Outcomes, confidence: float, n_draws: int, seed: int
) -> dict[Metric, Estimate]:
    """Brier score and log loss with their intervals.

    The noise includes that of one mistake more, the most probable one, in all paragraphs.
    """
    mode, true, scores = outcomes.mode, outcomes.true, outcomes.scores
    mistaken = [mode.likeliest_mistake(true, repeat) for repeat in scores]
    quantile = float(ndtri((1 + confidence) / 2)) * few_groups(outcomes, confidence)
    measured: dict[Metric, Estimate] = {}
    functions: Mapping[Metric, Callable[[Targets, Scores], Array]] = {
        "brier": squared_distances,
        "log_loss": mode.losses,
    }
    for name, losses in functions.items():
        of_rows = np.mean([losses(true, repeat) for repeat in scores], axis=0)
        if_mistaken = np.mean([losses(m, s) for m, s in zip(mistaken, scores, strict=True)], axis=0)
        draws = [rows @ of_rows / rows.sum(axis=1) for rows in _draws(outcomes, n_draws, seed)]
        value, mistake = (
            float(np.average(each, weights=outcomes.counts)) for each in (of_rows, if_mistaken)
        )
        variance = DESIGN_EFFECT * float(np.concatenate(draws).var())
        variance += ((mistake - value) / n_rows(outcomes)) ** 2
        half = quantile * float(np.sqrt(variance))
        measured[name] = Estimate(value, max(0.0, value - half), value + half)
    return measured


def difference(
    one: Outcomes,
    other: Outcomes,
    confidence: float,
    n_permutations: int,
    seed: int,
    min_lead: float = 0.0,
) -> Difference:
    """Compare two models on the same folds, by macro-F1.

    The p-value is that of a two-sided paired permutation test (approximate randomisation: Noreen
    1989; for F1: Yeh 2000, https://aclanthology.org/C00-2137). If the two models were equally
    good, the predictions for a group could be swapped between them; all repeats of a group are
    swapped together. The differences that swaps give get the module's noise. The interval and
    `beyond` come from the same differences.

    Parameters
    ----------
    one, other
        Outcomes of the models, with the same rows, groups and number of repeats.
    confidence
        Confidence of the interval, such as 0.95.
    n_permutations
        Number of random swaps; the smallest p-value is 1 / (n_permutations + 1).
    seed
        Seed of the random draws.
    min_lead
        Lead of the first model that people would notice, for `Difference.beyond`.
    """
    pair = _Pair.of(one, other)
    value = float(pair.lead(one.counts[None], np.zeros((1, len(one.true))))[0])
    chances = _chances(pair, one, other, n_permutations, seed) * few_groups(one, confidence)
    # Rounding must not make equal differences unequal.
    p = (int((np.abs(chances) >= abs(value) - 1e-12).sum()) + 1) / (n_permutations + 1)
    half = float(np.quantile(np.abs(chances), confidence))
    beyond = float(ndtr((value - min_lead) / chances.std()))
    return Difference(value, max(-1.0, value - half), min(1.0, value + half), p, beyond)


def _chances(pair: _Pair, one: Outcomes, other: Outcomes, n_permutations: int, seed: int) -> Array:
    """Differences that chance gives where no model is better: (n_permutations,)."""
    rng = np.random.default_rng(seed)
    groups, n = one.groups, n_rows(one)
    n_groups, counts = int(groups.max()) + 1, one.counts[None]
    leads = []
    for d in _steps(n_permutations):
        swapped = rng.integers(0, 2, size=(d, n_groups))[:, groups].astype(np.float64)
        leads.append(pair.lead(counts, swapped))
    seen = np.concatenate(leads)
    unequal = (one.predicted != other.predicted).any(axis=2)
    differ = float(np.average(unequal.mean(axis=0), weights=one.counts))
    differ = (differ * n + 0.5) / (n + 1)  # two models that never differed might yet
    variance = float(seen.var())
    added = noise(variance, differ / size_of_mean(one)) - DESIGN_EFFECT * variance
    # The final models have more labels, from which each gains between nothing and this.
    gains = [
        (1 - value_of(o, Tally.macro_f1)) * (1 - learnt_of_topics(o) ** 0.5) for o in (one, other)
    ]
    added += sum(gain**2 for gain in gains) / 3
    chances: Array = np.sqrt(DESIGN_EFFECT) * seen
    chances += np.sqrt(added) * rng.standard_normal(n_permutations)
    return chances


def value_of(outcomes: Outcomes, figure: Callable[[Tally], Array]) -> float:
    """A figure of the sample itself, mean over repeats."""
    return float(_mean(_tallies(outcomes, outcomes.counts[None]), figure)[0])


def draws_of(
    outcomes: Outcomes, figure: Callable[[Tally], Array], n_draws: int, seed: int
) -> Array:
    """A figure in each resample, (n draws,), mean over repeats.

    Outcomes with the same groups have the same resamples.
    """
    draws = [_mean(_tallies(outcomes, rows), figure) for rows in _draws(outcomes, n_draws, seed)]
    return np.concatenate(draws)


def _tallies(outcomes: Outcomes, rows: Array) -> list[Tally]:
    """Counts of each repeat with the weights (d, n) of d draws."""
    return [Tally.of(outcomes, repeat, rows) for repeat in range(len(outcomes.scores))]


def _mean(tallies: list[Tally], figure: Callable[[Tally], Array]) -> Array:
    """A figure in each draw, (d,), mean over repeats."""
    return np.asarray(np.mean([figure(tally) for tally in tallies], axis=0))


def _draws(outcomes: Outcomes, n_draws: int, seed: int) -> Iterator[Array]:
    """Weights (d, n) of the rows in draws of the Bayesian bootstrap (Rubin 1981), in steps.

    The weights of groups are exponential, and multiply how much each row counts.
    """
    rng = np.random.default_rng(seed)
    n_groups = int(outcomes.groups.max()) + 1
    for d in _steps(n_draws):
        yield rng.exponential(size=(d, n_groups))[:, outcomes.groups] * outcomes.counts


def _steps(n: int) -> Iterator[int]:
    """Sizes of the steps that n draws are taken in: 600 → 250, 250, 100."""
    for start in range(0, n, STEP):
        yield min(STEP, n - start)
