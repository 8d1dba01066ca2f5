"""Losses and batches of the tuning."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from paratopic.inference.scores import one_hot
from paratopic.transformer.tuning import balanced_batches, pair_loss, shuffled_batches


def test_pair_loss_equals_the_value_by_hand() -> None:
    # Cosines: .6 within topic 0; 0 and .8 between topics. (.4² + (0² + .8²) / 2) / 2.
    embeddings = torch.tensor([[1, 0], [0.6, 0.8], [0, 1]], dtype=torch.float64)
    loss = pair_loss(embeddings, np.array([0, 0, 1]))
    assert loss.item() == pytest.approx((0.16 + 0.32) / 2)
    assert pair_loss(embeddings, np.array([0, 1, 2])).item() == pytest.approx(1 / 6)


def test_balanced_batches_take_turns_and_use_every_text() -> None:
    labels = np.array([0] * 90 + [1] * 10)
    targets = one_hot(labels, 2)
    drawn = list(balanced_batches(targets, 12, 20, np.random.default_rng(0)))
    assert all(np.bincount(labels[batch]).tolist() == [10, 10] for batch in drawn)
    assert set(np.concatenate(drawn)) == set(range(100))
    few = list(balanced_batches(targets[85:95], 3, 20, np.random.default_rng(0)))
    assert [batch.tolist() for batch in few] == [list(range(10))] * 3


def test_shuffled_batches_use_every_text_once_in_each_pass() -> None:
    drawn = list(shuffled_batches(np.ones((9, 2)) > 0, 6, 4, np.random.default_rng(0)))
    assert [len(batch) for batch in drawn] == [4, 4, 1] * 2
    for epoch in (drawn[:3], drawn[3:]):
        assert sorted(np.concatenate(epoch)) == list(range(9))
