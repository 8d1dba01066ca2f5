"""Fit the transformer: a fine-tuned encoder with a logistic regression on its embeddings.

Prediction from the saved folder is for `inference.onnx_model`, which needs nothing of this module.
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
from paratopic.project.languages import encoder_for, language_of
from paratopic.project.texts import Texts
from paratopic.project.topics import Topics
from paratopic.training.examples import (
    Advance,
    Examples,
    Fitted,
    Parity,
    at_most,
    choose_context,
    description_weights,
    evidence,
    silent,
    stand_out,
    topics_are_rare,
)
from paratopic.training.head import (
    MARGIN,
    MARGIN_IF_CENTRED,
    Described,
    add_pseudo_labels,
    fit_head,
    n_rounds,
    regression_of,
    smooth_answers,
    training_data,
)
from paratopic.training.subjects import SUBJECTS, are_others
from paratopic.transformer.centre import centre
from paratopic.transformer.encoder import check_lengths, load_encoder, pick_device
from paratopic.transformer.export import EmbeddingNetwork, export
from paratopic.transformer.network import Embedder, Network, embed_windows
from paratopic.transformer.quantise import quantise
from paratopic.transformer.settings import BUNDLED, Transformer
from paratopic.transformer.tuning import balanced_batches, plan_tuning, tune

# Number of labelled texts that are compared with the topics' names, at most.
MOST_TO_COMPARE = 1000
# Standard errors by which texts have to be closer to the name of their topic than to others.
INFORMATIVE_FROM = 2.0
# Most parameters of an encoder that is saved for sentence-transformers, too. A copy of
# multilingual-e5-small would take 471 MB.
MOST_TO_COPY = 50_000_000
# Number of texts that an encoder is centred by, at most.
TO_CENTRE = 300
# Number of examples, at most, that the head is fitted to before it is tuned with the encoder.
TO_BEGIN_WITH = 256
# Smallest mean cosine between the embeddings of an encoder and of its 8-bit copy for the copy to be
# used. MiniLM, tuned on questions or bills, has .997 or more on texts that set no range. Unlike the
# cosines of different texts, that of a text with its copy is 1 at best for any encoder. And how far
# the probabilities are from those in full precision is measured for each model
# (`FittedTransformer.write`).
CLOSE = 0.99
# The 8-bit encoder is chosen by a number of texts, and by windows of random words, which make its
# ranges wide enough where texts are few: their number, and the number of words in each.
RANGE_TEXTS, RANDOM_WINDOWS, RANDOM_WORDS = 16, 8, 24
# Largest difference of a probability of an ONNX model in full precision from the network's, and
# largest mean difference in 8 bits, where some numbers are rounded up here and down there: about
# .001.
FULL_GAP, INT8_GAP = 1e-4, 0.02


@dataclass
class FittedTransformer(Fitted):
    """A trained transformer, as `fit` returns it.

    Its history has one row for each step of the tuning: step and loss. A note says what was not
    measured for its encoder.
    """

    KIND = "transformer"

    _embedder: Embedder
    _tokenizer: Tokenizer
    _head: LinearHead
    # The encoder in full precision, and what its 8-bit copy was chosen by: windows, and how
    # similar the embeddings of both are.
    _tuned: SentenceTransformer
    _windows: Sequence[Sequence[int]]
    _similarity: float

    def predict_proba(self, texts: Texts) -> Scores:
        read = embed_in_context(self._tokenizer, texts, self.context, self._embedder)
        regression = regression_of(self.topics)
        return regression.scores(self._head.read(read, regression, len(texts)).logits)

    def write(self, folder: Path) -> tuple[dict[str, object], Parity]:
        """Write the encoder as an ONNX model with its head, and for sentence-transformers.

        Metrics of parity are:

        similarity
            Mean cosine between the embeddings of the encoder in full precision and in 8 bits.
        int8_used
            Whether the ONNX model has 8 bits, 0 or 1.
        gap
            Difference of the ONNX model's probabilities from those of the network: the mean in 8
            bits, else the largest.
        full_gap, full_same
            Largest difference of the network's probabilities from those in full precision with the
            same head, and share of windows with the same topic.

        Raises
        ------
        RuntimeError
            The ONNX model does not give the network's probabilities.
        """
        truncation = self._tokenizer.truncation
        assert truncation is not None
        encoder = self._embedder.encoder
        int8_used = encoder is not self._tuned

        def probabilities(embeddings: Array) -> Scores:
            return regression_of(self.topics).probabilities(self._head.logits(embeddings))

        # By this process alone: the others write nothing.
        network, full = (
            probabilities(embed_windows(each, self._windows).cpu().double().numpy())
            for each in (encoder, self._tuned)
        )
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
        Training examples. A step of the tuning reads one window of each text in its batch, drawn
        at random. The head is fitted to all windows of a text, which share its weight. Texts that
        nobody labelled are for the head, and for the centre of embeddings.
    advance
        Called with the share of the work done, 0 to 1; reports to nobody by default.

    Raises
    ------
    UserError
        The encoder cannot be loaded or exported, or the device is not available.
    """
    torch.manual_seed(seed)
    torch.use_deterministic_algorithms(True, warn_only=True)
    params = replace(params, encoder=encoder_for(params.encoder, examples.texts.plain)[0])
    network = _load_network(params, topics)
    tokens = network.encoder.tokenizer.backend_tokenizer.to_str()
    short = windowing(Tokenizer.from_str(tokens), params.train_tokens)
    tokenizer = windowing(Tokenizer.from_str(tokens), params.max_tokens)
    if is_centred := params.encoder != BUNDLED:
        _centre(network.encoder, examples, topics, short, seed)
    untuned = Embedder(network.encoder, remembers=True)
    descriptions = topics.descriptions or _informative_names(examples, topics, untuned, short)
    subjects = _other_subjects(descriptions, untuned, short)
    margin = MARGIN_IF_CENTRED if is_centred else MARGIN
    head_fit = _HeadFit(topics, descriptions, subjects, margin, short)
    context = _choose_context(head_fit, examples, untuned, seed)
    plan = plan_tuning(examples, topics, params, context.neighbours > 0)
    if plan.trains_head:
        first = _to_begin_with(examples, topics, seed)
        network.use(head_fit.fit(first, untuned, short, context))
    to_tune = windowing(Tokenizer.from_str(tokens), plan.tokens)
    history = tune(network, to_tune, examples, topics, plan, seed, advance)
    windows = _windows(tokenizer, examples, topics, seed)
    encoder, similarity = _quantise_if_close(network.encoder, windows)
    embedder = Embedder(encoder)
    # A tuned encoder puts texts close to the description of the topic that it takes them for.
    weights = description_weights(examples, len(topics.outcomes)) if len(history) else None
    head = head_fit.fit(examples, embedder, tokenizer, context, weights)
    advance(1.0)
    model = embedder, tokenizer, head, network.encoder, windows, similarity
    return FittedTransformer(history, context, (), topics, *model, encoder=params.encoder)


