"""Shares of topics: known values, properties for all inputs, and coverage of intervals."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from paratopic.evaluation.intervals import LEAST_LABELS, Estimate, modified_wilson
from paratopic.findings import shares as room
from paratopic.findings.population import corrected_predictions
from paratopic.findings.shares import (
    Sample,
    adjusted_outcomes,
    difference,
    equal_errors_p,
    nearest_shares,
    shares,
    shares_of_parts,
    trend,
)
from paratopic.inference.modes import Array, Targets
from tests.samples import bounds

# Standard errors on each side of a 95 % interval.
QUANTILE = 1.959963984540054


def population(n: int, seed: int, bias: float = 0.0) -> tuple[Array, Array]:
    """Probabilities and truth of two outcomes, (n, 2) each; a third has the first one."""
    rng = np.random.default_rng(seed)
    true = rng.random(n) < 1 / 3
    logits = np.where(true, 1.0, -1.5) + rng.normal(0, 1, n) + bias
    first = 1 / (1 + np.exp(-logits))
    return np.column_stack([first, 1 - first]), np.column_stack([true, ~true]).astype(np.float64)


def drawn(n: int, n_labels: int, seed: int, bias: float = 0.0) -> tuple[Sample, Array]:
    predicted, truth = population(n, seed, bias)
    rows = np.sort(np.random.default_rng([seed, 1]).choice(n, n_labels, replace=False))
    return Sample(predicted, rows, truth[rows], np.ones(n_labels), np.ones(n_labels)), truth


def article_sample(true: Targets, n_articles: int, rng: np.random.Generator) -> Sample:
    """A sample of `n_articles` articles, of 20 labelled texts each."""
    truth = np.column_stack([true, ~true]).astype(np.float64)
    articles = np.repeat(rng.choice(len(true) // 20, n_articles, replace=False), 20)
    rows = articles * 20 + np.tile(np.arange(20), n_articles)
    weights = np.ones(len(rows))
    return Sample(np.full(truth.shape, 0.5), rows, truth[rows], weights, weights, articles)


def covers(share: Estimate, value: float) -> bool:
    low, high = bounds(share)
    return low <= value <= high


def test_wilson_is_scipys_and_next_to_its_ends_that_of_brown_cai_and_dasgupta() -> None:
    for hits, n in ((0, 20), (8, 60), (30, 60), (60, 60)):
        low, high = modified_wilson(np.array([hits / n]), np.array([float(n)]), 0.95, QUANTILE)
        known = binomtest(hits, n).proportion_ci(0.95, method="wilson")
        assert (low[0], high[0]) == pytest.approx((known.low, known.high))
    # The lower limits of one, two and three hits: 0.051, 0.355 and 0.818 of n.
    low, _ = modified_wilson(np.array([1, 2, 3]) / 100, np.full(3, 100.0), 0.95, QUANTILE)
    assert (100 * low).round(3).tolist() == [0.051, 0.355, 0.818]
    _, high = modified_wilson(np.array([0.99]), np.array([100.0]), 0.95, QUANTILE)
    assert 100 * (1 - high[0]) == pytest.approx(0.051, abs=0.001)


def test_a_difference_has_newcombes_interval() -> None:
    # 56 of 70 against 48 of 80: table II of Newcombe 1998, method 10.
    ends = modified_wilson(np.array([56 / 70, 48 / 80]), np.array([70.0, 80.0]), 0.95, QUANTILE)
    one, other = map(Estimate, (0.8, 0.6), *ends)
    gap = difference(one, other)
    assert (gap.value, gap.low, gap.high) == pytest.approx((0.2, 0.0524, 0.3339), abs=1e-4)


def test_a_useless_model_leaves_the_share_of_the_labels() -> None:
    sample, _ = drawn(2000, 100, 0)
    noise = np.random.default_rng(5).permutation(sample.probabilities)
    useless = replace(sample, probabilities=noise)
    estimated = shares(useless, np.ones(2000), 0.95).shares[0]
    labels_only = shares(sample.without_predictions(), np.ones(2000), 0.95).shares[0]
    assert labels_only.value == pytest.approx(sample.truth[:, 0].mean())
    assert estimated.value == pytest.approx(labels_only.value, abs=0.01)
    ends = labels_only.low, labels_only.high
    assert (estimated.low, estimated.high) == pytest.approx(ends, abs=0.02)


def test_a_right_model_gives_the_share_of_the_corpus() -> None:
    sample, truth = drawn(2000, 100, 1)
    part = shares(replace(sample, probabilities=truth), np.ones(2000), 0.95)
    assert part.shares[0].value == pytest.approx(truth[:, 0].mean())
    labels_only = shares(sample.without_predictions(), np.ones(2000), 0.95)
    width = np.diff(bounds(part.shares[0]))
    assert 0 < width < np.diff(bounds(labels_only.shares[0])) / 3


def test_a_corpus_that_is_labelled_as_a_whole_has_its_own_share() -> None:
    sample, truth = drawn(200, 200, 2, bias=2.0)
    part = shares(sample, np.ones(200), 0.95)
    assert part.is_count and part.n_labels == 200
    share = part.shares[0]
    assert share.low == share.value == share.high == pytest.approx(truth[:, 0].mean())


def test_labels_of_a_small_part_are_known() -> None:
    sample, truth = drawn(1000, 200, 8, bias=-1.5)
    labelled, other = sample.labelled, np.setdiff1d(np.arange(1000), sample.labelled)
    rows = [labelled[:5], np.r_[labelled[5:10], other[:5]], np.r_[labelled[10:], other[5:]]]
    masses = [np.isin(np.arange(1000), part).astype(np.float64) for part in rows]
    whole, half, _ = shares_of_parts(sample, masses, 0.95)
    assert whole.is_count and whole.shares[0].value == truth[labelled[:5], 0].mean()
    value, known = half.shares[0].value, truth[labelled[5:10], 0].sum()
    assert half.is_borrowed and known / 10 <= value <= (known + 5) / 10


@given(st.integers(0, 10_000), st.integers(LEAST_LABELS, 80), st.floats(-3, 3))
def test_shares_sum_to_one_and_lie_in_their_intervals(seed: int, n: int, bias: float) -> None:
    sample, _ = drawn(300, n, seed, bias)
    weights = np.random.default_rng(seed).uniform(1, 3, n)
    part = shares(replace(sample, weights=weights), np.ones(300), 0.95)
    assert sum(share.value for share in part.shares) == pytest.approx(1)
    for share in part.shares:
        low, high = bounds(share)
        assert 0 <= low <= share.value <= high <= 1 and low < high
    scaled = shares(replace(sample, weights=7 * weights), np.ones(300), 0.95)
    assert [s.value for s in scaled.shares] == pytest.approx([s.value for s in part.shares])


@given(st.integers(0, 10_000), st.integers(LEAST_LABELS, 80), st.floats(-3, 3))
def test_outcomes_to_regress_have_the_shares_as_means(seed: int, n: int, bias: float) -> None:
    sample, truth = drawn(120, n, seed, bias)
    masses = np.random.default_rng(seed).integers(1, 4, 120).astype(np.float64)
    outcomes = adjusted_outcomes(sample, masses)
    means = masses @ outcomes / masses.sum()
    values = [share.value for share in shares(sample, masses, 0.95).shares]
    assert np.clip(means, 0, 1) == pytest.approx(values)
    whole = replace(sample, labelled=np.arange(120), truth=truth, weights=np.ones(120))
    assert adjusted_outcomes(whole, np.ones(120)) == pytest.approx(truth)


def test_regressions_on_adjusted_outcomes_are_unbiased_where_errors_depend_on_what_counts() -> None:
    """The model finds the first outcome only in late texts; it is as frequent in early ones."""
    slopes = []
    for seed in range(200):
        sample, _ = drawn(400, 60, seed)
        late = np.arange(400) >= 200
        misled = np.where(late[:, None], sample.probabilities, [0.0, 1.0])
        outcomes = adjusted_outcomes(replace(sample, probabilities=misled), np.ones(400))[:, 0]
        slopes.append((outcomes[late].mean() - outcomes[~late].mean(), misled[late, 0].mean()))
    mean, predicted_gap = np.mean(slopes, axis=0)
    assert abs(mean) < 0.03 and predicted_gap > 0.3


def test_intervals_hold_where_those_of_counted_predictions_do_not() -> None:
    held, counted = [], []
    for seed in range(200):
        sample, truth = drawn(1500, 80, seed, bias=-1.0)
        value = truth[:, 0].mean()
        held.append(covers(shares(sample, np.ones(1500), 0.95).shares[0], value))
        predicted_share = (sample.probabilities[:, 0] > 0.5).mean(keepdims=True)
        low, high = modified_wilson(predicted_share, np.array([1500.0]), 0.95, 1.96)
        counted.append(low[0] <= value <= high[0])
    assert 0.92 <= np.mean(held) <= 0.99
    assert np.mean(counted) < 0.05


def test_articles_err_together() -> None:
    # All 20 texts of an article have the same topic, so their effective number is 1.
    held, narrow = [], []
    for seed in range(150):
        rng = np.random.default_rng(seed)
        true = np.repeat(rng.random(60) < 0.4, 20)
        sample = article_sample(true, 8, rng)
        value = true.mean()
        held.append(covers(shares(sample, np.ones(1200), 0.95).shares[0], value))
        independent = shares(replace(sample, articles=None), np.ones(1200), 0.95).shares[0]
        narrow.append(covers(independent, value))
    assert np.mean(held) >= 0.93
    assert np.mean(narrow) < 0.6


def test_few_labels_or_articles_have_no_interval() -> None:
    sample, _ = drawn(500, LEAST_LABELS - 1, 3)
    assert shares(sample, np.ones(500), 0.95).shares[0].low is None
    sample, _ = drawn(500, 100, 3)
    five = replace(sample, articles=np.arange(100) % 5)
    assert shares(five, np.ones(500), 0.95).shares[0].low is None


def test_suggested_labels_alone_are_no_sample_of_a_part() -> None:
    # 60 labels were drawn at random from the first half, and 60 suggested from the second.
    sample, _ = drawn(1000, 120, 7)
    rows = np.r_[np.arange(60), 500 + np.arange(60)]
    weights = np.repeat([1.0, 0.004], 60)
    mixed = Sample(sample.probabilities, rows, sample.truth, weights, weights)
    halves = [(np.arange(1000) < 500).astype(np.float64), (np.arange(1000) >= 500) * np.ones(1000)]
    first, second = shares_of_parts(mixed, halves, 0.95)
    assert first.n_labels == 60 and first.shares[0].low is not None
    assert second.n_labels == 0 and second.is_borrowed and second.shares[0].low is None


def test_a_group_that_is_labelled_as_a_whole_adds_no_noise() -> None:
    # All of the first 100 texts are labelled, and 30 of the others, which have all of the noise.
    rows = np.arange(130)
    true = np.tile([True, False], 100)
    truth = np.column_stack([true, ~true]).astype(np.float64)
    weights = np.where(rows < 100, 1.0, 100 / 30)
    sample = Sample(np.full((200, 2), 0.5), rows, truth[rows], weights, np.ones(130))
    low, high = bounds(shares(sample, np.ones(200), 0.95).shares[0])
    # This is half of the standard error of the mean of 30 of 100 texts, because they stand for
    # half of the corpus.
    error = 0.5 * np.sqrt(0.25 / 30 * 0.7)
    assert (high - low) / 2 == pytest.approx(1.98 * error, rel=0.05)


def test_few_labels_that_stand_for_most_texts_give_no_interval() -> None:
    sample, _ = drawn(1000, 60, 8)
    assert sample.n_sampling_units(np.ones(1000)) == 60
    for n_high, n_units in ((8, 0), (30, 30)):
        weights = np.repeat([30.0, 0.1], [n_high, 60 - n_high])
        assert replace(sample, weights=weights).n_sampling_units(np.ones(1000)) == n_units


def test_a_part_without_labels_borrows_from_the_others() -> None:
    sample, truth = drawn(1000, 200, 4, bias=-1.5)
    masses = [np.zeros(1000) for _ in range(2)]
    masses[1][[n for n in range(1000) if n not in set(sample.labelled)][:300]] = 1
    masses[0] = 1 - masses[1]
    own, other = shares_of_parts(sample, masses, 0.95)
    assert not own.is_borrowed and own.n_labels == 200
    assert other.is_borrowed and other.n_labels == 0 and other.shares[0].low is None
    value = truth[masses[1] > 0, 0].mean()
    uncorrected = sample.probabilities[masses[1] > 0, 0].mean()
    assert abs(other.shares[0].value - value) < abs(uncorrected - value) / 2


def test_errors_that_differ_between_parts_are_seen() -> None:
    sample, _ = drawn(2000, 400, 5)
    late = (np.arange(2000) >= 1000).astype(np.float64)
    halves = [1 - late, late]
    alike = equal_errors_p(sample, halves, 0)
    too_high = np.column_stack([halves[1], -halves[1]]) * 0.4
    unlike = equal_errors_p(
        replace(sample, probabilities=sample.probabilities + too_high), halves, 0
    )
    assert alike is not None and alike > 0.01
    assert unlike is not None and unlike < 0.001
    assert equal_errors_p(sample, halves[:1], 0) is None


def test_one_label_of_a_rare_topic_is_no_sign_of_other_errors() -> None:
    sample, _ = drawn(2000, 400, 5)
    rare = np.zeros((400, 1))
    rare[0] = 1
    truth = np.hstack([sample.truth, rare])
    probabilities = np.pad(sample.probabilities, ((0, 0), (0, 1)))
    sample = replace(sample, probabilities=probabilities, truth=truth)
    few = np.isin(np.arange(2000), sample.labelled[:4]).astype(np.float64)
    chance = equal_errors_p(sample, [few, 1 - few], 0)
    assert chance is not None and chance > 0.01  # one of the four labels is the only one: 4 in 400


def test_errors_that_are_alike_are_called_different_as_often_as_promised(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(room, "N_PERMUTATIONS", 199)
    rng, n_rejected = np.random.default_rng(1), 0
    for seed in range(60):
        sample, _ = drawn(400, 80, seed)
        sample = replace(sample, articles=np.arange(80) // 4)
        part = np.zeros(400, dtype=np.int64)
        part[sample.labelled] = np.repeat(rng.permutation(20) % 8, 4)
        chance = equal_errors_p(sample, [(part == n).astype(np.float64) for n in range(8)], seed)
        assert chance is not None
        n_rejected += chance < 0.2
    assert n_rejected <= 60 * 0.2 + 3 * (60 * 0.2 * 0.8) ** 0.5


def test_a_trend_is_the_slope_of_the_line_through_all_texts() -> None:
    rng = np.random.default_rng(6)
    times = rng.integers(0, 10, 400).astype(np.float64)
    true = rng.random(400) < 0.1 + 0.05 * times
    truth = np.column_stack([true, ~true]).astype(np.float64)
    every = Sample(np.full((400, 2), 0.5), np.arange(400), truth, np.ones(400), np.ones(400))
    change = trend(every, np.ones(400), times, 0.95)[0]
    assert change.value == pytest.approx(np.polyfit(times, truth[:, 0], 1)[0])
    assert bounds(change)[0] > 0
    assert trend(every, np.ones(400), np.zeros(400), 0.95)[0].value == 0


def test_a_trend_of_a_topic_that_few_articles_have_is_not_taken_for_certain() -> None:
    # One article in 20 has the topic, in a third of its texts, and 9 of 60 articles are drawn.
    held = []
    for seed in range(150):
        rng = np.random.default_rng(seed)
        about = np.repeat(rng.random(60) < 0.05, 20)
        true = about & (rng.random(1200) < 1 / 3)
        times = np.repeat(np.arange(60.0), 20)
        change = trend(article_sample(true, 9, rng), np.ones(1200), times, 0.95)[0]
        held.append(covers(change, float(np.polyfit(times, true, 1)[0])))
    assert np.mean(held) >= 0.93


def test_intervals_hold_for_a_topic_of_few_articles() -> None:
    # One article in 14 has the topic, in up to all of its 20 texts, and 60 of 300 are drawn.
    held, n_texts = [], 300 * 20
    for seed in range(200):
        rng = np.random.default_rng(seed)
        rates = np.repeat((rng.random(300) < 0.07) * rng.random(300), 20)
        true = rng.random(n_texts) < rates
        sample = article_sample(true, 60, rng)
        held.append(covers(shares(sample, np.ones(n_texts), 0.95).shares[0], true.mean()))
    assert np.mean(held) >= 0.93


@given(st.lists(st.floats(-2, 2), min_size=2, max_size=6))
def test_shares_that_exclude_each_other_are_the_nearest_of_sum_one(values: list[float]) -> None:
    raw = np.array(values)
    nearest = nearest_shares(raw, exclusive=True)
    assert nearest.sum() == pytest.approx(1) and (nearest >= 0).all()
    # No step towards another corner of the simplex comes closer.
    for corner in np.eye(len(raw)):
        assert (raw - nearest) @ (corner - nearest) <= 1e-9
    assert nearest_shares(raw, exclusive=False).tolist() == np.clip(raw, 0, 1).tolist()


def test_predictions_of_some_correct_those_of_another_model_for_all() -> None:
    """The other model finds all topics twice as often; its correction adds to the noise."""
    true_shares, estimates, held = [], [], []
    for seed in range(150):
        sample, truth = drawn(1000, 60, seed)
        rng = np.random.default_rng([seed, 2])
        numbers = np.sort(rng.choice(1000, 200, replace=False))
        rough = np.clip(2 * sample.probabilities, 0, 1)
        rates = np.full(200, 0.2)
        values, noise = corrected_predictions(rough, sample.probabilities[numbers], numbers, rates)
        values[sample.labelled] = sample.probabilities[sample.labelled]
        noise[sample.labelled] = 0.0
        mixed = replace(sample, probabilities=values, rate=0.2, noise=noise)
        part = shares(mixed, np.ones(1000), 0.95).shares[0]
        true_shares.append(truth[:, 0].mean())
        estimates.append(part.value)
        held.append(covers(part, true_shares[-1]))
    assert abs(np.mean(estimates) - np.mean(true_shares)) < 0.01 and np.mean(held) >= 0.9
    # Shares of a part with few predicted texts rest on labels only.
    few = (np.arange(1000) < 60).astype(np.float64)
    assert mixed.for_part(few).has_predictions is False and mixed.for_part(np.ones(1000)) is mixed


def test_an_outcome_of_no_label_may_be_missing_from_a_group() -> None:
    sample, _ = drawn(300, 30, 4)
    none = replace(sample, truth=np.tile([0.0, 1.0], (30, 1)))
    first, second = shares(none, np.ones(300), 0.95).shares
    assert first.low == 0 and second.high == 1
    assert first.value >= 0 and second.low is not None and second.low > 0.5


def test_intervals_for_further_articles_hold_for_these() -> None:
    """Each article has one topic, so 40 articles have another share than all articles."""
    held, held_for_texts = [], []
    for seed in range(150):
        rng = np.random.default_rng(seed)
        true = np.repeat(rng.random(40) < 0.3, 25)
        truth = np.column_stack([true, ~true]).astype(np.float64)
        rows = np.sort(rng.choice(1000, 200, replace=False))
        ones = np.ones(200)
        sample = Sample(np.zeros_like(truth), rows, truth[rows], ones, ones)
        clusters = np.repeat(np.arange(40), 25)
        part = shares(replace(sample, clusters=clusters), np.ones(1000), 0.95)
        held.append(covers(part.shares[0], 0.3))
        held_for_texts.append(covers(shares(sample, np.ones(1000), 0.95).shares[0], 0.3))
    assert np.mean(held) >= 0.92 and np.mean(held_for_texts) < 0.7
    # With few articles a year, a trend for further articles is far less certain.
    times = clusters.astype(np.float64)
    narrow = trend(sample, np.ones(1000), times, 0.95)[0]
    wide = trend(replace(sample, clusters=clusters), np.ones(1000), times, 0.95)[0]
    assert np.diff(bounds(wide)) > 1.5 * np.diff(bounds(narrow))
    five = replace(sample, clusters=np.arange(1000) % 5)
    assert shares(five, np.ones(1000), 0.95).shares[0].low is None


def test_parts_with_other_weights_and_variances_are_called_different_as_often_as_promised(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """40 texts are drawn from each of 900, 450 and 150; errors vary more in the last group."""
    monkeypatch.setattr(room, "N_PERMUTATIONS", 199)
    sizes, rejected = np.array([900, 450, 150]), []
    parts = np.repeat(np.arange(3), sizes)
    masses = [(parts == part).astype(np.float64) for part in range(3)]
    for seed in range(200):
        rng = np.random.default_rng(seed)
        chance = np.where(parts == 2, rng.choice([0.05, 0.95], 1500), 0.5)
        true = rng.random(1500) < chance
        truth = np.column_stack([true, ~true]).astype(np.float64)
        known = np.where(parts == 2, 0.5, 0.5 + 0.45 * (2 * true - 1) * (rng.random(1500) < 0.9))
        known = known + np.array([np.mean((true - known)[parts == p]) for p in range(3)])[parts]
        rows = np.concatenate([rng.choice(np.flatnonzero(m), 40, replace=False) for m in masses])
        weights = sizes[parts[rows]] / 40
        predicted = np.column_stack([known, 1 - known])
        sample = Sample(predicted, rows, truth[rows], weights, np.ones(120))
        rejected.append((equal_errors_p(sample, masses, seed) or 1.0) < 0.05)
    assert np.mean(rejected) <= 0.08
