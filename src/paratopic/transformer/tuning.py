"""Tune the encoder: batches, losses, optimiser and loop.

Where labels are few, the encoder is tuned on pairs of texts, of one topic or of two, as in SetFit
(Tunstall et al. 2022, arXiv:2209.11055), but a batch of n texts gives all of its pairs for n
encodings. Texts with none of the topics are kept apart from those that have one. No head takes
part.

Pairs teach little more from some dozens of labels for each topic on, and in mode multi few pairs of
texts have all of their topics or none in common. There the encoder is tuned by cross-entropy,
together with a head that was fitted to it before, because a random one would distort what the
encoder knows (Kumar et al. 2022, arXiv:2202.10054).

Clauses of the topics' definitions are texts beside the examples. From the weights that this gives,
the encoder goes part of the way back to those it came with (WiSE-FT; Wortsman et al. 2022,
arXiv:2109.01903): labels of few articles teach the articles too, and what it knew of all others
would be forgotten.

Loading the encoder and fitting heads is for `encoder` and `fit`.
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

from paratopic.inference.modes import Array, Integers, Targets, classes, mode_of, one_hot
from paratopic.inference.onnx_model import read_windows
from paratopic.project.topics import Topics
from paratopic.training.examples import Advance, Examples, share_of_labels, topics_are_rare
from paratopic.transformer.network import Network, backpropagate, encode, joined, one_thread_each
from paratopic.transformer.settings import Transformer

# Labels for each outcome, and of many outcomes in all, from which on the encoder is tuned by
# cross-entropy, in mode single. On draws of bills, speeches, TREC and AG News that are not
# reported, it was better than pairs with 60 labels for each of four to six outcomes (1 to 3 points
# of accuracy, .3 to 3 of macro-F1), level with 33 and worse with 17. With 22 and 40 outcomes, it
# was level with 300 labels in all, and better with 500.
MANY, MANY_IN_ALL = 40, 320
LEAST_BATCHES = 2  # batches in an epoch, at least: few labels are gone through more than once
# With so many labels, windows are longer by this factor. On eight draws of AG News and bills with
# 1,000 to 9,975 labels, which are not reported, macro-F1 rose by .9 points (standard error .7).
LONGER = 1.5
# Steps at most with few labels; on pairs, more gave no better models. And epochs of cross-entropy
# with more labels, and their steps at most, which are two epochs of 10,000 labels: of more, each is
# read less often. A fourth epoch gave nothing on draws of TREC and speeches, nor a third on one of
# AG News with 9,975 labels, which is not reported.
STEPS_OF_FEW, EPOCHS_OF_MANY, STEPS_OF_MANY = 32, 3, 625
LARGEST_RARITY = 20.0  # having a rare topic weighs at most this many times as much as not having it
HEAD_RATE = 0.01  # learning rate of a head that is tuned with the encoder
WARMUP = 0.1  # share of the steps in which the learning rate rises
WEIGHT_DECAY = 0.01
# Share of the way to the tuned weights that the encoder goes with definitions alone, as with labels
# of one article.
OF_CLAUSES = 0.25
# Where the head reads neighbours: share of the way at most, unless labels are many in mode single;
# and for pairs, what the number of steps is divided by, and the least number. A tuned encoder
# knows the labels of neighbours that it was tuned on, so that these would seem worth more than
# others. On draws of speeches that are not reported, with 100 to 500 labels, three times as many
# steps of pairs gave nothing, and the whole way cost 2 to 3 points of macro-F1. On draws of the
# same speeches with 1,000 labels and cross-entropy, half of the way cost 4 to 5 points with 22
# codes or four roles of sentences, and −1.5 and 4.7 with five topics: there is no limit then.
OF_TUNED_IN_CONTEXT = 0.5
FEWER_STEPS_IN_CONTEXT, LEAST_STEPS_IN_CONTEXT = 3, 12
# Share of the way at most where topics are rare and labels few. Chosen on draws of bills and
# speeches with 100 and 300 labels that are not reported.
OF_TUNED_IF_RARE = 0.35


class _Batch(NamedTuple):
    """A window of each of n texts, their outcomes (n, r), and their weights in the loss, (n,).

    `rarity` is how many times as much having each outcome weighs as not having it, (r,).
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
    n_steps
        Number of batches; 0 where labels are too few.
    sizes
        Number of examples and of clauses of definitions in a batch.
    share
        Share of the way from the encoder's own weights to the tuned ones, 0 to 1.
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
        """Whether the head is tuned with the encoder, and has to fit it before."""
        return self.loss is not _pair_loss


