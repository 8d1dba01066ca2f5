"""Training the transformer; tests/inference covers the contract of both kinds of model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sentence_transformers import SentenceTransformer

import paratopic
from paratopic.inference.modes import Calibration, class_numbers
from paratopic.project.texts import numbered
from paratopic.project.topics import Topics
from paratopic.training.examples import Examples
from paratopic.transformer import fit as transformer
from paratopic.transformer import tuning
from paratopic.transformer.settings import TUNING
from tests.samples import TARIFF, WORDS, examples
from tests.transformer.conftest import Fit, Untuned

BARE = Topics("single", tuple(WORDS))


@pytest.mark.parametrize(("many", "rate"), [(40, 1e-2), (1, 1e-2)])
def test_training_lowers_the_loss_and_reports_progress(
    data: Examples, many: int, rate: float, fit_tiny: Fit, monkeypatch: pytest.MonkeyPatch
) -> None:
    # On pairs, and by cross-entropy with the head.
    constants = replace(TUNING, labels_per_outcome=many, head_rate=0.1)
    monkeypatch.setattr(tuning, "TUNING", constants)
    done: list[float] = []
    data = data.select(np.flatnonzero(data.targets.any(axis=1)))
    model = fit_tiny(data, BARE, done.append, epochs=6, learning_rate=rate)
    loss = model.history["loss"]
    assert len(loss) == 6 * 2  # 36 texts are two batches of 32
    assert loss[-3:].mean() < 0.8 * loss[:3].mean()
    assert done == sorted(done) and done[-1] == 1
    hits = model.predict_proba(data.texts).argmax(axis=1)
    assert (hits == class_numbers(data.targets)).mean() > 0.9


def test_an_encoder_that_was_tuned_in_mixed_precision_is_saved_as_it_was_scored(
    data: Examples, fit_tiny: Fit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    used: list[torch.autocast] = []

    def bfloat16(device: torch.device, mixed: bool) -> torch.autocast:
        used.append(torch.autocast(device.type, dtype=torch.bfloat16, enabled=mixed))
        return used[-1]

    monkeypatch.setattr("paratopic.transformer.network.autocast", bfloat16)
    model = fit_tiny(data, BARE, epochs=1)
    assert any(context._enabled for context in used) and len(model.history)
    assert model.save(tmp_path / "model", Calibration())["gap"] <= 1e-4


def test_without_epochs_the_encoder_stays(untuned: Untuned, tiny_encoder: Path) -> None:
    model, folder = untuned
    assert model.history.empty
    tokens = []
    for path in (tiny_encoder, folder):
        encoder = SentenceTransformer(str(path), device="cpu")
        tokens.append(list(encoder)[0](encoder.preprocess([TARIFF]))["token_embeddings"])
    assert torch.equal(*tokens)


def test_no_paths_are_written(untuned: Untuned) -> None:
    _, folder = untuned
    source = str(Path(paratopic.__file__).parent).encode()
    for path in (p for p in folder.rglob("*") if p.is_file()):
        assert source not in path.read_bytes(), path.name
        assert b"site-packages" not in path.read_bytes(), path.name


def test_a_pool_changes_the_head(rows: pd.DataFrame, topics: Topics, fit_tiny: Fit) -> None:
    few = examples(rows.iloc[::6], topics.names)
    others = [text for text in rows["text"] if text not in few.texts.plain]
    extended = replace(few, unlabelled=others)
    without_pool = fit_tiny(few, topics, epochs=1)
    with_pool = fit_tiny(extended, topics, epochs=1)
    again = fit_tiny(extended, topics, epochs=1)
    assert len(without_pool.history) == len(with_pool.history)  # no more batches to tune on
    scores = with_pool.predict_proba(numbered(others))
    assert np.abs(scores - without_pool.predict_proba(numbered(others))).max() > 0.01
    np.testing.assert_array_equal(again.predict_proba(numbered(others)), scores)


def test_words_are_read_as_names_of_rare_topics_and_numbers_are_not(
    data: Examples, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = np.arange(len(data.texts))[:, None] < len(data.texts) / 3
    rare = replace(data, targets=data.targets & few)
    monkeypatch.setattr(transformer, "_first_windows", lambda tokenizer, texts: texts)
    monkeypatch.setattr(transformer, "are_closer_to_own", lambda *_: True)

    def embed(texts: list[str]) -> np.ndarray:
        return np.ones((len(texts), 1))

    for names, expected in ((BARE.names, BARE.names), (("18", "-16", "17.5"), ())):
        arguments: Any = (rare, Topics("single", names), embed, None)
        assert transformer._informative_names(*arguments) == expected
