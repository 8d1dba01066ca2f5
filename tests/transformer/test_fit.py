"""Devices, precision and the bundled encoder; the contract is tested in test_classifier."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sentence_transformers import SentenceTransformer

import paratopic
from paratopic.inference.folder import Calibration
from paratopic.inference.scores import one_hot
from paratopic.project.errors import UserError
from paratopic.project.topics import Topics
from paratopic.transformer import fit as transformer
from paratopic.transformer.encoder import (
    BUNDLED,
    autocast,
    load_encoder,
    pick_device,
    resolve_encoder,
)
from paratopic.transformer.network import chunks
from paratopic.transformer.tuning import balanced_batches, pair_loss, shuffled_batches
from tests.samples import PARAMS, examples


@pytest.mark.parametrize(
    ("cuda", "mps", "picked"),
    [(True, True, "cuda"), (False, True, "mps"), (False, False, "cpu")],
)
def test_auto_takes_cuda_then_mps_then_cpu(
    monkeypatch: pytest.MonkeyPatch, cuda: bool, mps: bool, picked: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    assert pick_device("auto").type == picked
    assert pick_device("cpu").type == "cpu"


def test_a_device_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UserError, match=r"transformer.device: cuda is not available.*cpu"):
        pick_device("cuda")


def test_bfloat16_on_cuda_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    with autocast(torch.device("cpu")):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32
    asked: dict[str, object] = {}
    monkeypatch.setattr(torch, "autocast", lambda kind, **how: asked.update(how, kind=kind))
    autocast(torch.device("cuda"))
    assert asked == {"kind": "cuda", "dtype": torch.bfloat16, "enabled": True}


def test_the_bundled_encoder_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Path(resolve_encoder(BUNDLED), "model.safetensors").exists()
    resolve_encoder.cache_clear()
    monkeypatch.setattr("paratopic.transformer.encoder.BUNDLED_SHA256", "0" * 64)
    with pytest.raises(UserError, match="not the weights of"):
        resolve_encoder(BUNDLED)
    resolve_encoder.cache_clear()


def test_an_encoder_that_is_nowhere_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(UserError, match=r"transformer.encoder: .*nowhere cannot be loaded"):
        load_encoder(str(tmp_path / "nowhere"), torch.device("cpu"))


def test_training_lowers_the_loss_and_is_reported(
    rows: pd.DataFrame, topics: Topics, tiny_encoder: Path
) -> None:
    section = replace(
        PARAMS.transformer,
        encoder=str(tiny_encoder),
        epochs=4,
        learning_rate=3e-2,
        max_tokens=32,
        train_tokens=16,
    )
    told: list[float] = []
    data = examples(rows, topics.names).topical()
    model = transformer.fit(data, Topics("single", topics.names), section, 1, told.append)
    loss = model.history["loss"]
    assert len(loss) == 4 * 4  # 36 texts are two batches of 32, an epoch at least four
    assert loss[-5:].mean() < 0.8 * loss[:5].mean()
    assert told == sorted(told) and told[-1] == 1
    hits = model.predict_proba(data.texts).argmax(axis=1)
    assert (hits == data.labels).mean() > 0.9


def test_pair_loss_by_hand() -> None:
    # Cosines: .6 within topic 0; 0 and .8 between topics. (.4² + (0² + .8²) / 2) / 2.
    embeddings = torch.tensor([[1, 0], [0.6, 0.8], [0, 1]], dtype=torch.float64)
    loss = pair_loss(embeddings, np.array([0, 0, 1]))
    assert loss.item() == pytest.approx((0.16 + 0.32) / 2)
    assert pair_loss(embeddings, np.array([0, 1, 2])).item() == pytest.approx(1 / 6)


def test_topics_take_turns_in_batches_and_every_text_comes_up() -> None:
    labels = np.array([0] * 90 + [1] * 10)
    targets = one_hot(labels, 2)
    drawn = list(balanced_batches(targets, 12, 20, np.random.default_rng(0)))
    assert all(np.bincount(labels[batch]).tolist() == [10, 10] for batch in drawn)
    assert set(np.concatenate(drawn)) == set(range(100))
    few = list(balanced_batches(targets[85:95], 3, 20, np.random.default_rng(0)))
    assert [batch.tolist() for batch in few] == [list(range(10))] * 3


def test_every_text_comes_up_once_in_batches_as_they_come() -> None:
    drawn = list(shuffled_batches(np.ones((9, 2)) > 0, 6, 4, np.random.default_rng(0)))
    assert [len(batch) for batch in drawn] == [4, 4, 1] * 2
    for epoch in (drawn[:3], drawn[3:]):
        assert sorted(np.concatenate(epoch)) == list(range(9))


@given(st.lists(st.integers(1, 99), min_size=1, max_size=60), st.integers(1, 9))
def test_chunks_hold_every_row_once(lengths: list[int], size: int) -> None:
    made = chunks(lengths, size)
    assert sorted(np.concatenate(made).tolist()) == list(range(len(lengths)))
    assert all(len(batch) <= size for batch in made)


@pytest.fixture(scope="module")
def untuned(
    rows: pd.DataFrame,
    topics: Topics,
    tiny_encoder: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[transformer.FittedTransformer, Path]:
    """A model of no epochs, and its folder."""
    section = replace(
        PARAMS.transformer, encoder=str(tiny_encoder), epochs=0, max_tokens=32, train_tokens=16
    )
    model = transformer.fit(examples(rows, topics.names), topics, section, 1, lambda _: None)
    folder = tmp_path_factory.mktemp("untuned") / "model"
    model.save(folder, Calibration())
    return model, folder


def test_no_epochs_leave_the_encoder_as_it_was(
    untuned: tuple[transformer.FittedTransformer, Path], rows: pd.DataFrame, tiny_encoder: Path
) -> None:
    model, folder = untuned
    assert model.history.empty
    texts = list(rows["text"])
    np.testing.assert_array_equal(
        SentenceTransformer(str(folder), device="cpu").encode(texts),
        SentenceTransformer(str(tiny_encoder), device="cpu").encode(texts),
    )


def test_labels_of_one_article_do_not_tune_the_encoder(
    rows: pd.DataFrame, topics: Topics, tiny_encoder: Path
) -> None:
    section = replace(PARAMS.transformer, encoder=str(tiny_encoder), train_tokens=16)
    data = examples(rows, topics.names)
    lone = replace(data, articles=np.zeros(len(data.texts), dtype=np.int64))
    assert transformer.fit(lone, topics, section, 1, lambda _: None).history.empty


def test_the_graph_tells_nothing_of_this_machine(
    untuned: tuple[transformer.FittedTransformer, Path],
) -> None:
    _, folder = untuned
    source = str(Path(paratopic.__file__).parent).encode()
    for path in (p for p in folder.rglob("*") if p.is_file()):
        assert source not in path.read_bytes(), path.name
        assert b"site-packages" not in path.read_bytes(), path.name
