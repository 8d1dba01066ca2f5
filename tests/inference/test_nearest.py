"""Labelled paragraphs are compared by their features for the model's head."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from paratopic import load
from paratopic.inference.modes import Array
from paratopic.inference.nearest import LabelledParagraphs, SimilarParagraph
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
        assert replace(first, similarity=1.0) == SimilarParagraph(
            ids[row], tuple(topics[row]), text, 1.0
        )
        assert first.similarity == pytest.approx(1, abs=1e-6)
        assert first.similarity > second.similarity >= third.similarity
        assert labelled.nearest_other(text) == second
    tariffs = labelled.nearest(TARIFF)
    assert {paragraph.topics for paragraph in tariffs} == {("trade",)}


def test_features_have_unit_length_and_do_not_depend_on_the_batch(
    saved: Path, rows: pd.DataFrame
) -> None:
    texts = [*rows["text"], LONG, "\ud800 tariff"]
    features = dense(saved, texts)
    np.testing.assert_allclose(np.linalg.norm(features, axis=1), 1)
    one_by_one = np.concatenate([dense(saved, [text]) for text in texts])
    np.testing.assert_allclose(features, one_by_one, atol=1e-5)


@pytest.mark.parametrize("trained", ["baseline"], indirect=True)
def test_a_text_without_a_known_word_has_similarity_0(trained: tuple[Fitted, Path]) -> None:
    labelled = LabelledParagraphs(load(trained[1]), ["a"], [["trade"]], ["A tariff."])
    assert labelled.nearest("☃")[0].similarity == 0
    assert labelled.nearest_other("A tariff.") is None


@pytest.mark.parametrize("trained", ["transformer"], indirect=True)
def test_the_head_reads_the_embedding(trained: tuple[Fitted, Path], rows: pd.DataFrame) -> None:
    """Similarity uses the same embeddings as the prediction, in 8 bits if the model has them."""
    model = trained[0]
    texts = [" ".join(text.split()[:8]) for text in rows["text"]]  # in one window each
    assert isinstance(model, FittedTransformer)
    expected = model._embedder(read_windows(model._tokenizer, texts)[0])
    cosines = (dense(trained[1], texts) * expected).sum(axis=1)
    assert cosines.min() > 0.999