def _centre(
    encoder: SentenceTransformer, examples: Examples, topics: Topics, short: Tokenizer, seed: int
) -> None:
    """Centre an encoder by some texts, the topics' descriptions and the other subjects."""
    texts = [*examples.texts.plain, *examples.unlabelled]
    some = [texts[row] for row in at_most(TO_CENTRE, len(texts), seed)]
    read = [*some, *topics.descriptions, *SUBJECTS]
    embeddings = Embedder(encoder)(_first_windows(short, read))
    centre(encoder, embeddings, [language_of(text) or "" for text in read])


def _choose_context(
    head_fit: _HeadFit, examples: Examples, embedder: Embedder, seed: int
) -> ContextWeights:
    """Choose how much is read around texts with the encoder as it is before it is tuned.

    A tuned one takes the texts that it was tuned on for clearer than others are.
    """
    tokenizer, topics = head_fit.short, head_fit.topics
    regression = regression_of(topics)

    def score(read: ContextWeights, train: Integers, test: Integers) -> Scores:
        part = replace(examples.of(train), unlabelled=())
        head = head_fit.fit(part, embedder, tokenizer, read)
        texts = examples.of(test).texts
        windows = embed_in_context(tokenizer, texts, read, embedder)
        return regression.scores(head.read(windows, regression, len(texts)).logits)

    def embed(texts: Sequence[str]) -> Array:
        return embedder(_first_windows(tokenizer, texts))

    return choose_context(examples, topics, seed, score, embed)


