"""Centred embeddings."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from sentence_transformers import SentenceTransformer

from paratopic.inference.modes import Array
from paratopic.transformer.centre import LEAST_TEXTS, centre, centring
from paratopic.transformer.encoder import load_encoder

CPU = torch.device("cpu")


def unit(embeddings: Array) -> Array:
    lengths: Array = np.linalg.norm(embeddings, axis=1, keepdims=True)
    return embeddings / lengths


@given(st.integers(0, 2**32 - 1), st.integers(1, 4))
def test_each_language_has_the_mean_zero(seed: int, n_languages: int) -> None:
    rng = np.random.default_rng(seed)
    languages = np.repeat([f"l{n}" for n in range(n_languages)], rng.integers(8, 20, n_languages))
    offsets = {code: 3 * rng.normal(size=12) for code in set(languages)}
    embeddings = unit(rng.normal(size=(len(languages), 12)) + [offsets[c] for c in languages])
    weight, bias = centring(embeddings, languages.tolist())
    centred = embeddings @ weight.T + bias
    for code in set(languages):
        np.testing.assert_allclose(centred[languages == code].mean(axis=0), 0, atol=1e-9)
    # Nothing else is taken away.
    assert np.linalg.matrix_rank(weight) == 12 - n_languages + 1


def test_texts_of_a_language_with_few_of_them_set_no_mean() -> None:
    embeddings = unit(np.random.default_rng(0).normal(size=(40, 6)))
    languages = ["en"] * (40 - LEAST_TEXTS + 1) + ["de"] * (LEAST_TEXTS - 1)
    weight, bias = centring(embeddings, languages)
    np.testing.assert_array_equal(weight, np.eye(6))
    np.testing.assert_allclose(bias, -embeddings[: languages.count("en")].mean(axis=0))
    _, unknown = centring(embeddings, [""] * 40)
    np.testing.assert_allclose(unknown, -embeddings.mean(axis=0))


def test_a_saved_encoder_stays_centred(tiny_encoder: Path, tmp_path: Path) -> None:
    texts = ["Tariffs rose.", "The army said.", "A chip was sold."] * LEAST_TEXTS
    encoder = load_encoder(str(tiny_encoder), CPU)
    before = encoder.encode(texts, normalize_embeddings=True)
    centre(encoder, before, ["en"] * len(texts))
    after = encoder.encode(texts)
    np.testing.assert_allclose(after, before - before.mean(axis=0), atol=1e-6)
    encoder.save(str(tmp_path / "saved"))
    opened = SentenceTransformer(str(tmp_path / "saved"), device="cpu")
    np.testing.assert_allclose(opened.encode(texts), after, atol=1e-6)
