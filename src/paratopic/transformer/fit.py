"""Fit the transformer: a fine-tuned encoder with a logistic regression on its embeddings.

`inference.onnx_model` predicts from the saved folder, without this module.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import compress
from pathlib import Path

import numpy as np
import torch
from sentence_transformers import SentenceTransformer
from tokenizers import Tokenizer
from torch import nn

from paratopic.inference.linear_head import ContextWeights, LinearHead
from paratopic.inference.modes import Array, Integers, Scores
from paratopic.inference.onnx_model import (
    EncoderClassifier,
    OnnxModel,
    embed_in_context,
    read_windows,
    windowing,
)
from paratopic.project.languages import choose_encoder, detect_language
from paratopic.project.texts import Texts
from paratopic.project.topics import Topics
from paratopic.training.examples import (
    Advance,
    Examples,
    Fitted,
    Parity,
    are_closer_to_own,
    choose_context,
    description_weights,
    draw_at_most,
    evidence,
    silent,
    topics_are_rare,
)
from paratopic.training.head import (
    SUBJECTS,
    Described,
    add_pseudo_labels,
    are_outside_codebook,
    fit_head,
    n_rounds,
    regression_of,
    smooth_predictions,
    training_data,
)
from paratopic.transformer.centre import centre
from paratopic.transformer.encoder import check_lengths, load_encoder, pick_device
from paratopic.transformer.export import EmbeddingNetwork, export
from paratopic.transformer.network import Embedder, Network, embed_windows
from paratopic.transformer.quantise import quantise
from paratopic.transformer.settings import BUNDLED, TUNING, Transformer
from paratopic.transformer.tuning import balanced_batches, plan_tuning, tune

# Encoders with more parameters are not saved for sentence-transformers. A copy of
# multilingual-e5-small would take 471 MB.
MOST_TO_COPY = 50_000_000
# Smallest mean cosine between the embeddings of an encoder and of its 8-bit copy for the copy to be
# used. MiniLM, tuned on questions or bills, has .997 or more on texts that set no range. The limit
# fits every encoder, because the best cosine of a text with its copy is always 1.
# `FittedTransformer.write` measures the difference of probabilities for each model.
CLOSE = 0.99
# The ranges of the 8-bit encoder come from texts and from windows of random words, because few
# texts give narrow ranges: number of texts, of random windows, and of words in each.
RANGE_TEXTS, RANDOM_WINDOWS, RANDOM_WORDS = 16, 8, 24
# Largest difference of a probability of an ONNX model in full precision from the network's, and
# largest mean difference in 8 bits. It is about .001, because both round some numbers differently.
FULL_GAP, INT8_GAP = 1e-4, 0.02


@dataclass
class FittedTransformer(Fitted):
    """A trained transformer, as `fit` returns it.

    Its history has one row for each step of the tuning: step and loss.
    """

    KIND = "transformer"

    _embedder: Embedder
    _tokenizer: Tokenizer
    _head: LinearHead
    # The encoder in full precision, and the check of its 8-bit copy: windows, and the mean cosine
    # between the embeddings of both.
    _tuned: SentenceTransformer
    _windows: Sequence[Sequence[int]]
    _similarity: float

    def predict_proba(self, texts: Texts) -> Scores:
        windows = embed_in_context(self._tokenizer, texts, self.context, self._embedder)
        regression = regression_of(self.topics)
        return regression.scores(self._head.read(windows, regression, len(texts)).logits)

    def write(self, folder: Path) -> tuple[dict[str, object], Parity]:
        """Write the ONNX model, tokenizer and head, and a copy of the encoder unless it is large.

        The setting is ``max_tokens``. Metrics of parity, on windows of the fit, are:

        similarity
            Mean cosine between the embeddings of the encoder in full precision and in 8 bits.
        int8_used
            Whether the ONNX model has 8 bits, 0 or 1.
        gap
            Difference of the ONNX model's probabilities of outcomes from those of the network: the
            mean difference in 8 bits, else the largest.
        full_gap, full_same
            Largest difference of the network's probabilities from those in full precision with the
            same head, and share of windows with the same most probable outcome.

        A RuntimeError is raised if the gap is over `INT8_GAP` in 8 bits, else `FULL_GAP`.
        """
        truncation = self._tokenizer.truncation
        assert truncation is not None
        encoder = self._embedder.encoder
        int8_used = encoder is not self._tuned

        def probabilities(embeddings: Array) -> Scores:
            return regression_of(self.topics).probabilities(self._head.logits(embeddings))

        network = probabilities(embed_windows(encoder, self._windows).cpu().double().numpy())
        full = probabilities(embed_windows(self._tuned, self._windows).cpu().double().numpy())
        if sum(map(torch.numel, self._tuned.parameters())) <= MOST_TO_COPY:
            self._tuned.save(str(folder), create_model_card=False)
        tokenizer, model = folder / EncoderClassifier.TOKENIZER, folder / EncoderClassifier.MODEL
        tokenizer.write_text(self._tokenizer.to_str(pretty=True), encoding="utf-8")
        self._head.save(folder / EncoderClassifier.HEAD)
        export(EmbeddingNetwork(copy.deepcopy(encoder).to("cpu").eval()), model)
        gaps = np.abs(probabilities(OnnxModel(model).run(self._windows)) - network)
        gap = float(gaps.mean() if int8_used else gaps.max())
        if not gap <= (INT8_GAP if int8_used else FULL_GAP):
            raise RuntimeError(f"the ONNX model's probabilities are off by {gap:.1e}")
        return {"max_tokens": truncation["max_length"]}, {
            "similarity": self._similarity,
            "int8_used": float(int8_used),
            "gap": gap,
            "full_gap": float(np.abs(network - full).max()),
            "full_same": float((network.argmax(axis=1) == full.argmax(axis=1)).mean()),
        }


def fit(
    examples: Examples, topics: Topics, params: Transformer, seed: int, advance: Advance = silent
) -> FittedTransformer:
    """Tune the encoder on the examples, then fit the head on their tuned embeddings.

    Parameters
    ----------
    examples
        Training examples. A step of the tuning reads one window of each text in its batch. The head
        is fitted to all windows of a text, which share its weight. Only the head, the centre of
        embeddings and the ranges of the 8-bit encoder depend on the pool.
    advance
        Called with the share of the work done, 0 to 1; does nothing by default.

    Raises
    ------
    UserError
        The device is missing, or the encoder cannot be loaded or exported, or reads too few tokens.
    """
    torch.manual_seed(seed)
    torch.use_deterministic_algorithms(True, warn_only=True)
    params = replace(params, encoder=choose_encoder(params.encoder, examples.texts.plain)[0])
    network = _load_network(params, topics)
    tokens = network.encoder.tokenizer.backend_tokenizer.to_str()
    short = windowing(Tokenizer.from_str(tokens), params.train_tokens)
    tokenizer = windowing(Tokenizer.from_str(tokens), params.max_tokens)
    if is_centred := params.encoder != BUNDLED:
        _centre(network.encoder, examples, topics, short, seed)
    untuned = Embedder(network.encoder, caches=True)
    descriptions = topics.descriptions or _informative_names(examples, topics, untuned, short)
    subjects = _other_subjects(descriptions, untuned, short)
    head_fit = _HeadFit(topics, descriptions, subjects, is_centred, short)
    context = _choose_context(head_fit, examples, untuned, seed)
    plan = plan_tuning(examples, topics, params, context.neighbours > 0)
    if plan.trains_head:
        first = _first_head_examples(examples, topics, seed)
        network.set_head(head_fit.fit(first, untuned, short, context))
    tuning_tokenizer = windowing(Tokenizer.from_str(tokens), plan.tokens)
    history = tune(network, tuning_tokenizer, examples, topics, plan, seed, advance)
    windows = _range_windows(tokenizer, examples, topics, seed)
    encoder, similarity = _quantise_if_close(network.encoder, windows)
    embedder = Embedder(encoder)
    # A tuned encoder moves texts to the description of the topic that it predicts for them.
    weights = description_weights(examples, len(topics.outcomes)) if len(history) else None
    head = head_fit.fit(examples, embedder, tokenizer, context, weights)
    advance(1.0)
    model = embedder, tokenizer, head, network.encoder, windows, similarity
    return FittedTransformer(history, context, (), topics, *model, encoder=params.encoder)


def _centre(
    encoder: SentenceTransformer, examples: Examples, topics: Topics, short: Tokenizer, seed: int
) -> None:
    """Centre an encoder in place, on drawn texts, the topics' descriptions and `SUBJECTS`."""
    texts = [*examples.texts.plain, *examples.unlabelled]
    drawn = [texts[row] for row in draw_at_most(TUNING.centring_texts, len(texts), seed)]
    texts = [*drawn, *topics.descriptions, *SUBJECTS]
    embeddings = Embedder(encoder)(_first_windows(short, texts))
    centre(encoder, embeddings, [detect_language(text) or "" for text in texts])


