"""Tune the encoder: batches, losses, optimiser and loop.

In mode single the encoder is tuned on pairs of texts, of one topic or of two, as in SetFit
(Tunstall et al. 2022, arXiv:2209.11055), but a batch of n texts gives all of its pairs for n
encodings. Texts with none of the topics are kept apart from those that have one. No head takes
part: a random one would distort what the encoder knows. In mode multi few pairs of texts have all
of their topics or none in common. There the encoder is tuned together with a head that was fitted
to it before (Kumar et al. 2022, arXiv:2202.10054).

Clauses of the topics' definitions are texts beside the examples. From the weights that this gives,
the encoder goes part of the way back to those it came with (WiSE-FT; Wortsman et al. 2022,
arXiv:2109.01903): labels of few articles teach the articles too, and what it knew of all others
would be forgotten.

Loading the encoder and fitting heads is for `encoder` and `fit`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from tokenizers import Tokenizer
from torch import Tensor, nn

from paratopic.inference.modes import mode_of
from paratopic.inference.onnx_model import read_windows
from paratopic.inference.scores import Integers, Targets, classes, one_hot
from paratopic.project.passages import plain
from paratopic.project.topics import ModeName, Topics
from paratopic.training.examples import Advance, Examples, share_of_labels, topics_are_rare
from paratopic.transformer.network import (
    Network,
    backpropagate,
    encode,
    joined,
    one_thread_each,
)
from paratopic.transformer.settings import Transformer

LEAST_BATCHES = 2  # batches in an epoch, at least: few labels are gone through more than once
LARGEST_RARITY = 20.0  # having a rare topic weighs at most this many times as much as not having it
HEAD_RATE = 0.01  # learning rate of a head that is tuned with the encoder
WARMUP = 0.1  # share of the steps in which the learning rate rises
WEIGHT_DECAY = 0.01
# Share of the way to the tuned weights that the encoder goes with definitions alone, as with labels
# of one article.
OF_CLAUSES = 0.25
# Where the head reads neighbours: share of the way at most, what the number of steps is divided by,
# the least number, and the most in units of `max_steps`. On draws of speeches that are not
# reported, with 100 to 500 labels, three times as many steps gave nothing, and the whole way cost 2
# to 3 points of macro-F1. With 3,000 labels, 24, 60 and 166 steps were equally good.
OF_TUNED_IN_CONTEXT = 0.5
# Share of the way at most where topics are rare: few labels teach them. Chosen on draws of bills
# and speeches with 100 and 300 labels that are not reported.
OF_TUNED_IF_RARE = 0.35
FEWER_STEPS_IN_CONTEXT, LEAST_STEPS_IN_CONTEXT, MOST_IN_CONTEXT = 3, 12, 2

# Loss of a batch: of the network, its texts' embeddings (n, d) and their targets (n, k).
Loss = Callable[[Network, Tensor, Targets], Tensor]


class _Recipe(NamedTuple):
    """How the encoder is tuned in one mode; `loss` takes the targets of all examples."""

    batches: Callable[[Targets, int, int, np.random.Generator], Iterator[Integers]]
    loss: Callable[[Targets], Loss]
    trains_head: bool


@one_thread_each()
def tune(
    network: Network,
    tokenizer: Tokenizer,
    examples: Examples,
    topics: Topics,
    params: Transformer,
    seed: int,
    advance: Advance,
    in_context: bool = False,
) -> pd.DataFrame:
    """Tune the network's encoder, and its head too where `trains_head`.

    The encoder goes as much of the way from its own weights to the tuned ones as the labels are a
    share of what is known of the topics (`examples.share_of_labels`), but at least `OF_CLAUSES`.
    The examples are no larger share of a batch. Where topics are rare, it goes at most
    `OF_TUNED_IF_RARE` of the way. What stands around texts is not read, but where
    the head reads it, too much tuning to the texts alone would make it seem worth little.

    Parameters
    ----------
    network
        Encoder and head. Where `trains_head`, the head must fit the encoder already.
    tokenizer
        Tokenizer that cuts texts into windows of the length for training.
    examples
        Labelled examples; there may be none.
    topics
        The codebook.
    params
        Section transformer of params.yaml.
    seed
        Seed of the batches and windows.
    advance
        Called with the share of the work done, 0 to 1.
    in_context
        Whether the head reads neighbours; no by default. If so, there are fewer steps, and the
        encoder goes at most `OF_TUNED_IN_CONTEXT` of the way.

    Returns
    -------
    One row for each step: step and loss.
    """
    mode, k = mode_of(topics.mode), len(topics.names)
    clauses, of_clauses = _clauses(topics)
    texts = [*plain(examples.texts), *clauses]
    of_examples, of_clauses = mode.outcomes(examples.targets), mode.outcomes(of_clauses)
    targets = np.vstack([of_examples, of_clauses])
    known = share_of_labels(examples.articles, bool(topics.descriptions), examples.trust)
    share = max(OF_CLAUSES, known)
    if in_context:
        share = min(share, OF_TUNED_IN_CONTEXT)
    sizes = _sizes(params.batch_size, len(examples.texts), len(clauses), share)
    if topics_are_rare(examples.by_hand, mode):
        share = min(share, OF_TUNED_IF_RARE)
    n_steps = _n_steps(targets, k, params, in_context)
    recipe = _RECIPES[topics.mode]
    tuned = _freeze_all_but_layers(network)
    head = list(network.head.parameters()) if recipe.trains_head else []
    optimiser, schedule = _optimiser(tuned, head, params.learning_rate, n_steps)
    loss_of = recipe.loss(targets)
    rng = np.random.default_rng(seed)
    batches = _mixed_batches(recipe, of_examples, of_clauses, n_steps, sizes, rng)
    losses: list[float] = []
    start = [parameter.detach().clone() for parameter in tuned]
    for windows, of_batch in _draw_windows(tokenizer, texts, targets, topics, batches, rng):
        encoded = encode(network, windows, mixed=True)
        embeddings = joined(network, encoded, len(windows)).requires_grad_()
        loss = loss_of(network, embeddings, of_batch)
        optimiser.zero_grad()
        loss.backward()
        assert embeddings.grad is not None
        backpropagate(encoded, embeddings.grad, tuned)
        nn.utils.clip_grad_norm_(tuned, 1.0)
        optimiser.step()
        schedule.step()
        losses.append(float(loss.detach()))
        advance(len(losses) / (n_steps + 1))
    with torch.no_grad():
        for parameter, before in zip(tuned, start, strict=True):
            parameter.copy_(torch.lerp(before, parameter, share))
    return pd.DataFrame({"step": np.arange(1, n_steps + 1), "loss": losses})


def trains_head(mode: ModeName) -> bool:
    """Whether the head is tuned with the encoder, and has to fit it before."""
    return _RECIPES[mode].trains_head


def balanced_batches(
    targets: Targets, n_steps: int, size: int, rng: np.random.Generator
) -> Iterator[Integers]:
    """Draw batches in which outcomes take turns.

    The texts of an outcome come in a new random order each time all of them were used.

    Parameters
    ----------
    targets
        (n, `Mode.n_logits`) outcomes of the texts.
    n_steps
        Number of batches.
    size
        Number of texts in a batch, which may be 0. If there are no more texts, each batch is all of
        them.
    rng
        Source of randomness.
    """
    pools: dict[int, list[int]] = {}
    present = np.flatnonzero(targets.any(axis=0))
    for _ in range(n_steps):
        if len(targets) <= size:
            yield np.arange(len(targets))
            continue
        turn = rng.permutation(present)
        batch = []
        for position in range(size):
            topic = int(turn[position % len(turn)])
            if not pools.get(topic):
                pools[topic] = rng.permutation(np.flatnonzero(targets[:, topic])).tolist()
            batch.append(pools[topic].pop())
        yield np.array(batch, dtype=np.int64)  # of size 0, too


def shuffled_batches(
    targets: Targets, n_steps: int, size: int, rng: np.random.Generator
) -> Iterator[Integers]:
    """Draw batches of texts in random order; parameters as in `balanced_batches`.

    The order is new each time all texts were used; the last batch before that can be smaller.
    """
    left = np.zeros(0, dtype=np.int64)
    for _ in range(n_steps):
        if not len(left):
            left = rng.permutation(len(targets))
        yield left[:size]
        left = left[size:]


def pair_loss(embeddings: Tensor, labels: Integers, none: int) -> Tensor:
    """Squared error of the cosines of all pairs of texts.

    The cosine of two texts should be 1 if they have the same topic, else 0 (Reimers & Gurevych
    2019, arXiv:1908.10084). The mean over pairs with the same topic and the mean over the other
    pairs count the same, however many pairs there are of each. Two texts with none of the topics
    are no pair: they have nothing in common.

    Parameters
    ----------
    embeddings
        (n, d) embeddings of unit length.
    labels
        (n,) numbers of the texts' outcomes.
    none
        Number of the outcome that a text has none of the topics.
    """
    y = torch.from_numpy(labels).to(embeddings.device)
    first, second = torch.triu_indices(len(y), len(y), offset=1, device=embeddings.device)
    is_pair = (y[first] != none) | (y[second] != none)
    first, second = first[is_pair], second[is_pair]
    cosine = (embeddings[first] * embeddings[second]).sum(dim=1)
    same = (y[first] == y[second]).to(cosine.dtype)
    loss = (cosine - same).square()
    alike = (loss * same).sum() / same.sum().clamp(min=1)
    apart = (loss * (1 - same)).sum() / (1 - same).sum().clamp(min=1)
    return (alike + apart) / 2


def _n_steps(targets: Targets, k: int, params: Transformer, in_context: bool) -> int:
    """Number of steps that examples and clauses allow; fewer where the head reads neighbours.

    Those with none of the k topics are in batches, but there are no more steps for them.
    """
    of_outcome = targets.sum(axis=0)
    # Telling topics apart needs two texts of one topic and a text of another, or of none.
    if of_outcome[:k].max() < 2 or (of_outcome > 0).sum() < 2:
        return 0
    n_topical = int(targets[:, :k].any(axis=1).sum())
    of_epoch = max(-(-n_topical // params.batch_size), LEAST_BATCHES)
    n_steps = params.epochs * of_epoch
    if not in_context:
        return min(n_steps, params.max_steps)
    fewer = min(n_steps // FEWER_STEPS_IN_CONTEXT, MOST_IN_CONTEXT * params.max_steps)
    return max(fewer, min(n_steps, params.max_steps, LEAST_STEPS_IN_CONTEXT))


def _clauses(topics: Topics) -> tuple[list[str], Targets]:
    """The clauses of the topics' definitions, and which topic each is about, (n, k)."""
    clauses = [(text, topic) for topic, texts in enumerate(topics.clauses) for text in texts]
    numbers = np.array([topic for _, topic in clauses], dtype=np.int64)
    return [text for text, _ in clauses], one_hot(numbers, len(topics.names))


