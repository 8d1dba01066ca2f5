"""The plainest recipes, to stand beside the project's models on the same labels.

They have nothing of the project but its encoder. "" is a class as any other.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from sentence_transformers import SentenceTransformer
from simulation import embeddings
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from torch import nn

from paratopic.project.languages import choose_encoder
from paratopic.project.params import Params
from paratopic.transformer.encoder import load_encoder, pick_device

STRENGTH = 10.0  # C of the logistic regressions
# Of plain fine-tuning.
BATCH, RATE, TOKENS, EPOCHS, WARMUP = 32, 1e-4, 128, 4, 0.1


def tfidf(texts: Sequence[str], labels: Sequence[str], tests: Sequence[str]) -> npt.NDArray[Any]:
    """Answers of scikit-learn's logistic regression with balanced classes on TF-IDF features."""
    return np.asarray(on_words().fit(texts, labels).predict(tests))


def frozen(features: npt.NDArray[Any], labels: Sequence[str], tests: npt.NDArray[Any]) -> Any:
    """Answers of the same regression on features, such as embeddings of a frozen encoder."""
    return regression().fit(features, labels).predict(tests)


def on_embeddings(
    texts: Sequence[str],
    labels: Sequence[str],
    tests: Sequence[str],
    params: Params,
    kept: Path | None = None,
) -> Any:
    """Answers of `frozen` on texts; `kept` keeps their embeddings, by default they are not kept."""
    known = embeddings([*texts, *tests], params, kept)
    to_learn, to_answer = (np.array([known[text] for text in part]) for part in (texts, tests))
    return frozen(to_learn, labels, to_answer)


def fine_tuned(
    texts: Sequence[str],
    labels: Sequence[str],
    tests: Sequence[str],
    params: Params,
    seed: int,
    epochs: int = EPOCHS,
) -> npt.NDArray[Any]:
    """Answers after fine-tuning; see `tuned_probabilities`."""
    classes, known = tuned_probabilities(texts, labels, tests, params, seed, epochs)
    return np.asarray(classes[known.argmax(axis=1)])


def tuned_probabilities(
    texts: Sequence[str],
    labels: Sequence[str],
    tests: Sequence[str],
    params: Params,
    seed: int,
    epochs: int = EPOCHS,
) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Classes, and their probabilities after fine-tuning with cross-entropy, (number of tests, k).

    A linear layer is on the mean of the tokens. AdamW with a warm-up and a linear decay; texts are
    cut after `TOKENS`.
    """
    torch.manual_seed(seed)
    wish = params.section("transformer")
    device = pick_device(wish.device)
    encoder = copy.deepcopy(load_encoder(choose_encoder(wish.encoder, texts)[0], device))
    encoder.max_seq_length = min(TOKENS, wish.max_tokens)
    classes, truth = np.unique(np.asarray(labels), return_inverse=True)
    size = encoder.get_embedding_dimension()
    assert size is not None
    head = nn.Linear(size, len(classes)).to(device)
    parameters = [*encoder.parameters(), *head.parameters()]
    optimiser = torch.optim.AdamW(parameters, lr=RATE, weight_decay=0.01)
    n_steps = epochs * -(-len(texts) // BATCH)
    rising = max(1, int(WARMUP * n_steps))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser,
        lambda step: min((step + 1) / rising, (n_steps - step) / max(1, n_steps - rising)),
    )
    rng = np.random.default_rng(seed)
    encoder.train()
    for _ in range(epochs):
        order = rng.permutation(len(texts))
        for start in range(0, len(order), BATCH):
            batch = order[start : start + BATCH]
            logits = head(_embed(encoder, [texts[row] for row in batch], device))
            loss = nn.functional.cross_entropy(logits, torch.from_numpy(truth[batch]).to(device))
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(parameters, 1.0)
            optimiser.step()
            schedule.step()
    encoder.eval()
    with torch.no_grad():
        parts = [
            head(_embed(encoder, tests[start : start + BATCH], device)).softmax(dim=1).cpu()
            for start in range(0, len(tests), BATCH)
        ]
    return classes, torch.cat(parts).numpy()


def _embed(encoder: SentenceTransformer, texts: Sequence[str], device: torch.device) -> Any:
    """Means of the tokens' embeddings, (n, d), not scaled to unit length."""
    features = encoder.preprocess(list(texts))
    tensors = {name: x.to(device) for name, x in features.items() if isinstance(x, torch.Tensor)}
    transformer, pooling = encoder[0], encoder[1]
    return pooling(transformer(tensors))["sentence_embedding"]


def on_words() -> Pipeline:
    """scikit-learn's logistic regression with balanced classes on TF-IDF features."""
    return make_pipeline(TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2)), regression())


def regression() -> LogisticRegression:
    """scikit-learn's logistic regression with balanced classes."""
    return LogisticRegression(C=STRENGTH, class_weight="balanced", max_iter=1000)