def _choose_context(
    head_fit: _HeadFit, examples: Examples, embedder: Embedder, seed: int
) -> ContextWeights:
    """Choose the context weights by heads on the untuned encoder of `embedder`, without the pool.

    A tuned encoder is overconfident on the texts that it was tuned on.
    """
    tokenizer, topics = head_fit.short, head_fit.topics
    regression = regression_of(topics)

    def score(weights: ContextWeights, train: Integers, test: Integers) -> Scores:
        part = replace(examples.select(train), unlabelled=())
        head = head_fit.fit(part, embedder, tokenizer, weights)
        texts = examples.select(test).texts
        windows = embed_in_context(tokenizer, texts, weights, embedder)
        return regression.scores(head.read(windows, regression, len(texts)).logits)

    def embed(texts: Sequence[str]) -> Array:
        return embedder(_first_windows(tokenizer, texts))

    return choose_context(examples, topics, seed, score, embed)


def _first_head_examples(examples: Examples, topics: Topics, seed: int) -> Examples:
    """At most `TUNING.head_examples` examples, half balanced by outcome, half random; no pool."""
    rng, n = np.random.default_rng(seed), TUNING.head_examples // 2
    outcomes = regression_of(topics).outcomes(examples.targets)
    balanced = next(balanced_batches(outcomes, 1, n, n, rng))
    at_random = rng.permutation(len(examples.texts))[:n]
    return replace(examples.select(np.union1d(balanced, at_random)), unlabelled=())


