"""The transformer: a fine-tuned encoder with a logistic regression on its embeddings.

It trains and saves; prediction from the saved folder is `inference.transformer`, which needs none
of this.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from tokenizers import Tokenizer
from torch import nn

from paratopic.inference.folder import Calibration, write_manifest
from paratopic.inference.scores import Scores, combine, probabilities, topical
from paratopic.inference.transformer import EncoderClassifier, read_windows, windowing
from paratopic.project.files import aside
from paratopic.project.params import Transformer
from paratopic.project.topics import Topics
from paratopic.training.examples import Advance, Examples, evidence
from paratopic.training.head import PRIOR_SCALE, head
from paratopic.transformer.encoder import load_encoder, pick_device
from paratopic.transformer.export import Window, choose, export
from paratopic.transformer.network import (
    PREDICT_BATCH,
    Network,
    embed_texts,
    embed_windows,
    processes,
)
from paratopic.transformer.tuning import tune

# Of the head's logistic regression; where each topic has its own, of two classes, it is less free.
HEAD_STRENGTH = {"single": 10.0, "multi": 1.0}

# Texts on which a saved graph's answers are compared with the network's: examples, about as many,
# and texts of random words.
PARITY_TEXTS, RANDOM_TEXTS = 100, 20

# A logit that no softmax notices: of a topic without a training example. The opposite is that of
# having a topic, where every example has one.
NEVER = -1e4


class FittedTransformer:
    """A trained transformer; what `fit` returns.

    Attributes
    ----------
    classes_
        Topic names in codebook order, also those without a training example (probability 0).
    history
        One row a step of the tuning: step and loss.
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
        """Probabilities, (n texts, k topics); see `classifier.Model.predict_proba`."""
        windows, owner = read_windows(self._tokenizer, texts)
        with torch.inference_mode():
            logits = self._network.head(embed_windows(self._network, windows, PREDICT_BATCH))
        lengths = [len(window) for window in windows]
        told = logits.double().cpu().numpy()
        return combine(told, lengths, owner, len(texts), self._topics.mode)

    def save(self, folder: Path, calibration: Calibration) -> dict[str, float]:
        """Write the model's folder: the encoder for sentence-transformers, and ONNX graphs.

        Returns
        -------
        How far the graphs' answers are from the network's, on windows of the training examples and
        of random words: see `graphs.choose`.

        Raises
        ------
        RuntimeError
            The full graph does not give the network's probabilities.
        """
        windows = self._parity_windows()
        with torch.inference_mode():  # by one process: the others write nothing
            embeddings = embed_windows(self._network, windows, PREDICT_BATCH, together=False)
            logits = self._network.head(embeddings)
        device, mode = logits.device, self._topics.mode
        scale, shift = (
            torch.tensor(numbers, device=device)
            for numbers in (calibration.scale, calibration.shift)
        )
        truth = probabilities((logits * scale + shift).double().cpu().numpy(), mode)
        tokenizer = EncoderClassifier.TOKENIZER
        with aside(folder) as draft:
            self._network.encoder.save(str(draft), create_model_card=False)
            (draft / tokenizer).write_text(self._tokenizer.to_str(pretty=True), encoding="utf-8")
            window = Window(copy.deepcopy(self._network), scale, shift, mode)
            export(window.to("cpu").eval(), draft / EncoderClassifier.FULL)
            graph, parity = choose(draft, windows, truth)
            settings = {"graph": graph, "max_tokens": self._max_tokens}
            files = graph, tokenizer
            write_manifest(draft, "transformer", self._topics, calibration, settings, files)
        return parity

    def _parity_windows(self) -> list[list[int]]:
        """Token ids of examples, evenly chosen, of definitions, and of their words in disorder."""
        step = max(1, len(self._texts) // PARITY_TEXTS)
        texts = [*self._texts[::step], *self._topics.descriptions]
        words = sorted({word for text in texts for word in text.split()})
        rng = np.random.default_rng(self._seed)
        lengths = rng.integers(1, self._max_tokens, RANDOM_TEXTS)
        texts += [" ".join(rng.choice(words, length)) for length in lengths]
        return read_windows(self._tokenizer, texts)[0]


def fit(
    examples: Examples, topics: Topics, params: Transformer, seed: int, advance: Advance
) -> FittedTransformer:
    """Tune the encoder on the examples, then fit the head on their tuned embeddings.

    Parameters
    ----------
    examples
        Texts and class numbers. A step of the tuning reads one window of each text of its batch,
        drawn at random; the head learns from all windows of a text, which share its weight. Texts
        with none of the topics teach the head alone.
    topics
        The codebook.
    params
        Section transformer of params.yaml.
    seed
        Of the batches and windows.
    advance
        Told the share of the work done, 0 to 1.

    Raises
    ------
    UserError
        The encoder or the device is not to be had.
    """
    processes()  # each takes a device of its own
    torch.manual_seed(seed)
    torch.use_deterministic_algorithms(True, warn_only=True)
    device = pick_device(params.device)
    encoder = load_encoder(params.encoder, device)
    dimensions = encoder.get_embedding_dimension()
    assert dimensions is not None
    n_logits = len(topics.names) + (topics.mode == "single")
    network = Network(encoder, nn.Linear(dimensions, n_logits).to(device))
    # Dropout stays off: with so few steps it only adds noise.
    network.eval()
    tokens = encoder.tokenizer.backend_tokenizer.to_str()
    short = windowing(Tokenizer.from_str(tokens), params.train_tokens)
    counts = evidence(examples, topics)
    if topics.mode == "multi":
        _fit_head(network, short, examples, counts, topics)
    enough = counts[topical(examples.targets)].sum()
    history = tune(network, short, examples.topical(), enough, topics, params, seed, advance)
    tokenizer = windowing(Tokenizer.from_str(tokens), params.max_tokens)
    _fit_head(network, tokenizer, examples, counts, topics)
    advance(1.0)
    return FittedTransformer(
        topics, network, tokenizer, params.max_tokens, history, examples.texts, seed
    )


def _fit_head(
    network: Network,
    tokenizer: Tokenizer,
    examples: Examples,
    counts: npt.NDArray[np.float64],
    topics: Topics,
) -> None:
    """Give the network the head that fits its embeddings of the examples."""
    embeddings, owner = embed_texts(network, tokenizer, examples.texts)
    # The windows of a text share its weight.
    share = 1 / np.bincount(owner, minlength=len(examples.texts))[owner]
    prior = np.zeros((len(topics.names), network.head.in_features))
    if topics.descriptions:
        described, of_topic = embed_texts(network, tokenizer, topics.descriptions)
        np.add.at(prior, of_topic, described)
        prior *= PRIOR_SCALE / np.linalg.norm(prior, axis=1, keepdims=True)
    some = embeddings, examples.targets[owner], counts[owner] * share, share
    coef, intercept = head(*some, topics.mode, HEAD_STRENGTH[topics.mode], prior)
    with torch.no_grad():
        network.head.weight.copy_(torch.from_numpy(coef))
        network.head.bias.copy_(torch.from_numpy(np.clip(intercept, NEVER, -NEVER)))
