"""Fit the transformer: a fine-tuned encoder with a logistic regression on its embeddings.

Prediction from the saved folder is for `inference.transformer`, which needs nothing of this module.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from tokenizers import Tokenizer
from torch import Tensor, nn

from paratopic.inference.folder import Calibration, write_manifest
from paratopic.inference.modes import mode_of
from paratopic.inference.scores import Array, Scores
from paratopic.inference.transformer import EncoderClassifier, read_windows, windowing
from paratopic.project.files import aside
from paratopic.project.params import Transformer
from paratopic.project.topics import Topics
from paratopic.training.examples import (
    Advance,
    Evidence,
    Examples,
    evidence,
    share_of_labels,
    silent,
)
from paratopic.training.head import (
    Nearest,
    fit_head,
    lessons,
    prior_of,
    with_answers,
    with_nearest,
    without_nearest,
)
from paratopic.training.unlabelled import smooth_answers
from paratopic.transformer.encoder import check_lengths, load_encoder, pick_device
from paratopic.transformer.export import CalibratedNetwork, export
from paratopic.transformer.network import (
    PREDICT_BATCH,
    Network,
    embed_texts,
    embed_windows,
    processes,
)
from paratopic.transformer.quantise import quantise_if_close
from paratopic.transformer.tuning import trains_head, tune

# Strength (C) of the head's regressions. In mode multi they have two classes, and less freedom.
HEAD_STRENGTH = {"single": 10.0, "multi": 1.0}
# Between the lines that fit bills and speeches of others, if three of four texts have a topic.
NEAREST = Nearest(slope=14.0, even=0.13)
# Share of the way to the tuned weights that the encoder goes with definitions alone, as with labels
# of one article.
OF_CLAUSES = 0.25
# Numbers of texts for which a saved ONNX model's answers are compared with the network's: about so
# many examples, and so many texts of random words.
PARITY_TEXTS, RANDOM_TEXTS = 100, 20
# A finite logit that softmax and sigmoid take for certainty, in place of an infinite intercept.
CERTAIN = 1e4


class FittedTransformer:
    """A trained transformer, as `fit` returns it.

    Attributes
    ----------
    classes_
        Topic names in codebook order, including topics without an example (probability 0).
    history
        One row for each step of the tuning: step and loss.
    """

    def __init__(
        self,
        topics: Topics,
        network: Network,
        tokenizer: Tokenizer,
        max_tokens: int,
        history: pd.DataFrame,
        texts: Sequence[str],
        seed: int,
    ) -> None:
        self.classes_ = topics.names
        self.history = history
        self._topics, self._texts, self._seed = topics, texts, seed
        self._network, self._tokenizer, self._max_tokens = network, tokenizer, max_tokens

    def predict_proba(self, texts: Sequence[str]) -> Scores:
        """Compute probabilities (n, k) of n texts; see `inference.model.Model.predict_proba`."""
        windows, owner = read_windows(self._tokenizer, texts)
        with torch.inference_mode():
            logits = self._network.logits(embed_windows(self._network, windows, PREDICT_BATCH))
        lengths = [len(window) for window in windows]
        mode = mode_of(self._topics.mode)
        values = logits.double().cpu().numpy()
        return mode.scores(mode.combine_windows(values, lengths, owner, len(texts)))

    def save(self, folder: Path, calibration: Calibration) -> dict[str, float]:
        """Write the model's folder: the encoder for sentence-transformers, and ONNX models.

        Returns
        -------
        How close the ONNX models' answers are to the network's, for windows of the examples and of
        random words: see `quantise.quantise_if_close`.

        Raises
        ------
        RuntimeError
            The ONNX model in full precision does not give the network's probabilities.
        """
        device = self._network.head.weight.device
        scale = torch.tensor(calibration.scale, device=device)
        shift = torch.tensor(calibration.shift, device=device)
        windows = self._parity_windows()
        expected = self._probabilities(windows, scale, shift)
        tokenizer = EncoderClassifier.TOKENIZER
        with aside(folder) as draft:
            self._network.encoder.save(str(draft), create_model_card=False)
            (draft / tokenizer).write_text(self._tokenizer.to_str(pretty=True), encoding="utf-8")
            network = copy.deepcopy(self._network)
            exported = CalibratedNetwork(network, scale, shift, self._topics.mode)
            export(exported.to("cpu").eval(), draft / EncoderClassifier.FULL)
            model, parity = quantise_if_close(draft, windows, expected)
            settings = {"graph": model, "max_tokens": self._max_tokens}
            files = model, tokenizer
            write_manifest(draft, "transformer", self._topics, calibration, settings, files)
        return parity

    def _parity_windows(self) -> list[list[int]]:
        """Token ids of examples, evenly chosen, of descriptions, and of their words at random."""
        step = max(1, len(self._texts) // PARITY_TEXTS)
        texts = [*self._texts[::step], *self._topics.descriptions]
        words = sorted({word for text in texts for word in text.split()})
        rng = np.random.default_rng(self._seed)
        lengths = rng.integers(1, self._max_tokens, RANDOM_TEXTS)
        texts += [" ".join(rng.choice(words, length)) for length in lengths]
        return read_windows(self._tokenizer, texts)[0]

    def _probabilities(
        self, windows: Sequence[Sequence[int]], scale: Tensor, shift: Tensor
    ) -> Scores:
        """The network's calibrated probabilities, (n windows, n logits)."""
        with torch.inference_mode():  # by this process alone: the others write nothing
            embeddings = embed_windows(self._network, windows, PREDICT_BATCH, together=False)
            logits = self._network.logits(embeddings)
        values = (logits * scale + shift).double().cpu().numpy()
        return mode_of(self._topics.mode).probabilities(values)