def plan_tuning(
    examples: Examples, topics: Topics, params: Transformer, in_context: bool = False
) -> Plan:
    """Choose the loss, the number of steps and how far the encoder goes, by the labels.

    The encoder goes as much of the way from its own weights to the tuned ones as the labels are a
    share of what is known of the topics (`examples.share_of_labels`), but at least `OF_CLAUSES`.
    The examples are no larger share of a batch. With few labels, it goes less of the way where the
    head reads neighbours, as always in mode multi, and where topics are rare.

    Parameters
    ----------
    examples
        Labelled examples; there may be none. Labels by hand decide whether they are many.
    in_context
        Whether the head reads neighbours; no by default.
    """
    mode, k = mode_of(topics.mode), len(topics.names)
    of_clauses = mode.outcomes(_clauses(topics)[1])
    targets = np.vstack([mode.outcomes(examples.targets), of_clauses])
    share = max(OF_CLAUSES, share_of_labels(examples, bool(topics.descriptions)))
    n_outcomes = int(mode.outcomes(examples.by_hand).any(axis=0).sum())
    many = min(MANY * max(n_outcomes, 1), MANY_IN_ALL)
    of_few, of_many = (_pair_loss, _outcome_loss) if mode.exclusive else (_topic_loss, _topic_loss)
    loss = of_many if len(examples.by_hand) >= many else of_few
    if in_context and loss is not _outcome_loss:
        share = min(share, OF_TUNED_IN_CONTEXT)
    sizes = _sizes(params.batch_size, len(examples.texts), len(of_clauses), share)
    if loss is _pair_loss and topics_are_rare(examples.by_hand, topics):
        share = min(share, OF_TUNED_IF_RARE)
    n_steps = _n_steps(targets, k, params, loss is _pair_loss, in_context)
    longer = LONGER if loss is _outcome_loss else 1.0
    tokens = min(round(longer * params.train_tokens), params.max_tokens)
    return Plan(loss, n_steps, sizes, share, params.learning_rate, tokens)


