"""Fit the transformer: a fine-tuned encoder with a logistic regression on its embeddings.

Prediction from the saved folder is for `inference.onnx_model`, which needs nothing of this module.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from sentence_transformers import SentenceTransformer
from tokenizers import Tokenizer
from torch import Tensor, nn

from paratopic.inference.calibration import Calibration
from paratopic.inference.context import ContextWeights
from paratopic.inference.folder import write_manifest
from paratopic.inference.head import LinearHead, centre_of
from paratopic.inference.modes import Mode, mode_of
from paratopic.inference.onnx_model import (
    EncoderClassifier,
    OnnxModel,
    ReadWindows,
    read_passages,
    read_windows,
    text_logits,
    windowing,
)
from paratopic.inference.scores import Array, Integers, Scores
from paratopic.project.files import aside
from paratopic.project.passages import Text, plain
from paratopic.project.topics import Topics
from paratopic.training.context import choose_context
from paratopic.training.examples import (
    Advance,
    Examples,
    beside_labels,
    evidence,
    silent,
    topics_are_rare,
)
from paratopic.training.head import (
    Lessons,
    Nearest,
    fit_head,
    lessons_of,
    prior_of,
    with_answers,
    with_nearest,
    without_nearest,
)
from paratopic.training.unlabelled import n_rounds, smooth_answers
from paratopic.transformer.encoder import check_lengths, load_encoder, pick_device
from paratopic.transformer.export import EmbeddingNetwork, export
from paratopic.transformer.network import (
    Embedder,
    Network,
    embed_windows,
    processes,
)
from paratopic.transformer.quantise import quantise
from paratopic.transformer.settings import BUNDLED, Transformer
from paratopic.transformer.tuning import balanced_batches, plan_tuning, tune

# Strength (C) of the head's regressions. In mode multi they have two classes, and less freedom.
HEAD_STRENGTH = {"single": 10.0, "multi": 1.0}
# Encoder → line with which definitions alone gave the best answers on draws of bills and speeches,
# which others had labelled, in natural shares: from .26 to .36, macro-F1 differs by 4 points.
# Cosines of other encoders lie elsewhere.
NEAREST = {BUNDLED: Nearest(slope=-4.0, even=0.3)}
# Standard errors by which labelled texts have to be closer to their topic's name than to others.
# And the number of labelled texts that are compared, at most.
TELLING, MOST_TO_COMPARE = 2.0, 1000
# Number of examples, at most, that the head is fitted to before it is tuned with the encoder.
TO_BEGIN_WITH = 256
# Smallest mean cosine between the embeddings of an encoder and of its 8-bit copy for the copy to be
# used. MiniLM, tuned on questions or bills, has .997 or more on texts that set no range. Unlike the
# cosines of different texts, that of a text with its copy is 1 at best for any encoder. And how far
# the probabilities are from those in full precision is measured for each model
# (`FittedTransformer.save`).
CLOSE = 0.99
# The 8-bit encoder is chosen by a number of texts, and by windows of random words, which make its
# ranges wide enough where texts are few: their number, and the number of words in each.
RANGE_TEXTS, RANDOM_WINDOWS, RANDOM_WORDS = 16, 8, 24
# Largest difference of a probability of an ONNX model in full precision from the network's, and
# largest mean difference in 8 bits, where some numbers are rounded up here and down there: about
# .001.
FULL_GAP, INT8_GAP = 1e-4, 0.02


@dataclass
class FittedTransformer:
    """A trained transformer, as `fit` returns it.

    Attributes
    ----------
    history
        One row for each step of the tuning: step and loss.
    context
        How much it reads of what stands around a text.
    notes
        What was not measured for its encoder.
    """

    history: pd.DataFrame
    context: ContextWeights
    notes: tuple[str, ...]

    _topics: Topics
    _embedder: Embedder
    _tokenizer: Tokenizer
    _head: LinearHead
    # The encoder in full precision, and what its 8-bit copy was chosen by: windows, and how
    # similar the embeddings of both are.
    _tuned: SentenceTransformer
    _windows: Sequence[Sequence[int]]
    _similarity: float

    @property
    def classes_(self) -> tuple[str, ...]:
        """Topic names in codebook order, including topics without an example."""
        return self._topics.names

    @property
    def _network(self) -> Network:
        return self._embedder.network

    def predict_proba(self, texts: Sequence[Text]) -> Scores:
        """Compute probabilities (n, k) of n texts; see `inference.model.Model.predict_proba`."""
        read = read_passages(self._tokenizer, texts, self.context, self._embedder.windows)
        mode = mode_of(self._topics.mode)
        return mode.scores(text_logits(self._head, read, mode, len(texts)))

    def save(
        self, folder: Path, calibration: Calibration, languages: Sequence[str] = ()
    ) -> dict[str, float]:
        """Write the model's folder: the encoder for sentence-transformers, and an ONNX model.

        Returns
        -------
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
        settings: dict[str, Any] = {
            "max_tokens": truncation["max_length"],
            "context": asdict(self.context),
        }
        int8_used = self._network.encoder is not self._tuned

        def probabilities(embeddings: Array) -> Scores:
            logits = calibration.apply(self._head.logits(embeddings))
            return mode_of(self._topics.mode).probabilities(logits)

        network = probabilities(self._embed(self._network.encoder))
        full = probabilities(self._embed(self._tuned))
        with aside(folder) as draft:
            self._tuned.save(str(draft), create_model_card=False)
            tokenizer, model = draft / EncoderClassifier.TOKENIZER, draft / EncoderClassifier.MODEL
            tokenizer.write_text(self._tokenizer.to_str(pretty=True), encoding="utf-8")
            self._head.save(draft / EncoderClassifier.HEAD)
            # Weights come readable by their owner alone; whoever reads the folder may have them.
            for weights in draft.rglob("*.safetensors"):
                weights.chmod(tokenizer.stat().st_mode)
            export(EmbeddingNetwork(copy.deepcopy(self._network.encoder).to("cpu").eval()), model)
            gaps = np.abs(probabilities(OnnxModel(model).run(self._windows)) - network)
            gap = float(gaps.mean() if int8_used else gaps.max())
            if not gap <= (INT8_GAP if int8_used else FULL_GAP):
                raise RuntimeError(f"the ONNX model's probabilities are off by {gap:.1e}")
            write_manifest(draft, "transformer", self._topics, calibration, languages, settings)
        return {
            "similarity": self._similarity,
            "int8_used": float(int8_used),
            "gap": gap,
            "full_gap": float(np.abs(network - full).max()),
            "full_same": float((network.argmax(axis=1) == full.argmax(axis=1)).mean()),
        }

    def _embed(self, encoder: SentenceTransformer) -> Array:
        """Embeddings of the windows that an encoder was chosen by, (n windows, d)."""
        network = self._network.with_encoder(encoder)
        # By this process alone: the others write nothing.
        embeddings = embed_windows(network, self._windows, together=False)
        return np.asarray(embeddings.cpu().double().numpy())