def _sizes(size: int, n_labelled: int, n_clauses: int, share: float) -> tuple[int, int]:
    """Number of examples and of clauses in a batch.

    Labels of few articles have no more of a batch than they have in what is known.
    """
    labelled = (
        round(size * min(share, n_labelled / (n_labelled + n_clauses))) if n_clauses else size
    )
    return labelled, size - labelled


def _mixed_batches(
    recipe: _Recipe,
    targets: Targets,
    of_clauses: Targets,
    n_steps: int,
    sizes: tuple[int, int],
    rng: np.random.Generator,
) -> Iterator[Integers]:
    """Batches of examples and of clauses, which are numbered from where the examples end."""
    of_examples = recipe.batches(targets, n_steps, sizes[0], rng)
    of_definitions = balanced_batches(of_clauses, n_steps, sizes[1], rng)
    for labelled, described in zip(of_examples, of_definitions, strict=True):
        yield np.concatenate([labelled, len(targets) + described])


def _draw_windows(
    tokenizer: Tokenizer,
    texts: Sequence[str],
    targets: Targets,
    topics: Topics,
    batches: Iterable[Integers],
    rng: np.random.Generator,
) -> Iterator[tuple[list[list[int]], Targets]]:
    """A random window of each text in each batch, and the texts' targets.

    The topics' descriptions are in every batch, so that they keep their meaning.
    """
    n, descriptions = len(texts), topics.descriptions
    windows, owner = read_windows(tokenizer, [*texts, *descriptions])
    described = np.eye(targets.shape[1], dtype=bool)[: len(descriptions)]
    targets = np.vstack([targets, described])
    # Windows lie in the order of their texts, each of which has one at least.
    windows_of = np.split(np.arange(len(owner)), np.flatnonzero(np.diff(owner)) + 1)
    for chosen in batches:
        batch = np.concatenate([chosen, np.arange(n, len(targets))])
        yield [windows[rng.choice(windows_of[text])] for text in batch], targets[batch]