def fit(
    examples: Examples, topics: Topics, params: Transformer, seed: int, advance: Advance = silent
) -> FittedTransformer:
    """Tune the encoder on the examples, then fit the head on their tuned embeddings.

    Parameters
    ----------
    examples
        Training examples. A step of the tuning reads one window of each text in its batch, drawn
        at random. The head is fitted to all windows of a text, which share its weight. Texts with
        none of the topics, and texts that nobody labelled, are for the head alone, with which the
        encoder is tuned in mode multi.
    topics
        The codebook.
    params
        Section transformer of params.yaml.
    seed
        Seed of the batches and windows.
    advance
        Called with the share of the work done, 0 to 1; reports to nobody by default.

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
    weights = evidence(examples, topics)
    if trains_head(topics.mode):
        _set_head(network, short, short, examples, weights, topics)
    labelled = examples.topical()
    described = bool(topics.descriptions)
    share = max(OF_CLAUSES, share_of_labels(labelled.articles, described, labelled.trust))
    history = tune(network, short, labelled, share, topics, params, seed, advance)
    _set_head(network, tokenizer, short, examples, weights, topics)
    advance(1.0)
    return FittedTransformer(
        topics, network, tokenizer, params.max_tokens, history, examples.texts, seed
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


def _set_head(
    network: Network,
    tokenizer: Tokenizer,
    short: Tokenizer,
    examples: Examples,
    weights: Evidence,
    topics: Topics,
) -> None:
    """Give the network the head that fits its embeddings of the examples.

    Texts that nobody labelled teach it too, by what a head of the labels alone answers. Of these
    texts the beginnings are enough, which `short` cuts: no figure differs with all of them.
    """
    embeddings, owner = embed_texts(network, tokenizer, examples.texts)
    # The windows of a text share its weight.
    share = 1 / np.bincount(owner, minlength=len(examples.texts))[owner]
    windows = Evidence(weights.which[owner] * share, weights.any[owner] * share)
    descriptions = _describe(network, tokenizer, topics)
    mode, strength = mode_of(topics.mode), HEAD_STRENGTH[topics.mode]
    prior = prior_of(descriptions, len(topics.names))
    features = with_nearest(embeddings, descriptions, NEAREST)
    learnt = lessons(features, examples.targets[owner], windows, mode)
    coef, intercept = fit_head(learnt, mode, strength, prior)
    if examples.unlabelled:
        unlabelled, _ = embed_texts(network, short, examples.unlabelled, first=True)
        features = with_nearest(unlabelled, descriptions, NEAREST)
        answers = mode.probabilities(features @ coef.T + intercept)
        answers = smooth_answers(unlabelled, answers, mode)
        learnt = with_answers(learnt, features, answers, mode)
        coef, intercept = fit_head(learnt, mode, strength, prior)
    coef, slope, intercept = without_nearest(coef, intercept, NEAREST)
    with torch.no_grad():
        network.head.weight.copy_(torch.from_numpy(coef))
        network.head.bias.copy_(torch.from_numpy(np.clip(intercept, -CERTAIN, CERTAIN)))
        network.slope = torch.from_numpy(slope).to(network.head.bias)
        network.descriptions = torch.from_numpy(descriptions).to(network.head.weight)


def _describe(network: Network, tokenizer: Tokenizer, topics: Topics) -> Array:
    """Embeddings of the topics' descriptions, (k, d), of unit length; (0, d) for none."""
    embeddings, topic = embed_texts(network, tokenizer, topics.descriptions)
    described = np.zeros((len(topics.descriptions), network.head.in_features))
    np.add.at(described, topic, embeddings)
    described /= np.linalg.norm(described, axis=1, keepdims=True)
    return described