def _informative_names(
    examples: Examples, topics: Topics, embedder: Embedder, tokenizer: Tokenizer
) -> tuple[str, ...]:
    """The topics' names, if topics are rare and the names are informative; otherwise ().

    Labelled texts, two or more, have to be closer to the name of their own topic than to others, by
    over `TUNING.name_errors` standard errors. Numbers such as "19" are not informative.
    """
    are_words = all(any(map(str.isalpha, name)) for name in topics.names)
    if not are_words or not topics_are_rare(examples.by_hand, topics):
        return ()
    n = len(examples.texts)
    spaced = np.linspace(0, n - 1, min(n, TUNING.name_texts))
    examples = examples.select(np.unique(spaced.astype(int)))
    has_topic = examples.targets.any(axis=1)
    if has_topic.sum() < 2:
        return ()
    texts = embedder(_first_windows(tokenizer, examples.texts.plain))
    names = embedder(_first_windows(tokenizer, topics.names))
    similarity = texts @ names.T
    similarity -= similarity.mean(axis=0)  # some names are closer to all texts than others
    own = examples.targets[has_topic]
    informative = are_closer_to_own(similarity[has_topic], own, TUNING.name_errors)
    return topics.names if informative else ()


def _other_subjects(
    descriptions: Sequence[str], embedder: Embedder, tokenizer: Tokenizer
) -> tuple[str, ...]:
    """The subjects of news that no topic covers; none without descriptions."""
    if not descriptions:
        return ()
    subjects = _embed_descriptions(embedder, tokenizer, SUBJECTS)
    described = _embed_descriptions(embedder, tokenizer, descriptions)
    return tuple(compress(SUBJECTS, are_outside_codebook(subjects, described)))


def _load_network(params: Transformer, topics: Topics) -> Network:
    """Load the untuned encoder, with a random head, on the device; errors as for `fit`."""
    device = pick_device(params.device)
    encoder = load_encoder(params.encoder, device)
    check_lengths(encoder, params)
    head = nn.Linear(encoder.get_embedding_dimension(), len(topics.outcomes))
    network = Network(encoder, head.to(device))
    # Dropout stays off, because with so few steps it only adds noise.
    network.eval()
    return network


