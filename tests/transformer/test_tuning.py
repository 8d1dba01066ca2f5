"""Losses and batches of the tuning."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sentence_transformers import SentenceTransformer
from tokenizers import Tokenizer
from torch import Tensor, nn

from paratopic.inference.modes import Targets, one_hot
from paratopic.inference.onnx_model import windowing
from paratopic.project.passages import Passage
from paratopic.project.texts import Text, numbered
from paratopic.project.topics import ModeName, Topic, Topics
from paratopic.training.examples import Examples, silent
from paratopic.transformer import network as networks
from paratopic.transformer import tuning
from paratopic.transformer.encoder import load_encoder, pick_device
from paratopic.transformer.network import Encoded, Network, encode
from paratopic.transformer.settings import TUNING
from paratopic.transformer.tuning import (
    Plan,
    _freeze_all_but_layers,
    balanced_batches,
    pair_loss,
    plan_tuning,
    shuffled_batches,
    tune,
)
from tests.encoders import save_encoder
from tests.samples import PARAMS, WORDS, examples, transformer_settings


def test_pair_loss_equals_the_value_by_hand() -> None:
    # Cosines: .6 within topic 0; 0 and .8 between topics. (.4² + (0² + .8²) / 2) / 2.
    embeddings = torch.tensor([[1, 0], [0.6, 0.8], [0, 1]], dtype=torch.float64)
    loss = pair_loss(embeddings, np.array([0, 0, 1]), none=2)
    assert loss.item() == pytest.approx((0.16 + 0.32) / 2)
    different = pair_loss(embeddings, np.array([0, 1, 2]), none=3)
    assert different.item() == pytest.approx((0.6**2 + 0 + 0.8**2) / 3 / 2)
    # Texts with none of the topics are pairs with others, and not with each other.
    with_none = pair_loss(embeddings, np.array([2, 2, 0]), none=2)
    assert with_none.item() == pytest.approx((0 + 0.8**2) / 2 / 2)
    assert pair_loss(embeddings, np.array([2, 2, 2]), none=2).item() == 0


def test_balanced_batches_take_turns_and_use_every_text() -> None:
    labels = np.array([0] * 90 + [1] * 10)
    targets = one_hot(labels, 2)
    drawn = list(balanced_batches(targets, 12, 20, 10, np.random.default_rng(0)))
    assert all(np.bincount(labels[batch]).tolist() == [10, 10] for batch in drawn)
    assert set(np.concatenate(drawn)) == set(range(100))
    few = list(balanced_batches(targets[85:95], 3, 20, 10, np.random.default_rng(0)))
    assert [batch.tolist() for batch in few] == [list(range(10))] * 3


def test_each_of_many_outcomes_in_a_batch_has_two_texts() -> None:
    labels = np.arange(160) % 40
    drawn = list(balanced_batches(one_hot(labels, 40), 30, 20, 10, np.random.default_rng(0)))
    assert all(sorted(np.bincount(labels[batch]))[-10:] == [2] * 10 for batch in drawn)
    assert set(labels[np.concatenate(drawn)]) == set(range(40))


def test_shuffled_batches_use_every_text_once_in_each_pass() -> None:
    drawn = list(shuffled_batches(np.ones((9, 2)) > 0, 6, 4, np.random.default_rng(0)))
    assert [len(batch) for batch in drawn] == [4, 4, 1] * 2
    for epoch in (drawn[:3], drawn[3:]):
        assert sorted(np.concatenate(epoch)) == list(range(9))


def untuned(encoder: str | Path, n_logits: int) -> tuple[Network, Tokenizer]:
    """An untuned network, and the tokenizer of its windows."""
    loaded = load_encoder(str(encoder), pick_device("cpu"))
    tokens = Tokenizer.from_str(loaded.tokenizer.backend_tokenizer.to_str())
    return Network(loaded, nn.Linear(32, n_logits)), windowing(tokens, 16)


def planned(
    targets: Targets,
    in_context: bool = False,
    mode: ModeName = "single",
    texts: Sequence[Text] | None = None,
) -> Plan:
    params = replace(PARAMS.section("transformer"), batch_size=32, epochs=6)
    topics = Topics(mode, tuple(f"topic {n}" for n in range(targets.shape[1])))
    numbers = np.arange(len(targets))
    labelled = Examples(numbered(texts or [""] * len(targets)), targets, numbers, numbers)
    return plan_tuning(labelled, topics, params, in_context)


def planned_for(numbers: Sequence[int], k: int = 2, **settings: Any) -> list[Plan]:
    """Plans for these numbers of labels, whose k topics take turns."""
    return [planned(one_hot(np.arange(n) % k, k), **settings) for n in numbers]


@pytest.mark.parametrize(("n", "n_steps", "in_context"), [(1, 0, 0), (25, 12, 12), (79, 18, 12)])
def test_few_labels_are_trained_on_in_pairs(n: int, n_steps: int, in_context: int) -> None:
    """In fewer steps if the head reads neighbours."""
    plans = planned_for([n]) + planned_for([n], in_context=True)
    assert [plan.n_steps for plan in plans] == [n_steps, in_context]
    assert not any(plan.trains_head for plan in plans)


def test_many_labels_are_trained_on_with_the_head() -> None:
    # In three epochs or 625 steps.
    plans = planned_for([79, 80, 320, 1000, 20000])
    assert [plan.trains_head for plan in plans] == [False] + 4 * [True]
    assert [plan.n_steps for plan in plans] == [18, 18, 32, 3 * 32, 625]
    assert [plan.tokens for plan in plans] == [64] + 4 * [96]
    # The labels of 40 topics are many in all.
    assert [plan.trains_head for plan in planned_for([319, 320], k=40)] == [False, True]
    several = planned_for([30, 1000], mode="multi")
    assert [(plan.trains_head, plan.n_steps) for plan in several] == [(True, 12), (True, 96)]


@pytest.mark.parametrize(("n_labelled", "share"), [(0, 1.0), (20, 0.75), (60, 0.5)])
def test_neighbours_limit_the_share_of_the_tuned_weights(n_labelled: int, share: float) -> None:
    """If labels are many in mode single, only as far as the neighbours are labelled, too."""
    assert [plan.share for plan in planned_for([79, 80], in_context=True)] == [0.5, 1.0]
    assert [plan.share for plan in planned_for([80], in_context=True, mode="multi")] == [0.5]
    befores = ["0"] * n_labelled + ["unlabelled"] * (80 - n_labelled)
    texts = [Passage(str(n), before) for n, before in enumerate(befores)]
    assert planned_for([80], in_context=True, texts=texts)[0].share == share


def test_texts_with_none_of_the_topics_add_no_steps_and_one_topic_is_paired_with_them() -> None:
    one_topic = one_hot(np.array([0, 0] + 58 * [2]), 3)[:, :2]
    assert planned(one_topic).n_steps == 12
    assert planned(one_topic[1:]).n_steps == 0
    assert planned(one_topic[:2]).n_steps == 0


def test_tuning_ends_a_share_of_the_way_from_the_encoders_own_weights(
    rows: pd.DataFrame, topics: Topics, tiny_encoder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    constants = replace(TUNING, least_share=0.0, labels_per_outcome=1000)
    monkeypatch.setattr(tuning, "TUNING", constants)
    data, topics = examples(rows, topics.names), Topics("single", topics.names)
    topical = data.select(np.flatnonzero(data.targets.any(axis=1)))
    section = transformer_settings(tiny_encoder, epochs=1)

    def tuned(share: float, data: Examples = topical) -> dict[str, Tensor]:
        network, tokenizer = untuned(section.encoder, 4)
        monkeypatch.setattr(tuning, "share_of_labels", lambda *_: share)
        plan = plan_tuning(data, topics, section)
        history = tune(network, tokenizer, data, topics, plan, 1, silent)
        assert len(history) == 2  # an epoch has two batches at least
        weights: dict[str, Tensor] = network.encoder.state_dict()
        return weights

    none, half, full = tuned(0.0), tuned(0.5), tuned(1.0)
    moved = [name for name in none if not torch.equal(none[name], full[name])]
    assert moved and all("encoder.layer" in name for name in moved)
    for name in moved:
        torch.testing.assert_close(half[name], (none[name] + full[name]) / 2)
    # The share is smaller if topics are rare.
    has_none = np.flatnonzero(~data.targets.any(axis=1))
    rare = data.select(np.concatenate([np.arange(len(data.texts)), np.repeat(has_none, 99)]))
    monkeypatch.setattr(tuning, "TUNING", replace(constants, most_share_if_rare=0.5))
    half, full = tuned(0.5, rare), tuned(1.0, rare)
    assert all(torch.equal(half[name], full[name]) for name in moved)


@pytest.mark.parametrize("mode", ["single", "multi"])
def test_weights_do_not_depend_on_the_number_of_processors(
    data: Examples, mode: ModeName, tiny_encoder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    topics = Topics(mode, tuple(map(Topic, WORDS)))
    section = transformer_settings(tiny_encoder, epochs=2, batch_size=20)

    def tuned(n_threads: int) -> dict[str, Tensor]:
        torch.manual_seed(0)
        network, tokenizer = untuned(section.encoder, len(topics.names))
        n_torch_threads = torch.get_num_threads()
        with ThreadPoolExecutor(n_threads) as pool:
            monkeypatch.setattr(networks, "thread_pool", lambda: pool)
            plan = plan_tuning(data, topics, section)
            tune(network, tokenizer, data, topics, plan, 1, silent)
        assert torch.get_num_threads() == n_torch_threads
        return network.state_dict()

    one, three = tuned(1), tuned(3)
    assert all(torch.equal(one[name], three[name]) for name in one)


def test_definitions_and_their_clauses_are_among_the_texts(
    data: Examples, tiny_encoder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    definitions = {name: f"Only {name}, or {name} alone." for name in WORDS}
    topics = Topics("single", tuple(Topic(name, text) for name, text in definitions.items()))
    network, tokenizer = untuned(tiny_encoder, 4)
    tokens = network.encoder.tokenizer.backend_tokenizer
    batches: list[list[str]] = []

    def recorded(encoder: SentenceTransformer, windows: list[list[int]]) -> list[Encoded]:
        batches.append([tokens.decode(window) for window in windows])
        return encode(encoder, windows)

    monkeypatch.setattr(tuning, "encode", recorded)
    monkeypatch.setattr(tuning, "share_of_labels", lambda *_: 0.75)
    section = replace(PARAMS.section("transformer"), epochs=1, batch_size=16)
    plan = plan_tuning(data, topics, section)
    tune(network, tokenizer, data, topics, plan, 1, silent)
    clauses = {tokens.decode(tokens.encode(text).ids) for text in ("Only trade", "trade alone")}
    full = {tokens.decode(tokens.encode(text).ids) for text in topics.descriptions}
    for batch in batches:
        assert len(batch) == 16 + 3 and full <= set(batch)
    seen = {text for batch in batches for text in batch}
    assert clauses <= seen


def test_words_stay_as_they_are_wherever_an_encoder_has_them(
    tiny_encoder: Path, tmp_path: Path
) -> None:
    tokenizer = Tokenizer.from_file(str(tiny_encoder / "tokenizer.json"))
    special = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
    saved = save_encoder(tmp_path, tokenizer, special, "eurobert", num_key_value_heads=2)
    network, _ = untuned(saved, 4)
    tuned = _freeze_all_but_layers(network)
    frozen = [name for name, weights in network.named_parameters() if not weights.requires_grad]
    assert [name.split(".")[-2] for name in frozen] == ["embed_tokens"] and tuned