def _freeze_all_but_layers(network: Network) -> list[nn.Parameter]:
    """Freeze all of the encoder but its layers, and return the layers' parameters."""
    for parameter in network.encoder.parameters():
        parameter.requires_grad_(False)
    model = network.encoder.transformers_model
    assert model is not None
    for name, parameter in model.named_parameters():
        # Few labels tell little about single words, so the embedding layer stays as it is. If the
        # lowest two or three layers did too, 7 or 12 points of macro-F1 would be lost on TREC with
        # 8 labels a class, for a third less time.
        parameter.requires_grad_(not name.startswith("embeddings."))
    return [parameter for parameter in network.encoder.parameters() if parameter.requires_grad]


def _optimiser(
    tuned: Sequence[nn.Parameter], head: Sequence[nn.Parameter], rate: float, n_steps: int
) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
    """AdamW with a learning rate that rises during the warm-up and then falls towards 0."""
    groups = [{"params": list(tuned), "lr": rate}]
    if head:
        groups.append({"params": list(head), "lr": HEAD_RATE})
    optimiser = torch.optim.AdamW(groups, weight_decay=WEIGHT_DECAY, fused=True)
    rising = max(1, int(WARMUP * n_steps))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser,
        lambda step: min((step + 1) / rising, (n_steps - step) / max(1, n_steps - rising + 1)),
    )
    return optimiser, schedule


def _pair_loss(targets: Targets) -> Loss:
    none = targets.shape[1] - 1
    return lambda network, embeddings, batch: pair_loss(embeddings, classes(batch), none)


def _topic_loss(targets: Targets) -> Loss:
    """Binary cross-entropy of each topic, in which having a rare topic weighs more."""
    rarity = np.clip(len(targets) / np.maximum(targets.sum(axis=0), 1) - 1, 1, LARGEST_RARITY)

    def loss(network: Network, embeddings: Tensor, batch: Targets) -> Tensor:
        return nn.functional.binary_cross_entropy_with_logits(
            network.logits(embeddings),
            torch.from_numpy(batch).to(embeddings),
            pos_weight=torch.from_numpy(rarity).to(embeddings),
        )

    return loss


_RECIPES = {
    "single": _Recipe(balanced_batches, _pair_loss, trains_head=False),
    "multi": _Recipe(shuffled_batches, _topic_loss, trains_head=True),
}