def fit(
    examples: Examples,
    topics: Topics,
    params: Transformer,
    seed: int,
    advance: Advance = silent,
    checkpoints: Path | None = None,
) -> FittedTransformer:
    """Tune the encoder on the examples, then fit the head on their tuned embeddings.

    Parameters
    ----------
    examples
        Training examples. A step of the tuning reads one window of each text in its batch, drawn
        at random. The head is fitted to all windows of a text, which share its weight. Texts that
        nobody labelled are for the head alone, with which the encoder is tuned in mode multi.
    advance
        Called with the share of the work done, 0 to 1; reports to nobody by default.
    checkpoints
        Folder from which a fit that was killed goes on; None, the default, for none.

    Raises
    ------
    UserError
        The encoder cannot be loaded, or the device is not available.
    """
    torch.manual_seed(seed)
    torch.use_deterministic_algorithms(True, warn_only=True)
    network = _load_network(params, topics)
    tokens = network.encoder.tokenizer.backend_tokenizer.to_str()
    short = windowing(Tokenizer.from_str(tokens), params.train_tokens)
    tokenizer = windowing(Tokenizer.from_str(tokens), params.max_tokens)
    untuned = Embedder(network, remembers=True)
    descriptions = topics.descriptions or _telling_names(examples, topics, untuned, short)
    nearest, notes = _nearest(params.encoder, descriptions)
    head_fit = _HeadFit(examples, topics, descriptions, nearest, short)
    context = _choose_context(head_fit, untuned, seed)
    plan = plan_tuning(examples, topics, params, context.neighbours > 0)
    if plan.trains_head:
        some = replace(head_fit, examples=_to_begin_with(examples, mode_of(topics.mode), seed))
        network.use(some.fit(untuned, short, context))
    history = tune(network, short, examples, topics, plan, seed, advance, checkpoints)
    tuned = network.encoder
    windows = _windows(tokenizer, examples, topics, seed)
    similarity = _quantise_if_close(network, windows)
    embedder = Embedder(network)
    # A tuned encoder puts texts close to the description of the topic that it takes them for.
    beside = beside_labels(examples, mode_of(topics.mode)) if len(history) else None
    head = head_fit.fit(embedder, tokenizer, context, beside)
    advance(1.0)
    return FittedTransformer(
        history, context, notes, topics, embedder, tokenizer, head, tuned, windows, similarity
    )


