"""Tuning the encoder: batches, losses, optimiser and loop.

The encoder is tuned on pairs of texts, of one topic or of two, as SetFit's is (Tunstall et al.
2022, https://arxiv.org/abs/2209.11055); but a batch of n texts gives all of its pairs for n
encodings. No head, random at first, distorts what the encoder knows. Where a text may have several
topics, few pairs are wholly alike or apart: there the encoder is tuned together with a head that
fits already (linear probing, then fine-tuning: Kumar et al. 2022,
https://arxiv.org/abs/2202.10054).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from tokenizers import Tokenizer
from torch import Tensor, nn

from paratopic.inference.scores import Targets, classes
from paratopic.inference.transformer import read_windows
from paratopic.project.params import Transformer
from paratopic.project.topics import Topics
from paratopic.training.examples import Advance, Examples
from paratopic.transformer.network import Network, add_gradients, embed_windows

CHUNK = 8  # texts of like length that are encoded together within a training batch

LEAST_BATCHES = 4  # of an epoch: few labels are gone through more than once

EVIDENCE_A_STEP = 2.0  # weight of examples that a step of the tuning needs

RAREST = 20.0  # times that having a topic may weigh what not having it does

HEAD_RATE = 0.01  # learning rate of a head that is tuned with the encoder

WARMUP = 0.1  # share of the steps in which the learning rate rises

WEIGHT_DECAY = 0.01


def tune(
    network: Network,
    tokenizer: Tokenizer,
    examples: Examples,
    enough: float,
    topics: Topics,
    params: Transformer,
    seed: int,
    advance: Advance,
) -> pd.DataFrame:
    """Tune the encoder; returns the loss of each step.

    The topics' descriptions are in every batch: they keep their meaning while labels are learnt.
    """
    n, described = len(examples.texts), topics.descriptions
    windows, owner = read_windows(tokenizer, [*examples.texts, *described])
    targets = np.vstack([examples.targets, np.eye(len(topics.names), dtype=bool)[: len(described)]])
    of_text = [np.flatnonzero(owner == text) for text in range(len(targets))]
    n_batches = max(-(-n // params.batch_size), LEAST_BATCHES)
    of_topic = examples.targets.sum(axis=0)
    # Without two texts of one topic beside another topic there is nothing to contrast; and labels
    # from few articles would teach the encoder those articles.
    n_steps = min(params.epochs * n_batches, int(enough / EVIDENCE_A_STEP))
    if of_topic.max() < 2 or (of_topic > 0).sum() < 2:
        n_steps = 0
    for parameter in network.encoder.parameters():
        parameter.requires_grad_(False)
    # Few labels say little about single words: the embedding layer stays as it is.
    model = network.encoder.transformers_model
    assert model is not None
    model.requires_grad_(True)
    for name, parameter in model.named_parameters():
        if name.startswith("embeddings."):
            parameter.requires_grad_(False)
    tuned = [p for p in network.encoder.parameters() if p.requires_grad]
    trained = [{"params": tuned, "lr": params.learning_rate}]
    if topics.mode == "multi":
        trained.append({"params": list(network.head.parameters()), "lr": HEAD_RATE})
    optimiser = torch.optim.AdamW(trained, weight_decay=WEIGHT_DECAY)
    rising = max(1, int(WARMUP * n_steps))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser,
        lambda step: min((step + 1) / rising, (n_steps - step) / max(1, n_steps - rising + 1)),
    )
    # What having a topic weighs beside not having it.
    rarity = torch.from_numpy(np.clip(n / np.maximum(of_topic, 1) - 1, 1, RAREST))
    rng = np.random.default_rng(seed)
    losses: list[float] = []
    deal = balanced_batches if topics.mode == "single" else shuffled_batches
    for some in deal(examples.targets, n_steps, params.batch_size, rng):
        batch = np.concatenate([some, np.arange(n, len(targets))])
        drawn = [windows[rng.choice(of_text[text])] for text in batch]
        embeddings = embed_windows(network, drawn, CHUNK)
        if topics.mode == "single":
            loss = pair_loss(embeddings, classes(targets[batch]))
        else:
            truth = torch.from_numpy(targets[batch]).to(embeddings)
            loss = nn.functional.binary_cross_entropy_with_logits(
                network.head(embeddings), truth, pos_weight=rarity.to(embeddings)
            )
        optimiser.zero_grad()
        if loss.requires_grad:  # not where other processes encoded the whole batch
            loss.backward()
        add_gradients(tuned)
        nn.utils.clip_grad_norm_(tuned, 1.0)
        optimiser.step()
        schedule.step()
        losses.append(float(loss.detach()))
        advance(len(losses) / (n_steps + 1))
    return pd.DataFrame({"step": np.arange(1, n_steps + 1), "loss": losses})


def balanced_batches(
    targets: Targets, n_steps: int, size: int, rng: np.random.Generator
) -> Iterator[npt.NDArray[np.int64]]:
    """Batches in which topics take turns, each topic's texts in a new order once all were used.

    Up to `size` texts are one batch, the same in every step.
    """
    pools: dict[int, list[int]] = {}
    present = np.flatnonzero(targets.any(axis=0))
    for _ in range(n_steps):
        if len(targets) <= size:
            yield np.arange(len(targets))
            continue
        turn = rng.permutation(present)
        batch = []
        for place in range(size):
            topic = int(turn[place % len(turn)])
            if not pools.get(topic):
                pools[topic] = rng.permutation(np.flatnonzero(targets[:, topic])).tolist()
            batch.append(pools[topic].pop())
        yield np.array(batch)


def shuffled_batches(
    targets: Targets, n_steps: int, size: int, rng: np.random.Generator
) -> Iterator[npt.NDArray[np.int64]]:
    """Batches of texts as they come, in a new order once all were used; see `balanced_batches`."""
    left = np.zeros(0, dtype=np.int64)
    for _ in range(n_steps):
        if not len(left):
            left = rng.permutation(len(targets))
        yield left[:size]
        left = left[size:]


def pair_loss(embeddings: Tensor, labels: npt.NDArray[np.int64]) -> Tensor:
    """Squared distance of cosines from what they should be, over all pairs of unit embeddings.

    The cosine of two texts of one topic should be 1, of two topics 0 (Reimers & Gurevych 2019,
    https://arxiv.org/abs/1908.10084). The mean over pairs of the first kind and that over pairs of
    the second count the same, however many there are.

    Parameters
    ----------
    embeddings
        (n, d).
    labels
        (n,) class numbers.
    """
    y = torch.from_numpy(labels).to(embeddings.device)
    first, second = torch.triu_indices(len(y), len(y), offset=1, device=embeddings.device)
    cosine = (embeddings[first] * embeddings[second]).sum(dim=1)
    same = (y[first] == y[second]).to(cosine.dtype)
    loss = (cosine - same).square()
    alike = (loss * same).sum() / same.sum().clamp(min=1)
    apart = (loss * (1 - same)).sum() / (1 - same).sum().clamp(min=1)
    return (alike + apart) / 2
