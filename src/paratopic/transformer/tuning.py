"""Tune the encoder: batches, losses, optimiser and loop.

With few labels, the encoder is tuned on pairs of texts, of one topic or of two, as in SetFit
(Tunstall et al. 2022, arXiv:2209.11055), but a batch of n texts gives all of its pairs for n
encodings. Texts with none of the topics are paired with those that have one, and no head is tuned.

With some dozens of labels for each topic, pairs improve little, and in mode multi few pairs of
texts have all of their topics or none in common. Then the encoder is tuned by cross-entropy,
together with a head that was fitted to it before, because a random one would distort the encoder's
features (Kumar et al. 2022, arXiv:2202.10054).

Clauses of the topics' definitions are training texts, too. The final weights are a mix of the tuned
ones and the encoder's own (WiSE-FT; Wortsman et al. 2022, arXiv:2109.01903), which keeps the
encoder from overfitting to the articles of few labels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import cycle, islice
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from tokenizers import Tokenizer
from torch import Tensor, nn

from paratopic.inference.modes import Array, Integers, Targets, class_numbers, mode_of, one_hot
from paratopic.inference.onnx_model import read_windows
from paratopic.project.texts import NO_TEXT, Texts
from paratopic.project.topics import Topics
from paratopic.training.examples import Advance, Examples, share_of_labels, topics_are_rare
from paratopic.transformer.network import Network, backpropagate, encode, join_chunks, one_thread
from paratopic.transformer.settings import TUNING, Transformer


class _Batch(NamedTuple):
    """A window of each of n texts, their outcomes (n, r), and their weights in the loss, (n,).

    `rarity` is the weight of having each outcome, relative to not having it, (r,). Only the loss in
    mode multi depends on it; that of pairs ignores the other weights, too.
    """

    windows: list[list[int]]
    targets: Targets
    weights: Array
    rarity: Array


# Loss of a batch: of the network and the embeddings (n, d) of its texts.
Loss = Callable[[Network, Tensor, _Batch], Tensor]


class Plan(NamedTuple):
    """How an encoder is tuned.

    Attributes
    ----------
    loss
        Loss of a batch.
    n_steps
        Number of batches; 0 if labels are too few.
    sizes
        Number of examples and of clauses of definitions in a batch.
    share
        Share of the tuned weights in the mix with the encoder's own, 0 to 1.
    learning_rate
        The encoder's largest learning rate.
    tokens
        Number of tokens in a window, at most.
    """

    loss: Loss
    n_steps: int
    sizes: tuple[int, int]
    share: float
    learning_rate: float
    tokens: int

    @property
    def trains_head(self) -> bool:
        """Whether the head is tuned with the encoder, and has to be fitted before."""
        return self.loss is not _pair_loss


def plan_tuning(
    examples: Examples, topics: Topics, params: Transformer, in_context: bool = False
) -> Plan:
    """Choose the loss, the number of steps and the share of the tuned weights, by the labels.

    The tuned weights have as large a share in the mix as labels have in the evidence on the topics
    (`examples.share_of_labels`), but at least `TUNING.least_share`. Examples have no larger share
    of a batch. Further limits of the share apply if the loss is of pairs and topics are rare, or if
    the head reads neighbours (`_most_share_in_context`).

    Parameters
    ----------
    examples
        Labelled examples; there may be none. The number of labels by hand decides the loss.
    in_context
        Whether the head reads neighbours; no by default.
    """
    mode, k = mode_of(topics.mode), len(topics.names)
    clause_outcomes = mode.outcomes(_clauses(topics)[1])
    targets = np.vstack([mode.outcomes(examples.targets), clause_outcomes])
    share = max(TUNING.least_share, share_of_labels(examples, bool(topics.descriptions)))
    loss = _choose_loss(examples, topics)
    if in_context:
        share = min(share, _most_share_in_context(examples.texts, loss))
    sizes = _sizes(params.batch_size, len(examples.texts), len(clause_outcomes), share)
    if loss is _pair_loss and topics_are_rare(examples.by_hand, topics):
        share = min(share, TUNING.most_share_if_rare)
    n_steps = _n_steps(targets, k, params, loss is _pair_loss, in_context)
    factor = TUNING.longer_windows if loss is _outcome_loss else 1.0
    tokens = min(round(factor * params.train_tokens), params.max_tokens)
    return Plan(loss, n_steps, sizes, share, params.learning_rate, tokens)


def _choose_loss(examples: Examples, topics: Topics) -> Loss:
    """`_topic_loss` in mode multi; else `_pair_loss` with few hand labels, or `_outcome_loss`.

    Few are less than `TUNING.labels_in_all`, and less than `TUNING.labels_per_outcome` times the
    number of outcomes that occur.
    """
    mode = mode_of(topics.mode)
    if not mode.exclusive:
        return _topic_loss
    n_outcomes = int(mode.outcomes(examples.by_hand).any(axis=0).sum())
    many = min(TUNING.labels_per_outcome * max(n_outcomes, 1), TUNING.labels_in_all)
    return _outcome_loss if len(examples.by_hand) >= many else _pair_loss


def _most_share_in_context(texts: Texts, loss: Loss) -> float:
    """Largest share of the tuned weights if the head reads the neighbours of n labelled texts.

    The encoder is tuned on texts that are neighbours of others, so that these seem more informative
    than neighbours of other texts. For `_outcome_loss`, the share is that of the neighbours that
    are not tuned on, but at least `TUNING.most_share_in_context`, as for other losses.
    """
    if loss is not _outcome_loss:
        return TUNING.most_share_in_context
    neighbours = np.hstack([texts.at("before"), texts.at("after")])
    n_tuned_on = np.isin(neighbours, texts.numbers).sum()
    n_neighbours = max((neighbours != NO_TEXT).sum(), 1)
    return max(TUNING.most_share_in_context, 1.0 - float(n_tuned_on / n_neighbours))


def _n_steps(targets: Targets, k: int, params: Transformer, paired: bool, in_context: bool) -> int:
    """Number of steps for examples and clauses with outcomes (n, r); the first k are topics.

    It is 0 if no topic has two texts, or if only one outcome occurs. If `paired`, texts without a
    topic add no steps, and `in_context`, which otherwise has no effect, reduces the number.
    """
    outcome_counts = targets.sum(axis=0)
    # Tuning needs two texts of one topic, and one of another topic or, in mode single, of none.
    if outcome_counts[:k].max() < 2 or (outcome_counts > 0).sum() < 2:
        return 0
    n = int(targets[:, :k].any(axis=1).sum()) if paired else len(targets)
    epoch_steps = max(-(-n // params.batch_size), TUNING.least_batches)
    n_steps = min(params.epochs * epoch_steps, TUNING.most_steps)
    if not paired:
        epochs = min(params.epochs, TUNING.most_epochs)
        return max(n_steps, min(epochs * epoch_steps, TUNING.most_long_steps))
    if not in_context:
        return n_steps
    fewer_steps = params.epochs * epoch_steps // TUNING.fewer_steps_in_context
    return min(n_steps, max(fewer_steps, TUNING.least_steps_in_context))


@one_thread()
def tune(
    network: Network,
    tokenizer: Tokenizer,
    examples: Examples,
    topics: Topics,
    plan: Plan,
    seed: int,
    advance: Advance,
) -> pd.DataFrame:
    """Tune the network's encoder, and its head too if the plan trains it; both are changed.

    A head that is trained must have been fitted before. The `tokenizer` splits texts into windows
    of `Plan.tokens`. Context and pool are not read. The encoder ends with a mix of the weights
    before and after (`Plan.share`). The result has one row for each step: step (from 1) and loss.
    """
    mode, (clauses, clause_topics) = mode_of(topics.mode), _clauses(topics)
    example_outcomes = mode.outcomes(examples.targets)
    described = np.eye(example_outcomes.shape[1], dtype=bool)[: len(topics.descriptions)]
    texts = [*examples.texts.plain, *clauses, *topics.descriptions]
    outcomes = example_outcomes, mode.outcomes(clause_topics), described
    n_others = len(texts) - len(example_outcomes)
    weights = np.pad(examples.sample_weight, (0, n_others), constant_values=1.0)
    tuned = _freeze_all_but_layers(network)
    head = list(network.head.parameters()) if plan.trains_head else []
    rates = (tuned, plan.learning_rate), (head, TUNING.head_rate)
    groups = [{"params": parameters, "largest": rate} for parameters, rate in rates]
    optimiser = torch.optim.AdamW(groups, weight_decay=TUNING.weight_decay, fused=True)
    start = [parameter.detach().clone() for parameter in tuned]
    losses: list[float] = []
    rng = np.random.default_rng(seed)
    for batch in _batches(plan, tokenizer, texts, outcomes, weights, rng):
        encoded = encode(network.encoder, batch.windows)
        embeddings = join_chunks(network.encoder, encoded, len(batch.windows)).requires_grad_()
        loss = plan.loss(network, embeddings, batch)
        optimiser.zero_grad()
        loss.backward()
        assert embeddings.grad is not None
        backpropagate(encoded, embeddings.grad, tuned)
        nn.utils.clip_grad_norm_(tuned, 1.0)
        for group in optimiser.param_groups:
            group["lr"] = group["largest"] * _share_of_rate(len(losses), plan.n_steps)
        optimiser.step()
        losses.append(float(loss.detach()))
        advance(len(losses) / (plan.n_steps + 1))
    with torch.no_grad():
        for parameter, before in zip(tuned, start, strict=True):
            parameter.copy_(torch.lerp(before, parameter, plan.share))
    return pd.DataFrame({"step": np.arange(1, plan.n_steps + 1), "loss": losses})


def balanced_batches(
    targets: Targets, n_steps: int, size: int, most: int, rng: np.random.Generator
) -> Iterator[Integers]:
    """Draw batches, numbers of texts, that have about the same number of texts of each outcome.

    The texts of an outcome get a new random order each time all of them were used, so that a batch
    may have a text twice. A text without an outcome is drawn only if batches have all texts.

    Parameters
    ----------
    targets
        (n, `Mode.n_logits`) outcomes of the texts.
    size
        Number of texts in a batch, which may be 0. If there are no more texts, each batch has all.
    most
        Largest number of outcomes in a batch; if there are more, each batch has a random choice.
    """
    pools: dict[int, list[int]] = {}
    present = np.flatnonzero(targets.any(axis=0))
    for _ in range(n_steps):
        if len(targets) <= size:
            yield np.arange(len(targets))
            continue
        batch = []
        for topic in islice(cycle(rng.permutation(present)[:most].tolist()), size):
            if not pools.get(topic):
                pools[topic] = rng.permutation(np.flatnonzero(targets[:, topic])).tolist()
            batch.append(pools[topic].pop())
        yield np.array(batch, dtype=np.int64)  # of size 0, too


def shuffled_batches(
    targets: Targets, n_steps: int, size: int, rng: np.random.Generator
) -> Iterator[Integers]:
    """Draw batches of texts in a random order, which is new each time all texts were used.

    The last batch before that can be smaller. `targets`, (n, r), only give the number of texts.
    """
    remaining = np.zeros(0, dtype=np.int64)
    for _ in range(n_steps):
        if not len(remaining):
            remaining = rng.permutation(len(targets))
        yield remaining[:size]
        remaining = remaining[size:]


def pair_loss(embeddings: Tensor, labels: Integers, none: int) -> Tensor:
    """Squared error of the cosines of all pairs of texts.

    The cosine of two texts should be 1 if they have the same topic, else 0 (Reimers & Gurevych
    2019, arXiv:1908.10084). The mean over pairs with the same topic and the mean over the other
    pairs count the same, however many pairs there are of each. Two texts with none of the topics
    are no pair: they have nothing in common. The loss is 0 without pairs.

    Parameters
    ----------
    embeddings
        (n, d) embeddings of unit length.
    labels
        (n,) numbers of the texts' outcomes, of which `none` is that of no topic.
    """
    y = torch.from_numpy(labels).to(embeddings.device)
    first, second = torch.triu_indices(len(y), len(y), offset=1, device=embeddings.device)
    is_pair = (y[first] != none) | (y[second] != none)
    first, second = first[is_pair], second[is_pair]
    cosine = (embeddings[first] * embeddings[second]).sum(dim=1)
    same = (y[first] == y[second]).to(cosine.dtype)
    loss = (cosine - same).square()
    same_topic = (loss * same).sum() / same.sum().clamp(min=1)
    other_topic = (loss * (1 - same)).sum() / (1 - same).sum().clamp(min=1)
    return (same_topic + other_topic) / 2


def _clauses(topics: Topics) -> tuple[list[str], Targets]:
    """The clauses of the topics' definitions, and which topic each is about, (n, k)."""
    clauses = [(text, topic) for topic, texts in enumerate(topics.clauses) for text in texts]
    numbers = np.array([topic for _, topic in clauses], dtype=np.int64)
    return [text for text, _ in clauses], one_hot(numbers, len(topics.names))