def _choose_context(head_fit: _HeadFit, embedder: Embedder, seed: int) -> ContextWeights:
    """Choose how much is read around texts with the encoder as it is before it is tuned.

    A tuned one takes the texts that it was tuned on for clearer than others are.
    """
    examples, tokenizer = head_fit.examples, head_fit.short
    mode = mode_of(head_fit.topics.mode)

    def score(read: ContextWeights, train: Integers, test: Integers) -> Scores:
        part = replace(examples.of(train), unlabelled=())
        head = replace(head_fit, examples=part).fit(embedder, tokenizer, read)
        texts = examples.of(test).texts
        windows = read_passages(tokenizer, texts, read, embedder.windows)
        return mode.scores(text_logits(head, windows, mode, len(texts)))

    def embed(texts: Sequence[str]) -> Array:
        return embedder.texts(tokenizer, texts, first=True)[0]

    return choose_context(examples, mode, seed, score, embed)


def _to_begin_with(examples: Examples, mode: Mode, seed: int) -> Examples:
    """At most `TO_BEGIN_WITH` examples, half of them in equal shares of all outcomes."""
    rng, n = np.random.default_rng(seed), TO_BEGIN_WITH // 2
    of_each = next(balanced_batches(mode.outcomes(examples.targets), 1, n, rng))
    at_random = rng.permutation(len(examples.texts))[:n]
    return replace(examples.of(np.union1d(of_each, at_random)), unlabelled=())


def _telling_names(
    examples: Examples, topics: Topics, embedder: Embedder, tokenizer: Tokenizer
) -> tuple[str, ...]:
    """The topics' names, if they tell something of rare topics; otherwise none.

    Labelled texts have to be closer to the name of their own topic than to the other names, by more
    than chance explains. Codes such as "19" do not tell, and where most texts have a topic, labels
    tell enough.
    """
    if not topics_are_rare(examples.by_hand, mode_of(topics.mode)):
        return ()
    n = len(examples.texts)
    examples = examples.of(np.unique(np.linspace(0, n - 1, min(n, MOST_TO_COMPARE)).astype(int)))
    has_topic = examples.targets.any(axis=1)
    if has_topic.sum() < 2:
        return ()
    texts, names = (
        embedder.texts(tokenizer, each, first=True)[0]
        for each in (plain(examples.texts), topics.names)
    )
    similarity = texts @ names.T
    similarity -= similarity.mean(axis=0)  # some names are closer to all texts than others
    own = similarity[examples.targets]
    lead = own - (similarity[has_topic].sum(axis=1) - own) / (len(names) - 1)
    telling = lead.mean() > TELLING * lead.std(ddof=1) / np.sqrt(len(lead))
    return topics.names if telling else ()


def _nearest(encoder: str, descriptions: Sequence[str]) -> tuple[Nearest, tuple[str, ...]]:
    """What the similarity to the nearest definition tells, and a note if it was not measured."""
    if encoder in NEAREST or not descriptions:
        return NEAREST.get(encoder, NEAREST[BUNDLED]), ()
    return NEAREST[BUNDLED], (
        f"how close a text has to be to a definition to have a topic was measured with {BUNDLED}, "
        f"not with {encoder}: with few labels, the probabilities of having a topic may be far off",
    )


def _load_network(params: Transformer, topics: Topics) -> Network:
    """The encoder before it is tuned, with a head that is yet to be fitted."""
    processes()  # each process takes a device of its own
    device = pick_device(params.device)
    encoder = load_encoder(params.encoder, device)
    check_lengths(encoder, params)
    dimensions = encoder.get_embedding_dimension()
    assert dimensions is not None
    n_logits = mode_of(topics.mode).n_logits(len(topics.names))
    network = Network(encoder, nn.Linear(dimensions, n_logits).to(device))
    # Dropout stays off: with so few steps it only adds noise.
    network.eval()
    return network