def _n_steps(
    targets: Targets, k: int, params: Transformer, in_pairs: bool, in_context: bool
) -> int:
    """Number of steps that examples and clauses, with their outcomes (n, r), allow.

    In pairs, those with none of the k topics are in batches, but there are no more steps for them.
    """
    of_outcome = targets.sum(axis=0)
    # Telling topics apart needs two texts of one topic and a text of another, or of none.
    if of_outcome[:k].max() < 2 or (of_outcome > 0).sum() < 2:
        return 0
    n = int(targets[:, :k].any(axis=1).sum()) if in_pairs else len(targets)
    of_epoch = max(-(-n // params.batch_size), LEAST_BATCHES)
    n_steps = min(params.epochs * of_epoch, STEPS_OF_FEW)
    if not in_pairs:
        epochs = min(params.epochs, EPOCHS_OF_MANY)
        return max(n_steps, min(epochs * of_epoch, STEPS_OF_MANY))
    if not in_context:
        return n_steps
    fewer = params.epochs * of_epoch // FEWER_STEPS_IN_CONTEXT
    return min(n_steps, max(fewer, LEAST_STEPS_IN_CONTEXT))


@one_thread_each()
def tune(
    network: Network,
    tokenizer: Tokenizer,
    examples: Examples,
    topics: Topics,
    plan: Plan,
    seed: int,
    advance: Advance,
) -> pd.DataFrame:
    """Tune the network's encoder, and its head too where the plan trains it.

    A head that is trained must fit the encoder already.

    Parameters
    ----------
    tokenizer
        Tokenizer that cuts texts into windows of `Plan.tokens`.

    Returns
    -------
    One row for each step: step and loss.
    """
    mode, (clauses, of_clauses) = mode_of(topics.mode), _clauses(topics)
    of_examples, of_clauses = mode.outcomes(examples.targets), mode.outcomes(of_clauses)
    described = np.eye(of_examples.shape[1], dtype=bool)[: len(topics.descriptions)]
    texts = [*examples.texts.plain, *clauses, *topics.descriptions]
    outcomes = of_examples, of_clauses, described
    n_more = len(texts) - len(of_examples)
    weights = np.pad(examples.sample_weight, (0, n_more), constant_values=1.0)
    tuned = _freeze_all_but_layers(network)
    head = list(network.head.parameters()) if plan.trains_head else []
    rates = (tuned, plan.learning_rate), (head, HEAD_RATE)
    groups = [{"params": parameters, "largest": rate} for parameters, rate in rates]
    optimiser = torch.optim.AdamW(groups, weight_decay=WEIGHT_DECAY, fused=True)
    start = [parameter.detach().clone() for parameter in tuned]
    losses: list[float] = []
    rng = np.random.default_rng(seed)
    for batch in _batches(plan, tokenizer, texts, outcomes, weights, rng):
        encoded = encode(network.encoder, batch.windows)
        embeddings = joined(network.encoder, encoded, len(batch.windows)).requires_grad_()
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
    """Draw batches in which outcomes take turns.

    The texts of an outcome come in a new random order each time all of them were used.

    Parameters
    ----------
    targets
        (n, `Mode.n_logits`) outcomes of the texts.
    size
        Number of texts in a batch, which may be 0. If there are no more texts, each batch is all of
        them.
    most
        Number of outcomes in a batch, at most; of more, each batch has others.
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

    The last batch before that can be smaller. Parameters are as in `balanced_batches`.
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
        (n,) numbers of the texts' outcomes, of which `none` is that of no topic.
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


def _clauses(topics: Topics) -> tuple[list[str], Targets]:
    """The clauses of the topics' definitions, and which topic each is about, (n, k)."""
    clauses = [(text, topic) for topic, texts in enumerate(topics.clauses) for text in texts]
    numbers = np.array([topic for _, topic in clauses], dtype=np.int64)
    return [text for text, _ in clauses], one_hot(numbers, len(topics.names))


def _sizes(size: int, n_labelled: int, n_clauses: int, share: float) -> tuple[int, int]:
    """Number of examples, at most the share, and of clauses in a batch."""
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

    Texts are those of examples, of clauses and of the topics' descriptions, which are in every
    batch, so that they keep their meaning.
    """
    of_examples, of_clauses, _ = outcomes
    n, m, targets = len(of_examples), len(of_examples) + len(of_clauses), np.vstack(outcomes)
    rarity = np.clip(m / np.maximum(targets[:m].sum(axis=0), 1) - 1, 1, LARGEST_RARITY)
    # Half as many outcomes as texts, or else no two texts of a batch would have the same of many.
    most = max(sum(plan.sizes) // 2, 2)
    labelled = (
        shuffled_batches(of_examples, plan.n_steps, plan.sizes[0], rng)
        if plan.trains_head
        else balanced_batches(of_examples, plan.n_steps, plan.sizes[0], most, rng)
    )
    defining = balanced_batches(of_clauses, plan.n_steps, plan.sizes[1], most, rng)
    windows, owner = read_windows(tokenizer, texts)
    # Windows lie in the order of their texts, each of which has one at least.
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
    words = model.get_input_embeddings().weight  # which some do not have in a layer of embeddings
    for name, parameter in model.named_parameters():
        # Few labels tell little about single words, so the embedding layer stays as it is. If the
        # lowest two or three layers did too, 7 or 12 points of macro-F1 would be lost on TREC with
        # 8 labels a class, for a third less time.
        parameter.requires_grad_(not name.startswith("embeddings") and parameter is not words)
    return [parameter for parameter in network.encoder.parameters() if parameter.requires_grad]


def _share_of_rate(step: int, n_steps: int) -> float:
    """Share of the largest learning rate: it rises during the warm-up and then falls towards 0."""
    rising = max(1, int(WARMUP * n_steps))
    return min((step + 1) / rising, (n_steps - step) / max(1, n_steps - rising + 1))


def _pair_loss(network: Network, embeddings: Tensor, batch: _Batch) -> Tensor:
    return pair_loss(embeddings, classes(batch.targets), none=batch.targets.shape[1] - 1)


def _outcome_loss(network: Network, embeddings: Tensor, batch: _Batch) -> Tensor:
    """Cross-entropy of the outcomes."""
    truth = torch.from_numpy(classes(batch.targets)).to(embeddings.device)
    logits = network.logits(embeddings)
    return _mean(nn.functional.cross_entropy(logits, truth, reduction="none"), batch)


def _topic_loss(network: Network, embeddings: Tensor, batch: _Batch) -> Tensor:
    """Binary cross-entropy of each topic, in which having a rare topic weighs more."""
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