def _range_windows(
    tokenizer: Tokenizer, examples: Examples, topics: Topics, seed: int
) -> list[list[int]]:
    """First windows of `RANGE_TEXTS` texts, of the descriptions and, last, of random words.

    The texts are evenly spaced in the list of all examples and then the pool.
    """
    texts = [*examples.texts.plain, *examples.unlabelled]
    spaced = np.linspace(0, len(texts) - 1, min(len(texts), RANGE_TEXTS)).astype(int)
    chosen = [texts[number] for number in spaced]
    pieces = {token.strip("#▁Ġ") for token in tokenizer.get_vocab()}
    words = sorted(filter(str.isalpha, pieces)) or sorted(pieces)
    drawn = np.random.default_rng(seed).choice(words, (RANDOM_WINDOWS, RANDOM_WORDS))
    # First windows are enough, because the rest of a long text is similar to its beginning.
    return _first_windows(tokenizer, [*chosen, *topics.descriptions, *map(" ".join, drawn)])


def _first_windows(tokenizer: Tokenizer, texts: Sequence[str]) -> list[list[int]]:
    """The first window of each text."""
    windows, owner = read_windows(tokenizer, texts)
    return [windows[row] for row in np.unique(owner, return_index=True)[1]]


def _quantise_if_close(
    encoder: SentenceTransformer, windows: Sequence[Sequence[int]]
) -> tuple[SentenceTransformer, float]:
    """An encoder's 8-bit copy, or the encoder if the copy is not `CLOSE`; and their mean cosine.

    Three of four windows set the ranges of the copy. The others give the cosine.
    """
    range_windows = [window for number, window in enumerate(windows) if number % 4]
    quantised = quantise(encoder, lambda copied: embed_windows(copied, range_windows))
    test_windows = windows[::4]
    full = embed_windows(encoder, test_windows)
    rounded = embed_windows(quantised, test_windows)
    similarity = float((full * rounded).sum(dim=1).mean())
    return quantised if similarity >= CLOSE else encoder, similarity


@dataclass(frozen=True)
class _HeadFit:
    """Settings of the fit of a network's head.

    `descriptions` are those of the topics, or their names; empty for none. `subjects` are those
    that no topic covers; empty without descriptions. `is_centred` is whether the encoder is
    centred, and `short` the tokenizer for the pool, of whose texts only the beginnings are read.
    """

    topics: Topics
    descriptions: Sequence[str]
    subjects: Sequence[str]
    is_centred: bool
    short: Tokenizer

    def fit(
        self,
        examples: Examples,
        embedder: Embedder,
        tokenizer: Tokenizer,
        context: ContextWeights,
        description_weights: Array | None = None,
    ) -> LinearHead:
        """Fit the head to embeddings of all windows of the examples with their context.

        With a pool, it is fitted again to labels and pseudo-labels, `n_rounds` times. `context` are
        context weights; `description_weights` multiply rows of the prior (`Described.prior`).
        """
        topics, regression = self.topics, regression_of(self.topics)
        strength, is_described = regression.strength, bool(topics.descriptions)
        weights = evidence(examples, is_described)
        described = Described(
            _embed_descriptions(embedder, tokenizer, self.descriptions),
            _embed_descriptions(embedder, tokenizer, self.subjects),
            self.is_centred,
        )
        prior = described.prior(len(topics.names), regression, description_weights)
        windows = embed_in_context(tokenizer, examples.texts, context, embedder)
        features, owner = described.widen(windows.features), windows.owner
        # The windows of a text share its weight.
        shares = weights[owner] * (1 / np.bincount(owner)[owner])
        data = training_data(features, examples.select(owner), shares, regression, strength, prior)
        head = fit_head(data, regression, strength, prior)
        if examples.unlabelled:
            pool = embedder(_first_windows(self.short, examples.unlabelled))
            pool_features = described.widen(pool)
            for _ in range(n_rounds(weights, examples.targets, is_described)):
                predicted = regression.probabilities(pool_features @ head.coef.T + head.intercept)
                predicted = smooth_predictions(pool, predicted, regression)
                extended = add_pseudo_labels(data, pool_features, predicted, regression)
                head = fit_head(extended, regression, strength, prior)
        return described.head(head)


def _embed_descriptions(embedder: Embedder, tokenizer: Tokenizer, texts: Sequence[str]) -> Array:
    """Embeddings of the texts of descriptions, (k, d), of unit length; (0, d) for none."""
    windows, topic = read_windows(tokenizer, texts)
    embeddings = embedder(windows)
    described = np.zeros((len(texts), embeddings.shape[1]))
    np.add.at(described, topic, embeddings)
    described /= np.linalg.norm(described, axis=1, keepdims=True)
    return described
