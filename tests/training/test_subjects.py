"""Subjects of news that are none of the topics."""

from __future__ import annotations

import numpy as np

from paratopic.inference.linear_head import nearness
from paratopic.training.subjects import SUBJECTS, are_others


def test_a_subject_that_is_closer_to_a_topic_than_to_another_subject_is_left_out() -> None:
    subjects = np.array([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0]])
    assert are_others(subjects, np.array([[0.0, 1.0]])).tolist() == [True, True, False]
    assert are_others(subjects, np.zeros((0, 2))).all()


def test_each_subject_is_a_name_and_what_it_is_about() -> None:
    assert len(set(SUBJECTS)) == len(SUBJECTS)
    assert all(text.count(": ") == 1 and text.endswith(".") for text in SUBJECTS)


def test_nearness_lies_between_the_mean_and_the_largest_similarity() -> None:
    similarity = np.random.default_rng(0).uniform(-1, 1, size=(50, 9))
    near, largest = nearness(similarity), similarity.max(axis=1)
    assert (similarity.mean(axis=1) < near).all() and (near < largest).all()
    np.testing.assert_allclose(nearness(similarity + 0.3), near + 0.3)
    np.testing.assert_allclose(nearness(similarity[:, :1]), similarity[:, 0])
    assert np.isfinite(nearness(1e3 * similarity)).all()