def _to_begin_with(examples: Examples, topics: Topics, seed: int) -> Examples:
    """At most `TO_BEGIN_WITH` examples, half of them in equal shares of all outcomes."""
    rng, n = np.random.default_rng(seed), TO_BEGIN_WITH // 2
    of_each = next(balanced_batches(regression_of(topics).outcomes(examples.targets), 1, n, n, rng))
    at_random = rng.permutation(len(examples.texts))[:n]
    return replace(examples.of(np.union1d(of_each, at_random)), unlabelled=())


def _informative_names(
    examples: Examples, topics: Topics, embedder: Embedder, tokenizer: Tokenizer
) -> tuple[str, ...]:
    """The topics' names, if they tell something of rare topics; otherwise none.

    Labelled texts have to be closer to the name of their own topic than to the other names, by more
    than chance explains. Numbers such as "19" do not tell, and where most texts have a topic,
    labels tell enough.
    """
    are_words = all(any(map(str.isalpha, name)) for name in topics.names)
    if not are_words or not topics_are_rare(examples.by_hand, topics):
        return ()
    n = len(examples.texts)
    examples = examples.of(np.unique(np.linspace(0, n - 1, min(n, MOST_TO_COMPARE)).astype(int)))
    has_topic = examples.targets.any(axis=1)
    if has_topic.sum() < 2:
        return ()
    texts, names = (
        embedder(_first_windows(tokenizer, each)) for each in (examples.texts.plain, topics.names)
    )
    similarity = texts @ names.T
    similarity -= similarity.mean(axis=0)  # some names are closer to all texts than others
    informative = stand_out(similarity[has_topic], examples.targets[has_topic], INFORMATIVE_FROM)
    return topics.names if informative else ()


def _other_subjects(
    descriptions: Sequence[str], embedder: Embedder, tokenizer: Tokenizer
) -> tuple[str, ...]:
    """The subjects of news that are none of the topics; none where topics are not described."""
    if not descriptions:
        return ()
    subjects, described = (
        _describe(embedder, tokenizer, each) for each in (SUBJECTS, descriptions)
    )
    return tuple(compress(SUBJECTS, are_others(subjects, described)))


def _load_network(params: Transformer, topics: Topics) -> Network:
    """The encoder before it is tuned, with a head that is yet to be fitted."""
    device = pick_device(params.device)
    encoder = load_encoder(params.encoder, device)
    check_lengths(encoder, params)
    head = nn.Linear(encoder.get_embedding_dimension(), len(topics.outcomes))
    network = Network(encoder, head.to(device))
    # Dropout stays off: with so few steps it only adds noise.
    network.eval()
    return network


def _windows(
    tokenizer: Tokenizer, examples: Examples, topics: Topics, seed: int
) -> list[list[int]]:
    """Windows to choose the 8-bit encoder by: of texts, descriptions and, last, random words."""
    texts = [*examples.texts.plain, *examples.unlabelled]
    evenly = np.linspace(0, len(texts) - 1, min(len(texts), RANGE_TEXTS)).astype(int)
    chosen = [texts[number] for number in evenly]
    pieces = {token.strip("#▁Ġ") for token in tokenizer.get_vocab()}
    words = sorted(filter(str.isalpha, pieces)) or sorted(pieces)
    drawn = np.random.default_rng(seed).choice(words, (RANDOM_WINDOWS, RANDOM_WORDS))
    # What is far down a long text is seldom unlike its beginning.
    return _first_windows(tokenizer, [*chosen, *topics.descriptions, *map(" ".join, drawn)])


