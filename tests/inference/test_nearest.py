"""Labelled paragraphs are compared by what the model's head reads of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from paratopic import load
from paratopic.inference.modes import Array
from paratopic.inference.nearest import LabelledParagraphs, LikeParagraph
from paratopic.inference.onnx_model import read_windows
from paratopic.training.examples import Fitted
from paratopic.transformer.fit import FittedTransformer
from tests.samples import TARIFF

LONG = "The navy left the border, and the tariff rose. " * 40


def dense(folder: Path, texts: list[str]) -> Array:
    features = load(folder).embed(texts)
    return features.toarray() if sparse.issparse(features) else np.asarray(features)


def test_the_text_itself_comes_first(saved: Path, rows: pd.DataFrame) -> None:
    topics = list(rows["topic"])
    ids, texts = list(rows["id"]), list(rows["text"])
    labelled = LabelledParagraphs(load(saved), ids, topics, texts)
    for row, text in enumerate(texts):
        first, second, third = labelled.nearest(text)
        assert replace(first, similarity=1.0) == LikeParagraph(
            ids[row], tuple(topics[row]), text, 1.0
        )
        assert first.similarity == pytest.approx(1, abs=1e-6)
        assert first.similarity > second.similarity >= third.similarity
        assert labelled.nearest_other(text) == second
    tariffs = labelled.nearest(TARIFF)
    assert {near.topics for near in tariffs} == {("trade",)}


def test_features_of_unit_length_are_those_of_each_text_alone(
    saved: Path, rows: pd.DataFrame
) -> None:
    texts = [*rows["text"], LONG, "\ud800 tariff"]
    features = dense(saved, texts)
    np.testing.assert_allclose(np.linalg.norm(features, axis=1), 1)
    alone = np.concatenate([dense(saved, [text]) for text in texts])
    np.testing.assert_allclose(features, alone, atol=1e-5)


@pytest.mark.parametrize("trained", ["baseline"], indirect=True)
def test_a_text_without_a_known_word_is_like_nothing(trained: tuple[Fitted, Path]) -> None:
    labelled = LabelledParagraphs(load(trained[1]), ["a"], [["trade"]], ["A tariff."])
    assert labelled.nearest("☃")[0].similarity == 0
    assert labelled.nearest_other("A tariff.") is None


@pytest.mark.parametrize("trained", ["transformer"], indirect=True)
def test_the_head_reads_the_embedding(trained: tuple[Fitted, Path], rows: pd.DataFrame) -> None:
    """So similarity is that of what the answer depends on: 8 bits, where they are used."""
    model = trained[0]
    texts = [" ".join(text.split()[:8]) for text in rows["text"]]  # in one window each
    assert isinstance(model, FittedTransformer)
    expected = model._embedder(read_windows(model._tokenizer, texts)[0])
    cosines = (dense(trained[1], texts) * expected).sum(axis=1)
    assert cosines.min() > 0.999