def _sizes(size: int, n_labelled: int, n_clauses: int, share: float) -> tuple[int, int]:
    """Number of examples and of clauses in a batch; examples have at most the share."""
    share = min(share, n_labelled / (n_labelled + n_clauses)) if n_clauses else 1.0
    labelled = round(size * share)
    return labelled, size - labelled


def _batches(
    plan: Plan,
    tokenizer: Tokenizer,
    texts: Sequence[str],
    outcomes: tuple[Targets, Targets, Targets],
    weights: Array,
    rng: np.random.Generator,
) -> Iterator[_Batch]:
    """Batches of examples and of clauses, with a window of each; the windows of a text take turns.

    Texts and outcomes are those of the examples, of the clauses and of the topics' descriptions.
    The descriptions are in every batch, so that their embeddings keep their meaning. Examples are
    shuffled if the plan trains the head, otherwise balanced by outcome.
    """
    example_outcomes, clause_outcomes, _ = outcomes
    n, m = len(example_outcomes), len(example_outcomes) + len(clause_outcomes)
    targets = np.vstack(outcomes)
    rarity = np.clip(m / np.maximum(targets[:m].sum(axis=0), 1) - 1, 1, TUNING.largest_rarity)
    # With more outcomes than half of the texts, a batch would have no two texts of one outcome.
    most = max(sum(plan.sizes) // 2, 2)
    labelled = (
        shuffled_batches(example_outcomes, plan.n_steps, plan.sizes[0], rng)
        if plan.trains_head
        else balanced_batches(example_outcomes, plan.n_steps, plan.sizes[0], most, rng)
    )
    defining = balanced_batches(clause_outcomes, plan.n_steps, plan.sizes[1], most, rng)
    windows, owner = read_windows(tokenizer, texts)
    # Windows are in the order of their texts, each of which has at least one.
    _, first, n_windows = np.unique(owner, return_index=True, return_counts=True)
    turn = rng.integers(n_windows)
    for examples, clauses in zip(labelled, defining, strict=True):
        batch = np.concatenate([examples, n + clauses, np.arange(m, len(texts))])
        rows = first[batch] + turn[batch]
        turn[batch] = (turn[batch] + 1) % n_windows[batch]
        yield _Batch([windows[row] for row in rows], targets[batch], weights[batch], rarity)


def _freeze_all_but_layers(network: Network) -> list[nn.Parameter]:
    """Freeze all of the encoder but its layers, and return the layers' parameters."""
    network.encoder.requires_grad_(False)
    model = network.encoder.transformers_model
    assert model is not None
    words = model.get_input_embeddings().weight  # some models have it outside of `embeddings`
    for name, parameter in model.named_parameters():
        # Few labels contain little information on single words, so embeddings of words are frozen.
        # Freezing the lowest two or three layers as well saves a third of the time, and costs 7 or
        # 12 points of macro-F1 on TREC with 8 labels a class.
        parameter.requires_grad_(not name.startswith("embeddings") and parameter is not words)
    return [parameter for parameter in network.encoder.parameters() if parameter.requires_grad]


def _share_of_rate(step: int, n_steps: int) -> float:
    """Share of the largest learning rate at a step from 0: it rises in the warm-up, then falls."""
    rising = max(1, int(TUNING.warmup * n_steps))
    return min((step + 1) / rising, (n_steps - step) / max(1, n_steps - rising + 1))


def _pair_loss(network: Network, embeddings: Tensor, batch: _Batch) -> Tensor:
    return pair_loss(embeddings, class_numbers(batch.targets), none=batch.targets.shape[1] - 1)


def _outcome_loss(network: Network, embeddings: Tensor, batch: _Batch) -> Tensor:
    """Cross-entropy of the outcomes."""
    truth = torch.from_numpy(class_numbers(batch.targets)).to(embeddings.device)
    logits = network.logits(embeddings)
    return _mean(nn.functional.cross_entropy(logits, truth, reduction="none"), batch)


def _topic_loss(network: Network, embeddings: Tensor, batch: _Batch) -> Tensor:
    """Binary cross-entropy of each topic, with more weight for having a rare topic."""
    losses = nn.functional.binary_cross_entropy_with_logits(
        network.logits(embeddings),
        torch.from_numpy(batch.targets).to(embeddings),
        pos_weight=torch.from_numpy(batch.rarity).to(embeddings),
        reduction="none",
    )
    return _mean(losses.mean(dim=1), batch)


def _mean(losses: Tensor, batch: _Batch) -> Tensor:
    """Mean of the losses (n,) of a batch's texts, by their weights."""
    weight = torch.from_numpy(batch.weights).to(losses)
    return (weight * losses).sum() / weight.sum()