def _first_windows(tokenizer: Tokenizer, texts: Sequence[str]) -> list[list[int]]:
    """The first window of each text."""
    windows, owner = read_windows(tokenizer, texts)
    return [windows[row] for row in np.unique(owner, return_index=True)[1]]


def _quantise_if_close(
    encoder: SentenceTransformer, windows: Sequence[Sequence[int]]
) -> tuple[SentenceTransformer, float]:
    """The 8-bit copy of an encoder if its embeddings are close to the encoder's; else the encoder.

    Three of four windows set the ranges of the copy; the rest shows how close it is.

    Returns
    -------
    One of the two, and the mean cosine between the embeddings of either.
    """
    of_ranges = [window for number, window in enumerate(windows) if number % 4]
    quantised = quantise(encoder, lambda copied: embed_windows(copied, of_ranges))
    others = windows[::4]
    full, rounded = (embed_windows(each, others) for each in (encoder, quantised))
    similarity = float((full * rounded).sum(dim=1).mean())
    return quantised if similarity >= CLOSE else encoder, similarity


@dataclass(frozen=True)
class _HeadFit:
    """How a network's head is fitted.

    Parameters
    ----------
    descriptions
        Descriptions of the topics, or their names; empty for none.
    subjects
        Subjects that are none of the topics; empty without descriptions.
    margin
        As in `Described`.
    short
        Tokenizer for texts that nobody labelled, of which the beginnings are enough: no figure
        differs with all of them.
    """

    topics: Topics
    descriptions: Sequence[str]
    subjects: Sequence[str]
    margin: float
    short: Tokenizer

    def fit(
        self,
        examples: Examples,
        embedder: Embedder,
        tokenizer: Tokenizer,
        context: ContextWeights,
        description_weights: Array | None = None,
    ) -> LinearHead:
        """Fit the head to embeddings in context; `description_weights` as in `Described.prior`."""
        topics, regression = self.topics, regression_of(self.topics)
        strength, is_described = regression.strength, bool(topics.descriptions)
        weights = evidence(examples, is_described)
        of_topics, of_subjects = (
            _describe(embedder, tokenizer, each) for each in (self.descriptions, self.subjects)
        )
        described = Described(of_topics, of_subjects, self.margin)
        prior = described.prior(len(topics.names), regression, description_weights)
        read = embed_in_context(tokenizer, examples.texts, context, embedder)
        features = described.widen(read.features)
        # The windows of a text share its weight.
        of_windows = weights[read.owner] * (1 / np.bincount(read.owner)[read.owner])
        of_each = examples.of(read.owner)
        data = training_data(features, of_each, of_windows, regression, strength, prior)
        head = fit_head(data, regression, strength, prior)
        if examples.unlabelled:
            unlabelled = embedder(_first_windows(self.short, examples.unlabelled))
            features = described.widen(unlabelled)
            for _ in range(n_rounds(weights, examples.targets, is_described)):
                answers = regression.probabilities(features @ head.coef.T + head.intercept)
                answers = smooth_answers(unlabelled, answers, regression)
                both = add_pseudo_labels(data, features, answers, regression)
                head = fit_head(both, regression, strength, prior)
        return described.head(head)


def _describe(embedder: Embedder, tokenizer: Tokenizer, descriptions: Sequence[str]) -> Array:
    """Embeddings of descriptions, (k, d), of unit length; (0, d) for none."""
    windows, topic = read_windows(tokenizer, descriptions)
    embeddings = embedder(windows)
    described = np.zeros((len(descriptions), embeddings.shape[1]))
    np.add.at(described, topic, embeddings)
    described /= np.linalg.norm(described, axis=1, keepdims=True)
    return described