def _windows(
    tokenizer: Tokenizer, examples: Examples, topics: Topics, seed: int
) -> list[list[int]]:
    """Windows to choose the 8-bit encoder by: of texts, descriptions and, last, random words."""
    texts = [*plain(examples.texts), *examples.unlabelled]
    evenly = np.linspace(0, len(texts) - 1, min(len(texts), RANGE_TEXTS)).astype(int)
    chosen = [texts[number] for number in evenly]
    pieces = {token.strip("#▁Ġ") for token in tokenizer.get_vocab()}
    words = sorted(filter(str.isalpha, pieces)) or sorted(pieces)
    drawn = np.random.default_rng(seed).choice(words, (RANDOM_WINDOWS, RANDOM_WORDS))
    # One window of each text: what is far down a long one is seldom unlike its beginning.
    windows, owner = read_windows(tokenizer, [*chosen, *topics.descriptions, *map(" ".join, drawn)])
    return [windows[row] for row in np.unique(owner, return_index=True)[1]]


def _quantise_if_close(network: Network, windows: Sequence[Sequence[int]]) -> float:
    """Give the network the 8-bit copy of its encoder if its embeddings are close to the encoder's.

    Three of four windows set the ranges of the copy; the rest shows how close it is.

    Returns
    -------
    Mean cosine between the embeddings of either.
    """

    def embed(encoder: SentenceTransformer, some: Sequence[Sequence[int]]) -> Tensor:
        return embed_windows(network.with_encoder(encoder), some, together=False)

    of_ranges = [window for number, window in enumerate(windows) if number % 4]
    quantised = quantise(network.encoder, lambda encoder: embed(encoder, of_ranges))
    others = windows[::4]
    cosines = (embed(network.encoder, others) * embed(quantised, others)).sum(dim=1)
    similarity = float(cosines.mean())
    if similarity >= CLOSE:
        network.encoder = quantised
    return similarity


@dataclass(frozen=True)
class _HeadFit:
    """What a network's head is fitted to.

    Parameters
    ----------
    descriptions
        Descriptions of the topics, or their names; empty for none.
    nearest
        What the similarity to the nearest description tells.
    short
        Tokenizer for texts that nobody labelled, of which the beginnings are enough: no figure
        differs with all of them.
    """

    examples: Examples
    topics: Topics
    descriptions: Sequence[str]
    nearest: Nearest
    short: Tokenizer

    def fit(
        self,
        embedder: Embedder,
        tokenizer: Tokenizer,
        context: ContextWeights,
        beside: Array | None = None,
    ) -> LinearHead:
        """Fit the head to embeddings of the examples with what is read around them.

        How much the descriptions count is multiplied by `beside`, as in `prior_of`.
        """
        topics = self.topics
        mode, strength = mode_of(topics.mode), HEAD_STRENGTH[topics.mode]
        weights = evidence(self.examples, bool(topics.descriptions))
        descriptions = _describe(embedder, tokenizer, self.descriptions)
        prior = prior_of(descriptions, len(topics.names), mode, beside)
        read = read_passages(tokenizer, self.examples.texts, context, embedder.windows)
        learnt = self._lessons(read, descriptions, weights, prior)
        head = fit_head(learnt, mode, strength, prior)
        if self.examples.unlabelled:
            unlabelled, _ = embedder.texts(self.short, self.examples.unlabelled, first=True)
            features = with_nearest(unlabelled, descriptions, self.nearest)
            described = bool(topics.descriptions)
            for _ in range(n_rounds(weights, self.examples.targets, described)):
                answers = mode.probabilities(features @ head.coef.T + head.intercept)
                answers = smooth_answers(unlabelled, answers, mode)
                head = fit_head(
                    with_answers(learnt, features, answers, mode), mode, strength, prior
                )
        linear = without_nearest(*head, self.nearest)
        return LinearHead(*linear, descriptions, *centre_of(read.features))

    def _lessons(
        self, read: ReadWindows, descriptions: Array, weights: Array, prior: Array
    ) -> Lessons:
        """Lessons from the examples' windows; those of a text share its weight."""
        owner = read.owner
        share = 1 / np.bincount(owner, minlength=len(self.examples.texts))[owner]
        features = with_nearest(read.features, descriptions, self.nearest)
        mode, strength = mode_of(self.topics.mode), HEAD_STRENGTH[self.topics.mode]
        examples, evidence = self.examples.of(owner), weights[owner] * share
        return lessons_of(features, examples, evidence, mode, strength, prior)


def _describe(embedder: Embedder, tokenizer: Tokenizer, descriptions: Sequence[str]) -> Array:
    """Embeddings of the topics' descriptions, (k, d), of unit length; (0, d) for none."""
    embeddings, topic = embedder.texts(tokenizer, descriptions)
    described = np.zeros((len(descriptions), embeddings.shape[1]))
    np.add.at(described, topic, embeddings)
    described /= np.linalg.norm(described, axis=1, keepdims=True)
    return described
